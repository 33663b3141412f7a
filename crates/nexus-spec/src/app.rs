//! One application as asked for, checked: every value here can be acted upon as it stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cron::{Cron, Schedule};
use crate::door::Door;
use crate::environment::{Inherit, Pattern, Source};
use crate::instances::Instances;
use crate::limits::Limits;
use crate::log::LogFiles;
use crate::memory::Memory;
use crate::name::Name;
use crate::ready::Ready;
use crate::restart::{Restart, Stop};
use crate::rollout::{Dependencies, Health, Rollout};
use crate::secret::{holds_password, is_secret};
use crate::size::Size;
use crate::socket::Socket;
use crate::span::Span;
use crate::watch::Watch;

/// One application. Paths are absolute, except `script` when it is a bare word to be looked up in
/// the app's `PATH`, or a command line for a shell (`interpreter` ends with `-c`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Unique in a home; default the script's file name without its extension.
    pub name: Name,
    /// A label to select several apps by; default `default`.
    pub namespace: String,
    /// The program, or the file that `interpreter` runs.
    pub script: PathBuf,
    /// Arguments after the script; default none.
    pub args: Vec<String>,
    /// The program that runs `script`, and its own arguments; empty = `script` is executed
    /// itself; default by the script's extension.
    pub interpreter: Vec<String>,
    /// Working directory; default the project file's directory.
    pub cwd: PathBuf,
    /// Environment that the file sets, on top of the base environment; default empty.
    pub env: BTreeMap<String, String>,
    /// How many workers; default 1.
    pub instances: Instances,
    /// What follows an exit that nobody asked for.
    pub restart: Restart,
    /// How a worker is stopped.
    pub stop: Stop,
    /// Addresses bound once by us and handed to every worker as LISTEN_FDS (`sd_listen_fds(3)`);
    /// default none.
    pub listen: Vec<Socket>,
    /// What counts as ready; default alive for one second.
    pub ready: Ready,
    /// A worker that is not ready after this long has failed to start; default 30 s. Has no
    /// meaning for `Ready::Default` and `Ready::Delay`.
    pub ready_timeout: Span,
    /// A shell command run once, before the first start; its failure changes nothing; default
    /// none.
    pub build: Option<String>,
    /// A build that runs for longer is ended, and has failed; default 30 m.
    #[serde(default = "build_timeout")]
    pub build_timeout: Span,
    /// Whose rights the workers have; default the daemon's.
    pub run_as: RunAs,
    /// Where output goes, in which form, and how much of it is kept.
    pub log: LogFiles,
    /// Whose defaults it has.
    #[serde(default)]
    pub door: Door,
    /// What of the caller's environment a worker gets.
    #[serde(default)]
    pub inherit: Inherit,
    /// `env_file`: absolute; below `env`, read at each start; default none.
    #[serde(default)]
    pub env_file: Vec<PathBuf>,
    /// `secrets`: above all other variables, read at each start; default none.
    #[serde(default)]
    pub secrets: BTreeMap<String, Source>,
    /// `secret_names`: variables that are secret besides those that [`is_secret`] knows.
    #[serde(default)]
    pub secret_names: Vec<Pattern>,
    /// `not_secret`: variables that are not, whatever their names.
    #[serde(default)]
    pub not_secret: Vec<Pattern>,
    /// `instance_var`; default NODE_APP_INSTANCE.
    #[serde(default = "instance_var")]
    pub instance_var: String,
    /// `increment_var`; default none.
    #[serde(default)]
    pub increment_var: Option<String>,
    /// How much memory a worker's tree may use; default whatever it takes.
    #[serde(default)]
    pub memory: Memory,
    /// What the kernel grants a worker; default the caller's own.
    #[serde(default)]
    pub limits: Limits,
    /// What a worker reads as its standard input; default nothing.
    #[serde(default)]
    pub stdin: Stdin,
    /// Which changes of files restart the app; default none.
    #[serde(default)]
    pub watch: Watch,
    /// `cron_restart`: when the app is restarted; default never.
    #[serde(default)]
    pub cron_restart: Option<Cron>,
    /// When the app runs as a job; default never: it is none.
    #[serde(default)]
    pub schedule: Schedule,
    /// A check that is repeated while a worker is online; default none.
    #[serde(default)]
    pub health: Option<Health>,
    /// `watchdog`: how often a worker says that it is alive; default not asked.
    #[serde(default)]
    pub watchdog: Option<Span>,
    /// `depends_on`: what has to be up before; default nothing.
    #[serde(default)]
    pub depends_on: Dependencies,
    /// `drain_timeout`: from the end of new work to the stop signal; default 0.
    #[serde(default)]
    pub drain_timeout: Span,
    /// How a reload tries the new version.
    #[serde(default)]
    pub rollout: Rollout,
    /// `shared_memory` of all workers; default none.
    #[serde(default)]
    pub shared_memory: Option<Size>,
    /// `protected`: a stop needs a confirmation; default false.
    #[serde(default)]
    pub protected: bool,
    /// `autostart`: a start of its file starts it; default true.
    #[serde(default = "autostart")]
    pub autostart: bool,
    /// `pid_file`; default none.
    #[serde(default)]
    pub pid_file: Option<PathBuf>,
}

/// Whose rights the workers have. Names or numbers, resolved by the daemon at each spawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// `user`; its groups come with it; default the daemon's.
    pub user: Option<String>,
    /// `group`, in place of the user's own; default the user's.
    pub group: Option<String>,
    /// `umask`, 0 to 0o777; default the daemon's.
    pub umask: Option<u32>,
}

/// What a worker reads as its standard input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// Nothing: /dev/null.
    #[default]
    Null,
    /// What is sent to it.
    Pipe,
}

/// For what was stored before it could be said.
fn build_timeout() -> Span {
    AppSpec::BUILD_TIMEOUT
}

impl AppSpec {
    /// The namespace of an app that names none.
    pub const NAMESPACE: &'static str = "default";
    /// The `instance_var` of an app that names none.
    pub const INSTANCE_VAR: &'static str = "NODE_APP_INSTANCE";
    /// The `ready_timeout` of an app that names none.
    pub const READY_TIMEOUT: Span = Span(30_000);
    /// The `build_timeout` of an app that names none.
    pub const BUILD_TIMEOUT: Span = Span(30 * 60 * 1_000);

    /// Whether the value of a variable of the app's must not be shown, by its name, or since it is
    /// an address with a password in it. What comes from `env_file` or `secrets` is secret as well,
    /// whatever it is.
    pub fn is_secret(&self, name: &str, value: &str) -> bool {
        let named = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        self.secrets.contains_key(name)
            || named(&self.secret_names)
            || ((is_secret(name) || holds_password(value)) && !named(&self.not_secret))
    }

    /// The value of a variable that its file gives a worker, by instance where it counts up;
    /// `None`: its file gives it none of that name.
    pub fn variable(&self, name: &str, instance: u16) -> Option<String> {
        if name == self.instance_var || name == "NEXUS_INSTANCE" {
            return Some(instance.to_string());
        }
        if self.increment_var.as_deref() == Some(name) {
            let first = self.env.get(name).and_then(|value| value.trim().parse::<i64>().ok());
            return Some(first.unwrap_or(0).saturating_add(i64::from(instance)).to_string());
        }
        self.env.get(name).cloned()
    }

    /// An app with every documented default. `script` and `cwd` are taken as they are; `cwd` has
    /// to be absolute.
    pub fn default_for(name: Name, script: &Path, cwd: &Path) -> AppSpec {
        AppSpec {
            name,
            namespace: AppSpec::NAMESPACE.to_owned(),
            script: script.to_owned(),
            args: Vec::new(),
            interpreter: interpreter_of(script),
            cwd: cwd.to_owned(),
            env: BTreeMap::new(),
            instances: Instances::default(),
            restart: Restart::default(),
            stop: Stop::default(),
            listen: Vec::new(),
            ready: Ready::default(),
            ready_timeout: AppSpec::READY_TIMEOUT,
            build_timeout: AppSpec::BUILD_TIMEOUT,
            build: None,
            run_as: RunAs::default(),
            log: LogFiles::default(),
            door: Door::Ours,
            inherit: Door::Ours.inherit(),
            env_file: Vec::new(),
            secrets: BTreeMap::new(),
            secret_names: Vec::new(),
            not_secret: Vec::new(),
            instance_var: instance_var(),
            increment_var: None,
            memory: Memory::default(),
            limits: Limits::default(),
            stdin: Stdin::default(),
            watch: Watch::default(),
            cron_restart: None,
            schedule: Schedule::default(),
            health: None,
            watchdog: None,
            depends_on: Dependencies::new(),
            drain_timeout: Span(0),
            rollout: Rollout::default(),
            shared_memory: None,
            protected: false,
            autostart: true,
            pid_file: None,
        }
    }
}

fn autostart() -> bool {
    true
}

fn instance_var() -> String {
    AppSpec::INSTANCE_VAR.to_owned()
}

/// Extensions and the program that runs such a file. Any other file is executed itself: its
/// `#!` line says the rest.
const BY_EXTENSION: [(&str, &str); 11] = [
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("ts", "bun"),
    ("tsx", "bun"),
    ("py", "python3"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
    ("sh", "bash"),
    ("bash", "bash"),
];

/// The interpreter of a script that names none; empty = the script is executed itself.
pub fn interpreter_of(script: &Path) -> Vec<String> {
    let extension = script.extension().and_then(|extension| extension.to_str());
    let program = BY_EXTENSION.iter().find(|(known, _)| Some(*known) == extension);
    program.map(|(_, program)| (*program).to_owned()).into_iter().collect()
}
