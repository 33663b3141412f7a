//! Telling nexusd, without ever waiting for it.
//!
//! What is to be told of a child is a set of bits beside its record, so that nothing is queued
//! twice and nothing grows: the record says the rest. What does not fit into the socket now is
//! told when it is writable again.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::Keeper;
use crate::arena::{Changing, Phase};
use crate::codec::encode_report;
use crate::sys::{self, socket};
use crate::wire::Report;

// In the order in which they are told.
pub(super) const RESPAWNED: u8 = 1;
pub(super) const SPAWNED: u8 = 2;
pub(super) const RUNNING: u8 = 4;
pub(super) const FAILED: u8 = 8;
pub(super) const EXITED: u8 = 16;
pub(super) const TREE_GONE: u8 = 32;

/// The most reports that wait and belong to no child (answers, refusals): beyond, the oldest is
/// dropped and counted.
pub(super) const SAY_MAX: usize = 256;

impl Keeper {
    /// Something is to be told of this child.
    pub(super) fn tell(&mut self, record: u32, bit: u8) {
        if self.peer.is_none() {
            // The next nexusd reads it in the roll. Nobody else could hold the child meanwhile.
            if bit == SPAWNED {
                self.open_gate(record);
            }
            return;
        }
        let live = &mut self.live[record as usize];
        live.tells |= bit;
        if !live.queued {
            live.queued = true;
            self.tell_queue.push_back(record);
        }
        self.flush();
    }

    /// Say something that belongs to no child.
    pub(super) fn say(&mut self, report: Report) {
        if self.peer.is_none() {
            return;
        }
        if self.say_queue.len() >= SAY_MAX {
            self.say_queue.pop_front();
            self.unsaid += 1;
        }
        self.say_queue.push_back(report);
        self.flush();
    }

    /// Tell as much as the socket takes.
    pub(super) fn flush(&mut self) {
        if self.peer.as_ref().is_none_or(|peer| peer.is_full()) {
            return;
        }
        while let Some(report) = self.say_queue.front() {
            encode_report(report, &mut self.buffer);
            if !self.put(None) {
                return;
            }
            self.say_queue.pop_front();
        }
        while let Some(record) = self.tell_queue.front().copied() {
            let bits = self.live[record as usize].tells;
            if bits == 0 {
                self.live[record as usize].queued = false;
                self.tell_queue.pop_front();
                continue;
            }
            let bit = bits & bits.wrapping_neg();
            if !self.tell_now(record, bit) {
                return;
            }
            self.live[record as usize].tells &= !bit;
            if bit == SPAWNED {
                self.open_gate(record);
            }
        }
    }

    fn tell_now(&mut self, record: u32, bit: u8) -> bool {
        let Some(now) = self.arena.changing(record) else { return true };
        let Some(report) = self.report(record, bit, &now) else { return true };
        encode_report(&report, &mut self.buffer);
        self.put((bit == SPAWNED).then_some(record))
    }

    fn report(&self, record: u32, bit: u8, now: &Changing) -> Option<Report> {
        let child = now.child;
        Some(match bit {
            RESPAWNED => {
                let old = self.arena.fixed(record).respawn_of.checked_sub(1)?;
                Report::Respawned { old, new: child }
            }
            SPAWNED => Report::Spawned { child, pid: now.pid },
            RUNNING => Report::Running { child },
            FAILED => {
                let (stage, errno) = now.failed?;
                Report::SpawnFailed { child, stage, errno }
            }
            EXITED if now.phase == Phase::Exited => Report::Exited {
                child,
                ended: now.ended,
                at_ms: now.at_ms,
                tree_gone: now.tree_gone,
            },
            TREE_GONE => Report::TreeGone { child },
            _ => return None,
        })
    }

    /// Send what is in the buffer, with a child's pidfd. Returns whether it need not be sent again.
    fn put(&mut self, pidfd_of: Option<u32>) -> bool {
        let Some(peer) = &mut self.peer else { return true };
        let pidfd = pidfd_of.and_then(|record| self.live[record as usize].pidfd.as_ref());
        let fd = pidfd.map(AsRawFd::as_raw_fd);
        match socket::send(peer.link.as_fd(), &self.buffer, fd.as_slice()) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                peer.set_full(&self.epoll, sys::now_ms(), true);
                false
            }
            // Too many descriptors in flight (a limit of the user's, not of the socket): there is
            // no event for it, so it is tried again by time.
            Err(e) if e.raw_os_error() == Some(libc::ETOOMANYREFS) => {
                peer.set_full(&self.epoll, sys::now_ms(), false);
                false
            }
            // It is gone: its pidfd says so, and the next one reads the roll.
            Err(_) => true,
        }
    }
}
