//! What an app asks for around its starts, its checks and its reloads.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::name::Name;
use crate::size::Size;
use crate::span::Span;

/// A check that is repeated while a worker is online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// `interval`: from one check to the next; default 10 s.
    pub interval: Span,
    /// `timeout`: an answer that takes longer is a failure; default 5 s.
    pub timeout: Span,
    /// `failures` in a row that make a worker unhealthy; default 3.
    pub failures: u16,
    /// `successes` in a row that make it healthy again; default 1.
    pub successes: u16,
    /// `start_period`: failures within it after readiness do not count; default 0.
    pub start_period: Span,
}

/// What another app has to have reached before an app is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Its processes run.
    Started,
    /// Its workers are ready.
    Ready,
    /// Its health checks succeed.
    Healthy,
    /// It has run to its end with 0.
    Completed,
}

/// The apps that have to be there first, and how far.
pub type Dependencies = BTreeMap<Name, Until>;

/// How a reload tries the new version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rollout {
    /// `canary`: how many workers are replaced first; default none.
    pub canary: Option<Canary>,
    /// `soak`: how long a new worker is watched before the next; default not.
    pub soak: Option<Span>,
    /// `rollback_on`: what of a watched worker takes the reload back.
    pub rollback_on: RollbackOn,
}

/// What of a worker that a reload watches takes that reload back. That it is never ready, or is
/// given up, does so in any case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RollbackOn {
    /// `restarts`: so many ends of watched workers by themselves, at least 1; default 1.
    pub restarts: u16,
    /// `health`: its health check finds it ill; default true.
    pub health: bool,
    /// `watchdog`: it does not say that it is alive; default true.
    pub watchdog: bool,
    /// `log`: a line of its output matches this regular expression; default none.
    pub log: Option<String>,
    /// `memory`: its tree uses more than this, besides the limits that hold always; default none.
    pub memory: Option<Size>,
}

impl Default for RollbackOn {
    fn default() -> RollbackOn {
        RollbackOn { restarts: 1, health: true, watchdog: true, log: None, memory: None }
    }
}

/// How many workers a reload tries first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canary {
    /// So many, at least 1.
    Count(u16),
    /// So many of a hundred, 1 to 100, at least one worker.
    Percent(u16),
}

impl Health {
    /// A check with every default.
    pub fn new(check: Check) -> Health {
        Health {
            check,
            interval: Span(10_000),
            timeout: Span(5_000),
            failures: 3,
            successes: 1,
            start_period: Span(0),
        }
    }
}

impl Until {
    /// All of them with their words.
    pub const ALL: [(&'static str, Until); 4] = [
        ("started", Until::Started),
        ("ready", Until::Ready),
        ("healthy", Until::Healthy),
        ("completed", Until::Completed),
    ];
}

/// The word in a project file.
impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Until::Started => "started",
            Until::Ready => "ready",
            Until::Healthy => "healthy",
            Until::Completed => "completed",
        })
    }
}

/// As it is written in a project file.
impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Canary::Count(count) => write!(f, "{count}"),
            Canary::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}
