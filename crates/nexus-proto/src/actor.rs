//! Who asks, as the kernel knows them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The process at the other end of the control socket when it connected (`unix(7)`, SO_PEERCRED).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Actor {
    /// Its user.
    pub uid: u32,
    /// The user's name; `null` = none is known.
    pub user: Option<String>,
    /// Its pid; `null` = it is in another namespace of pids.
    pub pid: Option<i32>,
    /// What it called itself (`/proc/PID/comm`): a word of its own, no proof. Empty = it had gone.
    pub comm: String,
}

/// The user alone: `alice(1000)`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{user}({})", self.uid),
            None => write!(f, "uid {}", self.uid),
        }
    }
}
