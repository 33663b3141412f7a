//! What follows an exit that nobody asked for, and how a worker is stopped.

use serde::{Deserialize, Serialize};

use crate::door::Door;
use crate::signal::Signal;
use crate::span::Span;

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
    /// The longest wait, not below `min`; default 15 s.
    pub max: Span,
    /// Growth in percent, 100 to 10,000: 200 doubles; default 200.
    pub factor_percent: u32,
    /// Spread in percent of the wait, 0 to 100, so that workers that died together do not return
    /// together; default 10.
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
    /// `treekill`: the signal goes to the whole tree at once, not to the main process first;
    /// default false.
    #[serde(default)]
    pub tree: bool,
    /// `shutdown_with_message`: a Node program is sent `shutdown` first, and the signal only when
    /// that could not be said, or when a `drain_timeout` is over; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub message: bool,
    /// `shutdown_with_message = "disconnect"`: in place of that message its channel ends, which a
    /// Node program sees as `disconnect`; only with `message`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disconnect: bool,
    /// `kill_timeout`: from the signal to SIGKILL of the whole tree; default 10 s.
    pub kill_timeout: Span,
}

impl Default for Restart {
    fn default() -> Restart {
        Restart {
            auto: true,
            delay: Span(0),
            backoff: Backoff::default(),
            max: 16,
            window: Span(15 * 60_000),
            min_uptime: Span(1_000),
            stop_exit_codes: Vec::new(),
        }
    }
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            min: Span(100),
            max: Span(15_000),
            factor_percent: 200,
            jitter_percent: 10,
            reset_after: Span(10_000),
        }
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Door::Ours.stop()
    }
}
