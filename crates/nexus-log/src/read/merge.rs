//! The answer to a query: lines of several files, one after the other, by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::time::SystemTime;

use super::backward::Backward;
use super::chain::Chain;
use super::lines::{Cut, Lines};
use super::part::Part;
use super::shelf::Shelves;
use super::{LogFile, Query, Record};
use crate::follow::Follow;

/// Gives the lines that a [`Query`] asks for; holds one line of each file.
pub struct Reader {
    files: Vec<LogFile>,
    parts: Vec<Part>,
    lines: Vec<Lines>,
    heads: Vec<Option<Record>>,
    /// The place of each file's next line; the file's position decides between equals.
    order: BinaryHeap<Reverse<(SystemTime, usize)>>,
    failed: Option<io::Error>,
}

impl Reader {
    pub(super) fn open(query: &Query) -> io::Result<Reader> {
        let parts = open_parts(query)?;
        let mut reader = Reader {
            files: query.files.clone(),
            lines: parts.iter().map(|part| Lines::starting_at(part.floor)).collect(),
            heads: parts.iter().map(|_| None).collect(),
            parts,
            order: BinaryHeap::new(),
            failed: None,
        };
        for file in 0..reader.parts.len() {
            reader.advance(file)?;
        }
        Ok(reader)
    }

    /// The files (by position) of which lines were left out because their time is not known, though
    /// a time was asked for.
    #[must_use]
    pub fn untimed(&self) -> Vec<usize> {
        (0..self.parts.len()).filter(|file| self.parts[*file].untimed).collect()
    }

    /// Go on with what is appended after what this reader was to give (from [`Query::follow`] on, no
    /// line comes twice or is left out). Lines not taken yet are not given.
    ///
    /// # Errors
    /// The directory of a file does not exist, or the machine has no inotify instance left.
    pub fn follow(self) -> io::Result<Follow> {
        let from = self.parts.into_iter().map(|part| match part.open {
            Some(open) => open.growing(part.end),
            None => Vec::new(),
        });
        Follow::begin(&self.files, from.collect())
    }

    /// Take the next line of a file as its head.
    fn advance(&mut self, file: usize) -> io::Result<()> {
        let (part, lines) = (&mut self.parts[file], &mut self.lines[file]);
        let Some(open) = &mut part.open else { return Ok(()) };
        if lines.line_offset() >= part.limit {
            return Ok(());
        }
        let cut = match lines.next_line(&open.bytes, part.end)? {
            Some(cut) => cut,
            None => match lines.take_partial() {
                Some(cut) => cut,
                None => return Ok(()),
            },
        };
        let time = open.times.at(cut.offset);
        self.order.push(Reverse((part.place(time), file)));
        self.heads[file] = Some(cut.into_record(file, time));
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let Reverse((_, file)) = self.order.pop()?;
        let record = self.heads[file].take()?;
        // A file that fails ends there; the line in hand is given first.
        self.failed = self.advance(file).err();
        Some(Ok(record))
    }
}

impl Cut {
    pub(crate) fn into_record(self, file: usize, time: Option<SystemTime>) -> Record {
        let Cut { offset, bytes, complete, truncated } = self;
        Record { file, time, bytes, offset, complete, truncated }
    }
}

/// Open the files of a query. The last lines are looked for in the newest files first: thousands of
/// logs have tens of rotated files each.
fn open_parts(query: &Query) -> io::Result<Vec<Part>> {
    let mut shelves = Shelves::default();
    let mut depth = if query.last.is_some() { 1 } else { usize::MAX };
    loop {
        let open = |file: &LogFile| Part::open(&file.path, query, depth, &mut shelves);
        let mut parts = query.files.iter().map(open).collect::<io::Result<Vec<Part>>>()?;
        let Some(last) = query.last else { return Ok(parts) };
        if keep_last(&mut parts, last)? {
            return Ok(parts);
        }
        depth = depth.saturating_mul(8);
    }
}

/// Raise the floors so that the last `last` lines of all files together remain: step back from the
/// ends, each time in the file whose line is the youngest. False = a part was looked at to its
/// beginning, and there are older files.
fn keep_last(parts: &mut [Part], last: usize) -> io::Result<bool> {
    let mut opens: Vec<Option<Chain>> = parts.iter_mut().map(|part| part.open.take()).collect();
    let mut ends: Vec<_> = opens
        .iter_mut()
        .zip(&*parts)
        .map(|(open, part)| {
            let Chain { bytes, times, .. } = open.as_mut()?;
            Some((Backward::new(&*bytes, part.floor, part.limit), times))
        })
        .collect();
    let floors: Vec<u64> = parts.iter().map(|part| part.floor).collect();
    let mut order = BinaryHeap::new();
    let mut enough = true;
    let mut step = |file: usize, parts: &[Part], order: &mut BinaryHeap<_>| {
        let Some((backward, times)) = &mut ends[file] else { return io::Result::Ok(()) };
        let start = backward.next_start()?;
        // Its first line may be the end of one that began in an older file.
        enough &= !parts[file].cut || start.is_some_and(|start| start > floors[file]);
        if let Some(start) = start {
            order.push((parts[file].place(times.at(start)), file, start));
        }
        Ok(())
    };
    for file in 0..parts.len() {
        step(file, parts, &mut order)?;
        parts[file].floor = parts[file].limit;
    }
    for _ in 0..last {
        let Some((_, file, start)) = order.pop() else { break };
        parts[file].floor = start;
        step(file, parts, &mut order)?;
    }
    for (part, open) in parts.iter_mut().zip(opens) {
        part.open = open;
    }
    Ok(enough)
}
