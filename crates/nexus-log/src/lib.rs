//! The log files: moved there byte for byte, indexed by time beside them, read back by time.

mod index;
mod mover;
mod read;

pub use mover::{LineId, Mover, Source, tail_lines};
