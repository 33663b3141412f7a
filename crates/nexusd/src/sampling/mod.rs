//! CPU and memory of every worker's whole tree, on a thread of its own.
//!
//! Each second, as many trees are read as fit into 2 % of a CPU; with more of them each one's turn
//! comes later, after 15 s at the latest. Without a worker the thread sleeps. What was seen is laid
//! on a board, where clients' answers fetch it: figures never wake the loop, nor a client who waits
//! for a change (a dashboard asks each second with `newer_than=…&wait_ms=1000`). Only a worker that is
//! beyond a limit is told to the loop.

mod history;
mod host;
mod limits;
mod sweep;
mod thread;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nexus_core::Allowed;
use nexus_proto::{AppView, History};
use nexus_spec::{Autoscale, Name};
use tokio::sync::mpsc;

use crate::clock;
use crate::command::Command;
use crate::stat;
use history::Rings;

/// How often a tree is looked at, when there is time.
const PERIOD: Duration = Duration::from_secs(1);
/// How often at the least.
const PERIOD_MAX: Duration = Duration::from_secs(15);
/// The share of one CPU that sampling may take.
const SHARE: f64 = 0.02;
/// Open files that the thread keeps at the most; beyond, a file is opened for each look.
const FILES_MAX: usize = 8_192;
/// The part of our limit of open files that it may take.
const FILES_SHARE: u64 = 8;

/// What a tree used when it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// 100 = one CPU; unknown for a tree that has just begun.
    pub(crate) cpu_percent: Option<f64>,
    /// CPU time since it began.
    pub(crate) cpu_time_ms: u64,
    /// Resident memory; 0 = the kernel has not counted it yet, for what runs has some.
    pub(crate) memory_bytes: u64,
}

impl Figures {
    fn memory_known(self) -> Option<u64> {
        (self.memory_bytes > 0).then_some(self.memory_bytes)
    }

    fn and(self, other: Figures) -> Figures {
        let cpu_percent = match (self.cpu_percent, other.cpu_percent) {
            (Some(one), Some(two)) => Some(((one + two) * 10.0).round() / 10.0),
            (one, two) => one.or(two),
        };
        Figures {
            cpu_percent,
            cpu_time_ms: self.cpu_time_ms + other.cpu_time_ms,
            memory_bytes: self.memory_bytes + other.memory_bytes,
        }
    }
}

/// The loop's end: says which workers there are.
pub(crate) struct Sampling {
    shared: Arc<Shared>,
    cgroups: Option<PathBuf>,
    own: mpsc::Sender<Command>,
    runs: bool,
    /// What each worker may use, as it was told last.
    told: HashMap<u64, Allowed>,
}

impl Sampling {
    /// Nothing to look at yet. `cgroups`: where the workers' cgroups are.
    pub(crate) fn new(cgroups: Option<&Path>, own: mpsc::Sender<Command>) -> Sampling {
        let cgroups = cgroups.map(Path::to_path_buf);
        Sampling {
            shared: Arc::new(Shared::default()),
            cgroups,
            own,
            runs: false,
            told: HashMap::new(),
        }
    }

    /// Where the figures are found.
    pub(crate) fn board(&self) -> Board {
        Board(Arc::clone(&self.shared))
    }

    /// A worker lives. The first one starts the thread.
    pub(crate) fn watch(
        &mut self,
        child: u64,
        app: &Name,
        pid: i32,
        (allowed, scaling): (Allowed, Option<Autoscale>),
    ) {
        if !self.runs {
            let (shared, cgroups) = (Arc::clone(&self.shared), self.cgroups.clone());
            let own = self.own.clone();
            let thread = std::thread::Builder::new().name("sampling".into());
            let thread = thread.stack_size(128 * 1024);
            match thread.spawn(move || thread::run(&shared, cgroups.as_deref(), &own)) {
                Ok(_) => self.runs = true,
                Err(error) => tracing::error!(%error, "no thread for CPU and memory figures"),
            }
        }
        self.told.insert(child, allowed);
        self.shared.change(child, Some(Watched { app: app.clone(), pid, allowed, scaling }));
    }

    /// What a worker may use, from now on.
    pub(crate) fn allow(&mut self, child: u64, allowed: Allowed) {
        let Some(told) = self.told.get_mut(&child) else { return };
        if std::mem::replace(told, allowed) != allowed {
            self.shared.changes().allowed.insert(child, allowed);
            self.shared.changed.notify_one();
        }
    }

    /// A worker has ended.
    pub(crate) fn forget(&mut self, child: u64) {
        self.told.remove(&child);
        self.shared.change(child, None);
    }

    /// An app was deleted.
    pub(crate) fn forget_app(&mut self, app: &Name) {
        self.shared.seen().rings.forget(app);
    }
}

/// CPU time in seconds and resident memory in bytes of one process; `None` = it is gone.
pub(crate) fn process(pid: i32) -> Option<(f64, u64)> {
    let stat = stat::of(pid)?;
    let seconds = stat.own_ticks as f64 / stat::ticks_a_second();
    Some((seconds, stat.resident_pages(pid) * stat::page_bytes()))
}

/// The readers' end.
#[derive(Clone)]
pub(crate) struct Board(Arc<Shared>);

impl Board {
    /// Write what is known into the views of apps and instances.
    pub(crate) fn fill(&self, apps: &mut [AppView]) {
        let seen = self.0.seen();
        for app in apps {
            let mut sum: Option<Figures> = None;
            for one in &mut app.instances {
                let figures = one.child.and_then(|child| seen.figures.get(&child)).copied();
                // A worker that has just begun: its first look is a moment away.
                let figures = figures.or_else(|| tree::first_look(one.pid?));
                one.cpu_percent = figures.and_then(|figures| figures.cpu_percent);
                one.cpu_time_ms = figures.map(|figures| figures.cpu_time_ms);
                one.memory_bytes = figures.and_then(Figures::memory_known);
                sum = figures.map(|figures| sum.unwrap_or_default().and(figures)).or(sum);
            }
            app.cpu_percent = sum.and_then(|sum| sum.cpu_percent);
            app.memory_bytes = sum.and_then(Figures::memory_known);
        }
    }

    /// How busy the host's CPUs are, while a worker runs.
    pub(crate) fn host_cpu_percent(&self) -> Option<f64> {
        self.0.seen().host_cpu_percent
    }

    /// An app's last quarter of an hour.
    pub(crate) fn history(&self, app: &Name) -> History {
        self.0.seen().rings.of(app, clock::now().0, clock::unix_ms())
    }
}

/// A worker to be looked at.
struct Watched {
    app: Name,
    pid: i32,
    allowed: Allowed,
    /// The number of its app's workers follows their load.
    scaling: Option<Autoscale>,
}

/// What has changed since the thread last looked: at most two words a child.
#[derive(Default)]
struct Changes {
    /// Who has come, or gone (`None`).
    children: BTreeMap<u64, Option<Watched>>,
    allowed: BTreeMap<u64, Allowed>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.allowed.is_empty()
    }
}

/// What the loop, the thread and the front door share.
#[derive(Default)]
struct Shared {
    changes: Mutex<Changes>,
    changed: Condvar,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    figures: HashMap<u64, Figures>,
    host_cpu_percent: Option<f64>,
    rings: Rings,
}

impl Shared {
    fn change(&self, child: u64, watched: Option<Watched>) {
        self.changes().children.insert(child, watched);
        self.changed.notify_one();
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has changed, as soon as something has; nothing, when `until` has come before.
    fn wait(&self, until: Option<Instant>) -> Changes {
        let mut changes = self.changes();
        while changes.is_empty() {
            let Some(until) = until else {
                changes = self.changed.wait(changes).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.changed.wait_timeout(changes, left);
            changes = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut changes)
    }
}

/// The most open files that the figures take, of so many that there may be.
pub(crate) fn files_max(limit: u64) -> u64 {
    (limit / FILES_SHARE).min(FILES_MAX as u64)
}

/// Open files that may still be kept.
struct Room(usize);

impl Room {
    #[cfg(test)]
    fn new(files: usize) -> Room {
        Room(files)
    }

    /// As our limit of open files allows.
    fn of_this_process() -> Room {
        let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let soft = limit.map_or(1_024, |(soft, _)| soft);
        Room(usize::try_from(files_max(soft)).unwrap_or(FILES_MAX))
    }

    fn take(&mut self) -> bool {
        let there_is = self.0 > 0;
        self.0 -= usize::from(there_is);
        there_is
    }

    fn give(&mut self, files: usize) {
        self.0 += files;
    }

    #[cfg(test)]
    fn left(&self) -> usize {
        self.0
    }
}
