//! One who watches what a nexusd and a keeper say to each other, and says which fact is broken.
//!
//! It knows only what nexusd knows: orders that it has sent, the roll that it was given, reports
//! that it has read. The same witness watches the real keeper in this crate's tests and the
//! pretended one in the core's simulator, so that the second can promise nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::{InRoll, InRollStage, Seen};
use crate::wire::Ended;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which of [`super::FACTS`].
    pub fact: &'static str,
    /// What was seen.
    pub seen: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Witness {
    children: BTreeMap<u64, Life>,
    /// Every number that was ever ordered, taken or respawned.
    numbers: BTreeSet<u64>,
    /// `Resumed` was sent since the last nexusd began.
    resumed: bool,
    /// And has been read for certain.
    settled: bool,
}

#[derive(Debug, Default)]
struct Life {
    stage: Stage,
    next: Option<u64>,
    delay_ms: u64,
    stay_codes: Vec<u8>,
    respawn_of: Option<u64>,
    heir: Option<u64>,
    /// Sent, perhaps not read.
    stopped: bool,
    /// Stopped, and certainly read.
    surely_stopped: bool,
    acknowledged: bool,
    /// It was ordered in the life of another nexusd or keeper: some of its reports may be lost.
    inherited: bool,
    /// In this nexusd's life: reports may repeat those of an earlier life, not of this one.
    told: Told,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Ordered,
    Spawned,
    Running,
    Failed,
    Exited {
        ended: EndedOrd,
        at_ms: u64,
    },
    Over {
        ended: EndedOrd,
        at_ms: u64,
    },
}

/// How it ended, for comparing stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EndedOrd {
    Code(u8),
    Signal(i32),
    Core(i32),
    Unknown,
}

impl From<Ended> for EndedOrd {
    fn from(ended: Ended) -> EndedOrd {
        match ended {
            Ended::Code(code) => EndedOrd::Code(code),
            Ended::Signal(signal) => EndedOrd::Signal(signal),
            Ended::Core(signal) => EndedOrd::Core(signal),
            Ended::Unknown => EndedOrd::Unknown,
        }
    }
}

#[derive(Debug, Default)]
struct Told {
    spawned: bool,
    failed: bool,
    exited: bool,
    tree_gone: bool,
    respawned: bool,
}

impl Life {
    fn is_told_anew(&mut self) {
        self.inherited = true;
        self.told = Told::default();
    }
}

impl Witness {
    /// Take in what was seen.
    ///
    /// # Errors
    /// The fact that it breaks.
    pub fn sees(&mut self, seen: &Seen) -> Result<(), Broken> {
        let judged = match seen {
            Seen::Began(roll) => self.began(roll),
            Seen::Ordered { child, next, delay_ms, stay_codes } => {
                let life = Life {
                    next: *next,
                    delay_ms: *delay_ms,
                    stay_codes: stay_codes.clone(),
                    ..Life::default()
                };
                self.new_child(*child, life)
            }
            Seen::Taken(child) => {
                self.new_child(*child, Life { stage: Stage::Running, ..Life::default() })
            }
            Seen::Stopped(child) => self.order(*child, |life| life.stopped = true),
            Seen::Acknowledged(child) => self.order(*child, |life| life.acknowledged = true),
            Seen::Resumed => {
                self.resumed = true;
                Ok(())
            }
            Seen::Settled => {
                self.settle();
                Ok(())
            }
            Seen::Spawned(child) => self.spawned(*child),
            Seen::Running(child) => self.running(*child),
            Seen::Failed(child) => self.failed(*child),
            Seen::Exited { child, ended, at_ms, tree_gone } => {
                self.exited(*child, (*ended).into(), *at_ms, *tree_gone)
            }
            Seen::TreeGone(child) => self.tree_gone(*child),
            Seen::Respawned { old, new, read_ms } => self.respawned(*old, *new, *read_ms),
        };
        judged.map_err(|fact| Broken { fact, seen: format!("{seen:?} by {self:?}") })
    }

    fn new_child(&mut self, child: u64, life: Life) -> Result<(), &'static str> {
        self.children.insert(child, life);
        ensure(self.numbers.insert(child), "order-survives-or-never-ran")
    }

    /// An order about a child; one that is not known (any more) is refused by the keeper.
    fn order(&mut self, child: u64, change: impl Fn(&mut Life)) -> Result<(), &'static str> {
        if let Some(life) = self.children.get_mut(&child) {
            change(life);
        }
        Ok(())
    }

    fn settle(&mut self) {
        self.settled = self.resumed;
        for life in self.children.values_mut() {
            life.surely_stopped |= life.stopped;
        }
        // What was over and is acknowledged is forgotten; anything else was refused.
        self.children.retain(|_, life| {
            !(life.acknowledged && matches!(life.stage, Stage::Over { .. } | Stage::Failed))
        });
        for life in self.children.values_mut() {
            life.acknowledged = false;
        }
    }

    fn began(&mut self, roll: &[InRoll]) -> Result<(), &'static str> {
        (self.resumed, self.settled) = (false, false);
        let mut before = std::mem::take(&mut self.children);
        for entry in roll {
            let known = before.remove(&entry.child);
            let fresh = self.numbers.insert(entry.child);
            // Nobody has ordered it: it can only be a successor.
            ensure(!fresh || entry.respawn_of.is_some(), "order-survives-or-never-ran")?;
            let mut life = known.unwrap_or_default();
            let stage = stage_of(entry.stage, life.stage);
            ensure(stage >= life.stage, "exit-told-until-acknowledged")?;
            life.stage = stage;
            life.respawn_of = entry.respawn_of.or(life.respawn_of);
            life.acknowledged = false;
            life.is_told_anew();
            self.children.insert(entry.child, life);
        }
        for (child, life) in before {
            if life.stage == Stage::Ordered {
                // An order that nobody has read: its number is free.
                self.numbers.remove(&child);
            } else {
                ensure(life.acknowledged, "exit-told-until-acknowledged")?;
            }
        }
        Ok(())
    }

    fn known(&mut self, child: u64, fact: &'static str) -> Result<&mut Life, &'static str> {
        self.children.get_mut(&child).ok_or(fact)
    }

    fn spawned(&mut self, child: u64) -> Result<(), &'static str> {
        let life = self.known(child, "respawned-before-spawned")?;
        let first = !std::mem::replace(&mut life.told.spawned, true);
        let in_order = life.inherited || life.stage == Stage::Ordered;
        life.stage = life.stage.max(Stage::Spawned);
        ensure(first && in_order, "spawn-reports-in-order")
    }

    fn running(&mut self, child: u64) -> Result<(), &'static str> {
        let life = self.known(child, "spawn-reports-in-order")?;
        let in_order = life.inherited || life.stage == Stage::Spawned;
        life.stage = life.stage.max(Stage::Running);
        ensure(in_order, "spawn-reports-in-order")
    }

    fn failed(&mut self, child: u64) -> Result<(), &'static str> {
        let life = self.known(child, "spawn-reports-in-order")?;
        let first = !std::mem::replace(&mut life.told.failed, true);
        let ended = matches!(life.stage, Stage::Exited { .. } | Stage::Over { .. });
        life.stage = Stage::Failed;
        ensure(first && !ended, "failed-spawn-has-stage-and-errno")
    }

    fn exited(
        &mut self,
        child: u64,
        ended: EndedOrd,
        at_ms: u64,
        tree_gone: bool,
    ) -> Result<(), &'static str> {
        let life = self.known(child, "spawn-reports-in-order")?;
        let first = !std::mem::replace(&mut life.told.exited, true);
        ensure(life.stage != Stage::Failed, "failed-spawn-has-stage-and-errno")?;
        ensure(life.stage > Stage::Ordered || life.inherited, "spawn-reports-in-order")?;
        let same = match life.stage {
            Stage::Exited { ended: e, at_ms: at } | Stage::Over { ended: e, at_ms: at } => {
                (e, at) == (ended, at_ms)
            }
            Stage::Ordered | Stage::Spawned | Stage::Running | Stage::Failed => true,
        };
        life.told.tree_gone |= tree_gone;
        let now =
            if tree_gone { Stage::Over { ended, at_ms } } else { Stage::Exited { ended, at_ms } };
        life.stage = life.stage.max(now);
        ensure(first && same, "exit-told-until-acknowledged")
    }

    fn tree_gone(&mut self, child: u64) -> Result<(), &'static str> {
        let life = self.known(child, "spawn-reports-in-order")?;
        let first = !std::mem::replace(&mut life.told.tree_gone, true);
        match life.stage {
            Stage::Exited { ended, at_ms } => life.stage = Stage::Over { ended, at_ms },
            Stage::Over { .. } => {}
            Stage::Ordered | Stage::Spawned | Stage::Running | Stage::Failed => {
                return Err("spawn-reports-in-order");
            }
        }
        ensure(first || life.inherited, "spawn-reports-in-order")
    }

    fn respawned(&mut self, old: u64, new: u64, read_ms: u64) -> Result<(), &'static str> {
        let (settled, fact) = (self.settled, "on-exit-in-absence-once");
        // Of an heir in the roll it is told again.
        let again = self.children.get(&new).is_some_and(|heir| heir.respawn_of == Some(old));
        let life = self.known(old, fact)?;
        let first = !std::mem::replace(&mut life.told.respawned, true);
        ensure(first && (again || life.heir.is_none()), fact)?;
        ensure(life.next == Some(new) || again, fact)?;
        life.heir = Some(new);
        let (Stage::Exited { ended, at_ms } | Stage::Over { ended, at_ms }) = life.stage else {
            return Err(fact);
        };
        let stays = match ended {
            EndedOrd::Code(code) => life.stay_codes.contains(&code),
            EndedOrd::Core(_) | EndedOrd::Signal(_) | EndedOrd::Unknown => false,
        };
        ensure(!stays && !life.surely_stopped, fact)?;
        ensure(read_ms >= at_ms.saturating_add(life.delay_ms), fact)?;
        ensure(!settled, "resumed-cancels")?;
        if !again {
            let heir = Life { respawn_of: Some(old), inherited: true, ..Life::default() };
            self.numbers.insert(new);
            self.children.insert(new, heir);
        }
        Ok(())
    }
}

fn stage_of(told: InRollStage, known: Stage) -> Stage {
    match told {
        InRollStage::Failed => Stage::Failed,
        InRollStage::Exited { ended, at_ms, tree_gone: true } => {
            Stage::Over { ended: ended.into(), at_ms }
        }
        InRollStage::Exited { ended, at_ms, tree_gone: false } => {
            Stage::Exited { ended: ended.into(), at_ms }
        }
        // The roll does not tell how far it came; an exit that we know of it must tell.
        InRollStage::Alive => known.min(Stage::Running),
    }
}

fn ensure(kept: bool, fact: &'static str) -> Result<(), &'static str> {
    if kept { Ok(()) } else { Err(fact) }
}

#[cfg(test)]
mod tests;
