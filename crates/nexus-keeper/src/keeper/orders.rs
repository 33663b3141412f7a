//! Reading nexusd's orders and carrying them out.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::epoll::EpollFlags;

use super::{Held, Keeper, Source, proc, watch};
use crate::arena::{Changing, Fixed, Phase, Strings};
use crate::codec::{Asked, AskedSpawn, Flaw, MESSAGE_MAX, REFUSALS, decode_order};
use crate::sys::{self, files, process, socket};
use crate::wire::{HoldId, Report};

/// Orders of one turn: more wait for the next, so that exits are not kept waiting.
const ORDERS_MAX: usize = 64;

const UNKNOWN: (i32, &str) = (libc::ENOSYS, REFUSALS[0]);
const FULL: (i32, &str) = (libc::ENOSPC, REFUSALS[2]);
const IN_USE: (i32, &str) = (libc::EEXIST, REFUSALS[3]);
const NO_CHILD: (i32, &str) = (libc::ESRCH, REFUSALS[4]);
const NO_DESCRIPTOR: (i32, &str) = (libc::EBADF, REFUSALS[5]);
const NOT_HELD: (i32, &str) = (libc::ENOENT, REFUSALS[6]);
const NOT_OVER: (i32, &str) = (libc::EBUSY, REFUSALS[7]);

type Refusal = (i32, &'static str);

impl Keeper {
    /// The link is readable or writable.
    pub(super) fn on_link(&mut self, flags: EpollFlags) {
        if flags.contains(EpollFlags::EPOLLOUT)
            && let Some(peer) = &mut self.peer
        {
            peer.set_writable(&self.epoll);
            self.flush();
        }
        for _ in 0..ORDERS_MAX {
            if !self.read_order() {
                return;
            }
        }
    }

    /// All that a dead nexusd had still ordered: what it held is held by us alone now.
    pub(super) fn read_last_orders(&mut self) {
        while self.read_order() {}
    }

    /// Returns whether there may be more.
    fn read_order(&mut self) -> bool {
        let Some(peer) = &self.peer else { return false };
        let mut bytes = [0; MESSAGE_MAX];
        let mut fds = [const { None }; 1];
        match socket::receive(peer.link.as_fd(), &mut bytes, &mut fds, false) {
            Ok(got) if got.len > 0 => {
                let [fd] = fds;
                self.on_message(&bytes[..got.len], fd);
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => false,
            Ok(_) | Err(_) => {
                peer.deafen(&self.epoll);
                false
            }
        }
    }

    fn on_message(&mut self, message: &[u8], fd: Option<OwnedFd>) {
        if let Some(peer) = &mut self.peer {
            peer.has_ordered();
        }
        let order = match decode_order(message) {
            Ok(order) => order,
            Err(Flaw::Unknown) => {
                self.unknown_orders += 1;
                return self.refuse(None, UNKNOWN);
            }
            Err(Flaw::Malformed(why)) => return self.refuse(None, (libc::EINVAL, why)),
        };
        let spawning = match &order {
            Asked::Spawn(spawn) => Some(spawn.child),
            Asked::Take { child, .. } => Some(*child),
            Asked::Acknowledge { .. }
            | Asked::GiveWay
            | Asked::Hold { .. }
            | Asked::Kill { .. }
            | Asked::Leave
            | Asked::Main { .. }
            | Asked::Note { .. }
            | Asked::Ping { .. }
            | Asked::Release { .. }
            | Asked::Resumed
            | Asked::Terminate { .. }
            | Asked::Upgrade { .. } => None,
        };
        if let Err(refusal) = self.carry_out(order, fd) {
            self.refuse(spawning, refusal);
        }
    }

    fn refuse(&mut self, child: Option<u64>, (errno, why): Refusal) {
        self.say(Report::Refused { child, errno, why });
    }

    fn carry_out(&mut self, order: Asked<'_>, fd: Option<OwnedFd>) -> Result<(), Refusal> {
        match order {
            Asked::Acknowledge { child } => self.acknowledge(child),
            Asked::GiveWay => {
                self.replace_outgoing();
                Ok(())
            }
            Asked::Hold { id, note } => self.hold(id, note, fd),
            Asked::Kill { child } => self.kill(child),
            Asked::Leave => self.leave(),
            Asked::Main { child, pid } => {
                let errno = self.set_main(child, pid, fd).map_or_else(|(errno, _)| errno, |()| 0);
                self.say(Report::Main { child, pid, errno });
                Ok(())
            }
            Asked::Note { child, note } => {
                let (record, mut now) = self.find(child)?;
                self.arena.set_note(record, &mut now, note);
                self.arena.commit(record, now);
                Ok(())
            }
            Asked::Ping { number } => {
                self.say(Report::Pong { number });
                Ok(())
            }
            Asked::Release { id } => self.held.remove(&id).map(drop).ok_or(NOT_HELD),
            Asked::Resumed => {
                self.resumed = true;
                self.cancel_successors();
                self.upgrade_is_done();
                Ok(())
            }
            Asked::Spawn(spawn) => self.order_spawn(&spawn),
            Asked::Take { child, pid, tag, note } => self.take(child, pid, tag, note, fd),
            Asked::Terminate { child, signal, whole } => self.terminate(child, signal, whole),
            Asked::Upgrade { number, until_ms } => self.order_upgrade(number, until_ms, fd),
        }
    }

    fn find(&self, child: u64) -> Result<(u32, Changing), Refusal> {
        let record = self.by_child.get(child).ok_or(NO_CHILD)?;
        let now = self.arena.changing(record).ok_or(NO_CHILD)?;
        Ok((record, now))
    }

    fn hold(&mut self, id: HoldId, note: &[u8], fd: Option<OwnedFd>) -> Result<(), Refusal> {
        let fd = fd.and_then(|fd| files::lift(fd).ok()).ok_or(NO_DESCRIPTOR)?;
        self.held.insert(id, Held { fd: File::from(fd), note: note.to_vec() });
        Ok(())
    }

    fn acknowledge(&mut self, child: u64) -> Result<(), Refusal> {
        let (record, mut now) = self.find(child)?;
        match now.phase {
            Phase::Exited if now.tree_gone => {}
            Phase::Failed if self.live[record as usize].pidfd.is_none() => {}
            Phase::Failed => {
                // Its process is about to end by itself: forget the child when it has.
                now.settled = true;
                now.tree_gone = true;
                self.arena.commit(record, now);
                return Ok(());
            }
            Phase::Free | Phase::Ordered | Phase::Running | Phase::Exited => return Err(NOT_OVER),
        }
        self.forget(record, now);
        Ok(())
    }

    /// The record is free again.
    pub(super) fn forget(&mut self, record: u32, mut now: Changing) {
        self.by_child.remove(now.child);
        let live = &mut self.live[record as usize];
        let queued = live.queued;
        *live = super::Live::default();
        // Its place in the queue is found empty later.
        live.queued = queued;
        now.phase = Phase::Free;
        self.arena.commit(record, now);
        self.free.push(record);
    }

    /// A record for a new child.
    pub(super) fn reserve(&mut self, child: u64) -> Result<u32, Refusal> {
        if self.by_child.get(child).is_some() {
            return Err(IN_USE);
        }
        if let Some(record) = self.free.pop() {
            return Ok(record);
        }
        if self.live.len() >= crate::wire::CHILDREN_MAX {
            return Err(FULL);
        }
        self.live.push(super::Live::default());
        self.arena.set_used(self.live.len() as u32);
        Ok(self.live.len() as u32 - 1)
    }

    fn order_spawn(&mut self, spawn: &AskedSpawn<'_>) -> Result<(), Refusal> {
        let record = self.reserve(spawn.child)?;
        let fixed = Fixed {
            template: spawn.template,
            stdin: spawn.stdin.map_or(0, |stdin| stdin.wrapping_add(1)),
            stdout: spawn.stdout,
            stderr: spawn.stderr,
            next: spawn.next.map_or(0, |next| next.wrapping_add(1)),
            delay_ms: spawn.delay_ms,
            respawn_of: 0,
            cgroup: 0,
        };
        let strings = Strings { codes: spawn.stay_codes, env: spawn.env, tag: spawn.tag };
        self.arena.set_fixed(record, &fixed, &strings);
        self.arena.seen_child(spawn.child.max(spawn.next.unwrap_or(0)));
        let mut now = Changing::new(spawn.child, Phase::Ordered);
        now.started_ms = sys::now_ms();
        self.arena.set_note(record, &mut now, spawn.note);
        self.arena.commit(record, now);
        self.by_child.insert(spawn.child, record);
        self.spawn(record);
        Ok(())
    }

    fn take(
        &mut self,
        child: u64,
        pid: i32,
        tag: &[u8],
        note: &[u8],
        fd: Option<OwnedFd>,
    ) -> Result<(), Refusal> {
        let pidfd = fd.and_then(|fd| files::lift(fd).ok()).ok_or(NO_DESCRIPTOR)?;
        let record = self.reserve(child)?;
        let cgroup = self.cgroups.as_ref();
        let cgroup = cgroup.and_then(|home| super::cgroup::name_of_process(pid, home.path()));
        let strings = Strings { codes: &[], env: &[], tag };
        self.arena.set_fixed(record, &Fixed::default(), &strings);
        self.arena.set_cgroup(record, cgroup);
        self.arena.seen_child(child);
        let mut now = Changing::new(child, Phase::Running);
        (now.pid, now.taken, now.started_ms) = (pid, true, sys::now_ms());
        self.arena.set_note(record, &mut now, note);
        self.arena.commit(record, now);
        self.by_child.insert(child, record);
        self.by_pid.insert(u64::from(pid.cast_unsigned()), record);
        watch(&self.epoll, pidfd.as_fd(), self.token(Source::Pidfd, record));
        self.live[record as usize].pidfd = Some(pidfd);
        Ok(())
    }

    /// From here on the child ends when this process does. The one before it is one of its tree.
    fn set_main(&mut self, child: u64, pid: i32, fd: Option<OwnedFd>) -> Result<(), Refusal> {
        // The kernel had no room for it here, or we have none for it in its place.
        let no_room = (libc::EMFILE, NO_DESCRIPTOR.1);
        let pidfd = fd.and_then(|fd| files::lift(fd).ok()).ok_or(no_room)?;
        let (record, mut now) = self.find(child)?;
        let live = &mut self.live[record as usize];
        let Some(old) = live.pidfd.take_if(|_| now.phase == Phase::Running) else {
            return Err(NO_CHILD);
        };
        super::unwatch(&self.epoll, old.as_fd());
        live.pidfd = Some(pidfd);
        live.unsure_until = 0;
        self.unsure.retain(|unsure| *unsure != record);
        self.by_pid.remove(u64::from(now.pid.cast_unsigned()));
        now.pid = pid;
        self.arena.commit(record, now);
        self.by_pid.insert(u64::from(pid.cast_unsigned()), record);
        let data = self.token(Source::Pidfd, record);
        if let Some(pidfd) = &self.live[record as usize].pidfd {
            watch(&self.epoll, pidfd.as_fd(), data);
        }
        Ok(())
    }

    fn terminate(&mut self, child: u64, signal: i32, whole: bool) -> Result<(), Refusal> {
        let (record, mut now) = self.find(child)?;
        (now.asked, now.signal, now.settled, now.due_ms) = (true, signal, true, 0);
        self.arena.commit(record, now);
        if self.live[record as usize].pidfd.is_none() {
            return self.end_rest(record, now);
        }
        if whole && self.signal_group(record, signal) {
            return Ok(());
        }
        let Some(pidfd) = &self.live[record as usize].pidfd else { return Ok(()) };
        // It may have ended already: its exit is on its way.
        let _ = process::signal(pidfd.as_fd(), signal);
        if proc::is_stopped(now.pid) {
            let _ = process::signal(pidfd.as_fd(), libc::SIGCONT);
        }
        if whole && !self.sweeps.contains(&record) {
            self.sweeps.push(record);
        }
        Ok(())
    }

    fn kill(&mut self, child: u64) -> Result<(), Refusal> {
        let (record, mut now) = self.find(child)?;
        (now.asked, now.signal, now.settled, now.due_ms) = (true, 0, true, 0);
        self.arena.commit(record, now);
        if let Some(pidfd) = &self.live[record as usize].pidfd {
            let _ = process::signal(pidfd.as_fd(), libc::SIGKILL);
        }
        self.end_rest(record, now)
    }

    /// Act on the tree of a child, now.
    fn end_rest(&mut self, record: u32, now: Changing) -> Result<(), Refusal> {
        match now.phase {
            Phase::Exited if now.tree_gone => Ok(()),
            Phase::Running | Phase::Ordered | Phase::Exited => {
                if self.end_tree(record) && now.phase == Phase::Exited {
                    self.tree_is_gone(record);
                }
                Ok(())
            }
            Phase::Free | Phase::Failed => Ok(()),
        }
    }

    /// The end of the daemon, not of the apps.
    fn leave(&mut self) -> Result<(), Refusal> {
        // A client then sees "no daemon" and not "connection refused". We still hold the lock.
        let _ = std::fs::remove_file(self.home.join("nexus.sock"));
        self.end_outgoing();
        // Who waits for our end takes it for that of both.
        if let Some(peer) = self.peer.take() {
            peer.see_off();
        }
        process::exit_now(0)
    }
}
