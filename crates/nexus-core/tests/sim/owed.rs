//! Whose end somebody asked for, and so which restarts nobody did: found out from what the core says
//! that it has done.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{
    Action, Ask, ChildId, Event, Fact, Goal, Milestone, Next, OpId, Outcome, PendingAsk, Purpose,
    Run, SlotId, Want, Why,
};
use nexus_spec::Name;

use crate::world::World;

/// What slots belong to: a reload's generation, or their app's own.
pub(crate) type Moved = BTreeMap<SlotId, Option<u64>>;

/// A slot that a reload has touched: app, instance, number, and its new child if it has one.
pub(crate) type Moving = (Name, u16, SlotId, Option<ChildId>);

impl World {
    /// A child's end has been told; it counts if the core had it in a slot and nobody wanted it.
    pub(crate) fn tell_truth(&mut self, child: ChildId, facts: &[Fact]) {
        let Some(kept) = self.keeper.kept.get(&child).filter(|kept| !kept.asked) else { return };
        let Some(id) = kept.slot() else { return };
        let slot = self
            .state
            .by_id(id)
            .and_then(|(name, instance)| self.state.app(name.as_str())?.slot(instance));
        let last = slot.and_then(|slot| slot.last_exit).filter(|last| last.child == child);
        // The core ends an heir that came too late on its own account.
        let late_heir = |asked: bool| asked && kept.entry.respawn_of.is_some();
        // A slot that stays down is owed nothing, though the keeper, which knew only the spec that
        // the worker was started with, may have respawned it.
        // Another one's end may have followed in the same turn: then what follows is about that one.
        let given_up = |slot: &nexus_core::Slot| matches!(slot.next, Next::GivenUp | Next::Stay);
        // So may a restart that somebody had asked for and that waited for other apps.
        let never = |fact: &Fact| matches!(fact, Fact::Exited { child: of, again_at: None, .. } if *of == child);
        let stays = last.is_some() && slot.is_some_and(given_up) || facts.iter().any(never);
        let told = last.is_none() && facts.iter().any(|fact| judged(fact, child));
        if told || last.is_some_and(|last| !late_heir(last.asked)) {
            self.truth.ended(id, child, stays);
        }
    }

    /// Tell the truth which restarts are overtaken by what was asked for.
    pub(crate) fn overtaken(
        &mut self,
        asked: Option<&(OpId, Ask)>,
        running: &BTreeSet<SlotId>,
        said: &[Action],
    ) {
        if let Some((op, ask)) = asked {
            let refused = said.iter().any(|action| {
                matches!(action, Action::Reply { op: answered, app, outcome }
                if answered == op && app == ask.app() && matches!(
                    outcome,
                    Outcome::Busy { .. }
                        | Outcome::CannotAbort
                        | Outcome::Conflict
                        | Outcome::NotFound
                        | Outcome::NoVersion
                        | Outcome::Spared { .. }
                ))
            });
            let building = self
                .state
                .pending()
                .iter()
                .any(|of| of.app == *ask.app() && of.waiting.op == *op && of.waiting.building);
            let (scope, ends) = match ask {
                Ask::Delete { .. } => (None, true),
                Ask::Restart { instance, .. } | Ask::Stop { instance, .. } => (*instance, true),
                Ask::Scale { to, .. } => (None, *to == 0),
                Ask::Start { .. } => (None, false),
                Ask::Reset { app, instance } => {
                    return if refused {
                    } else {
                        self.reset(app, *instance)
                    };
                }
                Ask::Abort { app, .. } if self.scales(app, *op) => (None, false),
                // What becomes a job is run when its time has come, and no more because it ended.
                Ask::Reload { app, instance, .. } if self.is_job(app) => (*instance, false),
                Ask::Rollback { app, .. } if self.is_job(app) => (None, false),
                Ask::Abort { .. } | Ask::Reload { .. } | Ask::Rollback { .. } => return,
                Ask::StartKnown { instance, .. } => (*instance, false),
            };
            if !refused && !building {
                self.mark(ask.app(), scope, ends, running, None);
            }
        }
    }

    /// What each slot belonged to.
    pub(crate) fn moved(&self) -> Moved {
        let slots = self.state.apps().flat_map(|(_, app)| app.slots());
        slots.map(|slot| (slot.id, slot.moved_to)).collect()
    }

    fn is_job(&self, app: &Name) -> bool {
        self.state.app(app.as_str()).is_some_and(nexus_core::App::is_job)
    }

    /// The operation scales an app.
    fn scales(&self, app: &Name, op: OpId) -> bool {
        let pending = self.state.app(app.as_str()).map(nexus_core::App::pending);
        pending
            .into_iter()
            .flatten()
            .any(|ask| ask.waiting.op == op && matches!(ask.waiting.goal, Goal::Scaled { .. }))
    }

    fn reset(&mut self, app: &Name, instance: Option<u16>) {
        let Some(app) = self.state.app(app.as_str()) else { return };
        let slots = app.slots().iter();
        let reset = slots.filter(|slot| instance.is_none_or(|instance| instance == slot.instance));
        let due = |slot: &nexus_core::Slot| matches!(slot.next, Next::At(_));
        for (id, due) in reset.map(|slot| (slot.id, due(slot))).collect::<Vec<_>>() {
            // A restart that is due is the first of those that count from here on, also if the keeper
            // has carried it out already, which is yet to be told.
            let untold = self.keeper.reports.iter().any(|(_, event)| match event {
                Event::Respawned { old, new, .. } if !self.disk.is_successor(*old) => {
                    let heir = self.keeper.kept.get(new).filter(|heir| !heir.told && !heir.asked);
                    heir.is_some_and(|heir| heir.slot() == Some(id)) && (due || !self.told(*old))
                }
                _ => false,
            });
            self.truth.reset(id, untold);
        }
    }

    /// The core has been told that it ended.
    fn told(&self, old: ChildId) -> bool {
        let mut reports = self.keeper.reports.iter();
        !reports.any(|(_, event)| matches!(event, Event::Exited { child, .. } if *child == old))
    }

    /// Slots whose workers a reload has just stopped, or started, without a successor beside them.
    pub(crate) fn moves(&mut self, before: &Moved, running: &BTreeSet<SlotId>, acts: &[Action]) {
        let relieved: BTreeSet<(&Name, u16)> = acts
            .iter()
            .filter_map(|action| match action {
                Action::Note(Fact::Replaced { app, instance, .. }) => Some((app, *instance)),
                _ => None,
            })
            .collect();
        let mut moved = Vec::new();
        for (name, app) in self.state.apps() {
            let Some(reload) = app.rollout().map(|rollout| &rollout.reload) else { continue };
            if reload.instance.is_some() {
                self.scoped.insert((name.clone(), reload.generation));
            }
            let generation = Some(reload.generation);
            for slot in app.slots() {
                let was = before.get(&slot.id).copied().flatten();
                let forth = reload.back.is_none() && slot.moved_to == generation;
                let back = reload.back.is_some() && was == generation && slot.moved_to.is_none();
                let relieved = relieved.contains(&(name, slot.instance));
                if was != slot.moved_to && (forth || back) && !relieved {
                    let new = slot.phase.child().filter(|_| slot.phase.is_running());
                    moved.push((name.clone(), slot.instance, slot.id, new));
                }
            }
        }
        moved.extend(self.stopped_by_a_reload_that_is_over(acts));
        moved.extend(self.took_the_place_and_gave_way(acts));
        moved.extend(self.waits_after_a_reload(acts));
        for (name, instance, id, new) in moved {
            // Restarted by itself first, in the same turn.
            if let Some(child) = ends_at_once(acts, id) {
                self.truth.spawned(id);
                self.born_asked.insert(child);
            }
            // One that failed in a reload is followed by what was there before: that is no restart
            // of its own, and what the keeper has put in its place does not count either.
            let gave_way = acts.iter().filter_map(fact).any(|fact| match fact {
                Fact::Exited { app, instance: ended, asked: false, .. } => {
                    *app == name && *ended == instance
                }
                _ => false,
            });
            let nobody = BTreeSet::new();
            let running = if gave_way { &nobody } else { running };
            self.mark(&name, Some(instance), true, running, new);
        }
    }

    /// A new worker has taken its place and failed in the same turn, and what was before follows.
    fn took_the_place_and_gave_way(&self, acts: &[Action]) -> Vec<Moving> {
        let failed = acts.iter().filter_map(fact).filter_map(|fact| match fact {
            Fact::Reload { app, milestone: Milestone::RollingBack(Some(failure)), .. } => {
                Some((app, failure.instance, failure.child))
            }
            _ => None,
        });
        let just_here = |of: ChildId| {
            let mut facts = acts.iter().filter_map(fact);
            facts.any(|fact| matches!(fact, Fact::Replaced { child, .. } if *child == of))
        };
        let given =
            failed.filter(|&(.., child)| just_here(child)).filter_map(|(app, instance, _)| {
                let slot = self.state.app(app.as_str())?.slot(instance)?;
                let new = slot.phase.child().filter(|_| slot.phase.is_running());
                Some((app.clone(), instance, slot.id, new))
            });
        given.collect()
    }

    /// A reload has stopped a worker, and was given up in the same turn.
    fn stopped_by_a_reload_that_is_over(&self, acts: &[Action]) -> Vec<Moving> {
        let facts: Vec<&Fact> = acts.iter().filter_map(fact).collect();
        let is_over = |name: &Name| {
            facts.iter().any(|fact| match fact {
                Fact::Reload { app, milestone: Milestone::RolledBack { .. }, .. } => app == name,
                _ => false,
            })
        };
        let stopped = facts.iter().filter_map(|fact| match fact {
            Fact::Stopping { app, instance, child } if is_over(app) => {
                Some((app, *instance, *child))
            }
            _ => None,
        });
        let seated = stopped.filter_map(|(app, instance, child)| {
            let slot = self.state.app(app.as_str())?.slot(instance)?;
            let own = slot.phase.child() == Some(child) && slot.next == Next::Run;
            own.then(|| (app.clone(), instance, slot.id, None))
        });
        seated.collect()
    }

    /// A worker has taken the place of one that lived.
    pub(crate) fn promoted(&mut self, fact: &Fact, running: &BTreeSet<SlotId>) {
        let Fact::Replaced { app, instance, child, why, .. } = fact else { return };
        let Some(id) = self.slot_id(app, *instance) else { return };
        match why {
            Why::Asked | Why::Breach => {
                self.mark(app, Some(*instance), true, running, Some(*child));
                if *why == Why::Breach {
                    self.truth.breached(id);
                }
                // It has ended, and the keeper has put another in its place, before the core was
                // told that it was ready.
                let of_it = |kept: &crate::keeper::Kept| kept.entry.respawn_of == Some(*child);
                if self.keeper.kept.values().any(of_it) {
                    self.truth.respawned(id, *child, false);
                }
            }
            Why::Ended => {}
        }
        // After the roll was read it has ended, and the keeper has put another in its place: that
        // was of one that was to take a place, and is of one that has it.
        let mut kept = self.keeper.kept.values();
        if kept.any(|kept| kept.entry.respawn_of == Some(*child)) {
            self.truth.respawned(id, *child, false);
        }
    }

    /// A worker has taken the place of one that had ended by itself.
    pub(crate) fn stepped_in(&mut self, fact: &Fact) {
        let Fact::Replaced { app, instance, why: Why::Ended, .. } = fact else { return };
        if let Some(id) = self.slot_id(app, *instance) {
            self.truth.spawned(id);
        }
    }

    fn slot_id(&self, app: &Name, instance: u16) -> Option<SlotId> {
        Some(self.state.app(app.as_str())?.slot(instance)?.id)
    }

    /// A job runs: that is no restart of the run before, which may be stopped for it. Nor is it
    /// one when a worker is stopped since its app has become a job.
    pub(crate) fn runs(&mut self, fact: &Fact, running: &BTreeSet<SlotId>, acts: &[Action]) {
        match fact {
            Fact::Run { app, what: Run::Begun | Run::Replaced } => {
                self.mark(app, None, true, running, None);
            }
            Fact::Stopping { app, instance, .. } if self.is_job(app) => {
                // Restarted by itself first, in the same turn.
                if let Some(id) = self.slot_id(app, *instance)
                    && let Some(child) = ends_at_once(acts, id)
                {
                    self.truth.spawned(id);
                    self.born_asked.insert(child);
                }
                self.mark(app, Some(*instance), true, running, None);
            }
            // It was held until now.
            Fact::Stopping { app, instance, .. } if self.is_unwanted(app, *instance) => {
                self.mark(app, Some(*instance), true, running, None);
            }
            _ => {}
        }
    }

    /// A build has succeeded: what was waited for happens now.
    pub(crate) fn built(
        &mut self,
        app: &Name,
        builders: &[PendingAsk],
        running: &BTreeSet<SlotId>,
    ) {
        for ask in builders.iter().filter(|ask| ask.app == *app) {
            if let Goal::Reloaded { .. } = ask.waiting.goal {
                continue;
            }
            let ends = matches!(ask.waiting.goal, Goal::Fresh { .. });
            self.mark(app, ask.instance, ends, running, None);
        }
    }

    fn mark(
        &mut self,
        app: &Name,
        scope: Option<u16>,
        ends: bool,
        running: &BTreeSet<SlotId>,
        except: Option<ChildId>,
    ) {
        let Some(record) = self.state.app(app.as_str()) else { return };
        let slots: Vec<SlotId> = record
            .slots()
            .iter()
            .filter(|slot| scope.is_none_or(|scope| scope == slot.instance))
            // One that is held until others have gone has not been told, and may be wanted again.
            .filter(|slot| slot.want == Want::Up || !slot.phase.is_running())
            .map(|slot| slot.id)
            .filter(|id| ends || !running.contains(id))
            .collect();
        self.heirs_of_held(app, scope, running);
        for &slot in &slots {
            self.truth.asked(slot);
            if self.overtakes_an_untold_respawn(slot, running) {
                self.truth.uncount(slot);
            }
        }
        for kept in self.keeper.kept.values_mut() {
            if Some(kept.entry.child) == except {
                continue;
            }
            kept.asked |= kept.slot().is_some_and(|slot| slots.contains(&slot));
        }
    }

    /// The keeper has respawned it, and before the core could count that, someone asked for its end.
    pub(crate) fn overtakes_an_untold_respawn(
        &self,
        slot: SlotId,
        running: &BTreeSet<SlotId>,
    ) -> bool {
        self.keeper.reports.iter().any(|(_, event)| match event {
            Event::Respawned { old, new, .. } if !self.disk.is_successor(*old) => {
                let heir = self.keeper.kept.get(new).filter(|heir| !heir.told && !heir.asked);
                let own = heir.is_some_and(|heir| heir.slot() == Some(slot));
                own && (!self.told(*old) || !running.contains(&slot))
            }
            _ => false,
        })
    }
}

/// It has ended by itself, and is to come back, or its successor has in its place.
fn judged(fact: &Fact, of: ChildId) -> bool {
    match fact {
        Fact::Exited { child, asked: false, again_at: Some(_), .. } => *child == of,
        Fact::Replaced { old, why: Why::Ended, .. } => *old == of,
        _ => false,
    }
}

pub(crate) fn fact(action: &Action) -> Option<&Fact> {
    match action {
        Action::Note(fact) => Some(fact),
        _ => None,
    }
}

/// The child that the turn spawns for this slot and tells to go.
pub(crate) fn ends_at_once(acts: &[Action], slot: SlotId) -> Option<ChildId> {
    let ends = |spawned: ChildId| {
        let mut ends = acts.iter();
        ends.any(|act| matches!(act, Action::Terminate { child, .. } if *child == spawned))
    };
    acts.iter().find_map(|spawn| match spawn {
        Action::Spawn { child, purpose: Purpose::Worker { id, .. }, .. } => {
            (*id == slot && ends(*child)).then_some(*child)
        }
        _ => None,
    })
}
