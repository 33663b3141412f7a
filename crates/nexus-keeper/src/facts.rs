//! What the pair promises: each fact by name, for this crate's tests against the real kernel and
//! for any pretended keeper that a simulator plays. Those that can be seen in what the two say to
//! each other are checked in both by a [`Witness`].

mod seen;
mod witness;

pub use seen::{InRoll, InRollStage, Seen};
pub use witness::{Broken, Witness};

/// One promise of the keeper's, or of the link's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// By this name tests refer to it.
    pub name: &'static str,
    /// The promise.
    pub says: &'static str,
}

/// All of them.
pub const FACTS: &[Fact] = &[
    Fact {
        name: "spawn-reports-in-order",
        says: "Spawn is answered by Spawned, then Running or SpawnFailed, then (after Running) \
               Exited, then TreeGone unless Exited said tree_gone; or by Refused with the child.",
    },
    Fact {
        name: "two-holders-before-exec",
        says: "A child runs its program only after its Spawned, with its pidfd, was queued at \
               nexusd; a keeper that dies before that leaves no process.",
    },
    Fact {
        name: "failed-spawn-has-stage-and-errno",
        says: "SpawnFailed says at which step and with which errno; no Exited follows.",
    },
    Fact {
        name: "exit-told-until-acknowledged",
        says: "An exit, a failed spawn or a respawn is in the roll of every new nexusd until it \
               is acknowledged; a report may repeat what the roll said.",
    },
    Fact {
        name: "acknowledge-after-tree",
        says: "Acknowledge is refused while the main process lives or its tree is not gone.",
    },
    Fact {
        name: "crash-ends-tree",
        says: "When a main process ends without Terminate or Kill, its tree is killed at once.",
    },
    Fact {
        name: "stop-passes-signal",
        says: "After Terminate the main process gets the signal alone; when it has gone the rest \
               gets the same; Kill ends all at any time.",
    },
    Fact {
        name: "on-exit-in-absence-once",
        says: "Between the death of a nexusd, or its absence while it waits for a disk, and the \
               next Resumed, an unacknowledged exit with a successor, that nobody asked for and \
               whose code is no stay code, is followed by one spawn, not before exit time plus \
               delay, not before its tree has gone, and not in the first two seconds of a nexusd \
               that may be about to decide.",
    },
    Fact {
        name: "respawned-before-spawned",
        says: "A successor is told by Respawned before its Spawned; it has its predecessor's \
               note, template, streams, tag and environment, and no OnExit of its own.",
    },
    Fact {
        name: "main-is-who-is-named",
        says: "After Main the signals and the exit of the child are those of the process that was \
               named, also with the next keeper and the next nexusd; the one before it is one of \
               its tree, and ends with it.",
    },
    Fact { name: "resumed-cancels", says: "Resumed cancels every successor that is still due." },
    Fact {
        name: "nexusd-always-replaced",
        says: "A dead nexusd is replaced at once, a repeatedly short-lived one after 10 ms \
               doubling to 1 s, and gets every held descriptor, pidfd and unacknowledged child.",
    },
    Fact {
        name: "promotion-keeps-workers",
        says: "After the keeper's death and promotion every worker has its pid, every held \
               descriptor its number in the roll, and every exit its true status where the \
               kernel can tell it.",
    },
    Fact {
        name: "order-survives-or-never-ran",
        says: "A spawn that the keeper had recorded when it died is carried out by its successor \
               under the same number; one that it had not read never ran.",
    },
    Fact {
        name: "upgrade-keeps-all",
        says: "After Upgrade the keeper is the new program in the same process, and a nexusd of it \
               follows: nothing that was held, lives, or was not acknowledged differs from what a \
               death of nexusd leaves.",
    },
    Fact {
        name: "upgrade-ends-whole",
        says: "An upgrade ends with both of the new program or both of the old one, and the arena \
               says which and why: also where the new one is not executed, ends or is late, as \
               keeper or as nexusd.",
    },
    Fact {
        name: "note-replaced-whole",
        says: "A note is the old one or the new one, never a mixture.",
    },
    Fact {
        name: "leave-leaves-workers",
        says: "After Leave the keeper exits 0, starts no nexusd and leaves every worker running.",
    },
    Fact {
        name: "stop-told-again",
        says: "After SIGTERM to the keeper every nexusd is told Stop, until Leave.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_name_of_its_own() {
        let mut names: Vec<_> = FACTS.iter().map(|fact| fact.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FACTS.len());
    }
}
