//! Read back: the last N lines, since a time, of several files merged by time. Needs no daemon.
//!
//! A line's time is that of the last index record at or before its first byte, at most 100 ms old.
//! Lines of one file never change their order; lines of several are merged by time, the earlier file
//! of the query first where times are equal. A line without a time (its file has no index, or began
//! before it) takes its place thus: of a file without any index, all lines stand at the time of the
//! file's last change; what lies before an index is older than everything that has a time.

mod backward;
mod chain;
mod lines;
mod merge;
mod part;
mod shelf;
mod tail;

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

pub(crate) use lines::Lines;
pub use merge::Reader;
pub(crate) use part::Open;
pub use tail::tail_lines;

/// The longest line that is given whole, in bytes; of a longer one the beginning, marked.
pub const LINE_MAX: usize = 1024 * 1024;

/// Which of a worker's outputs a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output (or both, merged).
    Out,
    /// Standard error.
    Err,
}

/// A log file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is; it need not exist (a worker that has said nothing yet).
    pub path: PathBuf,
    /// What the reader of its lines calls it, as `api/2`.
    pub label: String,
    /// Which output it holds.
    pub stream: Stream,
}

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The files; a [`Record`] names its own by position.
    pub files: Vec<LogFile>,
    /// Only the last so many lines of all files together.
    pub last: Option<usize>,
    /// Only lines of this time or later. Lines without a time are left out ([`Reader::untimed`]).
    pub since: Option<SystemTime>,
    /// Only lines of this time or earlier. Lines without a time are left out.
    pub until: Option<SystemTime>,
    /// [`Reader::follow`] will come: a last line without its end is left to that.
    pub follow: bool,
}

impl Query {
    /// Open the files and find where to begin. What is appended from now on is not read, so that
    /// the reading ends.
    ///
    /// # Errors
    /// A file exists and cannot be read; the message names it.
    pub fn read(&self) -> io::Result<Reader> {
        Reader::open(self)
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The position of its file in [`Query::files`].
    pub file: usize,
    /// When it arrived, as far as is known.
    pub time: Option<SystemTime>,
    /// The line without its newline, byte for byte as the worker wrote it.
    pub bytes: Vec<u8>,
    /// Where in the file it begins.
    pub offset: u64,
    /// False = no newline has come (yet); following, what comes later is a record of its own.
    pub complete: bool,
    /// True = longer than [`LINE_MAX`]; the rest was skipped.
    pub truncated: bool,
}
