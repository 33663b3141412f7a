//! What clients and the daemon say to each other: requests, answers, errors, and the `Snapshot`
//! that every view renders.

mod actor;
mod answer;
mod apply;
pub mod client;
mod op;
mod problem;
mod rollout;
mod schemas;
mod snapshot;

pub use actor::Actor;
pub use answer::{
    Environment, Events, Flushed, FlushedApp, Health, History, LogLine, Logs, Saved, Targets,
    Variable, Version,
};
pub use apply::{AppDiff, Apply, Change, Diff, Remedy, SettingDiff};
pub use op::{
    AppResult, AppVerb, DaemonResult, FlushLogs, OpState, Operation, SendText, SignalApps, Start,
    Switch, Target, UpgradeDaemon, Verdict,
};
pub use problem::{Code, Dependency, Problem};
pub use rollout::{RolloutView, ScalingView, VersionView};
pub use snapshot::{
    AppView, DaemonView, DependencyView, EventView, HostView, InstanceView, LogFile, Snapshot,
    Status, TimesView, Trouble, WatchView,
};

pub use schemas::SCHEMAS;

/// The version of the control API: the `v1` of its paths.
pub const API: &str = "v1";

/// A header of every answer: the version of the nexusd that gave it.
pub const VERSION_HEADER: &str = "nexus-version";
