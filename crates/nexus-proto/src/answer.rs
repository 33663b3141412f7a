//! Small answers of the control API that are neither an operation nor the snapshot.

use nexus_spec::Name;
use serde::{Deserialize, Serialize};

use crate::op::Target;
use crate::snapshot::EventView;

/// Answer of `GET /v1/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Version {
    /// `nexus.version/1`.
    pub schema: String,
    /// The daemon's version.
    pub version: String,
    /// `v1`.
    pub api: String,
    /// nexusd's pid.
    pub pid: i32,
    /// The keeper's pid.
    pub keeper_pid: i32,
    /// How long this nexusd has been there.
    pub uptime_ms: u64,
    /// How long the pair has been there.
    pub pair_uptime_ms: u64,
    /// How often nexusd has been replaced since the pair began.
    pub nexusd_restarts: u64,
    /// How often the keeper has been replaced since the pair began.
    pub keeper_restarts: u64,
    /// NEXUS_HOME.
    pub home: String,
    /// The systemd unit that runs the pair; `None` = none does.
    #[serde(default)]
    pub service: Option<String>,
    /// Version of what nexusd and the keeper say to each other.
    pub protocol: u32,
    /// The keeper's version.
    #[serde(default)]
    pub keeper_version: String,
    /// `cgroup` or `sweep`: how the trees of workers are found.
    #[serde(default)]
    pub trees: String,
    /// Version of the files in `state`; 0 = not said.
    #[serde(default)]
    pub state_format: u32,
    /// What the asker may do: `viewer`, `operator`, `admin`.
    #[serde(default)]
    pub role: String,
    /// The socket of `[daemon] group`; `null` = there is none.
    #[serde(default)]
    pub group_socket: Option<String>,
}

/// Answer of `GET /v1/healthz` and of `POST /v1/daemon/stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Health {
    /// `ok`, or `leaving` once the daemon has been told to end.
    pub status: String,
}

/// Answer of `GET /v1/targets`: what was typed, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Targets {
    /// Each app or instance once, in the order typed.
    pub targets: Vec<Target>,
}

/// Answer of `GET /v1/apps/{name}/env`: the environment of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Environment {
    /// `nexus.env/1`.
    pub schema: String,
    /// The app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// The instance.
    pub instance: u16,
    /// Whose environment it is; `null` = it does not run: what its next start would get.
    pub pid: Option<i32>,
    /// By name.
    pub variables: Vec<Variable>,
}

/// One variable of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; `null` = hidden.
    pub value: Option<String>,
    /// Whether its value is a secret.
    pub secret: bool,
}

/// Answer of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Events {
    /// `nexus.events/1`.
    pub schema: String,
    /// Oldest first.
    pub events: Vec<EventView>,
}

/// Answer of `GET /v1/apps/{name}/history`: the last quarter of an hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct History {
    /// `nexus.history/1`.
    pub schema: String,
    /// The app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// From one point to the next: 5,000, or 15,000 where there are thousands of apps.
    pub step_ms: u64,
    /// The moment of the last point, in milliseconds of Unix time.
    pub until_unix_ms: u64,
    /// CPU time of all its instances, oldest first: 100 = one CPU. `null` = not running, or not
    /// seen: what was before this nexusd's life is not known.
    pub cpu_percent: Vec<Option<f64>>,
    /// Resident memory of all its instances, at the same moments.
    pub memory_bytes: Vec<Option<u64>>,
}

/// Answer of `POST /v1/apps/flush`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Flushed {
    /// `nexus.flush/1`.
    pub schema: String,
    /// Whether files were rotated, not emptied.
    pub rotated: bool,
    /// One an app.
    pub apps: Vec<FlushedApp>,
}

/// What became of an app's log files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FlushedApp {
    /// The app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// Bytes of text and of rotated files that are gone; 0 when they were rotated.
    pub freed_bytes: u64,
}

/// Answer of `POST /v1/save`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Saved {
    /// `nexus.save/1`.
    pub schema: String,
    /// The file written.
    pub path: String,
    /// How many apps are in it.
    pub apps: u64,
}

/// Answer of `GET /v1/logs`: the last lines of some log files, merged by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Logs {
    /// `nexus.logs/1`.
    pub schema: String,
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Older lines that were asked for and are too much for one answer.
    pub left_out: u64,
}

/// One line of a worker's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogLine {
    /// `nexus.log/1`.
    pub schema: String,
    /// When it arrived: RFC 3339, UTC, milliseconds; `null` = not known.
    pub ts: Option<String>,
    /// The app.
    pub app: String,
    /// The instance; `null` when its file is of several.
    pub instance: Option<u16>,
    /// `out` or `err`.
    pub stream: String,
    /// The line as it was written, without its end; what is no UTF-8 is replaced.
    pub msg: String,
    /// It is longer, and was cut.
    pub truncated: bool,
}
