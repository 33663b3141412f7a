//! What a daemon has written: only what it was told to keep.

use std::collections::BTreeMap;

use nexus_core::{AppRecord, Intents, Keep, Next, PendingAsk, State};
use nexus_spec::Name;

#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) apps: BTreeMap<Name, AppRecord>,
    pending: BTreeMap<Name, Vec<PendingAsk>>,
    next_slot_id: u32,
}

impl Disk {
    pub(crate) fn keep(&mut self, keep: &Keep, state: &State) {
        match keep {
            Keep::App(name) => {
                self.apps.insert(name.clone(), state.app(name.as_str()).unwrap().record());
                self.next_slot_id = state.next_slot_id();
            }
            Keep::Gone(name) => {
                self.apps.remove(name);
                self.pending.remove(name);
            }
            Keep::Pending(name) => {
                self.pending.insert(name.clone(), state.app(name.as_str()).unwrap().pending());
            }
            Keep::Slot(name, instance) => {
                let slot = state.app(name.as_str()).unwrap().slot(*instance).unwrap();
                self.apps.get_mut(name).unwrap().slots[usize::from(*instance)] = slot.record();
            }
        }
    }

    /// Who waits for builds.
    pub(crate) fn builders(&self) -> Vec<PendingAsk> {
        let asks = self.pending.values().flatten();
        asks.filter(|ask| ask.waiting.building).cloned().collect()
    }

    pub(crate) fn intents(&self) -> Intents {
        Intents {
            apps: self.apps.values().cloned().collect(),
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
            }
        }
        (kept != true_one).then(|| format!("kept\n  {kept:?}\nbut it is\n  {true_one:?}"))
    }
}
