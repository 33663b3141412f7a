//! The pretended keeper may promise nothing that the real one does not: the same witness watches
//! both (`nexus_keeper::facts`).

use nexus_core::{Action, ChildId, Ended, Entry, Event, Exit, Roll, Time};
use nexus_keeper::facts::{InRoll, InRollStage, Seen, Witness};

/// Watches what the daemon and the keeper say to each other.
#[derive(Default)]
pub(crate) struct Contract(Witness);

impl Contract {
    fn sees(&mut self, seen: &Seen) {
        if let Err(broken) = self.0.sees(seen) {
            panic!("the pretended keeper breaks `{}`: {}", broken.fact, broken.seen);
        }
    }

    /// A daemon begins with this roll.
    pub(crate) fn begins(&mut self, roll: &Roll) {
        self.sees(&Seen::Began(roll.living.iter().map(in_roll).collect()));
    }

    /// From here on the daemon decides.
    pub(crate) fn resumes(&mut self) {
        self.sees(&Seen::Resumed);
    }

    /// Nothing that the keeper has said is unread: it has carried out all orders before.
    pub(crate) fn settles(&mut self) {
        self.sees(&Seen::Settled);
    }

    /// An order is carried out at once here.
    pub(crate) fn orders(&mut self, action: &Action) {
        let seen = match action {
            Action::Acknowledge { child } => Seen::Acknowledged(child.0),
            Action::Kill { child } | Action::Terminate { child, .. } => Seen::Stopped(child.0),
            Action::Spawn { child, on_exit, .. } => Seen::Ordered {
                child: child.0,
                next: on_exit.next.map(|next| next.0),
                delay_ms: on_exit.delay.0,
                stay_codes: on_exit.stay_codes.clone(),
            },
            _ => return,
        };
        self.sees(&seen);
    }

    /// The daemon reads a report.
    pub(crate) fn reads(&mut self, now: Time, event: &Event) {
        let seen = match *event {
            Event::Exited { child, exit, at, tree_gone } => exited(child, exit, at, tree_gone),
            Event::Respawned { old, new, .. } => {
                Seen::Respawned { old: old.0, new: new.0, read_ms: now.0 }
            }
            Event::SpawnFailed { child, .. } => Seen::Failed(child.0),
            Event::Spawned { child, .. } => Seen::Spawned(child.0),
            Event::TreeGone { child } => Seen::TreeGone(child.0),
            _ => return,
        };
        self.sees(&seen);
        if let Event::Respawned { new, .. } = event {
            // Here both are one report.
            self.sees(&Seen::Spawned(new.0));
        }
    }
}

fn in_roll(entry: &Entry) -> InRoll {
    let stage = match entry.ended {
        None => InRollStage::Alive,
        Some(Ended { exit: Exit::NotSpawned(_), .. }) => InRollStage::Failed,
        Some(Ended { exit, at, tree_gone }) => {
            InRollStage::Exited { ended: ended(exit), at_ms: at.0, tree_gone }
        }
    };
    InRoll { child: entry.child.0, respawn_of: entry.respawn_of.map(|old| old.0), stage }
}

fn exited(child: ChildId, exit: Exit, at: Time, tree_gone: bool) -> Seen {
    match exit {
        Exit::NotSpawned(_) => Seen::Failed(child.0),
        _ => Seen::Exited { child: child.0, ended: ended(exit), at_ms: at.0, tree_gone },
    }
}

fn ended(exit: Exit) -> nexus_keeper::Ended {
    match exit {
        Exit::Code(code) => nexus_keeper::Ended::Code(code),
        Exit::Signal(signal) => nexus_keeper::Ended::Signal(signal),
        Exit::Core(signal) => nexus_keeper::Ended::Core(signal),
        _ => nexus_keeper::Ended::Unknown,
    }
}
