//! One line: its pipe, its file, its index, and what waits for it.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{Whence, lseek};

use super::scratch::Scratch;
use super::{LineId, Note, Notes, Source, Then};
use crate::index::{Stamp, Writer};

/// What one line may move before the others have their turn, in bytes.
const ROUND_BYTES: usize = 1024 * 1024;
/// A stamp in the index at most this often; also the accuracy of a line's time.
const STAMP_EVERY: Duration = Duration::from_millis(100);
/// How long a replacement waits for the end of a line of text.
const REPLACE_PATIENCE: Duration = Duration::from_secs(2);
/// How many bytes of one line of text a replacement lets pass.
const REPLACE_BYTES: u64 = 1024 * 1024;
/// Settles that wait for one line; the oldest is dropped for one more, as if the line were removed.
const SETTLES_MAX: usize = 1024;
/// The size of a pipe that does not tell its own (the kernel's largest without privilege).
const PIPE_BYTES_MAX: u64 = 1024 * 1024;

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// There may be more: the epoll will say.
    Moved,
    /// Empty, and nobody writes any more.
    Ended,
    /// The file takes nothing.
    Stalled(Errno),
}

/// What a round needs besides the line.
pub(super) struct Tools<'a> {
    pub(super) scratch: &'a mut Scratch,
    pub(super) notes: &'a mut Notes,
    pub(super) stop: &'a AtomicBool,
}

/// A new file that waits for the end of a line of text.
struct Replacing {
    file: OwnedFd,
    then: Then,
    since: Instant,
    moved: u64,
}

/// What is known of the index.
enum Index {
    Untried,
    Open(Writer),
    Refused,
}

pub(super) struct Line {
    pub(super) id: LineId,
    pub(super) pipe: OwnedFd,
    file: OwnedFd,
    path: PathBuf,
    index: Index,
    stamped: Option<Instant>,
    unlinked: bool,
    /// Nobody writes any more (the thread's to set: it has told the epoll).
    pub(super) over: bool,
    splices: bool,
    /// Bytes since the line was added.
    moved: u64,
    /// To call when `moved` has reached the number, or the pipe was seen empty.
    settles: Vec<(u64, Then)>,
    replacing: Option<Replacing>,
}

impl Line {
    pub(super) fn new(id: LineId, source: Source) -> Line {
        Line {
            id,
            pipe: source.pipe,
            file: source.file,
            path: source.path,
            index: Index::Untried,
            stamped: None,
            unlinked: false,
            over: false,
            splices: true,
            moved: 0,
            settles: Vec::new(),
            replacing: None,
        }
    }

    /// Move what is there, within the bounds of one round.
    ///
    /// `drain`: go on until the pipe is empty, where otherwise the epoll would call again. A retry
    /// does so, lest a disk with room for a page were called healed.
    pub(super) fn round(&mut self, drain: bool, tools: &mut Tools<'_>) -> Round {
        let mut left = ROUND_BYTES;
        while left > 0 && !tools.stop.load(Ordering::SeqCst) {
            self.end_replacement(tools);
            if let Err(errno) = self.check(tools) {
                return Round::Stalled(errno);
            }
            match self.step(left, tools) {
                Ok(0) => return self.ended(tools),
                Ok(n) => {
                    left = left.saturating_sub(n);
                    self.moved += n as u64;
                    self.call_settled();
                }
                Err(Errno::EAGAIN) => {
                    self.emptied();
                    return Round::Moved;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EINVAL) if self.splices => {
                    self.splices = false;
                    (tools.notes)(self.id, Note::NoSplice);
                }
                Err(errno) => return Round::Stalled(errno),
            }
            // The epoll tells of more bytes, not of their absence, which a settle waits for.
            if !drain && self.splices && self.settles.is_empty() && self.replacing.is_none() {
                break;
            }
        }
        Round::Moved
    }

    /// Remember to call `then` when what is in the pipe now is in the file.
    pub(super) fn settle(&mut self, then: Then) {
        // After as many bytes as the pipe holds, those of now have passed, however fast it refills.
        let size = fcntl(&self.pipe, FcntlArg::F_GETPIPE_SZ).ok();
        let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(PIPE_BYTES_MAX);
        if self.settles.len() >= SETTLES_MAX {
            drop(self.settles.remove(0));
        }
        self.settles.push((self.moved + size, then));
    }

    /// The pipe is empty: nobody has to wait for it.
    pub(super) fn emptied(&mut self) {
        for (_, then) in self.settles.drain(..) {
            then();
        }
    }

    /// Go over to another file at the end of the current line of text. A second one overtakes the
    /// first, whose caller is answered at the same time.
    pub(super) fn replace(&mut self, file: OwnedFd, then: Then, tools: &mut Tools<'_>) {
        let then: Then = match self.replacing.take() {
            None => then,
            Some(overtaken) => Box::new(move || {
                (overtaken.then)();
                then();
            }),
        };
        self.replacing = Some(Replacing { file, then, since: Instant::now(), moved: self.moved });
        self.end_replacement(tools);
    }

    /// When a replacement is done also in the midst of a line of text.
    pub(super) fn replace_at(&self) -> Option<Instant> {
        self.replacing.as_ref().map(|replacing| replacing.since + REPLACE_PATIENCE)
    }

    /// Take the new file, if it is time.
    pub(super) fn end_replacement(&mut self, tools: &mut Tools<'_>) {
        let Some(waiting) = &self.replacing else { return };
        let overdue = waiting.since.elapsed() >= REPLACE_PATIENCE
            || self.moved.saturating_sub(waiting.moved) >= REPLACE_BYTES;
        if !overdue && self.mid_line(tools) {
            return;
        }
        if let Some(replacing) = self.replacing.take() {
            self.file = replacing.file;
            self.index = Index::Untried;
            self.stamped = None;
            self.unlinked = false;
            self.splices = true;
            // Not only at the first byte: the file may be renamed again before that comes.
            if fstat(&self.file).is_ok_and(|stat| is_regular(&stat))
                && let Ok(offset) = lseek(&self.file, 0, Whence::SeekCur)
            {
                self.open_index(position(offset), tools);
            }
            (replacing.then)();
        }
    }

    fn ended(&mut self, tools: &mut Tools<'_>) -> Round {
        self.emptied();
        if !self.over {
            (tools.notes)(self.id, Note::Ended);
        }
        Round::Ended
    }

    fn call_settled(&mut self) {
        let moved = self.moved;
        for (_, then) in self.settles.extract_if(.., |(target, _)| *target <= moved) {
            then();
        }
    }

    /// One splice, no further than the end of a line of text when a new file waits for it.
    fn step(&mut self, left: usize, tools: &mut Tools<'_>) -> nix::Result<usize> {
        let mut len = left;
        if self.replacing.is_some() {
            let seen = tools.scratch.look(&self.pipe, left)?;
            if seen.is_empty() {
                return Ok(0);
            }
            len = seen.iter().position(|byte| *byte == b'\n').map_or(seen.len(), |at| at + 1);
        }
        if !self.splices {
            return tools.scratch.copy(&self.pipe, &self.file, len);
        }
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        splice(&self.pipe, None, &self.file, None, len, flags)
    }

    /// Before a splice: is the file still what we think, and is a stamp due?
    fn check(&mut self, tools: &mut Tools<'_>) -> nix::Result<()> {
        let now = fstat(&self.file)?;
        if !is_regular(&now) {
            return Ok(());
        }
        let mut offset = position(lseek(&self.file, 0, Whence::SeekCur)?);
        let size = position(now.st_size);
        if size < offset {
            // Somebody truncated it. Writing at the old offset would make a hole of nothing.
            let to = position(lseek(&self.file, 0, Whence::SeekEnd)?);
            (tools.notes)(self.id, Note::Truncated { from: offset, to });
            offset = to;
            self.stamped = None;
            self.forget_times(tools);
        }
        if now.st_nlink == 0 && !self.unlinked {
            self.unlinked = true;
            (tools.notes)(self.id, Note::Unlinked);
        }
        if self.stamped.is_none_or(|at| at.elapsed() >= STAMP_EVERY) {
            self.stamped = Some(Instant::now());
            self.stamp(offset, tools);
        }
        Ok(())
    }

    fn open_index(&mut self, offset: u64, tools: &mut Tools<'_>) {
        if matches!(self.index, Index::Untried) {
            self.index = match Writer::open(&self.path, &self.file, offset) {
                Ok(Some(writer)) => Index::Open(writer),
                // Between a rename and the replacement; if it lasts, the next stamp asks again.
                Ok(None) => Index::Untried,
                Err(error) => self.no_index(&error, tools),
            };
        }
    }

    fn stamp(&mut self, offset: u64, tools: &mut Tools<'_>) {
        self.open_index(offset, tools);
        let Index::Open(writer) = &mut self.index else { return };
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ns = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
        // A full disk refuses this one now and perhaps not the next: the bytes matter more.
        let _ = writer.append(Stamp { time_ns, offset });
    }

    fn forget_times(&mut self, tools: &mut Tools<'_>) {
        // An index not open yet finds out by itself when it is opened.
        if let Index::Open(writer) = &mut self.index
            && let Err(error) = writer.reset()
        {
            self.index = self.no_index(&error, tools);
        }
    }

    fn no_index(&self, error: &std::io::Error, tools: &mut Tools<'_>) -> Index {
        (tools.notes)(self.id, Note::NoIndex(error.raw_os_error().unwrap_or(0)));
        Index::Refused
    }

    /// Whether the file ends in the midst of a line of text.
    fn mid_line(&self, tools: &mut Tools<'_>) -> bool {
        let Ok(at) = lseek(&self.file, 0, Whence::SeekCur).map(position) else { return false };
        if at == 0
            || tools.stop.load(Ordering::SeqCst)
            || !fstat(&self.file).is_ok_and(|s| is_regular(&s))
        {
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
fn position(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
