//! One file of a query: which part of it is asked for.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;

use super::Query;
use super::backward::Backward;
use super::lines::Lines;
use crate::timeline::Timeline;

/// A log file and its index.
pub(crate) struct Open {
    pub(crate) file: File,
    pub(crate) timeline: Timeline,
}

/// A file and the part of it that is asked for: the lines that begin in `floor..limit`.
pub(crate) struct Part {
    pub(crate) open: Option<Open>,
    pub(crate) floor: u64,
    pub(crate) limit: u64,
    /// What was there when the file was opened (following: up to its last newline).
    pub(crate) end: u64,
    /// The place of all lines of a file without an index.
    changed: Option<SystemTime>,
    /// Lines were left out because their time is not known.
    pub(crate) untimed: bool,
}

impl Open {
    /// Open a log for reading. None = it does not exist, or is no file that could be read back (a
    /// device, as /dev/null).
    pub(crate) fn log(path: &Path) -> io::Result<Option<Open>> {
        let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
        };
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(named(error)),
        };
        if !file.metadata().map_err(named)?.is_file() {
            return Ok(None);
        }
        let timeline = Timeline::of(path, &file);
        Ok(Some(Open { file, timeline }))
    }
}

impl Part {
    pub(crate) fn open(path: &Path, query: &Query) -> io::Result<Part> {
        let mut part =
            Part { open: None, floor: 0, limit: 0, end: 0, changed: None, untimed: false };
        let Some(mut open) = Open::log(path)? else { return Ok(part) };
        let meta = open.file.metadata()?;
        part.end = meta.len();
        if query.follow {
            let newline = Backward::new(&open.file, 0, part.end).newline_before(part.end)?;
            part.end = newline.map_or(0, |at| at + 1);
        }
        part.limit = part.end;
        let beginning = open.timeline.beginning();
        if beginning.is_none() {
            part.changed = meta.modified().ok();
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
        open: &mut Open,
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
            Some(since) => open.timeline.since(since).unwrap_or(self.end),
            None => timed_from,
        };
        self.floor = line_start(&open.file, from.min(self.end), self.end)?;
        if let Some(until) = query.until {
            let after = until + Duration::from_nanos(1);
            self.limit = open.timeline.since(after).unwrap_or(self.end).min(self.end);
        }
        Ok(())
    }
}

/// The first beginning of a line at or after `offset`.
fn line_start(file: &File, offset: u64, end: u64) -> io::Result<u64> {
    let mut before = [0];
    if offset == 0 || (file.read_at(&mut before, offset - 1)? == 1 && before == *b"\n") {
        return Ok(offset);
    }
    let mut lines = Lines::starting_at(offset);
    lines.next_line(file, end)?;
    Ok(if lines.has_partial() { end } else { lines.line_offset() })
}
