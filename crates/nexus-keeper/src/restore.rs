//! After the death of both: the arena and the descriptors that a service manager kept, as the
//! beginning of a new pair that goes on where the old one ended.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use crate::arena::{Arena, Phase};
use crate::given::Stored;
use crate::keeper::child::worker_mark;
use crate::sys::process;
use crate::wire::{HoldId, Stage, TAG_MAX};

/// What was kept, sorted.
pub(crate) struct Restored {
    pub(crate) arena: Arena,
    pub(crate) held: Vec<(HoldId, OwnedFd, Vec<u8>)>,
    pub(crate) children: BTreeMap<u64, (i32, OwnedFd)>,
}

/// Sort what was kept; `None` where no arena of this home is among it: then the rest means nothing,
/// and is closed.
pub(crate) fn restored(stored: Vec<(String, OwnedFd)>, home: &Path) -> Option<Restored> {
    let (mut arena, mut held, mut children) = (None, Vec::new(), BTreeMap::new());
    for (name, fd) in stored {
        match Stored::parse(&name, home) {
            Some(Stored::Arena { .. }) => arena = Some(fd),
            Some(Stored::Held(id, note)) => held.push((id, fd, note)),
            Some(Stored::Child(child)) => drop(children.insert(child, fd)),
            None => {}
        }
    }
    let arena = Arena::open(arena?, true).ok()?;
    // Whoever starts us wants us to serve, whatever the last pair was told.
    arena.set_stopping(false);
    arena.count_keeper_restart();
    find_living(&arena, &mut children);
    let children = children.into_iter().map(|(child, pidfd)| (child, (0, pidfd))).collect();
    forbid_respawns(&arena, &held);
    Some(Restored { arena, held, children })
}

/// Pidfds that the store had no room for, or that are of who was the main process before, are
/// opened anew: for a process that still carries the mark of just this child.
fn find_living(arena: &Arena, children: &mut BTreeMap<u64, OwnedFd>) {
    for record in 0..arena.used() {
        let Some(now) = arena.changing(record).filter(|now| now.phase == Phase::Running) else {
            continue;
        };
        let is_of = |pidfd: &OwnedFd| process::pid_of(pidfd.as_fd()) == Some(now.pid);
        if children.get(&now.child).is_some_and(is_of) || now.pid <= 0 {
            continue;
        }
        // The pidfd first: what is read afterwards is of this process or of none.
        let Ok(pidfd) = process::pidfd_open(now.pid) else { continue };
        let mut tag = [0; TAG_MAX];
        let mark = worker_mark(arena.tag(record, &mut tag), now.child);
        let environ = std::fs::read(format!("/proc/{}/environ", now.pid)).unwrap_or_default();
        if environ.split(|byte| *byte == 0).any(|variable| variable == mark) {
            children.insert(now.child, pidfd);
        }
    }
}

/// Who lacks what a successor would be born with is not replaced by the keeper alone: nexusd, which
/// can make it anew, decides.
fn forbid_respawns(arena: &Arena, held: &[(HoldId, OwnedFd, Vec<u8>)]) {
    let is_held = |id: u64| held.iter().any(|(held, ..)| held.0 == id);
    for record in 0..arena.used() {
        let Some(mut now) = arena.changing(record) else { continue };
        let fixed = arena.fixed(record);
        let whole = [fixed.template, fixed.stdout, fixed.stderr].into_iter().all(is_held);
        match now.phase {
            Phase::Running | Phase::Exited if !whole || now.due_ms > 0 => {
                (now.settled, now.due_ms) = (true, 0);
            }
            // There is no process: nexusd orders another, a little later.
            Phase::Ordered if !whole => {
                now.phase = Phase::Failed;
                now.failed = Some((Stage::Fork, libc::EAGAIN));
            }
            Phase::Exited | Phase::Failed | Phase::Free | Phase::Ordered | Phase::Running => {
                continue;
            }
        }
        arena.commit(record, now);
    }
}
