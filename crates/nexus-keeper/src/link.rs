//! nexusd's end of the pair.

mod child;
mod hung;
mod queue;
mod succession;
mod upgrade;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use crate::arena::{Arena, Counters, Phase};
use crate::codec::{self, Flaw, MESSAGE_MAX};
use crate::handoff::{self, Limits, Table};
use crate::keeper;
use crate::patience::Patience;
use crate::sys::socket;
use crate::wire::{HoldId, Kept, KeptState, Order, Report, Trees};

/// The most bytes of orders that wait for a keeper that does not read.
pub const QUEUE_MAX: usize = 8 * 1024 * 1024;

/// What a new nexusd finds when it begins.
pub struct Handoff {
    /// Every held descriptor with its note (borrowed from the link's mirror).
    pub held: Vec<(HoldId, Vec<u8>)>,
    /// Every child that has not been acknowledged. What is told here may be told again by a
    /// report that was on its way.
    pub children: Vec<Kept>,
    /// The highest child number ever ordered or reserved.
    pub last_child: u64,
    /// The home directory.
    pub home: PathBuf,
    /// How trees are found.
    pub trees: Trees,
    /// The limits of the caller who founded the pair; workers get them.
    pub limits: Limits,
    /// Figures of the pair.
    pub counters: Counters,
}

/// Main processes that wait for the keeper's answer.
const MAINS_MAX: usize = 256;

/// nexusd's end: orders out, reports in, and a mirror of all that the keeper holds, so that
/// nexusd can take the keeper's place.
pub struct Link {
    socket: OwnedFd,
    keeper: (i32, OwnedFd),
    home: PathBuf,
    arena: Arena,
    lock: OwnedFd,
    limits: Limits,
    cgroup: Option<PathBuf>,
    mirror: BTreeMap<HoldId, (OwnedFd, Vec<u8>)>,
    children: BTreeMap<u64, (i32, OwnedFd)>,
    /// Who is to be a child's main process, until the keeper has answered.
    mains: Vec<(u64, i32, OwnedFd)>,
    queue: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    queued: usize,
    /// When the first of the queue is tried again, whatever the socket says: see
    /// [`Link::flush_after`].
    again_at: Option<u64>,
    unknown: u64,
    patience: Patience,
    /// The keeper has said something since we last looked; when we last knew that it had.
    heard: bool,
    heard_at: u64,
    /// The file of the program to go back to, while ours is on trial.
    old_program: Option<OwnedFd>,
}

impl Link {
    /// Take over what the keeper handed down at our exec: `fd` is the number given on the command
    /// line.
    ///
    /// # Errors
    /// When the handoff cannot be read or is of another version.
    pub fn inherit(fd: RawFd) -> io::Result<(Link, Handoff)> {
        let table = Table::read(fd)?;
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "a handoff without a link");
        let (pid, pidfd) = table.peer.ok_or_else(missing)?;
        let mut link = Link {
            socket: handoff::take(table.link.ok_or_else(missing)?)?,
            keeper: (pid, handoff::take(pidfd)?),
            home: table.home,
            arena: Arena::open(handoff::take(table.arena)?, false)?,
            lock: handoff::take(table.lock.ok_or_else(missing)?)?,
            limits: table.limits,
            cgroup: table.cgroup,
            mirror: BTreeMap::new(),
            children: BTreeMap::new(),
            mains: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
            again_at: None,
            unknown: 0,
            patience: Patience::default(),
            heard: false,
            heard_at: 0,
            old_program: table.old_program.map(handoff::take).transpose()?,
        };
        for (id, fd, note) in table.held {
            link.mirror.insert(id, (handoff::take(fd)?, note));
        }
        let mut pidfds = BTreeMap::new();
        for (child, fd, pid) in table.children {
            pidfds.insert(child, (pid, handoff::take(fd)?));
        }
        let handoff = link.handoff(pidfds)?;
        Ok((link, handoff))
    }

    fn handoff(&mut self, pidfds: BTreeMap<u64, (i32, OwnedFd)>) -> io::Result<Handoff> {
        Ok(Handoff {
            held: self.mirror.iter().map(|(id, (_, note))| (*id, note.clone())).collect(),
            children: self.roll(pidfds)?,
            last_child: self.arena.last_child(),
            home: self.home.clone(),
            trees: self.trees(),
            limits: self.limits,
            counters: self.counters(),
        })
    }

    fn roll(&mut self, mut pidfds: BTreeMap<u64, (i32, OwnedFd)>) -> io::Result<Vec<Kept>> {
        let mut roll = Vec::new();
        for record in 0..self.arena.used() {
            let Some(now) = self.arena.changing(record) else { continue };
            let state = match (now.phase, now.failed) {
                (Phase::Free, _) => continue,
                (Phase::Ordered | Phase::Running, _) => KeptState::Alive,
                (Phase::Failed, Some((stage, errno))) => KeptState::Failed { stage, errno },
                (Phase::Failed | Phase::Exited, _) => KeptState::Exited {
                    ended: now.ended,
                    at_ms: now.at_ms,
                    tree_gone: now.tree_gone,
                },
            };
            let (pid, pidfd) = pidfds.remove(&now.child).unzip();
            // A fresh keeper may not have read yet whose it is now.
            let pid = pid.filter(|pid| *pid > 0).unwrap_or(now.pid);
            let has_ended = pidfd.as_ref().is_some_and(|fd| keeper::is_readable(fd.as_fd()));
            let alive = matches!(state, KeptState::Alive);
            let copy = pidfd.as_ref().filter(|_| alive).map(OwnedFd::try_clone).transpose()?;
            if let Some(pidfd) = pidfd {
                self.children.insert(now.child, (pid, pidfd));
            }
            roll.push(Kept {
                child: now.child,
                pid,
                pidfd: copy,
                runs: now.phase == Phase::Running && !is_replaced(pid, has_ended, now.pid),
                note: self.arena.note(record, &now),
                started_ms: now.started_ms,
                respawn_of: self.arena.fixed(record).respawn_of.checked_sub(1),
                state,
            });
        }
        roll.sort_by_key(|kept| kept.child);
        Ok(roll)
    }

    /// Readable when a report waits or the keeper has closed its end.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Readable when the keeper is dead.
    pub fn keeper_pidfd(&self) -> BorrowedFd<'_> {
        self.keeper.1.as_fd()
    }

    /// The keeper's pid.
    pub fn keeper_pid(&self) -> i32 {
        self.keeper.0
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The shared memory in which the keeper writes what it knows: for a third holder.
    pub fn arena(&self) -> BorrowedFd<'_> {
        self.arena.fd()
    }

    /// Whether the keeper was told to end: nothing is to be started any more.
    pub fn stopping(&self) -> bool {
        self.arena.stopping()
    }

    /// How trees are found.
    pub fn trees(&self) -> Trees {
        if self.cgroup.is_some() { Trees::Cgroup } else { Trees::Sweep }
    }

    /// The directory of the children's cgroups, where each has its own.
    pub fn cgroups(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }

    /// Figures of the pair, as they are now.
    pub fn counters(&self) -> Counters {
        self.arena.counters()
    }

    /// Messages of the keeper that this version did not understand.
    pub fn unknown_reports(&self) -> u64 {
        self.unknown
    }

    /// A held descriptor.
    pub fn held(&self, id: HoldId) -> Option<BorrowedFd<'_>> {
        let (fd, _) = self.mirror.get(&id)?;
        Some(fd.as_fd())
    }

    /// Send an order. Orders that do not fit into the socket now are queued here, in order, and
    /// sent by [`Link::flush`]; the queue is bounded by [`QUEUE_MAX`].
    ///
    /// # Errors
    /// `BrokenPipe` when the keeper has closed its end (then wait for its pidfd and promote),
    /// `WouldBlock` when the queue is full, `InvalidInput` by the name of the bound that the order
    /// breaks, or when a descriptor belongs to it (see [`Link::hold`], [`Link::take`],
    /// [`Link::set_main`]).
    pub fn send(&mut self, order: &Order) -> io::Result<()> {
        if matches!(
            order,
            Order::Hold { .. } | Order::Main { .. } | Order::Take { .. } | Order::Upgrade { .. }
        ) {
            let why = "a descriptor belongs to this order: it has a function of its own";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.offer(order, None)?;
        match order {
            Order::Acknowledge { child } => drop(self.children.remove(child)),
            Order::Release { id } => drop(self.mirror.remove(id)),
            Order::GiveWay
            | Order::Hold { .. }
            | Order::Kill { .. }
            | Order::Leave
            | Order::Main { .. }
            | Order::Note { .. }
            | Order::Ping { .. }
            | Order::Resumed
            | Order::Spawn { .. }
            | Order::Take { .. }
            | Order::Terminate { .. }
            | Order::Upgrade { .. } => {}
        }
        Ok(())
    }

    /// Hold a descriptor: both of the pair have it once this order is queued.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn hold(&mut self, id: HoldId, note: &[u8], fd: OwnedFd) -> io::Result<()> {
        let copy = fd.try_clone()?;
        self.offer(&Order::Hold { id, note: note.to_vec() }, Some(copy))?;
        self.mirror.insert(id, (fd, note.to_vec()));
        Ok(())
    }

    /// Have a worker kept that runs already: see `Order::Take`.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn take(
        &mut self,
        child: u64,
        pid: i32,
        pidfd: OwnedFd,
        tag: &[u8],
        note: &[u8],
    ) -> io::Result<()> {
        let copy = pidfd.try_clone()?;
        let order = Order::Take { child, pid, tag: tag.to_vec(), note: note.to_vec() };
        self.offer(&order, Some(copy))?;
        self.children.insert(child, (pid, pidfd));
        Ok(())
    }

    /// Have another process kept as a child's main one: see `Order::Main`. It is when the keeper
    /// says so (`Report::Main`), or if that dies before.
    ///
    /// # Errors
    /// As [`Link::send`]; `QuotaExceeded` when too many wait for an answer.
    pub fn set_main(&mut self, child: u64, pid: i32, pidfd: OwnedFd) -> io::Result<()> {
        if self.mains.len() >= MAINS_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let copy = pidfd.try_clone()?;
        let offered = self.offer(&Order::Main { child, pid }, Some(copy));
        // One that takes the place of a dead keeper reads it from what is handed over.
        if offered.as_ref().map_or_else(|e| e.kind() == io::ErrorKind::BrokenPipe, |()| true) {
            self.mains.push((child, pid, pidfd));
        }
        offered
    }

    /// Whether the keeper has not answered yet who is to be this child's main process.
    pub fn main_waits(&self, child: u64) -> bool {
        self.mains.iter().any(|(waits, ..)| *waits == child)
    }

    /// The keeper has answered the oldest order about this child and process.
    fn main_is_answered(&mut self, child: u64, pid: i32, errno: i32) {
        let asked = self.mains.iter().position(|(c, p, _)| (*c, *p) == (child, pid));
        let Some((_, _, pidfd)) = asked.map(|at| self.mains.remove(at)) else { return };
        if errno == 0 && self.children.contains_key(&child) {
            self.children.insert(child, (pid, pidfd));
        }
    }

    /// There is no keeper that could answer: whoever takes its place has room for all of them.
    fn take_mains(&mut self) {
        for (child, pid, pidfd) in std::mem::take(&mut self.mains) {
            if self.children.contains_key(&child) {
                self.children.insert(child, (pid, pidfd));
            }
        }
    }

    /// The next report; `Ok(None)` = none now.
    ///
    /// # Errors
    /// `UnexpectedEof` when the keeper has closed its end.
    pub fn recv(&mut self) -> io::Result<Option<Report>> {
        loop {
            let mut bytes = [0; MESSAGE_MAX];
            let mut fds = [const { None }; 1];
            let got = match socket::receive(self.socket.as_fd(), &mut bytes, &mut fds, false) {
                Ok(got) if got.len == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            };
            self.heard = true;
            match codec::decode_report(&bytes[..got.len]) {
                Ok(report) => {
                    let [fd] = fds;
                    if let (Report::Spawned { child, pid }, Some(fd)) = (&report, fd) {
                        self.children.insert(*child, (*pid, fd));
                    }
                    if let Report::Main { child, pid, errno } = report {
                        self.main_is_answered(child, pid, errno);
                    }
                    if matches!(report, Report::Upgrade) {
                        self.forget_old_program();
                    }
                    return Ok(Some(report));
                }
                Err(Flaw::Unknown | Flaw::Malformed(_)) => self.unknown += 1,
            }
        }
    }
}

/// Whether what the arena says is of another process than the one that we were given. One that ended
/// at the gate of a dead keeper is followed by another for the same child, which may run before we
/// look: its birth and its beginning are told to us as reports. A main process that was named
/// (`Order::Main`) and is not in the arena yet lives, or its end is told.
fn is_replaced(given: i32, has_ended: bool, told: i32) -> bool {
    given != told && has_ended
}

#[cfg(test)]
mod tests {
    use super::is_replaced;

    #[test]
    fn what_runs_is_not_who_ended_at_the_gate() {
        assert!(!is_replaced(7, false, 7));
        assert!(!is_replaced(7, true, 7));
        assert!(!is_replaced(8, false, 7), "named, and not known to the keeper yet");
        assert!(is_replaced(7, true, 8));
    }
}
