//! What is owed, or is not, because apps depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use nexus_core::{Action, Fact, Milestone, Next, PendingAsk, Phase, SlotId, Want};
use nexus_spec::Name;

use crate::owed::{Moving, ends_at_once, fact};
use crate::world::World;

/// Slots that are to be started again by themselves, with the restarts that they have then.
pub(crate) type Due = BTreeMap<SlotId, RangeInclusive<u64>>;

impl World {
    pub(crate) fn due(&self) -> Due {
        let slots = self.state.apps().flat_map(|(_, app)| app.slots());
        let due = slots.filter(|slot| matches!(slot.next, Next::At(_)));
        due.map(|slot| (slot.id, slot.restarts..=slot.restarts)).collect()
    }

    /// A restart whose order was lost is counted, though it waits for other apps now. So is one that
    /// the roll brings about.
    pub(crate) fn due_again(&self) -> Due {
        let kept = self.disk.intents().apps;
        let due = |app: &nexus_core::AppRecord| {
            let due = app.slots.iter().map(|slot| {
                // What a reload goes back from is followed by what was there before: no restart.
                let more = u64::from(app.reload.is_some() && !self.truth.owes(slot.id));
                (slot.id, slot.restarts + more..=u64::MAX)
            });
            due.collect::<Vec<_>>()
        };
        kept.iter().flat_map(due).collect()
    }

    /// A restart that was due, and that nothing has overtaken, is counted, though it waits for other
    /// apps first.
    pub(crate) fn wait_for_others(&mut self, due: &Due) {
        let slots = self.state.apps().flat_map(|(_, app)| app.slots());
        let waits = slots.filter(|slot| slot.phase == Phase::Waiting);
        let counted = waits.filter(|slot| {
            due.get(&slot.id).is_some_and(|restarts| restarts.contains(&slot.restarts))
        });
        for id in counted.map(|slot| slot.id).collect::<Vec<_>>() {
            self.truth.spawned(id);
        }
    }

    /// A reload, or the way back from it, has nothing more to do where a slot waits for other apps.
    pub(crate) fn waits_after_a_reload(&self, acts: &[Action]) -> Vec<Moving> {
        let done = acts.iter().filter_map(fact).filter_map(|fact| match fact {
            Fact::Reload {
                app, milestone: Milestone::Done | Milestone::RolledBack { .. }, ..
            } => self.state.app(app.as_str()),
            _ => None,
        });
        let slots = done.flat_map(|app| app.slots().iter().map(|slot| (&app.spec().name, slot)));
        let waits = slots.filter(|(_, slot)| slot.phase == Phase::Waiting);
        waits.map(|(name, slot)| (name.clone(), slot.instance, slot.id, None)).collect()
    }

    /// Who ran before, and who lives: at a return nobody was known to run, and a build's end leaves
    /// the living alone.
    pub(crate) fn left_alone(&self, running: &BTreeSet<SlotId>) -> BTreeSet<SlotId> {
        let living = self.keeper.kept.values().filter(|kept| kept.lives() && !kept.asked);
        // One whose end was decided, though it has not been told, is not left alone.
        let slots = || self.state.apps().flat_map(|(_, app)| app.slots());
        let going = |child| {
            slots()
                .any(|slot| matches!(slot.phase, Phase::Stopping { child: of, .. } if of == child))
        };
        let living = living.filter(|kept| !going(kept.entry.child));
        let living = living.filter_map(crate::keeper::Kept::slot);
        running.iter().copied().chain(living).collect()
    }

    pub(crate) fn is_unwanted(&self, app: &Name, instance: u16) -> bool {
        let slot = self.state.app(app.as_str()).and_then(|app| app.slot(instance));
        slot.is_some_and(|slot| slot.want != Want::Up)
    }

    /// What was only to come after other apps is done now.
    pub(crate) fn goes_on(
        &mut self,
        builders: &[PendingAsk],
        running: &BTreeSet<SlotId>,
        acts: &[Action],
    ) {
        let pending = self.state.pending();
        let goes_on = |ask: &&PendingAsk| {
            let own = |now: &PendingAsk| {
                (&now.app, now.instance, now.waiting.op) == (&ask.app, ask.instance, ask.waiting.op)
                    && !now.waiting.building
            };
            !self.disk.builds(&ask.app) && pending.iter().any(own)
        };
        let gone_on: Vec<PendingAsk> = builders.iter().filter(goes_on).cloned().collect();
        for ask in gone_on {
            let slots = self.state.app(ask.app.as_str()).map(nexus_core::App::slots);
            let ids: Vec<SlotId> = slots.unwrap_or_default().iter().map(|slot| slot.id).collect();
            for id in ids {
                // Restarted by itself first, in the same turn.
                if let Some(child) = ends_at_once(acts, id) {
                    self.truth.spawned(id);
                    self.born_asked.insert(child);
                }
            }
            self.built(&ask.app, std::slice::from_ref(&ask), running);
        }
    }

    /// One that is held has ended meanwhile, and the keeper has put another in its place: the core,
    /// once told, wants neither.
    pub(crate) fn heirs_of_held(
        &mut self,
        app: &Name,
        scope: Option<u16>,
        running: &BTreeSet<SlotId>,
    ) {
        let slots = self.state.app(app.as_str()).map(nexus_core::App::slots).unwrap_or_default();
        let held = slots.iter().filter(|slot| slot.want != Want::Up && slot.phase.is_running());
        let held = held.filter(|slot| scope.is_none_or(|scope| scope == slot.instance));
        for id in held.map(|slot| slot.id).collect::<Vec<_>>() {
            if !self.overtakes_an_untold_respawn(id, running) {
                continue;
            }
            self.truth.uncount(id);
            for kept in self.keeper.kept.values_mut() {
                kept.asked |= kept.slot() == Some(id) && kept.entry.respawn_of.is_some();
            }
        }
    }
}
