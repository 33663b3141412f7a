//! How much memory the tree of a worker may use.

use serde::{Deserialize, Serialize};

use crate::size::Size;
use crate::span::Span;

/// Limits of the memory of one worker, its whole process tree together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// `memory.high`: above it for `hold`, and the worker is replaced; default none.
    pub high: Option<Size>,
    /// `memory.max`, also written `max_memory_restart`: above it, and the worker is replaced at
    /// once; not below `high`; default none.
    pub max: Option<Size>,
    /// `memory.for`: how long `high` has to be exceeded; default 10 s.
    pub hold: Span,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { high: None, max: None, hold: Span(10_000) }
    }
}
