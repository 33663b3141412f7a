//! One file of a query: which part of it is asked for.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Query;
use super::backward::Backward;
use super::chain::{Chain, unreadable};
use super::lines::Lines;
use super::shelf::Shelves;
use crate::bytes::{ReadAt, open_file};
use crate::timeline::Timeline;

/// A log file and its index.
pub(crate) struct Open {
    pub(crate) file: File,
    pub(crate) timeline: Timeline,
}

/// A log and the part of it that is asked for: the lines that begin in `floor..limit`.
pub(crate) struct Part {
    pub(crate) open: Option<Chain>,
    pub(crate) floor: u64,
    pub(crate) limit: u64,
    /// What was there when the file was opened (following: up to its last newline).
    pub(crate) end: u64,
    /// The place of all lines of a file without an index.
    changed: Option<SystemTime>,
    /// Lines were left out because their time is not known.
    pub(crate) untimed: bool,
    /// There are older files that were not opened.
    pub(crate) cut: bool,
}

impl Open {
    /// Open a log for reading. None = it does not exist, or is no file that could be read back (a
    /// device, as /dev/null).
    pub(crate) fn log(path: &Path) -> io::Result<Option<Open>> {
        let file = open_file(path, true).map_err(|error| unreadable(path, &error))?;
        Ok(file.map(|file| Open { timeline: Timeline::of(path, &file), file }))
    }
}

impl Part {
    /// `depth`: so many rotated files at most, the newest.
    pub(crate) fn open(
        path: &Path,
        query: &Query,
        depth: usize,
        shelves: &mut Shelves,
    ) -> io::Result<Part> {
        let mut part = Part {
            open: None,
            floor: 0,
            limit: 0,
            end: 0,
            changed: None,
            untimed: false,
            cut: false,
        };
        let chain = Chain::open(path, query.since, depth, shelves)?;
        let Some(mut open) = chain else { return Ok(part) };
        part.cut = open.cut;
        part.end = open.bytes.len();
        if query.follow {
            let newline = Backward::new(&open.bytes, 0, part.end).newline_before(part.end)?;
            part.end = newline.map_or(0, |at| at + 1);
        }
        part.limit = part.end;
        let beginning = open.times.beginning();
        if beginning.is_none() {
            part.changed = open.changed();
        }
        if query.since.is_some() || query.until.is_some() {
            part.narrow(&mut open, query, beginning)?;
        }
        part.open = Some(open);
        Ok(part)
    }

    /// The time by which a line of the time `time` has its place among those of other files.
    pub(crate) fn place(&self, time: Option<SystemTime>) -> SystemTime {
        time.or(self.changed).unwrap_or(UNIX_EPOCH)
    }

    fn narrow(
        &mut self,
        open: &mut Chain,
        query: &Query,
        beginning: Option<(SystemTime, u64)>,
    ) -> io::Result<()> {
        let Some((first, timed_from)) = beginning else {
            // All that we know: nothing in it is younger than its last change.
            let older = query.since.zip(self.changed).is_some_and(|(since, at)| at < since);
            self.untimed = self.end > 0 && !older;
            self.limit = 0;
            return Ok(());
        };
        let older = query.since.is_some_and(|since| since > first);
        self.untimed = timed_from > 0 && !older;
        let from = match query.since {
            Some(since) => open.times.since(since).unwrap_or(self.end),
            None => timed_from,
        };
        self.floor = line_start(&open.bytes, from.min(self.end), self.end)?;
        if let Some(until) = query.until {
            let after = until + Duration::from_nanos(1);
            self.limit = open.times.since(after).unwrap_or(self.end).min(self.end);
        }
        Ok(())
    }
}

/// The first beginning of a line at or after `offset`.
fn line_start(file: &impl ReadAt, offset: u64, end: u64) -> io::Result<u64> {
    let mut before = [0];
    if offset == 0 || (file.fill_at(&mut before, offset - 1)? == 1 && before == *b"\n") {
        return Ok(offset);
    }
    let mut lines = Lines::starting_at(offset);
    lines.next_line(file, end)?;
    Ok(if lines.has_partial() { end } else { lines.line_offset() })
}
