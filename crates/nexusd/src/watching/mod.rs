//! Watched files: one watcher an app, on threads of its own, so that a tree on a slow disk, or one
//! in which everything changes, is nobody else's matter.
//!
//! A watcher watches directories one by one, and only those that count: what is ignored costs
//! nothing. What changes within `watch_delay` is told to the loop as one change; what follows from
//! it is the core's to decide (`nexus_core::Changes`).

mod batch;
mod ears;
mod eyes;
mod scope;
mod settle;
mod thread;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nexus_spec::{Name, Watch};
use tokio::sync::mpsc;

pub(crate) use self::batch::Batch;
use self::ears::Ears;
use crate::command::Command;

/// What an app's watcher is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What paths in messages, and patterns, are relative to.
    pub(crate) cwd: PathBuf,
    pub(crate) watch: Watch,
    /// Directories and files that we write into: they never count.
    pub(crate) own: Vec<PathBuf>,
    /// Log files that we write; so do not those that they are rotated to.
    pub(crate) logs: Vec<PathBuf>,
}

/// How an app's watcher is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Directories that are watched; `None` = they are still being looked for.
    pub(crate) directories: Option<usize>,
    /// What keeps it from seeing all changes.
    pub(crate) problem: Option<String>,
    /// The kernel did not let it: a new one may do better.
    pub(crate) refused: bool,
}

/// What a watcher tells the loop.
#[derive(Debug)]
pub(crate) enum Report {
    /// Files have changed.
    Changed(Batch),
    /// How it is.
    Seen(Seen),
}

/// All watchers.
pub(crate) struct Watching {
    watchers: BTreeMap<Name, Watcher>,
    own: mpsc::Sender<Command>,
    last: u64,
}

struct Watcher {
    number: u64,
    plan: Plan,
    ears: Arc<Ears>,
    seen: Seen,
    /// What has changed and has not been acted upon.
    changed: Option<Batch>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.ears.stop();
    }
}

impl Watching {
    /// Nobody watches yet.
    pub(crate) fn new(own: mpsc::Sender<Command>) -> Watching {
        Watching { watchers: BTreeMap::new(), own, last: 0 }
    }

    /// An app is to be watched so, or not at all. A file that was changed after `since` (Unix time
    /// in milliseconds) has changed. One that the kernel refused something is begun anew.
    pub(crate) fn keep(&mut self, app: &Name, plan: Option<Plan>, mut since: u64) {
        let Some(plan) = plan else {
            self.watchers.remove(app);
            return;
        };
        let mut changed = None;
        if let Some(known) = self.watchers.get_mut(app).filter(|known| known.plan == plan) {
            if !known.seen.refused {
                return;
            }
            changed = known.changed.take();
            // What it has seen and not told yet is seen again.
            since = since.saturating_sub(plan.watch.delay.0.saturating_mul(2));
        }
        self.last += 1;
        let ears = Arc::new(Ears::default());
        let told = thread::Told { app: app.clone(), number: self.last, own: self.own.clone() };
        let mut seen = Seen::default();
        if let Err(error) = thread::begin(plan.clone(), since, Arc::clone(&ears), told) {
            seen.problem = Some(format!("there is no thread to watch its files: {error}"));
            seen.refused = true;
        }
        let watcher = Watcher { number: self.last, plan, ears, seen, changed };
        self.watchers.insert(app.clone(), watcher);
    }

    /// A watcher's report; whether files have changed. One of a watcher that is gone says nothing.
    pub(crate) fn hear(&mut self, app: &Name, number: u64, report: Report) -> bool {
        let Some(watcher) = self.watchers.get_mut(app).filter(|known| known.number == number)
        else {
            return false;
        };
        match report {
            Report::Seen(seen) => {
                if let Some(problem) = seen.problem.as_ref().filter(|_| seen != watcher.seen) {
                    tracing::warn!(%app, "{problem}");
                }
                watcher.seen = seen;
                false
            }
            Report::Changed(batch) => {
                match &mut watcher.changed {
                    Some(known) => known.join(batch),
                    None => watcher.changed = Some(batch),
                }
                true
            }
        }
    }

    /// How an app's watcher is, if it has one.
    pub(crate) fn seen(&self, app: &Name) -> Option<&Seen> {
        self.watchers.get(app).map(|watcher| &watcher.seen)
    }

    /// What has changed and has not been acted upon.
    pub(crate) fn changed(&self, app: &Name) -> Option<&Batch> {
        self.watchers.get(app)?.changed.as_ref()
    }

    /// It is acted upon now.
    pub(crate) fn take_changed(&mut self, app: &Name) -> Option<Batch> {
        self.watchers.get_mut(app)?.changed.take()
    }
}
