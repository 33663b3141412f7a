//! What a daemon has written: only what it was told to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus_core::{AppRecord, ChildId, Intents, Keep, Next, PendingAsk, SlotRecord, State, Version};
use nexus_spec::Name;

use crate::owed::Moved;

#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) apps: BTreeMap<Name, AppRecord>,
    versions: BTreeMap<Name, Vec<Arc<Version>>>,
    pending: BTreeMap<Name, Vec<PendingAsk>>,
    next_slot_id: u32,
    successors: BTreeSet<ChildId>,
}

impl Disk {
    pub(crate) fn keep(&mut self, keep: &Keep, state: &State) {
        match keep {
            Keep::App(name) => {
                let mut record = state.app(name.as_str()).unwrap().record();
                record.versions.clear();
                record.slots.iter().for_each(|slot| self.see(slot));
                self.apps.insert(name.clone(), record);
                self.next_slot_id = state.next_slot_id();
            }
            Keep::Gone(name) => {
                self.apps.remove(name);
                self.pending.remove(name);
                self.versions.remove(name);
            }
            Keep::Versions(name) => {
                let versions = state.app(name.as_str()).unwrap().versions().to_vec();
                self.versions.insert(name.clone(), versions);
            }
            Keep::Pending(name) => {
                self.pending.insert(name.clone(), state.app(name.as_str()).unwrap().pending());
            }
            Keep::Slot(name, instance) => {
                let slot = state.app(name.as_str()).unwrap().slot(*instance).unwrap().record();
                self.see(&slot);
                self.apps.get_mut(name).unwrap().slots[usize::from(*instance)] = slot;
            }
        }
    }

    /// What each slot belonged to.
    pub(crate) fn moved(&self) -> Moved {
        let slots = self.apps.values().flat_map(|app| &app.slots);
        slots.map(|slot| (slot.id, slot.moved_to)).collect()
    }

    /// It was to take the place of another, and never has.
    pub(crate) fn is_successor(&self, child: ChildId) -> bool {
        self.successors.contains(&child)
    }

    fn see(&mut self, slot: &SlotRecord) {
        self.successors.extend(slot.successor.map(|successor| successor.child));
        slot.child.map(|child| self.successors.remove(&child));
    }

    /// Its plan runs a build command.
    pub(crate) fn builds(&self, app: &Name) -> bool {
        let plan = self.apps.get(app).and_then(|app| app.plan.as_ref());
        plan.is_none_or(|plan| plan.builds)
    }

    /// Who waits for builds.
    pub(crate) fn builders(&self) -> Vec<PendingAsk> {
        let asks = self.pending.values().flatten();
        asks.filter(|ask| ask.waiting.building).cloned().collect()
    }

    /// With what is kept apart.
    fn whole(&self, app: &AppRecord) -> AppRecord {
        let versions = self.versions.get(&app.spec.name).cloned().unwrap_or_default();
        AppRecord { versions, ..app.clone() }
    }

    pub(crate) fn intents(&self) -> Intents {
        Intents {
            apps: self.apps.values().map(|app| self.whole(app)).collect(),
            next_slot_id: self.next_slot_id,
            pending: self.pending.values().flatten().cloned().collect(),
        }
    }

    /// Everything that must outlive the daemon has been told to be kept.
    pub(crate) fn differs(&self, state: &State) -> Option<String> {
        let (mut kept, mut true_one) = (self.intents(), state.intents());
        if kept.next_slot_id > true_one.next_slot_id {
            return Some("a slot's number could be used twice".into());
        }
        for intents in [&mut kept, &mut true_one] {
            intents.next_slot_id = 0;
            for slot in intents.apps.iter_mut().flat_map(|app| &mut app.slots) {
                // A respawn writes nothing: its time is in the past then, and means the same.
                if let Next::At(_) = slot.next {
                    slot.next = Next::Run;
                }
                slot.generation = 0;
                slot.child = None;
            }
        }
        (kept != true_one).then(|| format!("kept\n  {kept:?}\nbut it is\n  {true_one:?}"))
    }
}
