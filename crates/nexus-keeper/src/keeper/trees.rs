//! Ending what a worker leaves behind, and knowing when nothing is left.
//!
//! Nothing here waits: a tree that is not gone is looked at again when its cgroup reports that it
//! is empty, or when the members that were found have ended (by pidfd).

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use super::sweep::{self, Member, Root};
use super::{Keeper, Source, cgroup, tell};
use crate::arena::{Changing, Phase};
use crate::sys::process;
use crate::wire::TAG_MAX;

/// How a tree that is not gone yet is watched.
pub(super) enum Watch {
    /// Its `cgroup.events`.
    Cgroup(File),
    /// Members found by a sweep; when all have ended it is looked for again.
    Members(Vec<OwnedFd>),
}

/// The most members of one tree that are watched at once: more are found by the next look.
const WATCHED_MAX: usize = 64;
/// The most looks at a tree that grows while it is being frozen.
const LOOKS_MAX: u32 = 50;

impl Keeper {
    /// A main process has ended, or its tree is to end: act on what is left. Returns whether
    /// nothing is; if not, whoever waits is told later. Trees without a cgroup are looked at when
    /// the turn ends, all in one pass: for them this returns false.
    pub(super) fn end_tree(&mut self, record: u32) -> bool {
        let Some(name) = self.cgroup_of(record) else {
            if !self.sweeps.contains(&record) {
                self.sweeps.push(record);
            }
            return false;
        };
        let Some(now) = self.arena.changing(record) else { return true };
        let Some(home) = &self.cgroups else { return true };
        if !matches!(self.live[record as usize].watch, Some(Watch::Cgroup(_))) {
            match home.events(name) {
                Ok(events) => self.live[record as usize].watch = Some(Watch::Cgroup(events)),
                // It is not there (any more): nothing can be in it.
                Err(_) => return true,
            }
            self.watch_events(record);
        }
        if self.cgroup_is_empty(record, name) {
            return true;
        }
        let Some(home) = &self.cgroups else { return true };
        // Its members may end meanwhile: an error here is seen as "empty" by the next event.
        let _ = match now.signal {
            0 => home.kill(name),
            _ if self.live[record as usize].whole_told => Ok(()),
            signal => home.signal(name, signal).and_then(|()| home.signal(name, libc::SIGCONT)),
        };
        self.cgroup_is_empty(record, name)
    }

    /// Send a signal to all that is in the child's cgroup, the main process among it. Returns
    /// whether there is one.
    pub(super) fn signal_group(&mut self, record: u32, signal: i32) -> bool {
        let (Some(name), Some(home)) = (self.cgroup_of(record), &self.cgroups) else {
            return false;
        };
        // What ends meanwhile needs no signal.
        let _ = home.signal(name, signal).and_then(|()| home.signal(name, libc::SIGCONT));
        self.live[record as usize].whole_told = true;
        true
    }

    /// The cgroup's members have changed.
    pub(super) fn on_cgroup_event(&mut self, record: u32) {
        let Some(name) = self.cgroup_of(record) else { return };
        let Some(Watch::Cgroup(events)) = &self.live[record as usize].watch else { return };
        // Read in any case: the event stays until it is read.
        let empty = !cgroup::populated(events);
        let over = self.arena.changing(record).is_some_and(|now| now.phase == Phase::Exited);
        if empty && over && self.cgroup_is_empty(record, name) {
            self.tree_is_gone(record);
        }
    }

    fn cgroup_is_empty(&mut self, record: u32, name: u64) -> bool {
        let Some(Watch::Cgroup(events)) = &self.live[record as usize].watch else { return true };
        if cgroup::populated(events) {
            return false;
        }
        self.stop_watching(record);
        if let Some(home) = &self.cgroups {
            home.remove(name);
        }
        true
    }

    pub(super) fn cgroup_of(&self, record: u32) -> Option<u64> {
        self.cgroups.as_ref()?;
        self.arena.fixed(record).cgroup.checked_sub(1)
    }

    fn watch_events(&mut self, record: u32) {
        let Some(Watch::Cgroup(events)) = &self.live[record as usize].watch else { return };
        let data = self.token(Source::Tree, record);
        super::watch_urgent(&self.epoll, events.as_fd(), data);
    }

    /// Look at all trees without a cgroup that this turn has asked for.
    pub(super) fn run_sweeps(&mut self) {
        let mut looks = 0;
        let mut were_empty: Vec<u32> = Vec::new();
        while !self.sweeps.is_empty() {
            let roots = self.roots();
            let found = self.members(&roots);
            let (kill, pass): (Vec<Member>, Vec<Member>) =
                found.into_iter().partition(|member| self.kills(member.record));
            sweep::freeze(&kill);
            let grew = kill.iter().any(|member| member.stat.state != b'T');
            let has = |record: u32| kill.iter().chain(&pass).any(|m| m.record == record);
            let empty: Vec<u32> = roots.iter().map(|r| r.record).filter(|r| !has(*r)).collect();
            // One pass may miss what was forked during it: nothing is left only if a second one
            // finds nothing either.
            let unsure = empty.iter().any(|record| !were_empty.contains(record));
            looks += 1;
            if (grew || unsure) && looks < LOOKS_MAX {
                were_empty = empty;
                continue;
            }
            self.end_members(kill, pass);
            self.sweeps.clear();
            for root in roots {
                self.after_sweep(root.record, empty.contains(&root.record));
            }
        }
    }

    /// SIGKILL to the frozen ones, the child's signal to the others; then watch them end.
    fn end_members(&mut self, mut kill: Vec<Member>, pass: Vec<Member>) {
        // A member that has ended by itself cannot be signalled, and need not be.
        for member in &kill {
            let _ = process::signal(member.pidfd.as_fd(), libc::SIGKILL);
        }
        for member in &pass {
            if self.live[member.record as usize].whole_told {
                continue;
            }
            let signal = self.arena.changing(member.record).map_or(0, |now| now.signal);
            let _ = process::signal(member.pidfd.as_fd(), signal);
            let _ = process::signal(member.pidfd.as_fd(), libc::SIGCONT);
        }
        for member in &pass {
            let running = |now: Changing| now.phase == Phase::Running;
            // The main process has got its own, and still lives: this was the whole tree.
            if self.arena.changing(member.record).is_some_and(running) {
                self.live[member.record as usize].whole_told = true;
            }
        }
        kill.extend(pass);
        self.watch_members(kill);
    }

    fn kills(&self, record: u32) -> bool {
        self.arena.changing(record).is_none_or(|now| now.signal == 0)
    }

    fn roots(&self) -> Vec<Root> {
        let mut roots = Vec::new();
        for record in &self.sweeps {
            let Some(now) = self.arena.changing(*record) else { continue };
            let mut tag = [0; TAG_MAX];
            let tag = self.arena.tag(*record, &mut tag);
            let dead = !matches!(now.phase, Phase::Ordered | Phase::Running);
            let mark = super::child::worker_mark(tag, now.child);
            roots.push(Root { record: *record, pid: now.pid, dead, mark });
        }
        roots
    }

    fn members(&self, roots: &[Root]) -> Vec<Member> {
        let nexusd = self.peer.as_ref().map_or(0, |peer| peer.pid);
        let is_known = |pid: i32| pid == nexusd || self.by_pid.get(u64::from(pid as u32)).is_some();
        sweep::members(roots, &is_known)
    }

    fn watch_members(&mut self, members: Vec<Member>) {
        for member in members {
            let live = &mut self.live[member.record as usize];
            let Watch::Members(watched) = live.watch.get_or_insert(Watch::Members(Vec::new()))
            else {
                continue;
            };
            let place = watched.len();
            if place >= WATCHED_MAX {
                continue;
            }
            let Ok(pidfd) = crate::sys::files::lift(member.pidfd) else { continue };
            watched.push(pidfd);
            let data = self.token(Source::Tree, member.record);
            if let Some(Watch::Members(watched)) = &self.live[member.record as usize].watch
                && let Some(pidfd) = watched.last()
            {
                super::watch(&self.epoll, pidfd.as_fd(), data);
            }
        }
    }

    fn after_sweep(&mut self, record: u32, gone: bool) {
        let Some(mut now) = self.arena.changing(record) else { return };
        if now.phase != Phase::Exited {
            // A kill while the main process is still ending: its exit looks again.
            return;
        }
        let told = self.live[record as usize].exit_told;
        if gone && told {
            self.tree_is_gone(record);
            return;
        }
        if gone && !now.tree_gone {
            now.tree_gone = true;
            self.arena.commit(record, now);
            self.stop_watching(record);
        }
        if !told {
            self.tell_exit(record);
        }
    }

    /// A watched member of a swept tree has ended: look again when none is left.
    pub(super) fn on_member_event(&mut self, record: u32) {
        let Some(Watch::Members(watched)) = &mut self.live[record as usize].watch else { return };
        // A pidfd is readable from the exit on; poll is the question that works for any process.
        let epoll = &self.epoll;
        watched.retain(|pidfd| {
            let ended = super::is_readable(pidfd.as_fd());
            if ended {
                super::unwatch(epoll, pidfd.as_fd());
            }
            !ended
        });
        if watched.is_empty() {
            self.live[record as usize].watch = None;
            if !self.sweeps.contains(&record) {
                self.sweeps.push(record);
            }
        }
    }

    pub(super) fn tree_is_gone(&mut self, record: u32) {
        let Some(mut now) = self.arena.changing(record) else { return };
        if now.tree_gone {
            return;
        }
        now.tree_gone = true;
        self.arena.commit(record, now);
        self.stop_watching(record);
        self.tell(record, tell::TREE_GONE);
    }

    fn stop_watching(&mut self, record: u32) {
        match self.live[record as usize].watch.take() {
            Some(Watch::Cgroup(events)) => super::unwatch(&self.epoll, events.as_fd()),
            Some(Watch::Members(members)) => {
                members.iter().for_each(|member| super::unwatch(&self.epoll, member.as_fd()));
            }
            None => {}
        }
    }
}
