//! One generation of a followed file: read as it grows, held open when it is renamed or deleted.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, Inotify, WatchDescriptor};

use crate::read::{Lines, Open, Record};
use crate::timeline::Timeline;

/// How long a line without its end is held back.
const PARTIAL_PATIENCE: Duration = Duration::from_secs(2);
/// What one batch holds at most: records, and bytes (and one line more).
const BATCH_RECORDS: usize = 1_024;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Records under way to the caller.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, record: Record) {
        self.bytes += record.bytes.len();
        self.records.push(record);
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }
}

pub(super) struct Tail {
    file: File,
    pub(super) device_inode: (u64, u64),
    timeline: Timeline,
    lines: Lines,
    partial_since: Option<Instant>,
    pub(super) watch: WatchDescriptor,
}

impl Tail {
    pub(super) fn open(open: Open, from: u64, inotify: &Inotify) -> io::Result<Tail> {
        let Open { file, timeline } = open;
        let meta = file.metadata()?;
        // By descriptor: the name may lead elsewhere by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mask = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB;
        let watch = inotify.add_watch(Path::new(&path), mask)?;
        Ok(Tail {
            device_inode: (meta.dev(), meta.ino()),
            timeline,
            lines: Lines::starting_at(from),
            partial_since: None,
            watch,
            file,
        })
    }

    /// The file has another name now, by which its index may be found.
    pub(super) fn renamed(&mut self, path: PathBuf) {
        self.timeline.renamed(path);
    }

    /// Size in bytes and whether the file still has a name.
    pub(super) fn size_and_named(&self) -> io::Result<(u64, bool)> {
        let meta = self.file.metadata()?;
        Ok((meta.len(), meta.nlink() > 0))
    }

    /// When the line that is held back will be given as it is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.partial_since.map(|since| since + PARTIAL_PATIENCE)
    }

    /// Give what has come. `over`: a newer generation is written, so a line's end will not come.
    pub(super) fn read(&mut self, number: usize, over: bool, batch: &mut Batch) -> io::Result<()> {
        self.timeline.look();
        let (size, _) = self.size_and_named()?;
        if size < self.lines.seen() {
            self.give_partial(number, batch);
            self.lines = Lines::starting_at(0);
            self.timeline.restart();
        }
        while !batch.is_full() {
            let Some(cut) = self.lines.next_line(&self.file, u64::MAX)? else {
                self.hold_partial(number, over, batch);
                return Ok(());
            };
            self.partial_since = None;
            let time = self.timeline.at(cut.offset);
            batch.push(cut.into_record(number, time));
        }
        Ok(())
    }

    fn hold_partial(&mut self, number: usize, over: bool, batch: &mut Batch) {
        if !self.lines.has_partial() {
            return;
        }
        let since = *self.partial_since.get_or_insert_with(Instant::now);
        if over || since.elapsed() >= PARTIAL_PATIENCE {
            self.give_partial(number, batch);
        }
    }

    fn give_partial(&mut self, number: usize, batch: &mut Batch) {
        self.partial_since = None;
        if let Some(cut) = self.lines.take_partial() {
            let time = self.timeline.at(cut.offset);
            batch.push(cut.into_record(number, time));
        }
    }
}
