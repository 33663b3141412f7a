//! The log files: moved there byte for byte, indexed by time beside them, read back by time.
//!
//! Writing and reading know nothing of each other but the files: the [`Mover`] brings bytes from
//! pipes into files and stamps them in an index; [`Query`] and [`Follow`] read both by path, with
//! or without a daemon alive.

mod bytes;
mod dress;
mod escape;
mod follow;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod index;
mod janitor;
mod level;
mod mover;
mod open;
mod packed;
mod pattern;
mod read;
mod rest;
mod rotated;
mod rules;
mod timeline;

pub use dress::{Dress, Form, OnFull, Origin};
pub use escape::printable;
pub use follow::Follow;
pub use index::index_path;
pub use level::Level;
pub use mover::{Hear, LineId, Mover, Note, QueueFull, Source, Stage};
pub use open::log_to_write;
pub use pattern::Pattern;
pub use read::{LINE_MAX, LogFile, Query, Reader, Record, Stream, tail_lines};
pub use rest::flush_at_rest;
pub use rotated::is_generation;
pub use rules::Rules;
