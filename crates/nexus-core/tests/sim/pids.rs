//! Whose process is whose.

use nexus_core::{ChildId, Pid};

/// A process of its tree that is to be its main one.
pub(crate) fn main_of(child: ChildId) -> Pid {
    Pid(pid_of(child).0 + 1_000_000)
}

/// The process that was spawned for a child.
pub(crate) fn pid_of(child: ChildId) -> Pid {
    Pid(1_000 + i32::try_from(child.0).unwrap())
}
