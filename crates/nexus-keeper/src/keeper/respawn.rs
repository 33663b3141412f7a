//! What follows an exit while no nexusd decides; and what a new keeper makes of the roll.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use super::{Keeper, Live, Source, tell, watch};
use crate::arena::{Changing, Fixed, Phase};
use crate::sys::{self, files};
use crate::wire::Ended;

/// How soon an adopted child at its gate is looked at again.
const AT_GATE_MS: u64 = 20;

impl Keeper {
    /// If nobody else decides: note when this exit's successor is due.
    pub(super) fn expect_successor(&mut self, record: u32) {
        if self.resumed {
            return;
        }
        let Some(mut now) = self.arena.changing(record) else { return };
        let Fixed { next, delay_ms, .. } = self.arena.fixed(record);
        let stays = match now.ended {
            Ended::Code(code) => self.arena.stays_after(record, code),
            Ended::Core(_) | Ended::Signal(_) | Ended::Unknown => false,
        };
        let void = now.asked || now.settled || stays || next == 0 || self.arena.stopping();
        // A number that is in use already was given out by nexusd: it has decided.
        let decided = self.by_child.get(next.wrapping_sub(1)).is_some();
        if now.phase != Phase::Exited || now.due_ms > 0 || void || decided {
            return;
        }
        now.due_ms = now.at_ms.saturating_add(delay_ms).max(1);
        self.arena.commit(record, now);
        self.due.push(record);
    }

    /// nexusd has died: the same for all exits that it has not acknowledged.
    pub(super) fn expect_successors(&mut self) {
        for record in 0..self.arena.used() {
            if self.arena.changing(record).is_some_and(|now| now.phase == Phase::Exited) {
                self.expect_successor(record);
            }
        }
    }

    /// nexusd decides from here on.
    pub(super) fn cancel_successors(&mut self) {
        while let Some(record) = self.due.pop() {
            if let Some(mut now) = self.arena.changing(record)
                && now.due_ms > 0
            {
                now.due_ms = 0;
                self.arena.commit(record, now);
            }
        }
    }

    pub(super) fn next_respawn(&self) -> Option<u64> {
        let due = self.due.iter().filter_map(|record| self.arena.changing(*record));
        let first = due.filter(|now| now.tree_gone && now.due_ms > 0).map(|now| now.due_ms).min();
        first.map(|due| self.not_before(due))
    }

    /// A nexusd that has just begun decides itself, by a roll without this successor: both would
    /// put one into the same place.
    fn not_before(&self, due: u64) -> u64 {
        let beginning = self.peer.as_ref().filter(|_| !self.resumed);
        beginning.map_or(due, |peer| due.max(peer.begins_until()))
    }

    /// Spawn the successors whose time has come and whose predecessor's tree has gone.
    pub(super) fn respawn_due(&mut self, time: u64) {
        let mut place = 0;
        while let Some(record) = self.due.get(place).copied() {
            let Some(now) = self.arena.changing(record).filter(|now| now.due_ms > 0) else {
                // Dropped by an order meanwhile.
                self.due.swap_remove(place);
                continue;
            };
            if self.not_before(now.due_ms) > time || !now.tree_gone {
                place += 1;
                continue;
            }
            self.due.swap_remove(place);
            self.respawn(record, now);
        }
    }

    fn respawn(&mut self, old: u32, mut was: Changing) {
        let fixed = self.arena.fixed(old);
        let child = fixed.next.wrapping_sub(1);
        (was.settled, was.due_ms) = (true, 0);
        let Ok(new) = self.reserve(child) else {
            // No place left: nexusd reads of the exit in the roll and decides.
            self.arena.commit(old, was);
            return;
        };
        let respawn_of = was.child.wrapping_add(1);
        let numbers = Fixed { next: 0, delay_ms: 0, respawn_of, cgroup: 0, ..fixed };
        self.arena.inherit_fixed(old, new, &numbers);
        let mut now = Changing::new(child, Phase::Ordered);
        now.started_ms = sys::now_ms();
        self.arena.inherit_note(old, new, &mut now);
        // The successor first: a new keeper that finds it knows that the predecessor is settled.
        self.arena.commit(new, now);
        self.by_child.insert(child, new);
        self.arena.commit(old, was);
        self.tell(new, tell::RESPAWNED);
        self.spawn(new);
    }

    /// Read the arena after somebody else's death, or as another program: every child is watched
    /// again, every step that was begun is finished. The trees of `told` have got their signal.
    pub(super) fn read_roll(
        &mut self,
        mut pidfds: BTreeMap<u64, (i32, OwnedFd)>,
        mut gates: BTreeMap<u64, OwnedFd>,
        told: &[u64],
    ) {
        for record in 0..self.arena.used() {
            self.live.push(Live::default());
            match self.arena.changing(record).filter(|now| now.phase != Phase::Free) {
                None => self.free.push(record),
                Some(mut now) => {
                    self.by_child.insert(now.child, record);
                    let (pid, pidfd) = pidfds.remove(&now.child).unzip();
                    // An order of another main process was on its way to who was the keeper.
                    if let Some(pid) = pid.filter(|pid| *pid > 0 && *pid != now.pid)
                        && now.phase == Phase::Running
                    {
                        now.pid = pid;
                        self.arena.commit(record, now);
                    }
                    self.adopt_child(record, &now, pidfd, gates.remove(&now.child));
                    self.live[record as usize].whole_told = told.contains(&now.child);
                }
            }
        }
        for record in 0..self.arena.used() {
            let Some(now) = self.arena.changing(record) else { continue };
            let old = self.arena.fixed(record).respawn_of.checked_sub(1);
            if now.phase != Phase::Free
                && let Some(old) = old.and_then(|old| self.by_child.get(old))
                && let Some(mut was) = self.arena.changing(old)
            {
                (was.settled, was.due_ms) = (true, 0);
                self.arena.commit(old, was);
            }
        }
        for record in 0..self.arena.used() {
            let Some(now) = self.arena.changing(record) else { continue };
            match now.phase {
                Phase::Exited => self.adopt_exit(record, now),
                Phase::Failed | Phase::Free | Phase::Ordered | Phase::Running => {}
            }
        }
    }

    fn adopt_child(
        &mut self,
        record: u32,
        now: &Changing,
        pidfd: Option<OwnedFd>,
        gate: Option<OwnedFd>,
    ) {
        let over = match now.phase {
            Phase::Exited => true,
            Phase::Ordered | Phase::Running | Phase::Failed | Phase::Free => false,
        };
        let alive = pidfd.filter(|_| !over).and_then(|fd| files::lift(fd).ok());
        let live = &mut self.live[record as usize];
        live.orphaned = now.phase == Phase::Ordered && gate.is_none();
        if let Some(gate) = gate {
            live.gate_opened = true;
            watch(&self.epoll, gate.as_fd(), super::token(Source::Gate, record, now.child));
            live.gate = Some(gate);
        }
        if let Some(pidfd) = alive {
            let data = super::token(Source::Pidfd, record, now.child);
            watch(&self.epoll, pidfd.as_fd(), data);
            live.pidfd = Some(pidfd);
            self.by_pid.insert(u64::from(now.pid.cast_unsigned()), record);
        }
        if self.live[record as usize].gate.is_none() {
            self.after_gate(record);
            if self.live[record as usize].pidfd.is_some() {
                self.at_gate.push(record);
            }
        }
    }

    /// A child of which we do not have the gate is about to say that it has passed, or to end:
    /// which is decided as soon as it runs. There is no event for the first.
    pub(super) fn look_at_gates(&mut self) {
        let mut place = 0;
        while let Some(record) = self.at_gate.get(place).copied() {
            self.after_gate(record);
            let waits = self.arena.changing(record).is_some_and(|n| n.phase == Phase::Ordered);
            if waits {
                place += 1;
            } else {
                self.at_gate.swap_remove(place);
            }
        }
    }

    pub(super) fn next_look_at_gates(&self, now: u64) -> Option<u64> {
        (!self.at_gate.is_empty()).then_some(now + AT_GATE_MS)
    }

    fn adopt_exit(&mut self, record: u32, mut now: Changing) {
        self.live[record as usize].exit_told = true;
        if !now.tree_gone && self.end_tree(record) {
            now.tree_gone = true;
            self.arena.commit(record, now);
        }
        if now.due_ms > 0 {
            self.due.push(record);
        } else {
            self.expect_successor(record);
        }
    }

    /// Spawns that were ordered and of which there is no process: the dead keeper was about to
    /// make it, or it was never told of, and has ended at its gate.
    pub(super) fn spawn_orphans(&mut self) {
        for record in 0..self.arena.used() {
            let live = &self.live[record as usize];
            if !live.orphaned || live.pidfd.is_some() {
                continue;
            }
            if self.arena.changing(record).is_none_or(|now| now.phase != Phase::Ordered) {
                continue;
            }
            // Nobody has its pidfd, so it was not let through.
            self.spawn(record);
        }
    }
}
