//! Parent of the workers, holder of descriptors, decider of nothing.
//!
//! Two roles use this crate. The keeper: [`found`] at a cold start, then [`run`]; or [`adopt`], in
//! a process that was executed into the role. And nexusd's end of the pair: [`Link`].
//!
//! One executable plays all roles by executing `/proc/self/exe` with a hidden word as its first
//! argument and the number of the handoff's descriptor as its second. Its `main` must route
//! [`ARG_KEEPER`] to [`adopt`] and [`ARG_NEXUSD`] to [`Link::inherit`], before it starts a thread.
//! NEXUS_HOME is in the environment of both; whoever calls [`found`] should have executed itself
//! with it, so that it also shows in `/proc/PID/environ` of the keeper.
//!
//! What the two promise each other is listed, fact by fact, in [`facts`].

mod arena;
mod codec;
pub mod facts;
#[cfg(test)]
mod fixtures;
mod found;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod given;
mod handoff;
mod keeper;
mod link;
mod lock;
mod own_program;
mod patience;
mod restore;
mod sys;
mod template;
mod upgrade;
mod wire;

pub use arena::Counters;
pub use found::{FoundError, Founding, found, found_with};
pub use given::{Given, Stored};
pub use handoff::Limits;
pub use keeper::{adopt, run};
pub use link::{Handoff, Link, QUEUE_MAX};
pub use own_program::{ITSELF, OwnGate};
pub use upgrade::{PROTOCOL, Step, Undone, Upgrade};
pub use wire::{
    CARRIED_ENV_MAX, CHILDREN_MAX, CODES_MAX, Channel, Ended, Grants, HoldId, Kept, KeptState,
    LISTEN_MAX, NOTE_MAX, OnExit, Order, Report, Stage, TAG_MAX, TEMPLATE_MAX, Template, Trees,
    UNASKED,
};

/// Give back memory that this process need not keep while it has nothing to do: code that it has
/// not used lately, and what is free in its heap. What is needed again comes back by itself.
pub fn let_go() {
    sys::spare::let_go();
}

/// How a process that is no child of this one ended, where the kernel tells us; `None` of one that
/// runs, too. `pidfd` is that of `pid`.
pub fn foreign_end(pid: i32, pidfd: std::os::fd::BorrowedFd<'_>) -> Option<Ended> {
    keeper::proc::foreign_end(pid, pidfd)
}

/// The groups that the process at the other end of a connection on a Unix socket had when it
/// connected, besides its effective one.
///
/// # Errors
/// As `getsockopt(2)`; kernels before 4.13 do not say it.
pub fn peer_groups(socket: std::os::fd::BorrowedFd<'_>) -> std::io::Result<Vec<u32>> {
    sys::socket::peer_groups(socket)
}

/// First argument of a process that becomes the keeper; the second is the handoff's number.
pub const ARG_KEEPER: &str = "__keeper";
/// First argument of a process that becomes nexusd; the second is the handoff's number.
pub const ARG_NEXUSD: &str = "__nexusd";
