//! A worker's share of the connections: told to its siblings, and kept to.
//!
//! The kernel gives a waiting connection to whichever worker asks first, which on a shared socket
//! is often the same one. So each worker tells the others how many connections it has, and leaves
//! the next one for a moment to a sibling that has clearly fewer.
//!
//! What is told is a record lock (`fcntl(2)`) on the socket that all of them share: its place is
//! the worker's rank and pid. Nothing has to be set up for that, it goes with the worker however
//! that ends, and whether somebody has fewer is one question to the kernel.

use std::os::fd::BorrowedFd;
use std::process;
use std::time::Duration;

use crate::sys;

/// How long a connection is left to a sibling at a time.
const PAUSE: Duration = Duration::from_millis(1);
/// So many ranks fewer are clearly fewer: a quarter at most, or two connections.
const LEAD: i64 = 2;
/// Below this every number of connections is a rank of its own; above, an eighth of a doubling.
const EXACT: usize = 16;
/// Linux has no pid beyond.
const PID_BITS: u32 = 22;
/// Pauses before a connection is taken in spite of a sibling that has clearly fewer.
const PATIENCE: u32 = 1;
/// The same when it has less than half of this worker's, and these are `MANY`: time enough to be
/// given a CPU by a kernel that has more to do.
const GREAT_PATIENCE: u32 = 32;
const MANY: usize = 32;
/// Connections taken between two pauses when it is in vain to leave them to a sibling.
const GRANT_MAX: u32 = 128;

/// What one worker has told, and how often it left a connection in vain.
#[derive(Debug, Default)]
pub(crate) struct Share {
    told: Option<i64>,
    courtesy: Courtesy,
}

impl Share {
    /// How long to leave the connection that waits at `socket` to a sibling; `None`: take it.
    pub(crate) fn leave(&mut self, socket: BorrowedFd<'_>, open: usize) -> Option<Duration> {
        let rank = rank(open);
        self.tell(socket, rank);
        if self.courtesy.left > 0 && !sys::wait_within(socket, Duration::ZERO).unwrap_or(true) {
            // Somebody took it. There is nothing to leave, and nothing to take.
            self.courtesy = Courtesy::default();
            return None;
        }
        let patience = if !somebody_is_below(socket, rank - LEAD + 1) {
            0
        } else if open < MANY || !somebody_is_below(socket, self::rank(open / 2)) {
            PATIENCE
        } else {
            GREAT_PATIENCE
        };
        self.courtesy.judge(patience).then_some(PAUSE)
    }

    /// Lets the siblings know, if it is not what they know already.
    pub(crate) fn tell(&mut self, socket: BorrowedFd<'_>, rank: i64) {
        let place = place(rank, process::id());
        if self.told == Some(place) {
            return;
        }
        // The new one first, lest a sibling take us for gone. Where sockets cannot be locked all
        // find nobody, and take what comes.
        let now = sys::lock(socket, place).is_ok().then_some(place);
        if let Some(before) = std::mem::replace(&mut self.told, now) {
            let _gone = sys::unlock(socket, before);
        }
    }
}

/// When to leave a connection to a sibling, and when that has been in vain often enough.
#[derive(Debug, PartialEq, Eq)]
struct Courtesy {
    /// Pauses for which the connection that waits has been left to them.
    left: u32,
    /// How many may be taken before the next one is left to them.
    free: u32,
    /// How many will be, when that one is not taken either.
    grant: u32,
}

impl Default for Courtesy {
    fn default() -> Self {
        Self { left: 0, free: 0, grant: 1 }
    }
}

impl Courtesy {
    /// Whether to leave the connection that waits for one more pause. `patience`: for how many, 0
    /// when no sibling has fewer. A sibling that hangs, or has enough to do, delays the others less
    /// and less.
    fn judge(&mut self, patience: u32) -> bool {
        if patience == 0 {
            *self = Self::default();
            return false;
        }
        if self.free > 0 {
            self.free -= 1;
            return false;
        }
        if self.left < (patience / self.grant).max(1) {
            self.left += 1;
            return true;
        }
        let grant = (self.grant * 2).min(GRANT_MAX);
        *self = Self { left: 0, free: self.grant - 1, grant };
        false
    }
}

/// A measure of how many connections a worker has, in steps that grow with it: small changes of
/// many are nothing to tell.
fn rank(open: usize) -> i64 {
    if open < EXACT {
        return i64::try_from(open).unwrap_or(i64::MAX);
    }
    let doublings = open.ilog2();
    let eighths = i64::try_from((open >> (doublings - 3)) & 7).unwrap_or(0);
    16 + i64::from(doublings - EXACT.ilog2()) * 8 + eighths
}

/// The byte that a worker of this rank locks.
fn place(rank: i64, pid: u32) -> i64 {
    (rank << PID_BITS) | i64::from(pid)
}

/// Whether a sibling's rank is below `rank`.
fn somebody_is_below(socket: BorrowedFd<'_>, rank: i64) -> bool {
    rank > 0 && sys::is_locked_before(socket, rank << PID_BITS).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_grow_with_the_number_and_their_steps_with_them() {
        let mut last = -1;
        for open in 0..100_000 {
            let rank = rank(open);
            assert!(rank == last || rank == last + 1, "{open}: {rank} after {last}");
            last = rank;
        }
        assert_eq!(
            [0, 1, 15, 16, 17, 18, 250, 256, 1_000].map(rank),
            [0, 1, 15, 16, 16, 17, 47, 48, 63]
        );
        assert!(place(rank(usize::MAX), 0) > 0);
    }

    /// The patience of each question; `-` left, `+` taken.
    fn judged(patience: &[u32]) -> String {
        let mut courtesy = Courtesy::default();
        let mut judge = |&patience: &u32| if courtesy.judge(patience) { '-' } else { '+' };
        patience.iter().map(&mut judge).collect()
    }

    #[test]
    fn a_connection_is_left_to_who_has_fewer_and_less_often_to_who_does_not_take_it() {
        assert_eq!(judged(&[0, 0, 0]), "+++");
        assert_eq!(judged(&[1, 0, 1, 0, 1]), "-+-+-");
        assert_eq!(judged(&[1; 20]), "-+-++-++++-++++++++-");
        assert_eq!(judged(&[4; 20]), "----+--++-++++-+++++");
        assert_eq!(judged(&[4, 4, 1]), "--+");
        for patience in [PATIENCE, GREAT_PATIENCE] {
            let long = judged(&vec![patience; 10_000]);
            assert!(long.matches('-').count() < 150, "{long}");
        }
    }
}
