//! What the core does not know of an app: where it came from, and what was done about it on the wall
//! clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where an app came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// A project file's path, or `command line`.
    pub(crate) source: String,
    /// The caller's base environment.
    pub(crate) base_env: BTreeMap<String, String>,
    /// Instance 0 has log files without a number.
    pub(crate) plain_zero: bool,
    /// Its files are not watched, whatever the spec says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) watch_off: bool,
    /// When a change of its files was last acted upon, in milliseconds of Unix time.
    #[serde(default)]
    pub(crate) changes_seen: u64,
    /// The last time of `cron_restart` that is dealt with, in milliseconds of Unix time; 0 = none.
    #[serde(default)]
    pub(crate) restarted_for: u64,
    /// The same of `schedule`.
    #[serde(default)]
    pub(crate) run_for: u64,
    /// Where the spec comes from that a reload brings, until that has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) arriving: Option<Box<Origin>>,
}
