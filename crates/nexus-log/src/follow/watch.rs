//! What inotify says about the followed files' directories and inodes.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

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

pub(super) struct Watch {
    pub(super) inotify: Inotify,
    directories: HashMap<WatchDescriptor, Directory>,
    inodes: HashMap<WatchDescriptor, BTreeSet<usize>>,
    files: usize,
}

struct Directory {
    path: PathBuf,
    names: HashMap<OsString, Vec<usize>>,
}

impl Watch {
    pub(super) fn new<'a>(paths: impl Iterator<Item = &'a Path>) -> io::Result<Watch> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut watch =
            Watch { inotify, directories: HashMap::new(), inodes: HashMap::new(), files: 0 };
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
        let mask = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR;
        let key = self.inotify.add_watch(parent, mask).map_err(|errno| {
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
    pub(super) fn news(&self) -> io::Result<News> {
        let mut news = News::default();
        let mut moved = HashMap::new();
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(news),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                self.note(event, &mut news, &mut moved);
            }
        }
    }

    fn note<'a>(
        &'a self,
        event: InotifyEvent,
        news: &mut News,
        moved: &mut HashMap<u32, &'a Vec<usize>>,
    ) {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            news.changed.extend(0..self.files);
            news.renewed.extend(0..self.files);
        }
        if let Some(files) = self.inodes.get(&event.wd) {
            news.changed.extend(files);
        }
        let Some((directory, name)) = self.directories.get(&event.wd).zip(event.name) else {
            return;
        };
        if event.mask.contains(AddWatchFlags::IN_MOVED_TO)
            && let Some(files) = moved.remove(&event.cookie)
        {
            let path = directory.path.join(&name);
            news.renamed.extend(files.iter().map(|file| (*file, path.clone())));
        }
        let Some(files) = directory.names.get(&name) else { return };
        if event.mask.contains(AddWatchFlags::IN_MOVED_FROM) {
            moved.insert(event.cookie, files);
        } else {
            news.renewed.extend(files);
        }
    }
}
