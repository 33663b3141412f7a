//! How often each slot has really been restarted without anyone having asked: counted from what
//! happens in the world, to be compared with what the core says.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{ChildId, Next, SlotId, State};

/// The world's own count.
#[derive(Default)]
pub(crate) struct Truth {
    restarts: BTreeMap<SlotId, u64>,
    /// Their last worker ended by itself, and nobody has asked for anything since.
    owed: BTreeSet<SlotId>,
    /// Children whose end has been counted.
    counted: BTreeSet<ChildId>,
}

impl Truth {
    /// The core has been told that a worker that it had in this slot has ended by itself; `stays` =
    /// it is not to come back.
    pub(crate) fn ended(&mut self, slot: SlotId, child: ChildId, stays: bool) {
        if self.counted.insert(child) && !stays {
            self.owed.insert(slot);
        }
    }

    /// The keeper has put a successor in the place of `old`.
    pub(crate) fn respawned(&mut self, slot: SlotId, old: ChildId, asked: bool) {
        if self.counted.insert(old) && !asked {
            self.owed.insert(slot);
        }
        self.spawned(slot);
    }

    /// Someone asked for something that overtakes a restart of this slot.
    pub(crate) fn asked(&mut self, slot: SlotId) {
        self.owed.remove(&slot);
    }

    /// Its worker has been replaced because of a breach.
    pub(crate) fn breached(&mut self, slot: SlotId) {
        self.owed.remove(&slot);
        *self.restarts.entry(slot).or_default() += 1;
    }

    /// Someone asked for a count from 0, and the core has yet to be told of one restart (`untold`).
    pub(crate) fn reset(&mut self, slot: SlotId, untold: bool) {
        self.restarts.insert(slot, u64::from(untold));
    }

    /// A restart that nobody was told of has been overtaken.
    pub(crate) fn uncount(&mut self, slot: SlotId) {
        *self.restarts.entry(slot).or_default() -= 1;
    }

    /// A restart of this slot has yet to come.
    pub(crate) fn owes(&self, slot: SlotId) -> bool {
        self.owed.contains(&slot)
    }

    /// A worker of this slot has been spawned.
    pub(crate) fn spawned(&mut self, slot: SlotId) {
        if self.owed.remove(&slot) {
            *self.restarts.entry(slot).or_default() += 1;
        }
    }

    /// The first slot that the core counts otherwise.
    pub(crate) fn differs(&self, state: &State) -> Option<String> {
        state.apps().find_map(|(name, app)| {
            app.slots().iter().find_map(|slot| {
                let due = u64::from(matches!(slot.next, Next::At(_)));
                let told = slot.restarts - due;
                let true_one = self.restarts.get(&slot.id).copied().unwrap_or(0);
                (told != true_one).then(|| {
                    format!("{name}/{}: {told} restarts told, {true_one} true", slot.instance)
                })
            })
        })
    }
}
