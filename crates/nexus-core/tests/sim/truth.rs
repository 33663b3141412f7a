//! How often each slot has really been restarted without anyone having asked: counted from what
//! happens in the world, to be compared with what the core says.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{Next, SlotId, State};

/// The world's own count.
#[derive(Default)]
pub(crate) struct Truth {
    restarts: BTreeMap<SlotId, u64>,
    /// Their last worker ended by itself, and nobody has asked for anything since.
    owed: BTreeSet<SlotId>,
}

impl Truth {
    /// A worker of this slot has ended by itself.
    pub(crate) fn ended(&mut self, slot: SlotId) {
        self.owed.insert(slot);
    }

    /// Someone asked for something that overtakes a restart of this slot.
    pub(crate) fn asked(&mut self, slot: SlotId) {
        self.owed.remove(&slot);
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
