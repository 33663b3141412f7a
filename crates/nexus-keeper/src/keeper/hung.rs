//! A nexusd that hangs: found by what it leaves unread. It is told something all the time, so that
//! there is something.

use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{Shutdown, shutdown};

use super::peer::{Peer, RETRY_MS};
use super::upgrade::Upgrading;
use super::{Keeper, proc};
use crate::patience::{self, BEAT_MS};
use crate::sys::socket;
use crate::wire::{Report, UNASKED};

/// After so many looks in vain a nexusd that reads its state is replaced.
const LOOKS_BEGINNING: u32 = 48;
/// How often we look whether one that waited for its disk is back.
const ABSENT_LOOK_MS: u64 = 250;

/// What a process does, in a letter (`/proc/PID/stat`, proc(5)).
fn state_of(pid: i32) -> Option<u8> {
    proc::stat(pid).map(|stat| stat.state)
}

impl Peer {
    fn unread(&self) -> usize {
        socket::unread(self.link.as_fd())
    }

    fn is_given_up(&mut self, unread: usize, resumed: bool, now: u64) -> bool {
        let pid = self.pid;
        self.patience.look(unread, now, || match (state_of(pid), resumed) {
            (state @ Some(b'T'), _) | (state, true) => patience::looks(state),
            (_, false) => LOOKS_BEGINNING,
        })
    }
}

impl Keeper {
    /// A nexusd that leaves unread what it was told is replaced; it is told something now and then.
    pub(super) fn end_nexusd_if_hung(&mut self, now: u64) {
        let resumed = self.resumed;
        let upgrades = !matches!(self.upgrading, Upgrading::Not);
        let Some(peer) = &mut self.peer else { return };
        if peer.absent.is_some() {
            peer.absent = Some(now + ABSENT_LOOK_MS);
            if state_of(peer.pid) != Some(b'D') {
                // Back, or about to be.
                return peer.kill();
            }
        }
        let unread = peer.unread();
        if peer.is_given_up(unread, resumed, now) {
            if resumed && !upgrades && !peer.outgoing && state_of(peer.pid) == Some(b'D') {
                return self.do_without_nexusd(now);
            }
            peer.kill();
        }
        if unread > 0 || now < peer.beat_at {
            return;
        }
        peer.beat_at = now + BEAT_MS;
        if self.say_queue.is_empty() {
            self.say(Report::Pong { number: UNASKED });
        }
        if let Some(peer) = &mut self.peer {
            // From here on it waits to be read.
            peer.is_given_up(peer.unread(), resumed, now);
        }
    }

    /// nexusd waits for a disk. A kill would take its threads, which move the logs that are on other
    /// disks, at once, and itself only when that disk answers. So crashes are mended as after its
    /// death; it hears of that, and orders nothing any more. It is killed when it comes back, or
    /// after a minute: there are disks that let go of who is killed.
    fn do_without_nexusd(&mut self, now: u64) {
        let Some(peer) = &mut self.peer else { return };
        peer.absent = Some(now + ABSENT_LOOK_MS);
        if peer.is_full() {
            peer.retry_at = now + RETRY_MS;
        }
        // What it has ordered so far counts, and nothing more: as if it had been killed now.
        let _ = shutdown(peer.link.as_raw_fd(), Shutdown::Read);
        self.read_last_orders();
        if let Some(peer) = &self.peer {
            peer.deafen(&self.epoll);
        }
        self.resumed = false;
        self.expect_successors();
    }
}
