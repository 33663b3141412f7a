//! What inotify says about the followed files' directories and inodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

/// News of the followed files, by position.
#[derive(Default)]
pub(super) struct News {
    /// The inode of a generation has changed.
    pub(super) changed: BTreeSet<usize>,
    /// A file has appeared under the name.
    pub(super) renewed: BTreeSet<usize>,
    /// What had the name has this one now, in order.
    pub(super) renamed: Vec<(usize, PathBuf)>,
}

/// How often we look whether a directory is the one that we watch, after a file was deleted from it.
/// Nothing tells of its end while we hold the deleted file open, and nothing of its return.
const DOUBT_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Watch {
    pub(super) inotify: Inotify,
    directories: HashMap<WatchDescriptor, Directory>,
    inodes: HashMap<WatchDescriptor, BTreeSet<usize>>,
    /// Directories that may have been deleted, since this file was deleted from them.
    doubtful: BTreeMap<WatchDescriptor, OsString>,
    look_again: Option<Instant>,
    files: usize,
}

struct Directory {
    path: PathBuf,
    names: HashMap<OsString, Vec<usize>>,
}

impl Watch {
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a Path>) -> io::Result<Watch> {
        let mut watch = Watch {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
            directories: HashMap::new(),
            inodes: HashMap::new(),
            doubtful: BTreeMap::new(),
            look_again: None,
            files: 0,
        };
        for path in paths {
            watch.add_name(path)?;
        }
        Ok(watch)
    }

    fn add_name(&mut self, path: &Path) -> io::Result<()> {
        let number = self.files;
        self.files += 1;
        let Some(name) = path.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a log's path needs a name"));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        let key = self.add_directory(parent).map_err(|errno| {
            let error = io::Error::from(errno);
            io::Error::new(error.kind(), format!("cannot follow {}: {error}", path.display()))
        })?;
        let directory = self
            .directories
            .entry(key)
            .or_insert_with(|| Directory { path: parent.to_owned(), names: HashMap::new() });
        directory.names.entry(name.to_owned()).or_default().push(number);
        Ok(())
    }

    fn add_directory(&self, path: &Path) -> nix::Result<WatchDescriptor> {
        let mask = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR;
        self.inotify.add_watch(path, mask)
    }

    /// When to ask for news though the descriptor is silent.
    pub(super) fn look_again(&self) -> Option<Instant> {
        self.look_again
    }

    /// Watch directories that were deleted and are back.
    fn look(&mut self, news: &mut News) {
        for (key, name) in std::mem::take(&mut self.doubtful) {
            let Some(directory) = self.directories.get(&key) else { continue };
            match self.add_directory(&directory.path) {
                // The same one: no doubt is left once the file is back.
                Ok(now) if now == key => {
                    if !directory.path.join(&name).exists() {
                        self.doubtful.insert(key, name);
                    }
                }
                Ok(now) => {
                    news.renewed.extend(directory.names.values().flatten());
                    // EINVAL: it went with its directory.
                    let _ = self.inotify.rm_watch(key);
                    if let Some(directory) = self.directories.remove(&key) {
                        self.directories.insert(now, directory);
                    }
                }
                Err(_) => {
                    self.doubtful.insert(key, name);
                }
            }
        }
        self.look_again = (!self.doubtful.is_empty()).then(|| Instant::now() + DOUBT_EVERY);
    }

    fn doubt(&mut self, key: WatchDescriptor, name: OsString) {
        self.doubtful.insert(key, name);
        self.look_again.get_or_insert_with(|| Instant::now() + DOUBT_EVERY);
    }

    pub(super) fn add_inode(&mut self, key: WatchDescriptor, number: usize) {
        self.inodes.entry(key).or_default().insert(number);
    }

    pub(super) fn remove_inode(&mut self, key: WatchDescriptor, number: usize) {
        let Some(files) = self.inodes.get_mut(&key) else { return };
        files.remove(&number);
        if files.is_empty() {
            self.inodes.remove(&key);
            // EINVAL: the inode has gone, and its watch with it.
            let _ = self.inotify.rm_watch(key);
        }
    }

    /// All that is known by now, without waiting.
    pub(super) fn news(&mut self) -> io::Result<News> {
        let mut news = News::default();
        let mut moved = HashMap::new();
        loop {
            match self.inotify.read_events() {
                Ok(events) => {
                    for event in events {
                        self.note(event, &mut news, &mut moved);
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        if self.look_again.is_some_and(|at| at <= Instant::now()) {
            self.look(&mut news);
        }
        Ok(news)
    }

    /// `moved`: what had a name that is followed, until its new name is told.
    fn note(&mut self, event: InotifyEvent, news: &mut News, moved: &mut HashMap<u32, Vec<usize>>) {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            news.changed.extend(0..self.files);
            news.renewed.extend(0..self.files);
        }
        if let Some(files) = self.inodes.get(&event.wd) {
            news.changed.extend(files);
        }
        if event.mask.contains(AddWatchFlags::IN_IGNORED)
            && self.directories.contains_key(&event.wd)
        {
            return self.doubt(event.wd, OsString::new());
        }
        let Some((directory, name)) = self.directories.get(&event.wd).zip(event.name) else {
            return;
        };
        if event.mask.contains(AddWatchFlags::IN_MOVED_TO)
            && let Some(files) = moved.remove(&event.cookie)
        {
            let path = directory.path.join(&name);
            news.renamed.extend(files.into_iter().map(|file| (file, path.clone())));
        }
        let Some(files) = directory.names.get(&name) else { return };
        if event.mask.contains(AddWatchFlags::IN_MOVED_FROM) {
            moved.insert(event.cookie, files.clone());
        } else if event.mask.contains(AddWatchFlags::IN_DELETE) {
            self.doubt(event.wd, name);
        } else {
            news.renewed.extend(files);
        }
    }
}
