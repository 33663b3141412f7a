//! At the beginning of a nexusd's life: what the keeper has, joined with what is on disk.

use nexus_core::{ChildId, Entry, Event, Exit, Pid, Roll, Time};
use nexus_keeper::{Ended, Kept, KeptState};

use crate::note::Note;
use crate::spawn::spawn_error;

/// What the keeper's children mean to the core.
pub(crate) struct Reading {
    /// To be joined with the intents.
    pub(crate) roll: Roll,
    /// To be told afterwards, in order.
    pub(crate) events: Vec<Event>,
    /// All notes, and the pids of those that live.
    pub(crate) notes: Vec<(u64, Note, Option<i32>)>,
    /// Failed spawns, whose reason is put into words later.
    pub(crate) failed: Vec<(u64, nexus_keeper::Stage, i32)>,
    /// Children whose note is not ours to read: ended, and forgotten.
    pub(crate) strange: Vec<u64>,
}

/// Read the children in the order of their numbers. One that the keeper spawned in place of
/// another, whose exit nobody has been told of yet, is told as such: it holds no seat of its own
/// before.
pub(crate) fn read(mut children: Vec<Kept>, last_child: u64) -> Reading {
    children.sort_by_key(|kept| kept.child);
    let known: Vec<u64> = children.iter().map(|kept| kept.child).collect();
    let mut reading = Reading {
        roll: Roll { living: Vec::new(), last_child: ChildId(last_child) },
        events: Vec::new(),
        notes: Vec::new(),
        failed: Vec::new(),
        strange: Vec::new(),
    };
    for kept in children {
        let Some(note) = Note::parse(&kept.note) else {
            reading.strange.push(kept.child);
            continue;
        };
        let child = ChildId(kept.child);
        let pid = Pid(kept.pid);
        let respawn_of = kept.respawn_of.filter(|old| known.binary_search(old).is_ok());
        match respawn_of {
            Some(old) => {
                reading.events.push(Event::Respawned { old: ChildId(old), new: child, pid });
            }
            None => reading.roll.living.push(Entry {
                child,
                pid,
                app: note.app.clone(),
                purpose: note.purpose(),
                generation: note.generation,
                ready: note.ready,
                started_at: Time(kept.started_ms),
            }),
        }
        let mut living = Some(kept.pid);
        match kept.state {
            KeptState::Alive => {}
            KeptState::Exited { ended, at_ms, tree_gone } => {
                living = None;
                reading.events.push(Event::Exited {
                    child,
                    exit: exit(ended),
                    at: Time(at_ms),
                    tree_gone,
                });
            }
            KeptState::Failed { stage, errno } => {
                living = None;
                reading.failed.push((kept.child, stage, errno));
                reading.events.push(Event::SpawnFailed { child, error: spawn_error(errno) });
            }
        }
        reading.notes.push((kept.child, note, living));
    }
    reading
}

/// How a main process ended, in the core's words.
pub(crate) fn exit(ended: Ended) -> Exit {
    match ended {
        Ended::Code(code) => Exit::Code(code),
        Ended::Signal(signal) => Exit::Signal(signal),
        Ended::Unknown => Exit::Unknown,
    }
}
