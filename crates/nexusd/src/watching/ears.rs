//! What the kernel tells of files, until the watcher's thread has time for it: bounded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::EventKind;
use notify::event::{MetadataKind, ModifyKind};

/// Paths that may wait; beyond, the whole tree is looked at again.
const PATHS_MAX: usize = 4_096;

/// How a path was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    /// Something about it is not its content: only a time of change that is new counts.
    Touched,
    /// Written, made, moved or removed.
    Changed,
}

/// What has been heard since the last time.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) paths: BTreeMap<PathBuf, Sign>,
    /// More than could be told: by the kernel, or by us.
    pub(super) lost: bool,
    pub(super) error: Option<notify::Error>,
    pub(super) stop: bool,
}

impl Heard {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.lost && self.error.is_none() && !self.stop
    }
}

#[derive(Debug, Default)]
pub(super) struct Ears {
    heard: Mutex<Heard>,
    came: Condvar,
}

impl Ears {
    /// An event of the kernel's.
    pub(super) fn hear(&self, event: notify::Result<notify::Event>) {
        let mut heard = self.heard();
        match event {
            Err(error) => heard.error = Some(error),
            Ok(event) if event.need_rescan() => heard.lost = true,
            Ok(event) => {
                let Some(sign) = sign(event.kind) else { return };
                for path in event.paths {
                    if heard.paths.len() >= PATHS_MAX && !heard.paths.contains_key(&path) {
                        heard.lost = true;
                        continue;
                    }
                    let known = heard.paths.entry(path).or_insert(sign);
                    *known = (*known).max(sign);
                }
            }
        }
        drop(heard);
        self.came.notify_one();
    }

    /// Nobody wants to hear more.
    pub(super) fn stop(&self) {
        self.heard().stop = true;
        self.came.notify_one();
    }

    /// What has been heard, as soon as there is something; nothing, when `until` has come before.
    pub(super) fn wait(&self, until: Option<Instant>) -> Heard {
        let mut heard = self.heard();
        while heard.is_empty() {
            let Some(until) = until else {
                heard = self.came.wait(heard).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.came.wait_timeout(heard, left);
            heard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let stop = heard.stop;
        Heard { stop, ..std::mem::replace(&mut *heard, Heard { stop, ..Heard::default() }) }
    }

    pub(super) fn stopped(&self) -> bool {
        self.heard().stop
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event says of its paths; `None`: nothing. Who opens or reads a file changes nothing.
fn sign(kind: EventKind) -> Option<Sign> {
    match kind {
        EventKind::Access(_) | EventKind::Other => None,
        EventKind::Modify(ModifyKind::Metadata(MetadataKind::WriteTime)) => Some(Sign::Changed),
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(Sign::Touched),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => {
            Some(Sign::Changed)
        }
    }
}
