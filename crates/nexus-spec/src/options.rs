//! Options as they are given, from a file or a command line, until they make an app.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::app::{AppSpec, RunAs, Stdin};
use crate::cron::{Cron, Schedule};
use crate::daemon::DaemonSpec;
use crate::door::Door;
use crate::environment::{Inherit, Pattern, Source};
use crate::given::Given;
use crate::instances::Instances;
use crate::limits::Limits;
use crate::log::LogFiles;
use crate::memory::Memory;
use crate::name::Name;
use crate::ready::Ready;
use crate::restart::{Restart, Stop};
use crate::rollout::{Dependencies, Health, Rollout};
use crate::settings;
use crate::size::Size;
use crate::socket::Socket;
use crate::span::Span;
use crate::wrong::Wrong;

/// The options of one app. [`Options::set`] reads every value as the project file does;
/// [`Options::finish`] makes the app.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) door: Door,
    pub(crate) name_prefix: Option<Name>,
    pub(crate) append_env_to_name: bool,
    pub(crate) node_args: Vec<String>,
    pub(crate) disable_logs: bool,
    pub(crate) port: Option<String>,
    pub(crate) profiles: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) inherit: Inherit,
    pub(crate) env_file: Vec<String>,
    pub(crate) secrets: BTreeMap<String, Source>,
    pub(crate) secret_names: Vec<Pattern>,
    pub(crate) not_secret: Vec<Pattern>,
    pub(crate) instance_var: Option<String>,
    pub(crate) increment_var: Option<String>,
    pub(crate) name: Option<Name>,
    pub(crate) namespace: Option<String>,
    pub(crate) script: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) interpreter: Option<Vec<String>>,
    pub(crate) cwd: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) instances: Instances,
    pub(crate) restart: Restart,
    pub(crate) stop: Stop,
    pub(crate) listen: Vec<Socket>,
    pub(crate) ready: Ready,
    pub(crate) ready_timeout: Option<Span>,
    pub(crate) build_timeout: Option<Span>,
    pub(crate) build: Option<String>,
    pub(crate) run_as: RunAs,
    pub(crate) out_file: Option<String>,
    pub(crate) error_file: Option<String>,
    pub(crate) log: LogFiles,
    pub(crate) time: bool,
    pub(crate) memory: Memory,
    pub(crate) limits: Limits,
    pub(crate) stdin: Option<Stdin>,
    pub(crate) watch: Vec<String>,
    pub(crate) ignore_watch: Option<Vec<String>>,
    pub(crate) watch_delay: Option<Span>,
    pub(crate) follow_symlinks: Option<bool>,
    pub(crate) use_polling: bool,
    pub(crate) poll_interval: Option<Span>,
    pub(crate) cron_restart: Option<Cron>,
    pub(crate) schedule: Schedule,
    pub(crate) health: Option<Health>,
    pub(crate) watchdog: Option<Span>,
    pub(crate) depends_on: Dependencies,
    pub(crate) drain_timeout: Span,
    pub(crate) rollout: Rollout,
    pub(crate) shared_memory: Option<Size>,
    pub(crate) protected: bool,
    pub(crate) autostart: bool,
    pub(crate) pid_file: Option<String>,
    /// Of the whole file, and of no app.
    pub(crate) daemon: DaemonSpec,
}

/// Why an option cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionFlaw {
    /// The option: `kill_timeout`, `backoff.min`.
    pub key: String,
    /// What is wrong, as a sentence without a full stop.
    pub problem: String,
    /// What to write; may be empty.
    pub remedy: String,
}

impl Options {
    /// No option given: every default of ours.
    pub fn new() -> Options {
        Options::through(Door::Ours)
    }

    /// No option given: every default of a door.
    pub(crate) fn through(door: Door) -> Options {
        Options {
            door,
            restart: door.restart(),
            stop: door.stop(),
            inherit: door.inherit(),
            name_prefix: None,
            append_env_to_name: false,
            node_args: Vec::new(),
            disable_logs: false,
            port: None,
            profiles: BTreeMap::new(),
            env_file: Vec::new(),
            secrets: BTreeMap::new(),
            secret_names: Vec::new(),
            not_secret: Vec::new(),
            instance_var: None,
            increment_var: None,
            name: None,
            namespace: None,
            script: None,
            args: Vec::new(),
            interpreter: None,
            cwd: None,
            env: BTreeMap::new(),
            instances: Instances::default(),
            listen: Vec::new(),
            ready: Ready::default(),
            ready_timeout: None,
            build_timeout: None,
            build: None,
            run_as: RunAs::default(),
            out_file: None,
            error_file: None,
            log: LogFiles::default(),
            time: false,
            memory: Memory::default(),
            limits: Limits::default(),
            stdin: None,
            watch: Vec::new(),
            ignore_watch: None,
            watch_delay: None,
            follow_symlinks: None,
            use_polling: false,
            poll_interval: None,
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
            daemon: DaemonSpec::default(),
        }
    }

    /// Sets the option `key` (`kill_timeout` or `kill-timeout`; `backoff.min` within a table)
    /// from a text of the command line. `env` takes `NAME=VALUE` and adds a variable; a list is
    /// one string split into words, as in the file.
    ///
    /// # Errors
    /// When there is no such option, or the text is no value of it. Nothing is changed then.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), OptionFlaw> {
        self.take(key, &Given::flag(text))
    }

    /// Sets an option that takes a list, item by item, nothing split.
    ///
    /// # Errors
    /// As [`Options::set`].
    pub fn set_list(&mut self, key: &str, items: &[String]) -> Result<(), OptionFlaw> {
        self.take(key, &Given::flags(items))
    }

    fn take(&mut self, key: &str, given: &Given) -> Result<(), OptionFlaw> {
        let key = key.replace('-', "_");
        settings::set(self, &key, given)
            .or_else(|wrongs| wrongs.errors(Door::Ours).unless(()))
            .map_err(|wrongs| wrongs.0.into_iter().next().map_or_else(OptionFlaw::none, Into::into))
    }

    /// The app that the options make. `base_dir` (absolute) is what `cwd` is relative to; `exists`
    /// tells whether a path is a file: a bare word that names a file in `cwd` is that file, any
    /// other bare word without a known extension is looked up in the app's `PATH`.
    ///
    /// # Errors
    /// Everything that is wrong with the options together, such as a missing `script`.
    pub fn finish(
        &self,
        base_dir: &Path,
        exists: &dyn Fn(&Path) -> bool,
    ) -> Result<AppSpec, Vec<OptionFlaw>> {
        self.assemble(base_dir, None, exists)
            .map_err(|wrongs| wrongs.0.into_iter().map(OptionFlaw::from).collect())
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl OptionFlaw {
    fn none() -> OptionFlaw {
        OptionFlaw { key: String::new(), problem: String::new(), remedy: String::new() }
    }
}

impl From<Wrong> for OptionFlaw {
    fn from(wrong: Wrong) -> OptionFlaw {
        OptionFlaw { problem: wrong.sentence(), key: wrong.key, remedy: wrong.remedy }
    }
}

impl fmt::Display for OptionFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

impl std::error::Error for OptionFlaw {}
