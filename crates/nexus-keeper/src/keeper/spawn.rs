//! Making a child, and letting it through its gate once both of the pair hold it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::child::{Birth, GATE_FDS, GATE_FIXED, be_born};
use super::{Keeper, Source, tell, watch};
use crate::arena::Phase;
use crate::own_program;
use crate::sys::files::{self, LOW_END};
use crate::sys::process::{self, Forked};
use crate::sys::socket;
use crate::template::given_ids;
use crate::wire::{GIVEN_MAX, HoldId, Stage};

impl Keeper {
    /// Spawn what the record orders.
    pub(super) fn spawn(&mut self, record: u32) {
        if let Err(errno) = self.descriptors(record, &mut [0; GATE_FDS]) {
            return self.spawn_failed(record, Stage::Descriptors, errno);
        }
        if let Err(error) = self.fork_child(record) {
            let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
            self.spawn_failed(record, Stage::Fork, errno);
        }
    }

    /// The numbers of what goes through the gate: template, stdout, stderr, stdin if it has one,
    /// sockets.
    fn descriptors(&self, record: u32, fds: &mut [RawFd; GATE_FDS]) -> Result<usize, i32> {
        let fixed = self.arena.fixed(record);
        let ids = [fixed.template, fixed.stdout, fixed.stderr].map(HoldId);
        let number = |id: HoldId| self.held.get(&id).map(|held| held.fd.as_raw_fd());
        for (id, place) in ids.into_iter().zip(fds.iter_mut()) {
            *place = number(id).ok_or(libc::EBADF)?;
        }
        let mut filled = GATE_FIXED;
        if let Some(stdin) = fixed.stdin.checked_sub(1) {
            fds[filled] = number(HoldId(stdin)).ok_or(libc::EBADF)?;
            filled += 1;
        }
        let mut sockets = [HoldId(0); GIVEN_MAX];
        let template = self.held.get(&ids[0]).ok_or(libc::EBADF)?;
        let count = given_ids(&template.fd, &mut sockets).map_err(|_| libc::EINVAL)?;
        for (id, place) in sockets[..count].iter().zip(&mut fds[filled..]) {
            *place = number(*id).ok_or(libc::EBADF)?;
        }
        Ok(filled + count)
    }

    fn fork_child(&mut self, record: u32) -> std::io::Result<()> {
        let Some(mut now) = self.arena.changing(record) else { return Ok(()) };
        let (ours, theirs) = socket::pair(false)?;
        let ours = files::lift(ours)?;
        let group = self.make_cgroup(record, now.child);
        // A child that shares our table costs the same however many descriptors there are; it can
        // only leave it if its end of the gate is among the few that it copies.
        let shares = theirs.as_raw_fd() < LOW_END;
        let mut enters = false;
        let forked = match process::fork(shares, group.as_ref().map(AsFd::as_fd)) {
            // Not there: the group may not be entered this way, so it is entered below.
            Err(_) if group.is_some() => {
                enters = true;
                process::fork(shares, None)
            }
            other => other,
        };
        let (pid, pidfd) = match forked {
            Ok(Forked::Parent(pid, pidfd)) => (pid, files::lift(pidfd)?),
            Ok(Forked::Child) => be_born(&Birth {
                arena: &self.arena,
                record,
                child: now.child,
                gate: theirs.as_raw_fd(),
                limits: self.limits,
            }),
            Err(error) => {
                self.drop_cgroup(record);
                return Err(error);
            }
        };
        if enters && !self.enter_cgroup(now.child, pid) {
            self.drop_cgroup(record);
            self.arena.set_cgroup(record, None);
        }
        now.pid = pid;
        now.started_ms = crate::sys::now_ms();
        self.arena.commit(record, now);
        self.by_pid.insert(u64::from(pid.cast_unsigned()), record);
        watch(&self.epoll, pidfd.as_fd(), self.token(Source::Pidfd, record));
        watch(&self.epoll, ours.as_fd(), self.token(Source::Gate, record));
        let live = &mut self.live[record as usize];
        live.pidfd = Some(pidfd);
        live.gate = Some(ours);
        live.far_end = shares.then_some(theirs);
        live.gate_opened = false;
        live.not_yet = false;
        live.orphaned = false;
        live.whole_told = false;
        self.tell(record, tell::SPAWNED);
        Ok(())
    }

    fn make_cgroup(&mut self, record: u32, child: u64) -> Option<OwnedFd> {
        let made = self.cgroups.as_ref()?.make(child).ok();
        self.arena.set_cgroup(record, made.is_some().then_some(child));
        made
    }

    /// The long way, where clone3 could not: the child waits at its gate meanwhile.
    fn enter_cgroup(&self, child: u64, pid: i32) -> bool {
        self.cgroups.as_ref().is_some_and(|home| home.enter(child, pid).is_ok())
    }

    fn drop_cgroup(&self, record: u32) {
        if let (Some(home), Some(name)) = (&self.cgroups, self.cgroup_of(record)) {
            home.remove(name);
        }
    }

    /// Both hold the child, or there is only one of us: it may run its program.
    pub(super) fn open_gate(&mut self, record: u32) {
        let mut fds = [0; GATE_FDS];
        let found = self.descriptors(record, &mut fds);
        let live = &mut self.live[record as usize];
        if live.gate_opened {
            return;
        }
        let Some(gate) = &live.gate else { return };
        live.gate_opened = true;
        let sent = found.and_then(|count| {
            socket::send(gate.as_fd(), b"go", &fds[..count])
                .map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))
        });
        if let Err(errno) = sent {
            // Without its gate the child ends.
            self.close_gate(record);
            self.spawn_failed(record, Stage::Descriptors, errno);
        }
    }

    /// The child has said something through its gate, or its end is closed.
    pub(super) fn on_gate(&mut self, record: u32) {
        let live = &mut self.live[record as usize];
        let Some(gate) = &live.gate else { return };
        let mut said = [0; 8];
        match socket::receive(gate.as_fd(), &mut said, &mut [], false) {
            // It has a descriptor table of its own now: its end is its alone, so that its closing
            // will be seen.
            Ok(got) if got.len > 0 => match said.get(..got.len) {
                Some(own_program::FIRST) => live.not_yet = true,
                Some(own_program::BECOMES) => live.not_yet = false,
                Some(_) | None => live.far_end = None,
            },
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => {
                self.close_gate(record);
                self.after_gate(record);
            }
        }
    }

    pub(super) fn close_gate(&mut self, record: u32) {
        let live = &mut self.live[record as usize];
        live.far_end = None;
        if let Some(gate) = live.gate.take() {
            super::unwatch(&self.epoll, gate.as_fd());
        }
    }

    /// The gate is closed: it runs its program, or has failed, or has ended before.
    pub(super) fn after_gate(&mut self, record: u32) {
        let Some(mut now) = self.arena.changing(record).filter(|n| n.phase == Phase::Ordered)
        else {
            return;
        };
        match self.arena.said(record) {
            // It has ended in our own program; its exit tells.
            (_, None) if self.live[record as usize].not_yet => {}
            (_, Some((stage, errno))) => self.spawn_failed(record, stage, errno),
            (true, None) => {
                now.phase = Phase::Running;
                self.arena.commit(record, now);
                self.tell(record, tell::RUNNING);
            }
            // It was never let through; its exit decides.
            (false, None) => {}
        }
    }

    /// For good.
    pub(super) fn spawn_failed(&mut self, record: u32, stage: Stage, errno: i32) {
        let Some(mut now) = self.arena.changing(record) else { return };
        if !matches!(now.phase, Phase::Ordered | Phase::Running) {
            return;
        }
        now.phase = Phase::Failed;
        now.failed = Some((stage, errno));
        self.arena.commit(record, now);
        self.tell(record, tell::FAILED);
    }
}
