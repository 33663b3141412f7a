//! At the beginning of a nexusd's life: what the keeper has, joined with what is on disk.

use std::collections::BTreeMap;

use nexus_core::{ChildId, Entry, Pid, Roll, Time};
use nexus_keeper::{Ended, Kept, KeptState};

use crate::note::Note;
use crate::runs::Run;
use crate::spawn::spawn_error;

/// What the keeper's children mean to the core.
pub(crate) struct Reading {
    /// To be joined with the intents.
    pub(crate) roll: Roll,
    /// All notes, and the main processes of those that live.
    pub(crate) notes: Vec<(u64, Note, Option<Main>)>,
    /// Failed spawns, whose reason is put into words later.
    pub(crate) failed: Vec<(u64, nexus_keeper::Stage, i32)>,
    /// Children whose note is not ours to read: ended, and forgotten.
    pub(crate) strange: Vec<u64>,
}

/// The main process of a child that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Main {
    pub(crate) pid: i32,
    /// It runs its program; else it is as good as unborn to the core.
    pub(crate) runs: bool,
}

/// Read the children that nobody has acknowledged.
pub(crate) fn read(children: Vec<Kept>, last_child: u64) -> Reading {
    let mut reading = Reading {
        roll: Roll { living: Vec::new(), cold: false, last_child: ChildId(last_child) },
        notes: Vec::new(),
        failed: Vec::new(),
        strange: Vec::new(),
    };
    for kept in children {
        let Some(note) = Note::parse(&kept.note) else {
            reading.strange.push(kept.child);
            continue;
        };
        let started_at = Time(kept.started_ms);
        let ended = match kept.state {
            KeptState::Alive => None,
            KeptState::Exited { ended, at_ms, tree_gone } => {
                Some(nexus_core::Ended { exit: exit(ended), at: Time(at_ms), tree_gone })
            }
            KeptState::Failed { stage, errno } => {
                reading.failed.push((kept.child, stage, errno));
                let exit = nexus_core::Exit::NotSpawned(spawn_error(errno));
                Some(nexus_core::Ended { exit, at: started_at, tree_gone: true })
            }
        };
        let is_ready = note.ready == Some(kept.child);
        // Who has said that it is ready runs its program, though the keeper may not have seen it.
        let runs = kept.runs || is_ready;
        let main = (kept.pid > 0).then_some(Main { pid: kept.pid, runs });
        reading.roll.living.push(Entry {
            child: ChildId(kept.child),
            pid: main.filter(|main| main.runs || ended.is_some()).map(|main| Pid(main.pid)),
            app: note.app.clone(),
            purpose: note.purpose(),
            site: note.site(),
            generation: note.generation,
            ready: is_ready,
            started_at,
            told: note.said(kept.child).told.map(Time),
            until: note.said(kept.child).until.map(Time),
            respawn_of: kept.respawn_of.map(ChildId),
            ended,
        });
        reading.notes.push((kept.child, note, main.filter(|_| ended.is_none())));
    }
    reading
}

impl Reading {
    /// Those who had said that they are ready, though the keeper did not live to read it. What it
    /// is to keep with them.
    pub(crate) fn make_ready(&mut self, runs: &BTreeMap<u64, Run>) -> Vec<(u64, Vec<u8>)> {
        let said = |child: u64| runs.get(&child).is_some_and(|run| run.ready);
        for entry in self.roll.living.iter_mut().filter(|entry| said(entry.child.0)) {
            entry.ready = true;
        }
        let unread = |child: u64, note: &Note| note.ready != Some(child) && said(child);
        let unread = self.notes.iter_mut().filter(|(child, note, _)| unread(*child, note));
        unread
            .map(|(child, note, _)| {
                let proof = runs.get(child).and_then(|run| run.proof.clone());
                note.becomes_ready(*child, proof);
                (*child, note.bytes())
            })
            .collect()
    }
}

/// How a main process ended, in the core's words.
pub(crate) fn exit(ended: Ended) -> nexus_core::Exit {
    match ended {
        Ended::Code(code) => nexus_core::Exit::Code(code),
        Ended::Signal(signal) => nexus_core::Exit::Signal(signal),
        Ended::Core(signal) => nexus_core::Exit::Core(signal),
        Ended::Unknown => nexus_core::Exit::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nexus_core::{Purpose, SlotId};
    use nexus_spec::Name;

    use super::*;

    #[test]
    fn a_build_is_found_with_its_directory_if_that_has_room_in_its_note() {
        let read_back = |site: &str| {
            let mut note = Note::new(Name::new("api").unwrap(), Purpose::Build, 1);
            note.builds_in(Path::new(site));
            let (state, respawn_of, note) = (KeptState::Alive, None, note.bytes());
            let (pid, pidfd, runs, started_ms) = (700, None, true, 1);
            let kept = Kept { child: 4, pid, pidfd, runs, note, started_ms, respawn_of, state };
            let entry = read(vec![kept], 4).roll.living.remove(0);
            assert_eq!(entry.purpose, Purpose::Build);
            entry.site
        };
        assert_eq!(read_back("/srv/a"), Some("/srv/a".into()));
        assert_eq!(read_back(&"/long".repeat(300)), None);
    }

    #[test]
    fn a_successor_by_the_keeper_is_not_ready_because_its_predecessor_was() {
        let purpose = Purpose::Worker { instance: 0, id: SlotId(1) };
        let mut note = Note::new(Name::new("api").unwrap(), purpose, 1);
        note.becomes_ready(4, None);
        let kept = |child, pid, runs| Kept {
            child,
            pid,
            pidfd: None,
            runs,
            note: note.bytes(),
            started_ms: 1,
            respawn_of: (child == 5).then_some(4),
            state: KeptState::Alive,
        };
        let reading = read(vec![kept(4, 700, true), kept(5, 0, false)], 5);
        let [old, heir] = reading.roll.living.as_slice() else { panic!("two children") };
        assert_eq!((old.ready, old.pid), (true, Some(Pid(700))));
        // The roll was read between the order and the process.
        assert_eq!((heir.ready, heir.pid), (false, None));
        let pids = |reading: &Reading| -> Vec<Option<i32>> {
            reading.notes.iter().map(|(_, _, main)| main.map(|main| main.pid)).collect()
        };
        assert_eq!(pids(&reading), [Some(700), None]);
        // There is a process, but it has not run its program: at the gate of a dead keeper it ends,
        // and another one follows.
        let reading = read(vec![kept(4, 700, true), kept(5, 701, false)], 5);
        assert_eq!((reading.roll.living[1].pid, &pids(&reading)[1]), (None, &Some(701)));
    }
}
