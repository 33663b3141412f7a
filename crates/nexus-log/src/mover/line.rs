//! One line: its pipe, and what waits for what is in it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};

use super::dressed::Dressed;
use super::ear::Ear;
use super::scratch::Scratch;
use super::sink::Sink;
use super::{LineId, Note, Notes, Shared, Stage, Then};
use crate::janitor::Janitor;

/// What one line may move before the others have their turn, in bytes.
const ROUND_BYTES: usize = 1024 * 1024;
/// Settles that wait for one line; the oldest is dropped for one more, as if the line were removed.
const SETTLES_MAX: usize = 1024;
/// The size of a pipe that does not tell its own (the kernel's largest without privilege).
const PIPE_BYTES_MAX: u64 = 1024 * 1024;

/// A write that takes longer is a slow disk's.
const SLOW: Duration = Duration::from_millis(250);

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

/// What a round needs besides the line and its sink.
pub(super) struct Tools<'a> {
    /// The line of which notes are told.
    pub(super) id: LineId,
    pub(super) scratch: &'a mut Scratch,
    pub(super) notes: &'a mut Notes,
    pub(super) shared: &'a Shared,
    pub(super) janitor: &'a Janitor,
}

pub(super) struct Line {
    pub(super) id: LineId,
    pub(super) pipe: OwnedFd,
    /// The number of its sink.
    pub(super) sink: u64,
    /// Nobody writes any more (the thread's to set: it has told the epoll).
    pub(super) over: bool,
    /// Set when something is done to the line on its way.
    pub(super) dressed: Option<Box<Dressed>>,
    /// Between the pipe and a slow disk.
    pub(super) stage: Option<Stage>,
    /// Who hears what leaves the pipe.
    pub(super) ear: Option<Ear>,
    /// It was said that the disk is slow.
    slow: bool,
    /// Bytes since the line was added.
    moved: u64,
    /// To call when `moved` has reached the number, or the pipe was seen empty.
    settles: Vec<(u64, Then)>,
}

impl Line {
    pub(super) fn new(id: LineId, pipe: OwnedFd, sink: u64, stage: Option<Stage>) -> Line {
        Line {
            id,
            pipe,
            sink,
            over: false,
            dressed: None,
            stage,
            ear: None,
            slow: false,
            moved: 0,
            settles: Vec::new(),
        }
    }

    /// Move what is there, within the bounds of one round.
    ///
    /// `drain`: go on until the pipe is empty, where otherwise the epoll would call again. A retry
    /// does so, lest a disk with room for a page were called healed.
    pub(super) fn round(&mut self, sink: &mut Sink, drain: bool, tools: &mut Tools<'_>) -> Round {
        if let Some(mut dressed) = self.dressed.take() {
            let round = self.dressed_round(&mut dressed, sink, drain, tools);
            self.dressed = Some(dressed);
            return round.unwrap_or_else(Round::Stalled);
        }
        let mut left = ROUND_BYTES;
        while left > 0 && !tools.shared.halted() {
            if let Err(errno) = sink.check(tools) {
                return Round::Stalled(errno);
            }
            let begin = Instant::now();
            let step = self.step(sink, left, tools);
            if !self.slow && self.stage.is_none() && begin.elapsed() >= SLOW {
                self.slow = true;
                (tools.notes)(self.id, Note::Slow);
            }
            match step {
                Ok(0) => return self.ended(tools),
                Ok(n) => {
                    left = left.saturating_sub(n);
                    self.moved += n as u64;
                    sink.count(n);
                    self.call_settled();
                }
                Err(Errno::EAGAIN) => {
                    self.emptied();
                    return Round::Moved;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EINVAL) if sink.splices => {
                    sink.splices = false;
                    (tools.notes)(self.id, Note::NoSplice);
                }
                Err(errno) => return Round::Stalled(errno),
            }
            // The epoll tells of more bytes, not of their absence, which a settle waits for.
            if !drain && sink.splices && self.settles.is_empty() && !sink.is_replacing() {
                break;
            }
        }
        Round::Moved
    }

    /// A round by way of the journal.
    fn dressed_round(
        &mut self,
        dressed: &mut Dressed,
        sink: &mut Sink,
        drain: bool,
        tools: &mut Tools<'_>,
    ) -> nix::Result<Round> {
        let mut left = ROUND_BYTES;
        dressed.advance(sink, false, tools)?;
        // Left from before the line was dressed.
        while let Some(stage) = &self.stage {
            match dressed.take(&stage.out, left) {
                Ok(0) | Err(Errno::EAGAIN) => self.stage = None,
                Ok(_) => dressed.advance(sink, false, tools)?,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        while left > 0 && !tools.shared.halted() {
            let taken = self.look(left, tools).and_then(|left| dressed.take(&self.pipe, left));
            match taken.inspect(|&n| self.heard(n)) {
                Ok(0) => {
                    dressed.advance(sink, true, tools)?;
                    return Ok(self.ended(tools));
                }
                Ok(n) => {
                    left = left.saturating_sub(n);
                    self.moved += n as u64;
                    sink.count(n);
                    dressed.advance(sink, false, tools)?;
                    self.call_settled();
                }
                Err(Errno::EAGAIN) => {
                    // Who waits for all that was written wants it also without its line end.
                    dressed.advance(sink, !self.settles.is_empty(), tools)?;
                    self.emptied();
                    return Ok(Round::Moved);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            if !drain && self.settles.is_empty() {
                break;
            }
        }
        Ok(Round::Moved)
    }

    /// Remember to call `then` when what is in the pipe now is in the file.
    pub(super) fn settle(&mut self, then: Then) {
        // After as many bytes as the pipe holds, those of now have passed, however fast it refills.
        let size = room_of(&self.pipe) + self.stage.as_ref().map_or(0, |s| room_of(&s.out));
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

    /// One step, by way of the stage if there is one: what is in it goes first.
    fn step(&mut self, sink: &Sink, left: usize, tools: &mut Tools<'_>) -> nix::Result<usize> {
        let Some(stage) = &self.stage else {
            let left = self.look(left, tools)?;
            return onward(&self.pipe, sink, left, tools).inspect(|&n| self.heard(n));
        };
        match onward(&stage.out, sink, left, tools) {
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        let looked_at = self.look(left, tools)?;
        let Some(stage) = &self.stage else { return Ok(0) };
        match splice(&self.pipe, None, &stage.into, None, looked_at, flags)? {
            0 => Ok(0),
            n => {
                self.heard(n);
                let Some(stage) = &self.stage else { return Ok(0) };
                onward(&stage.out, sink, left, tools)
            }
        }
    }

    /// Whoever hears the line looks at what leaves the pipe next: so much may.
    fn look(&mut self, left: usize, tools: &mut Tools<'_>) -> nix::Result<usize> {
        match &mut self.ear {
            Some(ear) => ear.look(&self.pipe, left, tools.scratch),
            None => Ok(left),
        }
    }

    /// So much has left the pipe.
    fn heard(&mut self, bytes: usize) {
        if self.ear.as_mut().is_some_and(|ear| !ear.moved(bytes)) {
            self.ear = None;
        }
    }
}

/// Bytes that a pipe holds.
fn room_of(pipe: &OwnedFd) -> u64 {
    let size = fcntl(pipe, FcntlArg::F_GETPIPE_SZ).ok();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(PIPE_BYTES_MAX)
}

/// One splice into the file, no further than the end of a line of text when a new file waits for it.
fn onward(from: &OwnedFd, sink: &Sink, left: usize, tools: &mut Tools<'_>) -> nix::Result<usize> {
    let mut len = left.min(sink.room());
    if sink.is_replacing() {
        let seen = tools.scratch.look(from, left)?;
        if seen.is_empty() {
            return Ok(0);
        }
        len = memchr::memchr(b'\n', seen).map_or(seen.len(), |at| at + 1);
    }
    if !sink.splices {
        return tools.scratch.copy(from, &sink.file, len);
    }
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    splice(from, None, &sink.file, None, len, flags)
}
