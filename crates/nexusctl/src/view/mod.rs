//! Pure functions from what the daemon answers, and a [`Look`](crate::look::Look), to text.

mod clock;
mod describe;
mod diff;
mod events;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod golden;
mod jlist;
mod list;
mod table;
mod why;

pub(crate) use clock::{clock, clock_ms};
pub(crate) use describe::describe;
pub(crate) use diff::diff;
pub(crate) use events::{event_line, event_role, event_subject, events};
pub(crate) use jlist::jlist;
pub(crate) use list::{Rows, empty, exit_of, list};
pub(crate) use why::{Cause, why};
