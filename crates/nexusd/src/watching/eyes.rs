//! What an app's watcher sees: its directories, one by one, and what has changed in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::ears::{Ears, Heard, Sign};
use super::scope::Scope;
use super::{Batch, Plan, Seen};
use crate::clock;

/// Directories of one app at the most: each costs a kilobyte of the kernel's memory.
const DIRS_MAX: usize = 65_536;
/// Files of one app at the most, where each is looked at.
const FILES_MAX: usize = 262_144;
/// A file that was touched has changed, if it was written this short a time ago.
const JUST_NOW: Duration = Duration::from_secs(2);

/// From when on a file that is found has changed, in milliseconds of Unix time.
#[derive(Clone, Copy)]
pub(super) enum Since {
    /// What is found is no change.
    Never,
    At(u64),
    /// All that is found is new.
    Always,
}

pub(super) struct Eyes {
    plan: Plan,
    scope: Scope,
    /// `None` where files are looked at, or the machine refuses.
    watcher: Option<RecommendedWatcher>,
    ears: Arc<Ears>,
    /// What is watched, with device and inode.
    dirs: BTreeMap<PathBuf, (u64, u64)>,
    /// Two paths of one directory are one.
    ids: BTreeSet<(u64, u64)>,
    /// What is named and is not there.
    missing: Vec<PathBuf>,
    /// Directories in which that would appear.
    lookouts: Vec<PathBuf>,
    /// Files as they were when they were last looked at, where nobody tells of changes.
    files: BTreeMap<PathBuf, Stamp>,
    /// What has changed and was not told.
    batch: Batch,
    /// Something was added to it.
    news: bool,
    /// What is wrong with what is asked for.
    odd: Option<String>,
    /// What the machine refuses.
    refused: Option<String>,
}

impl Eyes {
    pub(super) fn open(plan: Plan, ears: &Arc<Ears>) -> Eyes {
        let (scope, odd) = Scope::new(&plan);
        let (watcher, refused) = match plan.watch.poll.map_or_else(|| watcher(ears), |_| Ok(None)) {
            Ok(watcher) => (watcher, None),
            Err(error) => (None, Some(no_watcher(&error))),
        };
        Eyes {
            plan,
            scope,
            watcher,
            ears: Arc::clone(ears),
            dirs: BTreeMap::new(),
            ids: BTreeSet::new(),
            missing: Vec::new(),
            lookouts: Vec::new(),
            files: BTreeMap::new(),
            batch: Batch::default(),
            news: false,
            odd,
            refused,
        }
    }

    /// How it is.
    pub(super) fn seen(&self) -> Seen {
        let missing = || {
            let first = self.missing.first()?;
            Some(format!("{} is not there; it is watched when it comes", first.display()))
        };
        let problem = self.refused.clone().or_else(|| self.odd.clone()).or_else(missing);
        let refused = self.refused.is_some();
        Seen { directories: Some(self.dirs.len()), problem, refused }
    }

    /// What has changed since this was last asked.
    pub(super) fn take(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// Whether something has changed since this was last asked.
    pub(super) fn news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Watch everything that is named and is not watched yet.
    pub(super) fn attach(&mut self, since: Since) {
        // What was a path that is not there may be a file now.
        let (scope, odd) = Scope::new(&self.plan);
        (self.scope, self.odd) = (scope, odd);
        let bases: Vec<PathBuf> = self.scope.roots.iter().map(|root| root.base.clone()).collect();
        let was_missing = std::mem::take(&mut self.missing);
        for lookout in std::mem::take(&mut self.lookouts) {
            if let Some(watcher) =
                self.watcher.as_mut().filter(|_| !self.dirs.contains_key(&lookout))
            {
                // It may have gone itself.
                let _ = watcher.unwatch(&lookout);
            }
        }
        for base in bases {
            if base.is_dir() {
                let since = if was_missing.contains(&base) { Since::Always } else { since };
                self.walk(&base, since);
            } else {
                self.look_out(&base);
                self.missing.push(base);
            }
        }
    }

    /// Watch where something that is not there would appear.
    fn look_out(&mut self, path: &Path) {
        if let Some(there) = path.ancestors().skip(1).find(|above| above.is_dir()) {
            self.watch(there);
            self.lookouts.push(there.to_owned());
        }
    }

    fn watch(&mut self, dir: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        match watcher.watch(dir, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            // It went while we were on our way: its directory tells of that.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
            Err(error) => self.refused = Some(refused(dir, &error)),
        }
    }

    /// Watch a directory and all below it that counts. Each is watched before it is read, so that
    /// nothing comes in between unseen.
    fn walk(&mut self, from: &Path, since: Since) {
        let mut left = vec![from.to_owned()];
        while let Some(dir) = left.pop() {
            if self.ears.stopped() {
                return;
            }
            if self.dirs.contains_key(&dir) || !self.scope.enters(&dir) {
                continue;
            }
            let Ok(meta) = dir.metadata() else { continue };
            if !self.ids.insert((meta.dev(), meta.ino())) {
                continue;
            }
            if self.dirs.len() >= DIRS_MAX || self.files.len() >= FILES_MAX {
                self.refused = Some(format!(
                    "more than {DIRS_MAX} directories, or {FILES_MAX} files with `use_polling`, are \
                     to be watched: name fewer in `watch`, or more in `ignore_watch`"
                ));
                return;
            }
            self.watch(&dir);
            self.dirs.insert(dir.clone(), (meta.dev(), meta.ino()));
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
                match self.kind(&path) {
                    Some((_, true)) => left.push(path),
                    Some((meta, false)) => self.find(&path, &meta, since),
                    None => {}
                }
            }
        }
    }

    /// What a path is, and whether it is a directory to look into; `None` = it is not there.
    fn kind(&self, path: &Path) -> Option<(Metadata, bool)> {
        let meta = path.symlink_metadata().ok()?;
        if !meta.is_symlink() {
            let is_dir = meta.is_dir();
            return Some((meta, is_dir));
        }
        match path.metadata() {
            Ok(behind) => {
                let is_dir = behind.is_dir() && self.plan.watch.follow_symlinks;
                Some((behind, is_dir))
            }
            Err(_) => Some((meta, false)),
        }
    }

    /// A file that is found.
    fn find(&mut self, file: &Path, meta: &Metadata, since: Since) {
        let changed = match since {
            Since::Never => false,
            Since::Always => true,
            // When it was written can be set by anyone; when its inode was changed, by none.
            Since::At(ms) => {
                let at = meta.ctime().saturating_mul(1_000) + meta.ctime_nsec() / 1_000_000;
                u64::try_from(at).is_ok_and(|at| at > ms)
            }
        };
        if (!changed && self.plan.watch.poll.is_none()) || !self.scope.counts(file) {
            return;
        }
        if self.plan.watch.poll.is_some() {
            self.files.insert(file.to_owned(), Stamp::of(meta));
        }
        if changed {
            self.add(file);
        }
    }

    /// How often to look at all files, where nobody tells of changes.
    pub(super) fn every(&self) -> Option<Duration> {
        self.plan.watch.poll.map(|every| Duration::from_millis(every.0))
    }

    /// Look at all files.
    pub(super) fn poll(&mut self) {
        let known = std::mem::take(&mut self.files);
        self.dirs.clear();
        self.ids.clear();
        self.attach(Since::Never);
        let files = std::mem::take(&mut self.files);
        let new = files.iter().filter(|(file, stamp)| known.get(*file) != Some(stamp));
        let gone = known.keys().filter(|file| !files.contains_key(*file));
        for file in new.map(|(file, _)| file).chain(gone) {
            self.add(file);
        }
        self.files = files;
    }

    fn add(&mut self, file: &Path) {
        self.batch.add(file.strip_prefix(&self.plan.cwd).unwrap_or(file));
        self.news = true;
    }

    /// What the kernel has told.
    pub(super) fn hear(&mut self, heard: Heard) {
        if let Some(error) = heard.error {
            self.refused = Some(refused(&self.plan.cwd, &error));
        }
        let mut attach = heard.lost || !self.missing.is_empty();
        // What has gone first: it may have become what is there now.
        let (there, gone): (Vec<_>, Vec<_>) =
            heard.paths.into_iter().partition(|(path, _)| path.symlink_metadata().is_ok());
        for (path, _) in gone {
            attach |= self.gone(&path);
        }
        for (path, sign) in there {
            self.look(&path, sign);
        }
        if heard.lost {
            self.batch.lose();
            self.news = true;
            // What is new in them is unknown: each is looked at again.
            self.dirs.clear();
            self.ids.clear();
        }
        if attach {
            self.attach(if heard.lost { Since::Never } else { Since::Always });
        }
    }

    /// A path that is there, of which something was told.
    fn look(&mut self, path: &Path, sign: Sign) {
        match self.kind(path) {
            Some((meta, true)) => {
                let id = (meta.dev(), meta.ino());
                if self.dirs.get(path).is_some_and(|known| *known != id) {
                    self.forget(path);
                }
                self.walk(path, Since::Always);
            }
            Some((meta, false)) => {
                let counts = sign == Sign::Changed || is_new(&meta);
                if counts && self.scope.counts(path) {
                    self.add(path);
                }
            }
            None => {}
        }
    }

    /// A path that is not there any more; whether something that is named has gone with it.
    fn gone(&mut self, path: &Path) -> bool {
        if self.forget(path) || self.scope.counts(path) {
            self.add(path);
        }
        self.scope.roots.iter().any(|root| root.base.starts_with(path))
    }

    /// A directory is not what it was, nor is what was below it; whether it was watched.
    fn forget(&mut self, path: &Path) -> bool {
        let below = self.dirs.range(path.to_owned()..).map(|(dir, _)| dir);
        let gone: Vec<PathBuf> = below.take_while(|dir| dir.starts_with(path)).cloned().collect();
        for dir in &gone {
            if let Some(id) = self.dirs.remove(dir) {
                self.ids.remove(&id);
            }
        }
        !gone.is_empty()
    }
}

/// What of a file changes when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        let modified = (meta.mtime(), meta.mtime_nsec());
        Stamp { inode: meta.ino(), size: meta.size(), modified }
    }
}

fn watcher(ears: &Arc<Ears>) -> notify::Result<Option<RecommendedWatcher>> {
    let ears = Arc::clone(ears);
    // Links are followed, or not, by us: directories are watched one by one.
    let config = Config::default().with_follow_symlinks(false);
    RecommendedWatcher::new(move |event| ears.hear(event), config).map(Some)
}

/// Written just now: somebody means it, as by `touch restart.txt`.
fn is_new(meta: &Metadata) -> bool {
    let now = SystemTime::now();
    meta.modified().is_ok_and(|at| now.duration_since(at).is_ok_and(|ago| ago <= JUST_NOW))
}

/// A limit of the kernel's, with its present value.
fn limit(name: &str) -> String {
    let path = format!("/proc/sys/fs/inotify/{name}");
    let value = std::fs::read_to_string(path).unwrap_or_default();
    format!("fs.inotify.{name} = {}", value.trim())
}

fn refused(dir: &Path, error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => format!(
            "the kernel watches no more directories ({}): changes in some are not seen; name fewer \
             in `watch`, more in `ignore_watch`, or raise it with `sysctl \
             fs.inotify.max_user_watches=524288` and restart the app",
            limit("max_user_watches")
        ),
        ErrorKind::Generic(_)
        | ErrorKind::InvalidConfig(_)
        | ErrorKind::Io(_)
        | ErrorKind::PathNotFound
        | ErrorKind::WatchNotFound => format!("{} cannot be watched: {error}", dir.display()),
    }
}

fn no_watcher(error: &notify::Error) -> String {
    let ErrorKind::Io(io) = &error.kind else { return format!("files cannot be watched: {error}") };
    let too_many = nix::errno::Errno::EMFILE as i32;
    match io.raw_os_error() {
        Some(errno) if errno == too_many => format!(
            "the kernel gives this user no more watchers ({}, one an app): changes are not seen; \
             raise it with `sysctl fs.inotify.max_user_instances=1024` and restart the app",
            limit("max_user_instances")
        ),
        Some(_) | None => format!("files cannot be watched: {io}"),
    }
}

/// The moment from which on changes count that nobody has seen.
pub(super) fn since(ms: u64) -> Since {
    // A file's time is that of the last tick of the kernel's.
    const TICK: u64 = 10;
    if ms == 0 { Since::Never } else { Since::At(ms.min(clock::unix_ms()).saturating_sub(TICK)) }
}
