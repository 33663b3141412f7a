//! Go on reading as files grow, are replaced, or are truncated. Waits by inotify, never by looking
//! again and again.
//!
//! A file is followed by its inode, and its name tells of the next one. When a file is renamed and
//! another takes its name, the old one is read to its end before the new one's first line; while
//! the new one is empty its writer may not know of it, so the old one is still read. Files that had
//! the name for a moment only are found under the name that they were given.

mod tail;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use self::tail::{Batch, Tail};
use self::watch::{News, Watch};
use crate::read::{LogFile, Open, Record};

/// Generations of one file that are held open until they are read. Of a file rotated faster than
/// it is read, those beyond are not followed.
const GENERATIONS_MAX: usize = 256;

/// A file with all its generations that have not been read to the end, and the one before the last:
/// of two pipes that share a file, one may change over a moment later.
struct Followed {
    path: PathBuf,
    tails: VecDeque<Tail>,
}

/// Gives the lines that are appended to some files, in batches. Its descriptor ([`AsFd`]) is
/// readable when [`Follow::take`] has something to do; so it has when [`Follow::due`] has passed.
pub struct Follow {
    watch: Watch,
    files: Vec<Followed>,
    /// To be read.
    changed: BTreeSet<usize>,
    /// The file to be read next, if it is to be read.
    turn: usize,
    /// Files that hold back a line without its end, and until when.
    held: BTreeMap<usize, Instant>,
}

impl Follow {
    /// Follow files from their ends of now on; one that does not exist yet from its beginning. To
    /// read what is there first, see [`crate::Reader::follow`].
    ///
    /// # Errors
    /// A file cannot be read, its directory does not exist, or the machine has no inotify instance
    /// left.
    pub fn new(files: &[LogFile]) -> io::Result<Follow> {
        let from = files.iter().map(|file| {
            let open = Open::log(&file.path)?;
            let end = match &open {
                Some(open) => open.file.metadata()?.len(),
                None => 0,
            };
            Ok(open.map(|open| (open, end)).into_iter().collect())
        });
        Follow::begin(files, from.collect::<io::Result<_>>()?)
    }

    /// Follow files from these places, one for each file.
    ///
    /// # Errors
    /// As [`Follow::new`].
    pub fn after(files: &[LogFile], places: &[u64]) -> io::Result<Follow> {
        let from = files.iter().zip(places).map(|(file, place)| {
            let open = Open::log(&file.path)?;
            // Rotated or emptied meanwhile: all that is in it is newer.
            let from = |open: &Open| {
                let size = open.file.metadata()?.len();
                Ok::<u64, io::Error>(if size < *place { 0 } else { *place })
            };
            let open = open.map(|open| from(&open).map(|from| (open, from))).transpose()?;
            Ok(open.into_iter().collect())
        });
        Follow::begin(files, from.collect::<io::Result<_>>()?)
    }

    pub(crate) fn begin(files: &[LogFile], from: Vec<Vec<(Open, u64)>>) -> io::Result<Follow> {
        let watch = Watch::new(files.iter().map(|file| file.path.as_path()))?;
        let followed = files
            .iter()
            .map(|file| Followed { path: file.path.clone(), tails: VecDeque::new() })
            .collect();
        let mut follow = Follow {
            watch,
            files: followed,
            changed: BTreeSet::new(),
            turn: 0,
            held: BTreeMap::new(),
        };
        for (number, generations) in from.into_iter().enumerate() {
            for (open, end) in generations {
                follow.push(number, open, end)?;
            }
        }
        // What took the name between the opening and the watch.
        follow.renew((0..files.len()).collect())?;
        Ok(follow)
    }

    /// Wait until lines have come, at most `timeout` (None: for ever). Empty = the time is over.
    ///
    /// # Errors
    /// A file cannot be read any more.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<Record>> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let records = self.take()?;
            if !records.is_empty() {
                return Ok(records);
            }
            let now = Instant::now();
            if until.is_some_and(|until| until <= now) {
                return Ok(records);
            }
            let wait = match until.into_iter().chain(self.due()).min() {
                // Rounded up, lest the last millisecond spin.
                Some(at) => PollTimeout::try_from(
                    at.saturating_duration_since(now) + Duration::from_millis(1),
                )
                .unwrap_or(PollTimeout::MAX),
                None => PollTimeout::NONE,
            };
            match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], wait) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// What has come, without waiting; a bounded part of it when that is much. Lines of several
    /// files are in the order of time within a batch.
    ///
    /// # Errors
    /// A file cannot be read any more.
    pub fn take(&mut self) -> io::Result<Vec<Record>> {
        let now = Instant::now();
        let overdue = self.held.iter().filter(|(_, at)| **at <= now).map(|(number, _)| *number);
        self.changed.extend(overdue);
        let mut batch = Batch::default();
        let news = self.watch.news()?;
        let renewed = self.adopt(news)?;
        self.renew(renewed)?;
        // Round and round: a file that grows faster than it is read must not hide the others.
        while let Some(number) = self.next_changed() {
            self.read(number, &mut batch)?;
            self.turn = number + 1;
            if batch.is_full() {
                break;
            }
            self.changed.remove(&number);
        }
        Ok(in_order(batch.records))
    }

    /// When [`Follow::take`] has something to do though the descriptor is silent.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        if !self.changed.is_empty() {
            return Some(Instant::now());
        }
        self.held.values().copied().chain(self.watch.look_again()).min()
    }

    fn next_changed(&self) -> Option<usize> {
        self.changed.range(self.turn..).chain(&self.changed).next().copied()
    }

    /// Take what is new under the names. Generations between are older, so they come first: all
    /// that were renamed before we opened the name are told of by then.
    fn renew(&mut self, mut renewed: BTreeSet<usize>) -> io::Result<()> {
        while !renewed.is_empty() {
            let mut opened = Vec::new();
            for number in renewed {
                if let Some(open) = Open::log(&self.files[number].path)? {
                    opened.push((number, open));
                }
            }
            let news = self.watch.news()?;
            renewed = self.adopt(news)?;
            for (number, open) in opened {
                self.push(number, open, 0)?;
            }
        }
        Ok(())
    }

    fn adopt(&mut self, news: News) -> io::Result<BTreeSet<usize>> {
        self.changed.extend(news.changed);
        for (number, path) in news.renamed {
            // It may have been compressed and deleted meanwhile.
            let Ok(Some(open)) = Open::log(&path) else { continue };
            if let Some(known) = self.push(number, open, 0)? {
                known.renamed(path);
            }
        }
        Ok(news.renewed)
    }

    /// One more generation, unless it is known: then that one.
    fn push(&mut self, number: usize, open: Open, from: u64) -> io::Result<Option<&mut Tail>> {
        let meta = open.file.metadata()?;
        let tails = &mut self.files[number].tails;
        let is_same = |tail: &Tail| tail.device_inode == (meta.dev(), meta.ino());
        if let Some(at) = tails.iter().position(is_same) {
            return Ok(tails.get_mut(at));
        }
        if tails.len() < GENERATIONS_MAX {
            let tail = Tail::open(open, from, &self.watch.inotify)?;
            self.watch.add_inode(tail.watch, number);
            tails.push_back(tail);
            self.changed.insert(number);
        }
        Ok(None)
    }

    /// Read a file's generations, oldest first, and let go of those that are done with.
    fn read(&mut self, number: usize, batch: &mut Batch) -> io::Result<()> {
        let tails = &mut self.files[number].tails;
        let mut at = 0;
        while at < tails.len() && !batch.is_full() {
            // Asked before the reading: bytes in the newer one mean that the older one has all.
            let over = match tails.get(at + 1) {
                Some(newer) => newer.size_and_named()?.0 > 0,
                None => false,
            };
            tails[at].read(number, over, batch)?;
            let is_old = at + 2 < tails.len() || !tails[at].size_and_named()?.1;
            if over && is_old && !batch.is_full() {
                if let Some(done) = tails.remove(at) {
                    self.watch.remove_inode(done.watch, number);
                }
            } else {
                at += 1;
            }
        }
        match tails.iter().filter_map(Tail::due).min() {
            Some(due) => self.held.insert(number, due),
            None => self.held.remove(&number),
        };
        Ok(())
    }
}

impl AsFd for Follow {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.inotify.as_fd()
    }
}

/// By time; a line without one stays behind the one before it of its file.
fn in_order(records: Vec<Record>) -> Vec<Record> {
    let mut places: BTreeMap<usize, SystemTime> = BTreeMap::new();
    let mut placed: Vec<(SystemTime, Record)> = records
        .into_iter()
        .map(|record| {
            let place = places.entry(record.file).or_insert(UNIX_EPOCH);
            *place = record.time.map_or(*place, |time| time.max(*place));
            (*place, record)
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, record)| record).collect()
}
