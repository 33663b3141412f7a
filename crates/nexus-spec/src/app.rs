//! One application as asked for, checked: every value here can be acted upon as it stands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::units::{Signal, Span};

/// One application. Paths are absolute, except `script` when it is a bare word to be looked up in
/// the app's `PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Unique in a home.
    pub name: Name,
    /// A label to select several apps by; default `default`.
    pub namespace: String,
    /// The program, or the file that `interpreter` runs.
    pub script: PathBuf,
    /// Arguments after the script.
    pub args: Vec<String>,
    /// The program that runs `script`, and its own arguments; empty = `script` is executed itself.
    pub interpreter: Vec<String>,
    /// Working directory; default the project file's directory.
    pub cwd: PathBuf,
    /// Environment that the file sets, on top of the base environment.
    pub env: BTreeMap<String, String>,
    /// How many workers.
    pub instances: Instances,
    /// What follows an exit that nobody asked for.
    pub restart: Restart,
    /// How a worker is stopped.
    pub stop: Stop,
    /// Addresses bound once by us and handed to every worker as LISTEN_FDS (`sd_listen_fds(3)`).
    pub listen: Vec<Listen>,
    /// What counts as ready.
    pub ready: Ready,
    /// A worker that is not ready after this long has failed to start; default 30 s. Has no
    /// meaning for `Ready::Default` and `Ready::Delay`.
    pub ready_timeout: Span,
    /// A shell command run once, before the first start; its failure changes nothing.
    pub build: Option<String>,
    /// Whose rights the workers have; default the daemon's.
    pub run_as: RunAs,
    /// Where output goes.
    pub log: LogFiles,
}

/// How many workers, as written; the daemon resolves it against its own CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// Exactly so many, at least 1.
    Count(u16),
    /// One per CPU that the daemon may use (affinity and cgroup quota respected).
    Max,
    /// One per CPU but so many; at least one remains.
    AllBut(u16),
}

/// What follows an exit that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// `autorestart`: false = it stays down whatever the exit; default true.
    pub auto: bool,
    /// `restart_delay`: wait before every restart; default 0.
    pub delay: Span,
    /// Added to `delay` after repeated unstable exits.
    pub backoff: Backoff,
    /// `max_restarts`: more unstable exits than this inside `window` and the worker is given up
    /// (`errored`); default 16.
    pub max: u32,
    /// `restart_window`: the sliding window of `max`; default 15 m.
    pub window: Span,
    /// `min_uptime`: a worker that was online for less has exited *unstably*; default 1 s.
    pub min_uptime: Span,
    /// `stop_exit_codes`: exit codes after which it stays down.
    pub stop_exit_codes: Vec<u8>,
}

/// Waits that grow with each unstable exit in a row: 0 after the first, then
/// `min × factor^(n−2)`, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first wait; default 100 ms.
    pub min: Span,
    /// The longest wait; default 15 s.
    pub max: Span,
    /// Growth in percent: 200 doubles; default 200.
    pub factor_percent: u32,
    /// Spread in percent of the wait, so that workers that died together do not return together;
    /// default 10.
    pub jitter_percent: u32,
    /// Online for this long, and earlier unstable exits in a row are forgotten; default 10 s.
    pub reset_after: Span,
}

/// How a worker is stopped: the signal to its main process, then to the rest of its tree, then
/// SIGKILL to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// `stop_signal`; default SIGTERM.
    pub signal: Signal,
    /// `kill_timeout`: from the signal to SIGKILL of the whole tree; default 10 s.
    pub kill_timeout: Span,
}

/// One address to bind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listen {
    /// `tcp://HOST:PORT`, the host an IP address.
    Tcp(std::net::SocketAddr),
    /// `unix:/PATH`.
    Unix(PathBuf),
}

/// What counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// Nothing was said: alive for one second.
    Default,
    /// Alive for this long.
    Delay(Span),
    /// The worker says `READY=1` on its NOTIFY_SOCKET (`sd_notify(3)`).
    Notify,
}

/// Whose rights the workers have. Names or numbers, resolved by the daemon at each spawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// `user`; its groups come with it.
    pub user: Option<String>,
    /// `group`, in place of the user's own.
    pub group: Option<String>,
    /// `umask`, 0 to 0o777.
    pub umask: Option<u32>,
}

/// Where output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFiles {
    /// `out_file`; default `$NEXUS_HOME/logs/<app>-out.log`.
    pub out_file: Option<PathBuf>,
    /// `error_file`; default `$NEXUS_HOME/logs/<app>-error.log`.
    pub error_file: Option<PathBuf>,
    /// `merge_logs`: all instances write into one file.
    pub merge_logs: bool,
}
