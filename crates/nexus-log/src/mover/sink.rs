//! One file that lines go to: its index, its rotation, and what others do to it behind our back.

mod rotate;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::stat::{FileStat, SFlag, fstat, lstat};
use nix::unistd::{Whence, lseek};

use super::line::Tools;
use super::{Note, Target, Then};
use crate::index::{Stamp, Writer};
use crate::rotated::Moment;
use crate::rules::Rules;

/// A stamp in the index at most this often; also the accuracy of a line's time.
const STAMP_EVERY: Duration = Duration::from_millis(100);
/// How long a new file waits for the end of a line of text in the old one.
const REPLACE_PATIENCE: Duration = Duration::from_secs(2);
/// How many bytes of one line of text a new file lets pass.
const REPLACE_BYTES: u64 = 1024 * 1024;

/// A new file that waits for the end of a line of text.
struct Replacing {
    file: OwnedFd,
    since: Instant,
    moved: u64,
    /// When the old one was rotated; None = it was lost.
    rotated: Option<Moment>,
    thens: Vec<Then>,
}

/// What is known of the index.
enum Index {
    Untried,
    Open(Writer),
    Refused,
}

/// A file. Lines of one path share it, and its offset with it.
pub(super) struct Sink {
    pub(super) path: PathBuf,
    pub(super) file: OwnedFd,
    pub(super) rules: Rules,
    /// False = the file system knows no splice.
    pub(super) splices: bool,
    index: Index,
    stamped: Option<Instant>,
    /// When its first line came, as far as is known.
    born: Option<SystemTime>,
    replacing: Option<Replacing>,
    /// Bytes moved into this or an earlier file.
    moved: u64,
    /// Its size when it was last looked at.
    size: u64,
    /// The last rotation, or the time before which all were.
    upto: Moment,
    /// After a rotation that the file system refused: not before this.
    patience: Option<Instant>,
    /// The refusal that was told.
    refused: Option<i32>,
}

impl Sink {
    /// Take over a file. One that has lost its name (a kill in the middle of a rotation, a deletion
    /// while nobody moved) is written to the end of the line that it is in.
    pub(super) fn open(target: Target, tools: &mut Tools<'_>) -> Sink {
        let mut sink = Sink {
            path: target.path,
            file: target.file,
            rules: target.rules,
            splices: true,
            index: Index::Untried,
            stamped: None,
            born: None,
            replacing: None,
            moved: 0,
            size: 0,
            upto: Moment::now(),
            patience: None,
            refused: None,
        };
        let Some(stat) = sink.stat() else { return sink };
        if sink.is_named(&stat) {
            sink.take_index_back(position(stat.st_size));
            tools.janitor.tend(&sink.path, &sink.rules, sink.upto);
        } else {
            let found = sink.take_last_rotated();
            sink.renew(tools);
            if !found && stat.st_nlink == 0 {
                // What is written to a deleted file is lost.
                sink.take_new_file(tools);
            }
        }
        sink
    }

    /// So many bytes have come.
    pub(super) fn count(&mut self, bytes: usize) {
        self.moved += bytes as u64;
    }

    /// Bytes that it may still take before it is full: a splice brings no more.
    pub(super) fn room(&self) -> usize {
        let Some(max) = self.rules.max_size else { return usize::MAX };
        if !self.rules.apply_to(&self.path) {
            return usize::MAX;
        }
        // Beyond: it waits for the end of a line, or the file system refuses a new file.
        let left = max.checked_sub(self.size).filter(|left| *left > 0);
        left.and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX)
    }

    /// Before a splice: is the file still what we think, is it full, and is a stamp due?
    pub(super) fn check(&mut self, tools: &mut Tools<'_>) -> nix::Result<()> {
        self.end_replacement(tools);
        let now = fstat(&self.file)?;
        if !is_regular(&now) {
            return Ok(());
        }
        self.mend_offset(&now, tools)?;
        self.size = position(now.st_size);
        let due = self.stamped.is_none_or(|at| at.elapsed() >= STAMP_EVERY);
        if self.replacing.is_none() && self.patience.is_none_or(|at| at <= Instant::now()) {
            if now.st_nlink == 0 || (due && !self.is_named(&now)) {
                (tools.notes)(tools.id, Note::Lost);
                self.renew(tools);
            } else if self.is_full(position(now.st_size)) {
                self.rotate(tools);
            }
            self.end_replacement(tools);
        }
        if self.stamped.is_none_or(|at| at.elapsed() >= STAMP_EVERY) {
            self.stamped = Some(Instant::now());
            let offset = position(lseek(&self.file, 0, Whence::SeekCur)?);
            self.stamp(offset, tools);
        }
        Ok(())
    }

    /// Somebody truncated the file, or wrote to it: we go on at its end. Our own offset would make
    /// a hole of nothing, or write over what is there.
    fn mend_offset(&mut self, now: &FileStat, tools: &mut Tools<'_>) -> nix::Result<()> {
        let offset = position(lseek(&self.file, 0, Whence::SeekCur)?);
        let size = position(now.st_size);
        if size == offset {
            return Ok(());
        }
        let to = position(lseek(&self.file, 0, Whence::SeekEnd)?);
        if size < offset {
            (tools.notes)(tools.id, Note::Truncated { from: offset, to });
            self.forget_times(tools);
        }
        Ok(())
    }

    /// Its status, if it is a regular file.
    fn stat(&self) -> Option<FileStat> {
        fstat(&self.file).ok().filter(is_regular)
    }

    /// Whether the path leads to it.
    fn is_named(&self, ours: &FileStat) -> bool {
        let is_ours = |named: FileStat| (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino);
        lstat(&self.path).is_ok_and(is_ours)
    }

    fn open_index(&mut self, offset: u64, tools: &mut Tools<'_>) {
        if matches!(self.index, Index::Untried) {
            self.index = match Writer::open(&self.path, &self.file, offset) {
                Ok(Some(writer)) => {
                    self.born = self.born.or(writer.first());
                    Index::Open(writer)
                }
                // Between a rename and the replacement; if it lasts, the next stamp asks again.
                Ok(None) => Index::Untried,
                Err(error) => self.no_index(&error, tools),
            };
        }
    }

    fn stamp(&mut self, offset: u64, tools: &mut Tools<'_>) {
        self.open_index(offset, tools);
        let now = SystemTime::now();
        self.born.get_or_insert(now);
        let Index::Open(writer) = &mut self.index else { return };
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ns = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        // A full disk refuses this one now and perhaps not the next: the bytes matter more.
        let _ = writer.append(Stamp { time_ns, offset });
    }

    fn forget_times(&mut self, tools: &mut Tools<'_>) {
        (self.stamped, self.born) = (None, None);
        // An index not open yet finds out by itself when it is opened.
        if let Index::Open(writer) = &mut self.index
            && let Err(error) = writer.reset()
        {
            self.index = self.no_index(&error, tools);
        }
    }

    fn no_index(&self, error: &std::io::Error, tools: &mut Tools<'_>) -> Index {
        (tools.notes)(tools.id, Note::NoIndex(error.raw_os_error().unwrap_or(0)));
        Index::Refused
    }

    /// Whether the file ends in the midst of a line of text.
    fn mid_line(&self, tools: &Tools<'_>) -> bool {
        let Some(at) = self.stat().map(|stat| position(stat.st_size)) else { return false };
        if at == 0 || tools.shared.halted() {
            return false;
        }
        // The description may be for writing only.
        let mut last = [0];
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
            .and_then(|file| file.read_exact_at(&mut last, at - 1))
            .is_ok_and(|()| last != *b"\n")
    }
}

fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

/// Offsets and sizes are never negative where the call succeeded.
pub(super) fn position(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
