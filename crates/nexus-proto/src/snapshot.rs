//! The fleet as a client may see it: plain data, units in the names, `null` for unknown, never
//! the environment.
//!
//! Figures that always move (`cpu_percent`, `memory_bytes`, times, the host's) are no change: they
//! do not make a new generation. Who shows them live asks with `newer_than=N&wait_ms=1000`: the
//! answer comes with a change, or after a second with the figures of that moment.

use nexus_spec::{Door, Name};
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::rollout::{RolloutView, ScalingView, VersionView};

/// Everything that a view can show, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Snapshot {
    /// `nexus.list/1`.
    pub schema: String,
    /// Grows with every change; wait for a newer one by `GET /v1/apps?newer_than=N`.
    pub generation: u64,
    /// RFC 3339, UTC, milliseconds.
    pub generated_at: String,
    /// Who answers.
    pub daemon: DaemonView,
    /// The machine.
    pub host: HostView,
    /// All apps, by name.
    pub apps: Vec<AppView>,
}

/// The pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DaemonView {
    /// The program's version.
    pub version: String,
    /// NEXUS_HOME.
    pub home: String,
    /// nexusd's pid.
    pub pid: i32,
    /// The keeper's pid.
    pub keeper_pid: i32,
    /// How long this nexusd has been there.
    pub uptime_ms: u64,
    /// How long the pair has been there, replacements of either included.
    pub pair_uptime_ms: u64,
    /// How often nexusd has been replaced since the pair began.
    pub nexusd_restarts: u64,
    /// How often the keeper has been replaced since the pair began.
    pub keeper_restarts: u64,
    /// The systemd unit that runs the pair; `None` = none does.
    #[serde(default)]
    pub service: Option<String>,
    /// The keeper's version.
    #[serde(default)]
    pub keeper_version: String,
    /// `cgroup` or `sweep`: how the trees of workers are found.
    #[serde(default)]
    pub trees: String,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HostView {
    /// Its name.
    pub name: String,
    /// CPUs that the daemon may use.
    pub cpus: u16,
    /// How busy all its CPUs are: 100 = all of them. `null` while no worker runs.
    #[serde(default)]
    pub cpu_percent: Option<f64>,
    /// Average load of one minute.
    pub load_1m: f64,
    /// Memory in use.
    pub memory_used_bytes: u64,
    /// Memory in all.
    pub memory_total_bytes: u64,
}

/// One app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AppView {
    /// Its name.
    #[cfg_attr(test, schemars(with = "String"))]
    pub name: Name,
    /// Its namespace.
    pub namespace: String,
    /// The sum of its instances' states.
    pub status: Status,
    /// Instances that are ready.
    pub ready: u16,
    /// Instances that are wanted.
    pub wanted: u16,
    /// Restarts that nobody asked for, of all instances.
    pub restarts: u64,
    /// CPU time of its instances: 100 = one CPU, all the time.
    #[serde(default)]
    pub cpu_percent: Option<f64>,
    /// Resident memory of its instances.
    pub memory_bytes: Option<u64>,
    /// `memory.high`: an instance that stays above it for `memory_hold_ms` is replaced.
    #[serde(default)]
    pub memory_high_bytes: Option<u64>,
    /// `memory.max`: an instance above it is replaced.
    #[serde(default)]
    pub memory_max_bytes: Option<u64>,
    /// `memory.for`.
    #[serde(default)]
    pub memory_hold_ms: u64,
    /// How long the youngest ready instance has been up.
    pub uptime_ms: Option<u64>,
    /// The spec's generation: grows with every start with a new spec and every restart.
    pub generation: u64,
    /// The generation with which its configuration came first; another one than `generation` after a
    /// restart or a rollback.
    #[serde(default)]
    pub version: u64,
    /// What it can be rolled back to, the newest first.
    #[serde(default)]
    pub versions: Vec<VersionView>,
    /// How the number of instances follows their load; `null` = it does not.
    #[serde(default)]
    pub scaling: Option<ScalingView>,
    /// The reload that is under way.
    #[serde(default)]
    pub rollout: Option<RolloutView>,
    /// The addresses that we hold for it, as written in the file.
    pub listen: Vec<String>,
    /// Those of them that only its workers have: both of the pair were killed, and the kernel did
    /// not let the next one fetch them. The next reload binds them anew.
    #[serde(default)]
    pub unadopted: Vec<String>,
    /// What is run: program and arguments.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// `notify`, `delay:2s`, `default (alive for 1s)`.
    pub ready_when: String,
    /// Its health check, if it has one: `http://127.0.0.1:3001/up each 10s; 3 failures in a row are
    /// too many`.
    #[serde(default)]
    pub health: Option<String>,
    /// `SIGTERM`.
    pub stop_signal: String,
    /// The signal goes to the whole tree at once, not to the main process first.
    #[serde(default)]
    pub stop_tree: bool,
    /// Whose defaults the app has: `ours`, `pm2`.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub door: Door,
    /// From the signal to SIGKILL.
    pub kill_timeout_ms: u64,
    /// Restart policy in words: `at most 16 unstable exits in 15m, backoff 100ms..15s`.
    pub restart_policy: String,
    /// Names of variables that the file sets; never values.
    pub env_names: Vec<String>,
    /// User whose rights it has; `null` = the daemon's.
    pub user: Option<String>,
    /// Where it came from: a project file's path, or `command line`.
    pub source: Option<String>,
    /// What is wrong now, if something is.
    pub trouble: Option<Trouble>,
    /// Its watched files; `null` = none are.
    #[serde(default)]
    pub watch: Option<WatchView>,
    /// The apps that have to be up before it starts.
    #[serde(default)]
    pub depends_on: Vec<DependencyView>,
    /// What it does at set times: `cron_restart`, `schedule`.
    #[serde(default)]
    pub times: Vec<TimesView>,
    /// Its instances, by number.
    pub instances: Vec<InstanceView>,
    /// Its build's log, when it has a build command.
    pub build_log: Option<String>,
}

/// An app that another one depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DependencyView {
    /// Which app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// How far it has to come: `started`, `ready`, `healthy`, `completed`.
    pub until: String,
    /// It has come so far.
    pub met: bool,
    /// How it is: `online`, `errored: db/0 exited with code 3 …`, `stopped`.
    pub state: String,
}

/// What an app does at set times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimesView {
    /// `restart`, or `run`: it is a job.
    pub does: String,
    /// The cron expression.
    pub cron: String,
    /// Its time zone; `null` = the daemon's.
    pub timezone: Option<String>,
    /// The next time, in milliseconds of Unix time; `null` while the app is stopped.
    pub next_at_unix_ms: Option<u64>,
    /// How long until then.
    pub next_in_ms: Option<u64>,
    /// The next time in its zone: `2026-11-29 03:00:00 CET`.
    pub next_at: Option<String>,
    /// Of a job: `skip`, `queue`, `replace`.
    pub overlap: Option<String>,
    /// `skip`, `once`.
    pub missed: String,
    /// Each run begins up to this much later.
    pub jitter_ms: u64,
    /// A run waits for the end of the one before.
    pub queued: bool,
}

/// Files whose changes reload an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WatchView {
    /// False: somebody has switched it off, until it is switched on again or the app is started
    /// from its file.
    pub on: bool,
    /// Directories, files and patterns.
    pub paths: Vec<String>,
    /// Patterns of what does not count.
    pub ignore: Vec<String>,
    /// Quiet for so long after a change, then a reload.
    pub delay_ms: u64,
    /// Directories that are watched now; `null` = none are, or they are still being looked for.
    pub directories: Option<u64>,
    /// What keeps us from seeing all changes.
    pub problem: Option<String>,
    /// The app seems to change its own files: the next reload waits so long.
    pub held_ms: Option<u64>,
}

/// One instance of an app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InstanceView {
    /// The number that users type; never reused (`pm_id`).
    pub id: u32,
    /// 0, 1, 2 … within the app.
    pub instance: u16,
    /// Its state.
    pub status: Status,
    /// The state in words, from want and phase.
    pub explain: String,
    /// What it says of itself (`STATUS=` of `sd_notify(3)`), harmless on a terminal.
    #[serde(default)]
    pub says: Option<String>,
    /// By what it was found to be ready: `notify`, `listening on tcp://[::]:3000`, `alive for 1s` …;
    /// `null` = it is not.
    #[serde(default)]
    pub ready_by: Option<String>,
    /// Whether its health check finds it well; `null` = it has none, or there is no answer yet.
    #[serde(default)]
    pub healthy: Option<bool>,
    /// Its main process.
    pub pid: Option<i32>,
    /// Which spawn this is, counted over the whole home.
    pub child: Option<u64>,
    /// The spec's generation it runs with.
    pub generation: Option<u64>,
    /// Restarts that nobody asked for.
    pub restarts: u64,
    /// Since it was spawned.
    pub uptime_ms: Option<u64>,
    /// When it was spawned, in milliseconds of Unix time.
    pub started_at_unix_ms: Option<u64>,
    /// Until it is tried again.
    pub again_in_ms: Option<u64>,
    /// How the last one ended: `code 3`, `SIGKILL`, `unknown`, `not started: No such file …`.
    pub last_exit: Option<String>,
    /// How long ago that was.
    pub last_exit_ago_ms: Option<u64>,
    /// Whether we had told the last one to end.
    #[serde(default)]
    pub last_exit_asked: Option<bool>,
    /// How long the last one had lived.
    pub last_lived_ms: Option<u64>,
    /// Exit code of the last one, if it exited by itself.
    pub last_exit_code: Option<u8>,
    /// CPU time of its whole tree over the last second, or up to 15 s where there are thousands of
    /// workers: 100 = one CPU, all the time.
    #[serde(default)]
    pub cpu_percent: Option<f64>,
    /// CPU time that its whole tree has used since it was spawned.
    #[serde(default)]
    pub cpu_time_ms: Option<u64>,
    /// Resident memory of its whole tree. Pages that its processes share are counted in each.
    pub memory_bytes: Option<u64>,
    /// Where its output goes.
    pub logs: Vec<LogFile>,
    /// `cgroup` or `sweep`: how its tree is found when it is ended.
    pub tree: String,
}

/// One log file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LogFile {
    /// `out` or `err`.
    pub stream: String,
    /// Its path.
    pub path: String,
}

/// A state, of an instance or of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Ready.
    Online,
    /// The build command runs.
    Building,
    /// It starts once the apps that it depends on have come so far.
    Waiting,
    /// Spawned, not ready yet.
    Starting,
    /// Told to stop, not gone yet.
    Stopping,
    /// Ended; waiting to be tried again.
    Backoff,
    /// Given up.
    Errored,
    /// A job between two runs.
    Scheduled,
    /// Down, as asked.
    Stopped,
    /// An app of which some instances are ready and some are not.
    Partial,
}

/// What is wrong with an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Trouble {
    /// One line: `api/0 exited with code 3 after 0.2s, 16 times in 4m; given up`.
    pub what: String,
    /// The instance.
    pub instance: u16,
    /// The last lines that it wrote to stderr (or stdout, when stderr is empty), raw.
    pub last_lines: Vec<String>,
    /// A command to type next.
    pub try_next: String,
}

/// One line of `events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventView {
    /// `nexus.event/1`.
    pub schema: String,
    /// Grows by one; never reused.
    pub id: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// `start`, `ready`, `exit`, `errored`, `stop`, `killed`, `build`, `built`, `delete`,
    /// `limit`, `waits`, `watch`, `cron`, `run`, `run_queued`, `run_skipped`, `missed`, `config`,
    /// `operator`, `refused`, `daemon_start`, `promoted`, `adopt`, `left_alone`, `upgraded`,
    /// `rolled_back`,
    /// `save`, `main`, `main_refused`. May grow.
    pub kind: String,
    /// The app, if it is about one.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub app: Option<Name>,
    /// The instance, if it is about one.
    pub instance: Option<u16>,
    /// The pid, if it is about one.
    pub pid: Option<i32>,
    /// The child, if it is about one: with `kind`, what an event is known by.
    #[serde(default)]
    pub child: Option<u64>,
    /// In words.
    pub detail: String,
    /// Who asked: `alice(1000)`; `nexusd` when nobody did.
    pub by: String,
    /// The process that asked, where this is the event of its request; `null` elsewhere.
    #[serde(default)]
    pub actor: Option<Actor>,
    /// The exit, if it is about one: `code 3`, `SIGKILL`, `unknown`.
    pub exit: Option<String>,
    /// The last lines of stderr before an exit that nobody asked for.
    pub last_lines: Vec<String>,
}
