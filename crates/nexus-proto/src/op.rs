//! Operations: what a client asks to be changed, and how far it is.
//!
//! `POST` with an `Idempotency-Key` begins one and answers `202` with the [`Operation`];
//! `GET /v1/operations/{key}?wait_ms=N` answers when it has ended or `N` is over. The same key
//! posted again begins nothing: it answers with the operation that the key began.

use nexus_spec::{AppSpec, DaemonSpec, Name, Size};
use serde::{Deserialize, Serialize};

/// Body of `POST /v1/apps`: start these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Start {
    /// The apps, checked by the client; the daemon trusts only what the types enforce.
    #[cfg_attr(test, schemars(with = "Vec<serde_json::Map<String, serde_json::Value>>"))]
    pub apps: Vec<AppSpec>,
    /// Where they came from: a project file's path, or `command line`.
    pub source: String,
    /// The caller's base environment for the workers (HOME, PATH, LANG …).
    pub base_env: Vec<(String, String)>,
    /// `[daemon]` of the file, for a start and an `apply`; `null` = it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, serde_json::Value>>"))]
    pub daemon: Option<DaemonSpec>,
}

/// Body of `POST /v1/apps/{verb}`: the verb for apps that are known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AppVerb {
    /// As typed: `NAME`, `NAME/INSTANCE`, an id, `namespace:NAME`, a namespace, `all`, `/regex/`,
    /// a glob.
    pub targets: Vec<String>,
    /// For `restart` and `reload` with a project file: new specs for the targets.
    pub specs: Option<Start>,
    /// For `restart`: the most memory that each worker may use from now on, in bytes.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub max_memory_restart: Option<Size>,
    /// For `reload` and `rollback`: how many instances of an app are replaced at once; `null` = one.
    #[serde(default)]
    pub parallel: Option<u16>,
    /// For `reload` and `rollback`: take over from a reload or a scaling that is under way.
    #[serde(default)]
    pub replace: bool,
    /// For `stop` and `restart`: whether its files are watched from now on; `null` = as before.
    #[serde(default)]
    pub watch: Option<Switch>,
    /// For `rollback`: the generation whose configuration is to come back; `null` = the one before.
    #[serde(default)]
    pub to: Option<u64>,
    /// For `scale`: how many instances: `6`, `+2`, `-1`.
    #[serde(default)]
    pub count: Option<String>,
}

/// What becomes of something that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// It is on.
    On,
    /// It is off.
    Off,
    /// The other of the two.
    Toggle,
}

/// Body of `POST /v1/apps/signal`: a signal for main processes, which changes no intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SignalApps {
    /// As in [`AppVerb`]; each has to stand for at least one process.
    pub targets: Vec<String>,
    /// `SIGUSR2`, `HUP`, `10`.
    pub signal: String,
}

/// Body of `POST /v1/apps/send`: a line for the standard input of workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SendText {
    /// As in [`AppVerb`]; each has to run and to have a standard input.
    pub targets: Vec<String>,
    /// Without its line end; 4,095 bytes at most, so that it comes in one piece.
    pub text: String,
}

/// Body of `POST /v1/apps/flush`: empty log files, or rotate them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlushLogs {
    /// As in [`AppVerb`]; none = all apps.
    pub targets: Vec<String>,
    /// True = begin new files and keep what there is; false = delete it.
    #[serde(default)]
    pub rotate: bool,
}

/// Body of `POST /v1/daemon/upgrade`: another program in the place of nexusd and its keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UpgradeDaemon {
    /// The program's file, by an absolute path.
    pub file: String,
    /// How long it may take until it is ready, in milliseconds; default 10,000.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
}

/// One app, or one instance of it, that a target stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Target {
    /// The app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// Only this instance.
    pub instance: Option<u16>,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Operation {
    /// `nexus.operation/1`.
    pub schema: String,
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// `start`, `stop`, `restart`, `reload`, `rollback`, `scale`, `reset`, `abort`, `delete`,
    /// `upgrade`. May grow.
    pub verb: String,
    /// Who asked: `alice(1000)`.
    pub by: String,
    /// RFC 3339.
    pub begun_at: String,
    /// How far it is.
    pub state: OpState,
    /// One for each app that has been answered.
    pub results: Vec<AppResult>,
    /// Apps that have not been answered yet.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub waiting: Vec<Name>,
    /// How it ended, where it is about the daemon and not about apps.
    #[serde(default)]
    pub daemon: Option<DaemonResult>,
}

/// How an upgrade of the daemon ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DaemonResult {
    /// `done`, or `rolled_back`.
    pub verdict: Verdict,
    /// Why, in words, when it is not done.
    pub message: String,
    /// The version before.
    pub from: String,
    /// The version that serves.
    pub version: String,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OpState {
    /// Some app has not been answered.
    Running,
    /// All apps have been answered; see the results.
    Ended,
}

/// How it ended for one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AppResult {
    /// The app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// The instance that the verdict is about, if it is about one.
    pub instance: Option<u16>,
    /// The verdict.
    pub verdict: Verdict,
    /// In words, one line, no trailing stop: `api/0 exited with code 3 after 0.2s, before it was
    /// ready; next try in 100ms`.
    pub message: String,
    /// It was a reload that failed, and what was before serves.
    #[serde(default)]
    pub old_serves: bool,
    /// The failing worker's (or build's) own last lines, raw.
    pub last_lines: Vec<String>,
    /// Log file to read on.
    pub log: Option<String>,
}

/// How an ask ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is true now.
    Done,
    /// It was true before; nothing was done.
    AlreadyRunning,
    /// A worker ended before it was ready, or could not be run.
    StartFailed,
    /// The build failed; nothing was changed.
    BuildFailed,
    /// A reload was given up: what was before serves.
    RolledBack,
    /// Somebody called it off: what was before is true again.
    Aborted,
    /// Refused: another operation on the app is under way.
    Busy,
    /// Refused: it is over, or cannot be aborted.
    CannotAbort,
    /// Refused: it runs with another configuration.
    Conflict,
    /// There is no such app or instance (any more).
    NotFound,
    /// It waits for an app that it depends on, and starts by itself once that is up.
    Waits,
    /// Nothing was changed: an app that it depends on failed in the same operation.
    Spared,
    /// A later request for the same app overtook this one.
    Superseded,
}
