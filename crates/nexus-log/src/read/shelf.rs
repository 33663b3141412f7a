//! Which rotated files there are: a directory is listed once for all logs in it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::rotated::{self, Form, Moment};

/// How often a directory is listed anew because it changed meanwhile. One that changes all the time
/// is taken as it is: what matters is looked at again file by file.
const TRIES: usize = 3;

/// A log's own inode, if it was there, and when it was rotated.
type Shelf = (Option<u64>, Vec<Moment>);

/// By directory and name.
#[derive(Default)]
pub(crate) struct Shelves {
    directories: HashMap<PathBuf, HashMap<OsString, Shelf>>,
}

impl Shelves {
    /// What there is of a log.
    pub(crate) fn of(&mut self, log: &Path) -> Option<&Shelf> {
        let directory = directory(log);
        if !self.directories.contains_key(&directory) {
            let listed = list(&directory);
            self.directories.insert(directory.clone(), listed);
        }
        self.directories.get(&directory)?.get(log.file_name()?)
    }

    /// List the directory of a log anew.
    pub(crate) fn forget(&mut self, log: &Path) {
        self.directories.remove(&directory(log));
    }
}

fn directory(log: &Path) -> PathBuf {
    let directory = log.parent().filter(|parent| !parent.as_os_str().is_empty());
    directory.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn list(directory: &Path) -> HashMap<OsString, Shelf> {
    let changed = || {
        let meta = std::fs::metadata(directory).ok()?;
        Some((meta.mtime(), meta.mtime_nsec()))
    };
    let mut shelves = HashMap::new();
    for _ in 0..TRIES {
        let before = changed();
        shelves = list_once(directory);
        if changed() == before {
            break;
        }
    }
    shelves
}

/// What cannot be read has nothing.
fn list_once(directory: &Path) -> HashMap<OsString, Shelf> {
    let mut shelves: HashMap<OsString, Shelf> = HashMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match rotated::split(&entry.file_name()) {
            Some((log, at, Form::Plain | Form::Packed)) => {
                shelves.entry(log).or_default().1.push(at);
            }
            Some((_, _, Form::Index | Form::PackedIndex | Form::Unfinished)) => {}
            None => shelves.entry(entry.file_name()).or_default().0 = Some(entry.ino()),
        }
    }
    for (_, moments) in shelves.values_mut() {
        moments.sort_unstable();
        moments.dedup();
    }
    shelves
}
