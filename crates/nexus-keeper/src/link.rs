//! nexusd's end of the pair.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use crate::wire::{HoldId, Kept, Order, Report};

/// What a new nexusd finds when it begins.
pub struct Handoff {
    /// Every held descriptor with its note (borrowed from the link's mirror).
    pub held: Vec<(HoldId, Vec<u8>)>,
    /// Every child that has not been acknowledged.
    pub children: Vec<Kept>,
    /// The highest child number ever ordered or reserved.
    pub last_child: u64,
    /// The home directory.
    pub home: std::path::PathBuf,
    /// x
    pub pair_began_ms: u64,
    /// x
    pub nexusd_restarts: u64,
    /// x
    pub keeper_restarts: u64,
    /// x
    pub trees: crate::Trees,
    /// x
    pub home_id: String,
}

/// nexusd's end: orders out, reports in, and a mirror of all that the keeper holds, so that
/// nexusd can take the keeper's place.
pub struct Link {
    mirror: BTreeMap<HoldId, (OwnedFd, Vec<u8>)>,
}

impl Link {
    /// Take over what the keeper handed down at our exec: `fd` is the number given on the command
    /// line.
    ///
    /// # Errors
    /// When the handoff cannot be read or is of another version.
    pub fn inherit(fd: RawFd) -> io::Result<(Link, Handoff)> {
        let _ = fd;
        todo!()
    }
    /// Readable when a report waits or the keeper has closed its end.
    pub fn socket(&self) -> BorrowedFd<'_> {
        todo!()
    }
    /// Readable when the keeper is dead.
    pub fn keeper_pidfd(&self) -> BorrowedFd<'_> {
        todo!()
    }
    /// The keeper's pid.
    pub fn keeper_pid(&self) -> i32 {
        todo!()
    }
    /// A held descriptor.
    pub fn held(&self, id: HoldId) -> Option<BorrowedFd<'_>> {
        let (fd, _) = self.mirror.get(&id)?;
        Some(std::os::fd::AsFd::as_fd(fd))
    }
    /// Send an order. Orders that do not fit into the socket now are queued here, in order, and
    /// sent by [`Link::flush`]; the queue is bounded.
    ///
    /// # Errors
    /// When the keeper has closed its end (then wait for its pidfd and promote), or the queue is
    /// full.
    pub fn send(&mut self, order: &Order) -> io::Result<()> {
        let _ = order;
        todo!()
    }
    /// Hold a descriptor: both of the pair have it once this order is queued.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn hold(&mut self, id: HoldId, note: &[u8], fd: OwnedFd) -> io::Result<()> {
        let _ = (id, note, fd);
        todo!()
    }
    /// Whether orders wait for the socket to become writable.
    pub fn wants_write(&self) -> bool {
        todo!()
    }
    /// Send what is queued as far as it goes.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn flush(&mut self) -> io::Result<()> {
        todo!()
    }
    /// The next report; `Ok(None)` = none now.
    ///
    /// # Errors
    /// `UnexpectedEof` when the keeper has closed its end.
    pub fn recv(&mut self) -> io::Result<Option<Report>> {
        todo!()
    }
    /// Become the keeper: proof of death must have been seen on [`Link::keeper_pidfd`]. Executes
    /// our own program into the keeper's role; returns only when that failed.
    pub fn promote(&mut self) -> io::Error {
        todo!()
    }
}
