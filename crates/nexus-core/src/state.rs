//! All that the supervisor knows, and the one way to change a slot so that every index stays true.

use std::collections::{BTreeMap, BTreeSet};

use nexus_spec::{AppSpec, Name};

use crate::app::{App, Build, Counts, spec_of};
use crate::changes::Changes;
use crate::event::{ChildId, SlotId, Time};
use crate::exam::Examiner;
use crate::phase::Phase;
use crate::record::{Intents, PendingAsk};
use crate::site::{self, Sites, Stand};
use crate::slot::Slot;
use crate::stray::Stray;
use crate::successor::Successor;

/// All that the supervisor knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) apps: BTreeMap<Name, App>,
    pub(crate) strays: BTreeMap<ChildId, Stray>,
    pub(crate) exams: BTreeMap<ChildId, Examiner>,
    /// Whom the exams are of.
    pub(crate) examined: BTreeMap<ChildId, ChildId>,
    pub(crate) index: Index,
    /// Apps that others depend on and that have changed in this turn; empty between turns.
    pub(crate) stirred: BTreeSet<Name>,
    pub(crate) last_child: u64,
    pub(crate) next_slot_id: u32,
}

/// Who has a child, or a deadline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seat {
    Build(Name),
    /// What is put off about changes of files: has no child.
    Changes(Name),
    Exam(ChildId),
    /// How long one waits for what an app depends on, or for what depends on it: has no child.
    Patience(Name),
    Stray(ChildId),
    /// The pause of a reload: has no child.
    Trial(Name),
    /// Who is to take the place of that worker.
    Successor(Name, u16),
    Worker(Name, u16),
}

/// Ways to find a seat without walking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) children: BTreeMap<ChildId, Seat>,
    pub(crate) deadlines: BTreeSet<(Time, Seat)>,
    /// Who depends on an app, whether it is there or not.
    pub(crate) dependents: BTreeMap<Name, BTreeSet<Name>>,
    /// Those of them with a slot that waits: only they may go on when the app changes.
    pub(crate) waiters: BTreeMap<Name, BTreeSet<Name>>,
    /// Numbers reserved for the keeper's respawns.
    pub(crate) heirs: BTreeMap<ChildId, Seat>,
    pub(crate) ids: BTreeMap<SlotId, (Name, u16)>,
    /// Whose builds run, or wait, where.
    pub(crate) sites: Sites,
}

/// What the index holds of one seat.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    child: Option<ChildId>,
    deadline: Option<Time>,
    heir: Option<ChildId>,
}

impl Marks {
    pub(crate) fn of_phase(phase: Phase) -> Marks {
        Marks { child: phase.child(), deadline: phase.deadline(), heir: None }
    }

    pub(crate) fn of_changes(changes: &Changes) -> Marks {
        Marks::of_deadline(changes.deadline())
    }

    pub(crate) fn of_deadline(deadline: Option<Time>) -> Marks {
        Marks { deadline, ..Marks::default() }
    }

    pub(crate) fn of_slot(slot: &Slot) -> Marks {
        Marks { heir: slot.heir, ..Marks::of_phase(slot.phase) }
    }

    pub(crate) fn of_successor(successor: Option<Successor>) -> Marks {
        successor.map_or_else(Marks::default, |successor| Marks {
            heir: successor.heir,
            ..Marks::of_phase(successor.phase)
        })
    }
}

impl Index {
    pub(crate) fn moved(&mut self, seat: &Seat, before: Marks, after: Marks) {
        if before.child != after.child {
            before.child.map(|child| self.children.remove(&child));
            after.child.map(|child| self.children.insert(child, seat.clone()));
        }
        if before.heir != after.heir {
            before.heir.map(|child| self.heirs.remove(&child));
            after.heir.map(|child| self.heirs.insert(child, seat.clone()));
        }
        if before.deadline != after.deadline {
            before.deadline.map(|at| self.deadlines.remove(&(at, seat.clone())));
            after.deadline.map(|at| self.deadlines.insert((at, seat.clone())));
        }
    }
}

impl Index {
    /// An app depends on others from here on, or does not any more.
    pub(crate) fn depends(&mut self, spec: &AppSpec, does: bool) {
        link(&mut self.dependents, spec, does);
    }

    /// An app waits for others from here on, or does not any more.
    pub(crate) fn waits(&mut self, spec: &AppSpec, does: bool) {
        link(&mut self.waiters, spec, does);
    }
}

/// Find an app by those that it depends on, or do not any more.
fn link(all: &mut BTreeMap<Name, BTreeSet<Name>>, spec: &AppSpec, does: bool) {
    for on in spec.depends_on.keys() {
        let found = all.entry(on.clone()).or_default();
        match does {
            true => found.insert(spec.name.clone()),
            false => found.remove(&spec.name),
        };
        if found.is_empty() {
            all.remove(on);
        }
    }
}

impl State {
    /// When `step` next wants to be called with `Event::Tick`.
    pub fn next_deadline(&self) -> Option<Time> {
        self.index.deadlines.first().map(|&(at, _)| at)
    }

    /// All apps, by name.
    pub fn apps(&self) -> impl ExactSizeIterator<Item = (&Name, &App)> {
        self.apps.iter()
    }

    /// One app.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.get(name)
    }

    /// The app and the instance that a number typed by a user stands for.
    pub fn by_id(&self, id: SlotId) -> Option<(&Name, u16)> {
        self.index.ids.get(&id).map(|(name, instance)| (name, *instance))
    }

    /// The app and the instance that a living child serves; `None` for builds and strays.
    pub fn by_child(&self, child: ChildId) -> Option<(&Name, u16)> {
        match self.index.children.get(&child)? {
            Seat::Worker(name, instance) => Some((name, *instance)),
            Seat::Build(_)
            | Seat::Changes(_)
            | Seat::Exam(_)
            | Seat::Patience(_)
            | Seat::Stray(_)
            | Seat::Trial(_)
            | Seat::Successor(..) => None,
        }
    }

    /// Children that hold no seat and are not gone yet.
    pub fn strays(&self) -> impl ExactSizeIterator<Item = (&ChildId, &Stray)> {
        self.strays.iter()
    }

    /// Commands that examine workers.
    pub fn exams(&self) -> impl ExactSizeIterator<Item = (&ChildId, &Examiner)> {
        self.exams.iter()
    }

    /// Everyone who waits for an answer.
    pub fn pending(&self) -> Vec<PendingAsk> {
        self.apps.values().flat_map(App::pending).collect()
    }

    /// The next number that users may type for a slot.
    pub fn next_slot_id(&self) -> u32 {
        self.next_slot_id
    }

    /// The highest child number ordered or reserved so far.
    pub fn last_child(&self) -> ChildId {
        ChildId(self.last_child)
    }

    /// Everything that must outlive the daemon.
    pub fn intents(&self) -> Intents {
        Intents {
            apps: self.apps.values().map(App::record).collect(),
            next_slot_id: self.next_slot_id,
            pending: self.pending(),
        }
    }

    /// A child's number and the one after it, which is reserved for the keeper's respawn of it.
    pub(crate) fn fresh_child(&mut self) -> (ChildId, ChildId) {
        self.last_child += 2;
        (ChildId(self.last_child - 1), ChildId(self.last_child))
    }

    pub(crate) fn slot(&self, name: &Name, instance: u16) -> Option<&Slot> {
        self.apps.get(name)?.slots.get(instance)
    }

    /// Change one slot. The only way: counts and indexes follow.
    pub(crate) fn alter<R>(
        &mut self,
        name: &Name,
        instance: u16,
        change: impl FnOnce(&AppSpec, &mut Slot) -> R,
    ) -> Option<R> {
        let App { spec, generation, slots, counts, rollout, .. } = self.apps.get_mut(name)?;
        let slot = slots.get_mut(instance)?;
        let before = (Marks::of_slot(slot), Marks::of_successor(slot.successor));
        let counted = Counts::of(slot, *generation);
        let answer = change(spec_of(spec, rollout.as_ref(), slot.moved_to), slot);
        let counts_now = Counts::of(slot, *generation);
        let waited = counts.waiting > 0;
        counts.swap(counted, counts_now);
        if waited != (counts.waiting > 0) {
            self.index.waits(spec, !waited);
        }
        let stirs = counted != counts_now && self.index.waiters.contains_key(name);
        if stirs {
            self.stirred.insert(name.clone());
        }
        let after = (Marks::of_slot(slot), Marks::of_successor(slot.successor));
        // The successor first: what leaves its place may take the worker's.
        if before.1 != after.1 {
            self.index.moved(&Seat::Successor(name.clone(), instance), before.1, after.1);
        }
        if before.0 != after.0 {
            self.index.moved(&Seat::Worker(name.clone(), instance), before.0, after.0);
        }
        Some(answer)
    }

    /// Change, begin or end the build of an app. The only way: indexes follow.
    pub(crate) fn alter_build<R>(
        &mut self,
        name: &Name,
        change: impl FnOnce(&mut Option<Build>) -> R,
    ) -> Option<R> {
        let app = self.apps.get_mut(name)?;
        let marks = |build: &Option<Build>| {
            build.as_ref().map_or_else(Marks::default, |build| Marks::of_phase(build.phase))
        };
        let (before, from) = (marks(&app.build), Stand::of(name, app.build.as_ref()));
        let answer = change(&mut app.build);
        let (after, to) = (marks(&app.build), Stand::of(name, app.build.as_ref()));
        self.index.moved(&Seat::Build(name.clone()), before, after);
        if from != to {
            from.inspect(|(at, stand)| site::leave(&mut self.index.sites, at, stand));
            if let Some((at, stand)) = to {
                site::come(&mut self.index.sites, at, stand);
            }
        }
        Some(answer)
    }

    /// Change what is known of changes of files. The only way: indexes follow.
    pub(crate) fn alter_changes<R>(
        &mut self,
        name: &Name,
        change: impl FnOnce(&mut Changes) -> R,
    ) -> Option<R> {
        let app = self.apps.get_mut(name)?;
        let before = Marks::of_changes(&app.changes);
        let answer = change(&mut app.changes);
        let after = Marks::of_changes(&app.changes);
        if before != after {
            self.index.moved(&Seat::Changes(name.clone()), before, after);
        }
        Some(answer)
    }

    /// Something has changed that others may wait for.
    pub(crate) fn stir(&mut self, name: &Name) {
        if self.index.waiters.contains_key(name) {
            self.stirred.insert(name.clone());
        }
    }

    /// A new app, which nothing of lives yet.
    pub(crate) fn found(&mut self, app: App) {
        self.index.depends(&app.spec, true);
        self.stirred.insert(app.spec.name.clone());
        self.apps.insert(app.spec.name.clone(), app);
    }

    /// Another spec for an app, and the one before. The only way: the index of who depends on whom
    /// follows.
    pub(crate) fn respecify(&mut self, name: &Name, spec: AppSpec) -> Option<AppSpec> {
        let app = self.apps.get_mut(name)?;
        self.index.depends(&app.spec, false);
        self.index.depends(&spec, true);
        if app.counts.waiting > 0 {
            self.index.waits(&app.spec, false);
            self.index.waits(&spec, true);
        }
        Some(std::mem::replace(&mut app.spec, spec))
    }

    /// Forget an app of which nothing is left.
    pub(crate) fn forget(&mut self, name: &Name) {
        let Some(app) = self.apps.remove(name) else { return };
        self.index.depends(&app.spec, false);
        self.stirred.insert(name.clone());
    }

    /// One slot more, at the end.
    pub(crate) fn grow(&mut self, name: &Name) {
        let Some(app) = self.apps.get_mut(name) else { return };
        let id = SlotId(self.next_slot_id);
        self.next_slot_id += 1;
        let slot = Slot::new(id, app.instances());
        self.enrol(name, slot);
    }

    /// Put a slot at the end of an app's; nothing of it may live.
    pub(crate) fn enrol(&mut self, name: &Name, slot: Slot) {
        let Some(app) = self.apps.get_mut(name) else { return };
        self.index.ids.insert(slot.id, (name.clone(), app.instances()));
        app.counts.swap(Counts::default(), Counts::of(&slot, app.generation));
        app.slots.push(slot);
        self.stir(name);
    }

    /// One slot less, at the end; nothing of it may live.
    pub(crate) fn shrink(&mut self, name: &Name) {
        let Some(last) = self.apps.get(name).and_then(|app| app.instances().checked_sub(1)) else {
            return;
        };
        self.alter(name, last, |_, slot| {
            slot.phase = Phase::Idle;
            slot.heir = None;
            slot.successor = None;
        });
        let Some(app) = self.apps.get_mut(name) else { return };
        let Some(slot) = app.slots.pop() else { return };
        self.index.ids.remove(&slot.id);
        app.counts.swap(Counts::of(&slot, app.generation), Counts::default());
        self.stir(name);
    }

    /// A new generation: no slot has it yet.
    pub(crate) fn bump(&mut self, name: &Name) -> u64 {
        let Some(app) = self.apps.get_mut(name) else { return 0 };
        app.generation += 1;
        app.counts.current = 0;
        app.generation
    }

    /// A generation that some slots may have already.
    pub(crate) fn settle_generation(&mut self, name: &Name, generation: u64) {
        let Some(app) = self.apps.get_mut(name) else { return };
        app.generation = generation;
        let slots = app.slots.all().iter();
        let current = slots.map(|slot| Counts::of(slot, generation).current).sum();
        app.counts.current = current;
    }
}
