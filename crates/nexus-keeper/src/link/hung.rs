//! A keeper that hangs: found by orders that it leaves unread, while there are any.

use std::os::fd::AsFd;
use std::time::Duration;

use super::Link;
use crate::sys::{self, process, socket};

/// How often we look while orders lie unread, and after how many looks in vain the keeper is ended.
const LOOK_MS: u64 = 2_000;
const LOOKS: u32 = 5;

impl Link {
    /// End a keeper that has read none of our orders for ten seconds; its pidfd tells the rest. To
    /// be called after anything was sent, and when the answer says: after that long. `None` = no
    /// order waits.
    pub fn end_keeper_if_hung(&mut self) -> Option<Duration> {
        let now = sys::now_ms();
        let unread = socket::unread(self.socket.as_fd());
        if self.patience.look(unread, now, LOOK_MS, LOOKS) {
            // It may have ended just now.
            let _ = process::signal(self.keeper.1.as_fd(), libc::SIGKILL);
        }
        self.patience.next_look().map(|at| Duration::from_millis(at.saturating_sub(now)))
    }
}
