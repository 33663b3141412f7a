//! A keeper that hangs: found by orders that it leaves unread. One that says nothing is asked, so
//! that there is one.

use std::os::fd::AsFd;
use std::time::Duration;

use super::Link;
use crate::keeper::proc;
use crate::patience::{self, BEAT_MS};
use crate::sys::{self, process, socket};
use crate::upgrade::Step;
use crate::wire::{Order, UNASKED};

/// A keeper that has said nothing for so long is asked whether it lives.
const SILENT_MS: u64 = BEAT_MS + 500;

impl Link {
    /// Ask a keeper that has said nothing for a while, and end one that reads no orders; its pidfd
    /// tells the rest. To be called in every turn, and when the answer says: after that long.
    pub fn end_keeper_if_hung(&mut self) -> Duration {
        let now = sys::now_ms();
        if std::mem::take(&mut self.heard) || self.heard_at == 0 {
            self.heard_at = now;
        }
        // A keeper that begins as a new program has a time limit of its own, which the old nexusd
        // keeps. Once it has begun a nexusd, that one is all there is to notice.
        if self.upgrade().is_some_and(|upgrade| upgrade.step == Step::Keeper) {
            (self.heard_at, self.patience) = (now, patience::Patience::default());
        }
        let unread = socket::unread(self.socket.as_fd());
        if self.is_given_up(unread, now) {
            // It may have ended just now.
            let _ = process::signal(self.keeper.1.as_fd(), libc::SIGKILL);
        }
        if now >= self.heard_at + SILENT_MS {
            self.heard_at = now;
            // Where that fails it is dead, and its pidfd says so, or other orders wait.
            if unread == 0 && self.offer(&Order::Ping { number: UNASKED }, None).is_ok() {
                self.is_given_up(socket::unread(self.socket.as_fd()), now);
            }
        }
        let next = self.patience.next_look().into_iter().chain([self.heard_at + SILENT_MS]);
        let next = next.min().unwrap_or(now);
        Duration::from_millis(next.saturating_sub(now))
    }

    fn is_given_up(&mut self, unread: usize, now: u64) -> bool {
        let keeper = self.keeper.0;
        let looks = || patience::looks(proc::stat(keeper).map(|stat| stat.state));
        self.patience.look(unread, now, looks)
    }
}
