//! The two doors that an app may come through, and the defaults that each gives it.

use serde::{Deserialize, Serialize};

use crate::environment::Inherit;
use crate::restart::{Backoff, Restart, Stop};
use crate::signal::Signal;
use crate::span::Span;

/// Whose defaults an app has. Kept with it: a restart by name changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// `ecosystem.toml` and the command line.
    #[default]
    Ours,
    /// PM2's files, its dump and its dialect.
    Pm2,
}

impl Door {
    /// How a worker is stopped that says nothing of it: PM2 signals the whole tree at once.
    pub fn stop(self) -> Stop {
        match self {
            Door::Ours => Stop {
                signal: Signal::TERM,
                tree: false,
                message: false,
                disconnect: false,
                kill_timeout: Span(10_000),
            },
            Door::Pm2 => Stop {
                signal: Signal::INT,
                tree: true,
                message: false,
                disconnect: false,
                kill_timeout: Span(1_600),
            },
        }
    }

    /// What follows an exit where nothing is said of it: PM2 waits for nothing, and gives up with
    /// the sixteenth unstable exit.
    pub fn restart(self) -> Restart {
        match self {
            Door::Ours => Restart::default(),
            Door::Pm2 => Restart {
                max: 15,
                backoff: Backoff { min: Span(0), max: Span(0), ..Backoff::default() },
                ..Restart::default()
            },
        }
    }

    /// What of the caller's environment a worker gets where nothing is said of it.
    pub fn inherit(self) -> Inherit {
        match self {
            Door::Ours => Inherit::default(),
            Door::Pm2 => Inherit { all: true, ..Inherit::default() },
        }
    }
}
