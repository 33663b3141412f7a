//! Decides what the supervisor does next, and does none of it.

mod action;
mod event;

pub use action::{Action, Fact, Keep, OnExit, Outcome, Purpose};
pub use event::{Ask, ChildId, Event, Exit, OpId, Pid, SlotId, SpawnError, Time};
