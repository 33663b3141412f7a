//! A log with all that was rotated, as if it were one file: the oldest byte first.
//!
//! What compresses and deletes goes on while we read, so a file may have another name or none when
//! we come to it. What is open stays readable.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::part::Open;
use super::shelf::Shelves;
use crate::bytes::{Bytes, ReadAt, open_file};
use crate::packed::Packed;
use crate::rotated::{self, Form, Moment};
use crate::timeline::Timeline;

/// How often the list is made anew because the log was rotated meanwhile.
const TRIES: usize = 16;

/// The bytes, and the times beside them.
pub(crate) struct Chain {
    pub(crate) bytes: Links,
    pub(crate) times: Times,
    /// There are older files that were not opened.
    pub(crate) cut: bool,
}

/// The bytes of all files, one after the other.
pub(crate) struct Links {
    links: Vec<Link>,
}

struct Link {
    /// Where its bytes begin.
    from: u64,
    len: u64,
    bytes: Bytes,
}

/// The indexes of all files, with where their bytes begin.
pub(crate) struct Times {
    times: Vec<(u64, Timeline)>,
}

impl Chain {
    /// Open a log and what of it was rotated after `since`, the newest `depth` files. None = there is none of it, or it is no
    /// file that could be read back.
    pub(crate) fn open(
        path: &Path,
        since: Option<SystemTime>,
        depth: usize,
        shelves: &mut Shelves,
    ) -> io::Result<Option<Chain>> {
        let mut tries = TRIES;
        loop {
            let shelf = shelves.of(path);
            let (listed, moments) = shelf.map_or((None, Vec::new()), Clone::clone);
            let present = Open::log(path)?;
            let opened = present.as_ref().and_then(|open| open.file.metadata().ok());
            tries -= 1;
            // Rotated between the two: one file more is there than was listed, or the same twice.
            if opened.map(|meta| meta.ino()) != listed && tries > 0 {
                shelves.forget(path);
                continue;
            }
            let wanted = |at: &Moment| since.is_none_or(|since| at.time() >= since);
            let wanted: Vec<Moment> = moments.into_iter().filter(wanted).collect();
            let beyond = wanted.len().saturating_sub(depth);
            let mut chain = Chain::of(older(path, &wanted[beyond..])?, present)?;
            chain.cut = beyond > 0;
            return Ok(Some(chain).filter(|chain| !chain.bytes.links.is_empty()));
        }
    }

    fn of(older: Vec<(Bytes, Timeline)>, present: Option<Open>) -> io::Result<Chain> {
        let present = present.map(|open| (Bytes::Plain(open.file), open.timeline));
        let mut chain = Chain {
            bytes: Links { links: Vec::new() },
            times: Times { times: Vec::new() },
            cut: false,
        };
        let mut from = 0;
        for (bytes, timeline) in older.into_iter().chain(present) {
            let len = bytes.len()?;
            chain.bytes.links.push(Link { from, len, bytes });
            chain.times.times.push((from, timeline));
            from += len;
        }
        Ok(chain)
    }

    /// When anything was last written to it.
    pub(crate) fn changed(&self) -> Option<SystemTime> {
        match &self.bytes.links.last()?.bytes {
            Bytes::Plain(file) => file.metadata().ok()?.modified().ok(),
            Bytes::Packed(_) => None,
        }
    }

    /// The files that may still grow, and from where on they have not been read, if all was read up
    /// to `end`: the last, and one before while the last is empty.
    pub(crate) fn growing(self, end: u64) -> Vec<(Open, u64)> {
        let last = self.bytes.links.len().saturating_sub(1);
        let last_is_empty = self.bytes.links.last().is_some_and(|link| link.len == 0);
        let first = if last_is_empty { last.saturating_sub(1) } else { last };
        let times = self.times.times.into_iter().map(|(_, timeline)| timeline);
        let growing = self.bytes.links.into_iter().zip(times).skip(first);
        growing
            .filter_map(|(link, timeline)| match link.bytes {
                Bytes::Plain(file) => {
                    let read = end.saturating_sub(link.from).min(link.len);
                    Some((Open { file, timeline }, read))
                }
                Bytes::Packed(_) => None,
            })
            .collect()
    }
}

impl Links {
    /// Bytes of all.
    pub(crate) fn len(&self) -> u64 {
        self.links.last().map_or(0, |link| link.from + link.len)
    }
}

impl ReadAt for Links {
    fn some_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let after = self.links.partition_point(|link| link.from <= offset);
        // The last of those that begin here: the ones before it are empty.
        let Some(link) = after.checked_sub(1).and_then(|at| self.links.get(at)) else {
            return Ok(0);
        };
        let within = offset - link.from;
        let left = usize::try_from(link.len.saturating_sub(within)).unwrap_or(usize::MAX);
        let len = into.len().min(left);
        if len == 0 {
            return Ok(0);
        }
        match link.bytes.some_at(&mut into[..len], within)? {
            // It has become shorter: nothing of it is left, but the next one is.
            0 if after < self.links.len() => Err(io::Error::other("a rotated file was truncated")),
            got => Ok(got),
        }
    }
}

impl Times {
    /// When the byte at `offset` arrived, as far as is known.
    pub(crate) fn at(&mut self, offset: u64) -> Option<SystemTime> {
        let after = self.times.partition_point(|(from, _)| *from <= offset);
        let (from, timeline) = self.times.get_mut(after.checked_sub(1)?)?;
        timeline.at(offset - *from)
    }

    /// The offset of the first byte that arrived at `time` or later. None = after all records.
    pub(crate) fn since(&mut self, time: SystemTime) -> Option<u64> {
        self.times.iter_mut().find_map(|(from, timeline)| Some(*from + timeline.since(time)?))
    }

    /// The first record: what is before it has no time.
    pub(crate) fn beginning(&mut self) -> Option<(SystemTime, u64)> {
        self.times.iter_mut().find_map(|(from, timeline)| {
            let (time, offset) = timeline.beginning()?;
            Some((time, *from + offset))
        })
    }
}

/// What was rotated, the oldest first. All lines of a file are older than its rotation.
fn older(log: &Path, moments: &[Moment]) -> io::Result<Vec<(Bytes, Timeline)>> {
    let mut found = Vec::new();
    for at in moments.iter().copied() {
        // The original is preferred: a kill may have left both. It may be compressed just now.
        for form in [Form::Plain, Form::Packed] {
            let path = rotated::path(log, at, form);
            let Some(file) = open_file(&path, false).map_err(|error| unreadable(&path, &error))?
            else {
                continue;
            };
            let bytes = if form == Form::Plain {
                Bytes::Plain(file)
            } else {
                Bytes::Packed(Packed::open(file).map_err(|error| unreadable(&path, &error))?)
            };
            found.push((bytes, Timeline::of_rotated(log, at)));
            break;
        }
    }
    Ok(found)
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()))
}
