//! How children end: recorded, told, reaped, in this order.

use std::os::fd::AsFd;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::{Keeper, Source, proc, tell};
use crate::arena::{Changing, Phase};
use crate::sys::process::{self, Waited};
use crate::sys::{self};
use crate::wire::{Ended, Stage};

/// How long we wait for the kernel to say how somebody else's child ended.
const UNSURE_MS: u64 = 1_000;

impl Keeper {
    /// A child's pidfd is readable: its main process has ended. `reaped`: by whoever its parent is.
    pub(super) fn on_pidfd(&mut self, record: u32, reaped: bool) {
        let Some(pidfd) = &self.live[record as usize].pidfd else { return };
        match process::wait(pidfd.as_fd(), false) {
            Waited::Ended(ended) => self.main_ended(record, ended),
            Waited::Not => {}
            // The event may be of who was the main process before.
            Waited::NotOurs if !super::is_readable(pidfd.as_fd()) => {}
            Waited::NotOurs => self.foreign_ended(record, reaped),
        }
    }

    /// Not our child: it is its parent that learns the status; we must find it out.
    fn foreign_ended(&mut self, record: u32, reaped: bool) {
        let Some(now) = self.arena.changing(record) else { return };
        let live = &mut self.live[record as usize];
        let Some(pidfd) = &live.pidfd else { return };
        let known = process::exit_info(pidfd.as_fd());
        let known = known.or_else(|| proc::zombie(now.pid).filter(|_| !reaped));
        match known {
            Some(ended) => self.main_ended(record, ended),
            None if reaped => self.main_ended(record, Ended::Unknown),
            None if live.unsure_until == 0 => {
                live.unsure_until = sys::now_ms() + UNSURE_MS;
                // Only its reaping (EPOLLHUP, always reported) is news now.
                let pidfd = pidfd.as_fd();
                let mut event = EpollEvent::new(
                    EpollFlags::empty(),
                    super::token(Source::Pidfd, record, now.child),
                );
                let changed = self.epoll.modify(pidfd, &mut event);
                debug_assert!(changed.is_ok(), "the pidfd is watched");
                self.unsure.push(record);
            }
            None => {}
        }
    }

    pub(super) fn next_unsure(&self) -> Option<u64> {
        self.unsure.iter().map(|record| self.live[*record as usize].unsure_until).min()
    }

    /// Those that we have waited for long enough.
    pub(super) fn give_up_unsure(&mut self, now: u64) {
        while let Some(place) =
            self.unsure.iter().position(|record| self.live[*record as usize].unsure_until <= now)
        {
            let record = self.unsure.swap_remove(place);
            if self.live[record as usize].unsure_until > 0 {
                self.main_ended(record, Ended::Unknown);
            }
        }
    }

    /// How the main process ended is known.
    fn main_ended(&mut self, record: u32, ended: Ended) {
        if self.live[record as usize].unsure_until > 0 {
            self.live[record as usize].unsure_until = 0;
            self.unsure.retain(|r| *r != record);
        }
        self.close_gate(record);
        self.after_gate(record);
        let Some(now) = self.arena.changing(record) else { return };
        match now.phase {
            Phase::Ordered if !now.asked && self.live[record as usize].orphaned => {
                // It ended at the gate because its keeper had died: the order still stands.
                self.reap(record, now);
                self.spawn(record);
            }
            Phase::Ordered if !now.asked => {
                // Somebody killed it at the gate, or it has never become its own program.
                let not_yet = self.live[record as usize].not_yet;
                let stage = if not_yet { Stage::Itself } else { Stage::Fork };
                self.spawn_failed(record, stage, libc::ECANCELED);
                self.reap_failed(record);
            }
            Phase::Running if self.arena.said(record).1.is_some() => {
                // Adopted between its gate and its exec, and taken for running.
                let (stage, errno) = self.arena.said(record).1.unwrap_or((Stage::Exec, 0));
                self.spawn_failed(record, stage, errno);
                self.reap_failed(record);
            }
            Phase::Ordered | Phase::Running => self.record_exit(record, now, ended),
            Phase::Failed => self.reap_failed(record),
            Phase::Free | Phase::Exited => {}
        }
    }

    fn record_exit(&mut self, record: u32, mut now: Changing, ended: Ended) {
        now.phase = Phase::Exited;
        now.ended = ended;
        now.at_ms = sys::now_ms();
        self.arena.commit(record, now);
        self.expect_successor(record);
        if self.end_tree(record) {
            self.record_tree_gone(record);
        }
        if !self.sweeps.contains(&record) {
            self.tell_exit(record);
        }
    }

    fn record_tree_gone(&mut self, record: u32) {
        if let Some(mut now) = self.arena.changing(record) {
            now.tree_gone = true;
            self.arena.commit(record, now);
        }
    }

    /// Tell an exit that is recorded, then let the kernel forget it.
    pub(super) fn tell_exit(&mut self, record: u32) {
        self.live[record as usize].exit_told = true;
        self.tell(record, tell::EXITED);
        if let Some(now) = self.arena.changing(record) {
            self.reap(record, now);
        }
    }

    fn reap_failed(&mut self, record: u32) {
        let Some(now) = self.arena.changing(record) else { return };
        self.reap(record, now);
        if let (Some(home), Some(name)) = (&self.cgroups, self.cgroup_of(record)) {
            home.remove(name);
        }
        if now.settled {
            // Acknowledged while its process was still ending.
            self.forget(record, now);
        }
    }

    fn reap(&mut self, record: u32, now: Changing) {
        if let Some(pidfd) = self.live[record as usize].pidfd.take() {
            super::unwatch(&self.epoll, pidfd.as_fd());
            // Of a process that is not our child there is nothing to reap.
            let _ = process::wait(pidfd.as_fd(), true);
        }
        self.by_pid.remove(u64::from(now.pid.cast_unsigned()));
    }
}
