//! What a nexusd sees of the keeper, in the order in which it sees it.

use crate::wire::Ended;

/// What passes between the two, as nexusd sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A nexusd has begun, with this roll, or begins anew with a fresh keeper.
    Began(Vec<InRoll>),
    /// `Order::Spawn`.
    Ordered {
        /// Which.
        child: u64,
        /// `OnExit::next`.
        next: Option<u64>,
        /// `OnExit::delay_ms`.
        delay_ms: u64,
        /// `OnExit::stay_codes`.
        stay_codes: Vec<u8>,
    },
    /// `Order::Take`: a worker that runs already.
    Taken(u64),
    /// `Order::Terminate` or `Order::Kill`.
    Stopped(u64),
    /// `Order::Acknowledge`.
    Acknowledged(u64),
    /// `Order::Resumed`.
    Resumed,
    /// An answer which shows that all orders before have been read (`Report::Pong`).
    Settled,
    /// `Report::Spawned`.
    Spawned(u64),
    /// `Report::Running`. A keeper that does not tell it (the core has no use for it) is not
    /// blamed.
    Running(u64),
    /// `Report::SpawnFailed`, or `Report::Refused` with a child.
    Failed(u64),
    /// `Report::Exited`.
    Exited {
        /// Which.
        child: u64,
        /// How.
        ended: Ended,
        /// When, in milliseconds of the boot clock.
        at_ms: u64,
        /// Nothing of its tree was left.
        tree_gone: bool,
    },
    /// `Report::TreeGone`.
    TreeGone(u64),
    /// `Report::Respawned`, read at this moment of the boot clock, in milliseconds.
    Respawned {
        /// Who exited.
        old: u64,
        /// Its successor.
        new: u64,
        /// When it was read.
        read_ms: u64,
    },
}

/// A child in the roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InRoll {
    /// Which.
    pub child: u64,
    /// Whom it stands for.
    pub respawn_of: Option<u64>,
    /// Where it is in its life.
    pub stage: InRollStage,
}

/// Where a child of the roll is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InRollStage {
    /// Ordered or running.
    Alive,
    /// Never ran.
    Failed,
    /// Its main process has ended.
    Exited {
        /// How.
        ended: Ended,
        /// When, in milliseconds of the boot clock.
        at_ms: u64,
        /// Nothing of its tree is left.
        tree_gone: bool,
    },
}
