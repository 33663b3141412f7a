//! How a child ended, as it is kept on disk.

use nexus_core::{ChildId, Exit, LastExit, Limit, SpawnError, Time};
use nexus_spec::Span;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredExit {
    pub(crate) child: u64,
    how: How,
    pub(crate) at: u64,
    lived: u64,
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Code(u8),
    Signal(i32),
    Core(i32),
    NeverReady,
    CannotRun(i32),
    NoRoom(i32),
    OverLimit,
    OverTrialLimit,
    Unhealthy,
    WroteLine,
    Hung,
    Unknown,
}

impl StoredExit {
    pub(crate) fn new(exit: &LastExit) -> StoredExit {
        StoredExit {
            child: exit.child.0,
            how: match exit.exit {
                Exit::Code(code) => How::Code(code),
                Exit::Signal(signal) => How::Signal(signal),
                Exit::Core(signal) => How::Core(signal),
                Exit::NeverReady => How::NeverReady,
                Exit::NotSpawned(SpawnError::Permanent(errno)) => How::CannotRun(errno),
                Exit::NotSpawned(SpawnError::Resources(errno)) => How::NoRoom(errno),
                Exit::OverLimit(Limit::Health) => How::Unhealthy,
                Exit::OverLimit(Limit::Log) => How::WroteLine,
                Exit::OverLimit(Limit::Memory) => How::OverLimit,
                Exit::OverLimit(Limit::TrialMemory) => How::OverTrialLimit,
                Exit::OverLimit(Limit::Watchdog) => How::Hung,
                Exit::Unknown => How::Unknown,
            },
            at: exit.at.0,
            lived: exit.lived.0,
            asked: exit.asked,
        }
    }

    pub(crate) fn last_exit(&self) -> LastExit {
        LastExit {
            child: ChildId(self.child),
            exit: match self.how {
                How::Code(code) => Exit::Code(code),
                How::Signal(signal) => Exit::Signal(signal),
                How::Core(signal) => Exit::Core(signal),
                How::NeverReady => Exit::NeverReady,
                How::CannotRun(errno) => Exit::NotSpawned(SpawnError::Permanent(errno)),
                How::NoRoom(errno) => Exit::NotSpawned(SpawnError::Resources(errno)),
                How::Hung => Exit::OverLimit(Limit::Watchdog),
                How::OverLimit => Exit::OverLimit(Limit::Memory),
                How::OverTrialLimit => Exit::OverLimit(Limit::TrialMemory),
                How::WroteLine => Exit::OverLimit(Limit::Log),
                How::Unhealthy => Exit::OverLimit(Limit::Health),
                How::Unknown => Exit::Unknown,
            },
            at: Time(self.at),
            lived: Span(self.lived),
            asked: self.asked,
        }
    }
}
