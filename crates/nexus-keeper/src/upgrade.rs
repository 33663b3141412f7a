//! Another program in the place of both, step by step, each undone by itself where it fails.
//!
//! The keeper executes the new program in its own process. That one is on trial: nexusd, which is
//! still the old program, takes its place if it ends or is late. Then the old nexusd gives way, and
//! the new keeper starts one of the new program: that one is on trial, and the keeper, which has
//! kept the old program's file open, executes it again if it ends too often or is late. How far it
//! is stands in the arena, so that whoever is left knows it.

use crate::wire::Ended;

/// The version of what a keeper and a nexusd of two programs must agree on, to be a pair and to
/// hand over to each other: messages, handoff, arena. What only adds to it keeps the number.
pub const PROTOCOL: u32 = 2;

/// An upgrade: the last that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// As nexusd named it.
    pub number: u64,
    /// By when the new program has to be ready, in milliseconds of `CLOCK_BOOTTIME`.
    pub until_ms: u64,
    /// How far it is.
    pub step: Step,
}

/// How far an upgrade is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The keeper executes the new program.
    Keeper,
    /// The keeper is the new program; a nexusd of it has to say `Resumed`.
    Nexusd,
    /// Both are the new program.
    Done,
    /// Both are the old program again, or still.
    Undone(Undone),
}

/// Why the old program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The kernel does not execute the new one: `execve(2)`'s errno.
    NotExecuted(i32),
    /// As a keeper it ended before it was one.
    KeeperEnded(Ended),
    /// As a keeper it said nothing in time.
    KeeperLate,
    /// As nexusd it ended again and again, or the old nexusd did before its time.
    NexusdEnded(Ended),
    /// As nexusd it was not ready in time.
    NexusdLate,
}

impl Upgrade {
    /// Whether the new program still has to prove itself.
    pub fn is_on_trial(&self) -> bool {
        match self.step {
            Step::Keeper | Step::Nexusd => true,
            Step::Done | Step::Undone(_) => false,
        }
    }
}
