//! A line whose bytes are dressed on their way: out of the pipe into its journal, from there into
//! the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Whence, ftruncate, lseek};

use super::Note;
use super::journal::{Journal, Record};
use super::line::Tools;
use super::sink::{Sink, position};
use crate::dress::{Dress, Dresser, OnFull, SECOND_NS};

/// Bytes that are dressed at once; a line that is longer goes on in pieces.
const CHUNK: u64 = 64 * 1024;
/// How long a line without its end is waited for.
const PARTIAL_PATIENCE: Duration = Duration::from_secs(2);
/// After a file took nothing and lines are left out: how long until it is tried again.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Dressed {
    journal: Journal,
    dress: Dress,
    zone: TimeZone,
    /// Since when a line without its end waits.
    partial: Option<Instant>,
    /// Lines are left out until then, without asking the file.
    dropping: Option<Instant>,
    /// When the second is over of which lines were left out.
    mark_at: Option<Instant>,
}

impl Dressed {
    /// Take over a journal: what a kill has interrupted is written again, before anybody else
    /// writes to the file.
    pub(super) fn open(
        journal: Journal,
        dress: Dress,
        sink: &mut Sink,
        tools: &mut Tools<'_>,
    ) -> Dressed {
        if journal.record.pending && !journal.is_of(&sink.file) {
            // It was for the new one.
            sink.take_new_file(tools);
        }

        let mut dressed = Dressed {
            journal,
            dress,
            zone: TimeZone::system(),
            partial: None,
            dropping: None,
            mark_at: None,
        };
        // A file that takes nothing now is tried again with the next bytes.
        let _ = dressed.write_pending(sink);
        dressed
    }

    /// Bytes out of the pipe into the journal, once what was there is in the file as far as its
    /// lines have ends.
    pub(super) fn take(&self, pipe: impl std::os::fd::AsFd, len: usize) -> nix::Result<usize> {
        self.journal.take(pipe, len)
    }

    /// Bring all lines of the journal into the file. `all` = also one that has no end yet.
    pub(super) fn advance(
        &mut self,
        sink: &mut Sink,
        all: bool,
        tools: &mut Tools<'_>,
    ) -> nix::Result<()> {
        self.end_pending(sink, tools)?;
        loop {
            let waiting = self.journal.waiting().map_err(errno)?;
            if waiting == 0 {
                self.partial = None;
                return Ok(());
            }
            let bytes = self.journal.bytes(waiting.min(CHUNK)).map_err(errno)?;
            let whole = memchr::memrchr(b'\n', &bytes).map(|at| at + 1);
            let overdue = self.partial.is_some_and(|since| since.elapsed() >= PARTIAL_PATIENCE);
            let len = match whole {
                Some(whole) => whole,
                None if all || overdue || bytes.len() as u64 >= CHUNK => bytes.len(),
                None => {
                    self.partial.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            };
            self.partial = None;
            self.begin(len as u64, sink, tools)?;
            self.end_pending(sink, tools)?;
        }
    }

    /// When something is to be done though nothing comes.
    pub(super) fn due(&self) -> Option<Instant> {
        let partial = self.partial.map(|since| since + PARTIAL_PATIENCE);
        partial.into_iter().chain(self.mark_at).chain(self.dropping).min()
    }

    /// Do what is due: a line without its end, a mark of what was left out.
    pub(super) fn overdue(&mut self, sink: &mut Sink, tools: &mut Tools<'_>) -> nix::Result<()> {
        self.advance(sink, false, tools)?;
        let now = Instant::now();
        let is_over = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        let second = is_over(&mut self.mark_at);
        let progress = self.journal.record.progress;
        let dropped = self.dropping.is_none_or(|at| at <= now) && progress.dropped > 0;
        if progress.dropped == 0 && self.dropping.is_some_and(|at| at <= now) {
            self.dropping = None;
        }
        if (second && progress.skipped > 0) || dropped {
            self.begin(0, sink, tools)?;
            self.end_pending(sink, tools)?;
        }
        Ok(())
    }

    /// Record what is going to be written.
    fn begin(&mut self, len: u64, sink: &mut Sink, tools: &mut Tools<'_>) -> nix::Result<()> {
        if self.dropping.is_none_or(|at| at <= Instant::now()) {
            match sink.check(tools) {
                Err(errno) if self.dress.on_full == OnFull::Drop => self.drop_for(errno, tools),
                checked => checked?,
            }
        }
        let stat = fstat(&sink.file)?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = Record {
            upto: self.journal.record.done + len,
            pending: true,
            time_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
            offset: position(stat.st_size),
            device: stat.st_dev,
            inode: stat.st_ino,
            ..self.journal.record
        };
        self.journal.note(record).map_err(errno)
    }

    fn end_pending(&mut self, sink: &Sink, tools: &mut Tools<'_>) -> nix::Result<()> {
        if !self.journal.record.pending {
            return Ok(());
        }
        let leaving_out = self.dropping.is_some_and(|at| at > Instant::now());
        if leaving_out {
            return self.leave_out();
        }
        match self.write_pending(sink) {
            Ok(()) => {
                if self.dropping.take().is_some() {
                    (tools.notes)(tools.id, Note::Healed);
                }
                Ok(())
            }
            Err(errno) if self.dress.on_full == OnFull::Drop => {
                self.drop_for(errno, tools);
                self.leave_out()
            }
            Err(errno) => Err(errno),
        }
    }

    fn drop_for(&mut self, errno: Errno, tools: &mut Tools<'_>) {
        if self.dropping.is_none() {
            (tools.notes)(tools.id, Note::Dropping(errno as i32));
        }
        self.dropping = Some(Instant::now() + DROP_PATIENCE);
    }

    /// Count what is pending, and write it nowhere.
    fn leave_out(&mut self) -> nix::Result<()> {
        let record = self.journal.record;
        let bytes = self.journal.bytes(record.upto - record.done).map_err(errno)?;
        let mut progress = record.progress;
        let mut dresser = Dresser::new(&self.dress, record.time_ns, &self.zone);
        dresser.take(&bytes, &mut progress);
        progress.dropped += dresser.finish().1;
        self.done(Record { done: record.upto, pending: false, progress, ..record })
    }

    /// Write what the record says, where it says: as often as need be, with the same result.
    fn write_pending(&mut self, sink: &Sink) -> nix::Result<()> {
        let record = self.journal.record;
        if !record.pending {
            return Ok(());
        }
        let bytes = self.journal.bytes(record.upto - record.done).map_err(errno)?;
        let mut progress = record.progress;
        let mut dresser = Dresser::new(&self.dress, record.time_ns, &self.zone);
        dresser.begin(&mut progress);
        dresser.take(&bytes, &mut progress);
        let (out, _) = dresser.finish();
        let stat = fstat(&sink.file)?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG {
            let size = position(stat.st_size);
            // Another file, or one that was truncated: at its end.
            let at = if self.journal.is_of(&sink.file) { record.offset.min(size) } else { size };
            let file = File::from(sink.file.try_clone().map_err(errno)?);
            if let Err(error) = file.write_all_at(&out, at) {
                // Others may write to the file before we do again: nothing of this may stay.
                let _ = ftruncate(&file, i64::try_from(at).unwrap_or(i64::MAX));
                let _ = lseek(&sink.file, 0, Whence::SeekEnd);
                return Err(self::errno(error));
            }
            lseek(&sink.file, 0, Whence::SeekEnd)?;
        } else {
            // A device takes all at once.
            nix::unistd::write(&sink.file, &out)?;
        }
        self.mark_at = (progress.skipped > 0).then(|| {
            let left = (progress.second_ns + SECOND_NS).saturating_sub(record.time_ns);
            Instant::now() + Duration::from_nanos(left.min(SECOND_NS))
        });
        self.done(Record { done: record.upto, pending: false, progress, ..record })
    }

    fn done(&mut self, record: Record) -> nix::Result<()> {
        self.journal.note(record).map_err(errno)?;
        self.journal.give_back();
        Ok(())
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32))
}
