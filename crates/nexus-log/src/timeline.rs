//! Read an index: the time of an offset, the offset of a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::bytes::{Bytes, ReadAt, open_file};
use crate::index::{RECORD, Stamp, index_path, whole};
use crate::packed::Packed;
use crate::rotated::{self, Form, Moment};

/// Bytes of the index that one read brings.
const BLOCK: u64 = 4096;

/// How many records ahead are tried before a search: a reader goes forward.
const AHEAD: u64 = 8;

/// The index of one log file. A missing or senseless one has no times; none of this is an error.
pub(crate) struct Timeline {
    log: PathBuf,
    /// The log's device and inode. Its name may get another file at any time, and the index's too.
    identity: (u64, u64),
    index: Option<Bytes>,
    /// The last block read, and the number of its first record.
    block: Vec<u8>,
    block_first: u64,
    known: Option<Known>,
}

/// The record found last.
struct Known {
    number: u64,
    time: SystemTime,
    from: u64,
    /// The next record's offset; None = there were `count` records, and this was the last.
    until: Option<u64>,
    count: u64,
}

impl Timeline {
    /// The index beside `log`, which was opened by that name as `file`.
    pub(crate) fn of(log: &Path, file: &File) -> Timeline {
        let identity = file.metadata().map_or((0, 0), |meta| (meta.dev(), meta.ino()));
        let mut timeline = Timeline {
            log: log.to_owned(),
            identity,
            index: None,
            block: Vec::new(),
            block_first: 0,
            known: None,
        };
        timeline.open();
        timeline
    }

    /// The index of a rotated log, compressed or not.
    pub(crate) fn of_rotated(log: &Path, at: Moment) -> Timeline {
        let open = |form| open_file(&rotated::path(log, at, form), false).ok().flatten();
        // It may be compressed between the two looks, and then the second finds it.
        let plain = open(Form::Index).map(Bytes::Plain);
        let packed = || Packed::open(open(Form::PackedIndex)?).ok().map(Bytes::Packed);
        Timeline {
            log: rotated::path(log, at, Form::Plain),
            identity: (0, 0),
            index: plain.or_else(packed),
            block: Vec::new(),
            block_first: 0,
            known: None,
        }
    }

    fn open(&mut self) {
        let index = open_file(&index_path(&self.log), false).ok().flatten();
        // Asked after the opening: an index loses its name before its log does, so if the log still
        // has its own, the index is the right one.
        let is_ours = || {
            let meta = std::fs::metadata(&self.log);
            meta.is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity)
        };
        self.index = index.filter(|_| is_ours()).map(Bytes::Plain);
    }

    /// The log has another name now, and its index too.
    pub(crate) fn renamed(&mut self, log: PathBuf) {
        self.log = log;
    }

    /// Look for the index again, if there was none: it is created after its log.
    pub(crate) fn look(&mut self) {
        if self.index.is_none() {
            self.open();
        }
    }

    /// Forget what was read: the log was truncated.
    pub(crate) fn restart(&mut self) {
        self.block.clear();
        self.known = None;
        self.open();
    }

    /// When the byte at `offset` arrived, as far as is known: the time of the last record at or
    /// before it.
    pub(crate) fn at(&mut self, offset: u64) -> Option<SystemTime> {
        let known = self.known.as_ref().filter(|known| known.from <= offset);
        if let Some(known) = known
            && known.until.map_or_else(|| known.count == self.count(), |until| offset < until)
        {
            return Some(known.time);
        }
        let ahead = known.map(|known| known.number + 1);
        let count = self.count();
        let near = ahead.and_then(|ahead| {
            let until = count.min(ahead + AHEAD);
            (ahead..until).find(|n| self.stamp(*n).is_none_or(|stamp| stamp.offset > offset))
        });
        let after = near.unwrap_or_else(|| self.first(count, |stamp| stamp.offset > offset));
        let number = after.checked_sub(1)?;
        let stamp = self.stamp(number)?;
        let time = stamp.time();
        let until = self.stamp(after).map(|next| next.offset);
        self.known = Some(Known { number, time, from: stamp.offset, until, count });
        Some(time)
    }

    /// The offset of the first byte that arrived at `time` or later. None = after all records.
    pub(crate) fn since(&mut self, time: SystemTime) -> Option<u64> {
        let count = self.count();
        let at = self.first(count, |stamp| stamp.time() >= time);
        self.stamp(at).map(|stamp| stamp.offset)
    }

    /// The first record: what is before it has no time.
    pub(crate) fn beginning(&mut self) -> Option<(SystemTime, u64)> {
        self.stamp(0).map(|stamp| (stamp.time(), stamp.offset))
    }

    fn count(&self) -> u64 {
        let len = self.index.as_ref().and_then(|index| index.len().ok()).unwrap_or(0);
        whole(len) / RECORD
    }

    /// The number of the first record for which `is` holds (by halves: it holds for all after it).
    fn first(&mut self, count: u64, is: impl Fn(Stamp) -> bool) -> u64 {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.stamp(middle) {
                Some(stamp) if !is(stamp) => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        low
    }

    fn stamp(&mut self, number: u64) -> Option<Stamp> {
        if let Some(stamp) = self.stamp_in_block(number) {
            return Some(stamp);
        }
        let per_block = BLOCK / RECORD;
        self.block_first = number - number % per_block;
        self.block = self.read_block(self.block_first * RECORD).unwrap_or_default();
        self.stamp_in_block(number)
    }

    fn stamp_in_block(&self, number: u64) -> Option<Stamp> {
        let at = usize::try_from(number.checked_sub(self.block_first)? * RECORD).ok()?;
        let bytes = self.block.get(at..at + 16)?;
        Some(Stamp::from_bytes(bytes.try_into().ok()?))
    }

    fn read_block(&self, offset: u64) -> io::Result<Vec<u8>> {
        let Some(file) = &self.index else { return Ok(Vec::new()) };
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(usize::MAX)];
        let len = file.fill_at(&mut block, offset)?;
        block.truncate(len);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn timeline(stamps: &[(u64, u64)]) -> (tempfile::TempDir, Timeline) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let bytes: Vec<u8> = stamps
            .iter()
            .flat_map(|(time_ns, offset)| Stamp { time_ns: *time_ns, offset: *offset }.to_bytes())
            .collect();
        std::fs::write(index_path(&log), bytes).unwrap();
        std::fs::write(&log, b"").unwrap();
        let timeline = Timeline::of(&log, &File::open(&log).unwrap());
        (dir, timeline)
    }

    fn at(nanos: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(nanos)
    }

    #[test]
    fn the_last_record_at_or_before_an_offset_tells_its_time() {
        // The two at offset 10 are of a kill between a record and its bytes.
        let (_dir, mut timeline) = timeline(&[(100, 4), (200, 10), (300, 10), (400, 30)]);
        let times: Vec<_> = [0, 4, 9, 10, 29, 30, 99].iter().map(|o| timeline.at(*o)).collect();
        let wanted = [None, Some(100), Some(100), Some(300), Some(300), Some(400), Some(400)];
        assert_eq!(times, wanted.map(|time| time.map(at)));
        assert_eq!(timeline.since(at(50)), Some(4));
        assert_eq!(timeline.since(at(300)), Some(10));
        assert_eq!(timeline.since(at(401)), None);
    }

    #[test]
    fn what_is_appended_later_is_found() {
        let (_dir, mut timeline) = timeline(&[(100, 0)]);
        assert_eq!(timeline.at(50), Some(at(100)));
        let more = Stamp { time_ns: 200, offset: 60 }.to_bytes();
        let mut file = OpenOptions::new().append(true).open(index_path(&timeline.log)).unwrap();
        io::Write::write_all(&mut file, &more).unwrap();
        assert_eq!((timeline.at(59), timeline.at(60)), (Some(at(100)), Some(at(200))));
    }

    #[test]
    fn the_index_of_another_file_under_the_name_is_not_taken() {
        let (dir, mut timeline) = timeline(&[(100, 0)]);
        let log = dir.path().join("a.log");
        let old = File::open(&log).unwrap();
        std::fs::rename(&log, dir.path().join("a.log.1")).unwrap();
        std::fs::write(&log, b"").unwrap();
        assert_eq!(Timeline::of(&log, &old).at(0), None);
        assert_eq!(timeline.at(0), Some(at(100)), "what is open stays so");
    }

    #[test]
    fn many_records_are_searched_block_by_block() {
        let stamps: Vec<_> = (0..5_000).map(|n| (n * 1_000, n * 7)).collect();
        let (_dir, mut timeline) = timeline(&stamps);
        for n in (0..5_000).rev().step_by(97) {
            assert_eq!(timeline.at(n * 7 + 3), Some(at(n * 1_000)));
            assert_eq!(timeline.since(at(n * 1_000)), Some(n * 7));
        }
        for n in 0..5_000 {
            assert_eq!(timeline.at(n * 7 + 3), Some(at(n * 1_000)));
        }
    }
}
