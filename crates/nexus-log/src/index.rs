//! The time index beside a log file: which byte was the first to arrive at or after which time.
//!
//! `<log>.idx` holds records of 16 bytes, little-endian: UTC nanoseconds since 1970, offset in the
//! log. A record is appended before the bytes that it describes, so a kill between the two leaves a
//! record of bytes that have not come yet; the next one, at the same offset, overrules it. The index
//! is never needed: without it lines have no time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, SFlag, fstat, stat};

/// Bytes of one record.
pub(crate) const RECORD: u64 = 16;

/// The index of a log file: its path with `.idx` behind it. Who renames or deletes a log file does
/// the same to this one, and before: a new log must never be seen with the old one's index.
#[must_use]
pub fn index_path(log: &Path) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(".idx");
    PathBuf::from(path)
}

/// One record: bytes from `offset` on arrived at `time_ns` (UTC, since 1970) or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) time_ns: u64,
    pub(crate) offset: u64,
}

impl Stamp {
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let both = u128::from(self.time_ns) | (u128::from(self.offset) << 64);
        both.to_le_bytes()
    }

    pub(crate) fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.time_ns)
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Stamp {
        let both = u128::from_le_bytes(bytes);
        Stamp { time_ns: low_half(both), offset: low_half(both >> 64) }
    }
}

fn low_half(both: u128) -> u64 {
    u64::try_from(both & u128::from(u64::MAX)).unwrap_or(u64::MAX)
}

/// The writing side, used by the mover only.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    /// No record goes back in time while we write: the clock may.
    floor_ns: u64,
}

impl Writer {
    /// Open or create the index of `log`, whose description `file` stands at `offset`.
    ///
    /// None = `log` does not name `file` (it was renamed or deleted): the records would describe
    /// the wrong bytes.
    pub(crate) fn open(log: &Path, file: impl AsFd, offset: u64) -> io::Result<Option<Writer>> {
        let ours = fstat(file)?;
        let is_ours = |named: FileStat| (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino);
        if !stat(log).is_ok_and(is_ours) {
            return Ok(None);
        }
        // O_NONBLOCK: a FIFO put in the index's place must not hang the thread.
        let index = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits())
            .open(index_path(log))?;
        let meta = index.metadata()?;
        if SFlag::from_bits_truncate(meta.mode()) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(io::Error::other("the index is no regular file"));
        }
        let mut writer = Writer { file: index, floor_ns: 0 };
        writer.mend(meta.len(), offset)?;
        Ok(Some(writer))
    }

    /// Append one record; the disk may refuse (then the lines of this time have an older one).
    pub(crate) fn append(&mut self, stamp: Stamp) -> io::Result<()> {
        let stamp = Stamp { time_ns: stamp.time_ns.max(self.floor_ns), ..stamp };
        let written = self.file.write(&stamp.to_bytes())?;
        if written as u64 == RECORD {
            self.floor_ns = stamp.time_ns;
            return Ok(());
        }
        // Half a record would shift all that follow.
        self.file.set_len(whole(self.file.metadata()?.len()))?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }

    /// The time of the first record.
    pub(crate) fn first(&self) -> Option<SystemTime> {
        let mut first = [0; 16];
        self.file.read_exact_at(&mut first, 0).ok()?;
        Some(Stamp::from_bytes(first).time())
    }

    /// Forget all: the log was truncated, so the offsets say nothing any more.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.floor_ns = 0;
        self.file.set_len(0)
    }

    /// Cut off half a record; drop the index of an older, longer file.
    fn mend(&mut self, len: u64, offset: u64) -> io::Result<()> {
        if len != whole(len) {
            self.file.set_len(whole(len))?;
        }
        if whole(len) == 0 {
            return Ok(());
        }
        let mut last = [0; 16];
        self.file.read_exact_at(&mut last, whole(len) - RECORD)?;
        if Stamp::from_bytes(last).offset > offset {
            return self.reset();
        }
        Ok(())
    }
}

/// The greatest multiple of a record's size in `len`.
pub(crate) fn whole(len: u64) -> u64 {
    len - len % RECORD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(log: &Path, offset: u64) -> io::Result<Writer> {
        Ok(Writer::open(log, File::open(log)?, offset)?.unwrap())
    }

    #[test]
    fn half_a_record_is_cut_off_and_an_older_files_index_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        std::fs::write(&log, b"0123456789").unwrap();
        let stamp = Stamp { time_ns: 7, offset: 4 };
        std::fs::write(index_path(&log), [&stamp.to_bytes()[..], &[1, 2, 3]].concat()).unwrap();

        open(&log, 10).unwrap().append(Stamp { time_ns: 9, offset: 10 }).unwrap();
        let bytes = std::fs::read(index_path(&log)).unwrap();
        assert_eq!(bytes.len(), 32);
        assert_eq!(Stamp::from_bytes(bytes[..16].try_into().unwrap()), stamp);

        drop(open(&log, 3).unwrap());
        assert_eq!(std::fs::metadata(index_path(&log)).unwrap().len(), 0);
    }

    #[test]
    fn the_index_follows_no_link_and_never_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let (log, other) = (dir.path().join("a.log"), dir.path().join("other"));
        std::fs::write(&log, b"").unwrap();
        std::fs::write(&other, b"precious").unwrap();
        std::os::unix::fs::symlink(&other, index_path(&log)).unwrap();
        assert!(open(&log, 0).is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"precious");

        std::fs::remove_file(index_path(&log)).unwrap();
        assert!(Writer::open(&log, File::open(&other).unwrap(), 0).unwrap().is_none());
        assert_eq!(open(&log, 0).unwrap().file.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_record_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        std::fs::write(&log, b"").unwrap();
        let mut writer = open(&log, 0).unwrap();
        writer.append(Stamp { time_ns: 50, offset: 0 }).unwrap();
        writer.append(Stamp { time_ns: 20, offset: 5 }).unwrap();
        let bytes = std::fs::read(index_path(&log)).unwrap();
        let second = Stamp::from_bytes(bytes[16..].try_into().unwrap());
        assert_eq!(second, Stamp { time_ns: 50, offset: 5 });
    }
}
