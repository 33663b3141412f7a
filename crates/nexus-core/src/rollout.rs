//! A reload, slot by slot: each worker is replaced, the next ones when the first are done; and if
//! a new one fails, all go back to what was before.

use std::collections::BTreeSet;

use nexus_spec::{AppSpec, Name};

use crate::action::{Fact, Keep, Milestone, Outcome};
use crate::app::App;
use crate::event::{Failure, OpId, Time};
use crate::phase::{Phase, Want};
use crate::record::{Back, Reload};
use crate::restart::Past;
use crate::turn::Turn;
use crate::{depend, fleet, successor, trial, versions, worker};

/// A reload that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// What must outlive the daemon.
    pub reload: Reload,
    /// Instances up to this one are done or under way.
    cursor: u16,
    /// Instances that are under way.
    moving: BTreeSet<u16>,
    /// Until then what has been replaced is watched, and nothing else is.
    pub(crate) soak_until: Option<Time>,
}

impl Rollout {
    pub(crate) fn new(reload: Reload) -> Rollout {
        Rollout { reload, cursor: 0, moving: BTreeSet::new(), soak_until: None }
    }

    /// Instances whose workers are being replaced at this moment.
    pub fn moving(&self) -> impl ExactSizeIterator<Item = u16> {
        self.moving.iter().copied()
    }

    /// An instance that had been done is under way again: its new worker comes back.
    pub(crate) fn awaits(&mut self, instance: u16) {
        self.moving.insert(instance);
    }

    /// So many instances of its scope are done or under way.
    pub(crate) fn begun(&self) -> u16 {
        self.cursor.saturating_sub(self.reload.instance.unwrap_or(0))
    }

    /// What a slot's `moved_to` is to be.
    fn target(&self) -> Option<u64> {
        self.reload.back.is_none().then_some(self.reload.generation)
    }
}

/// What is asked of a reload.
pub(crate) struct Wish {
    pub(crate) op: OpId,
    pub(crate) instance: Option<u16>,
    pub(crate) change: Option<(Box<AppSpec>, u16)>,
    pub(crate) parallel: u16,
    pub(crate) built: bool,
}

/// Begin.
pub(crate) fn begin(turn: &mut Turn, name: &Name, wish: Wish) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let Wish { op, instance, change, parallel, built } = wish;
    let generation = app.generation + 1;
    let before = app.instances();
    let wanted = change.as_ref().map_or(before, |(_, instances)| *instances);
    let overlaps = app.overlaps(change.as_ref().map(|(spec, _)| &**spec));
    let parallel = parallel.max(1);
    let (tried, ends, back) = (0, 0, None);
    let reload =
        Reload { op, generation, change, instance, parallel, before, built, tried, ends, back };
    app.rollout = Some(Rollout::new(reload));
    while turn.state.apps.get(name).is_some_and(|app| app.instances() < wanted) {
        turn.state.grow(name);
    }
    let instances = if instance.is_some() { 1 } else { wanted };
    turn.keep(Keep::App(name.clone()));
    note(turn, name, generation, Milestone::Begun { instances, overlaps });
    turn.touch(name, None);
}

/// Something has changed in this slot, or (`None`) apart from slots: go on as far as possible.
pub(crate) fn advance(turn: &mut Turn, name: &Name, instance: Option<u16>) {
    if let Some(instance) = instance {
        leave_if_done(turn, name, instance);
    }
    let reload = turn.state.apps.get(name).and_then(|app| Some(&app.rollout.as_ref()?.reload));
    if let Some(before) = reload.filter(|reload| reload.back.is_some()).map(|r| r.before) {
        fleet::shrink_to(turn, name, before);
    }
    while let Some(next) = next_instance(turn, name) {
        let standing = turn.state.apps.get(name).and_then(|app| standing(app, next));
        match standing {
            None | Some(Standing::Done) => continue,
            Some(Standing::Due) => begin_move(turn, name, next),
            Some(Standing::Underway) => {}
        }
        if let Some(rollout) = rollout_mut(turn, name) {
            rollout.moving.insert(next);
        }
        leave_if_done(turn, name, next);
    }
    let Some(rollout) = turn.state.apps.get(name).and_then(|app| app.rollout.as_ref()) else {
        return;
    };
    if rollout.moving.is_empty() && !trial::watch(turn, name) {
        finish(turn, name);
    }
}

/// The next instance to look at, if there is room for one more.
fn next_instance(turn: &mut Turn, name: &Name) -> Option<u16> {
    let app = turn.state.apps.get_mut(name)?;
    let instances = app.instances();
    if !trial::lets(app, app.rollout()?.begun()) {
        return None;
    }
    let rollout = app.rollout.as_mut()?;
    if rollout.moving.len() >= usize::from(rollout.reload.parallel) {
        return None;
    }
    let wanted = rollout.reload.change.as_ref().map_or(instances, |(_, wanted)| *wanted);
    let end = rollout.reload.instance.map_or(wanted.min(instances), |one| one + 1);
    let first = rollout.reload.instance.unwrap_or(0);
    let next = rollout.cursor.max(first);
    (next < end).then(|| {
        rollout.cursor = next.saturating_add(1);
        next
    })
}

/// How far a slot is.
enum Standing {
    Done,
    Due,
    Underway,
}

fn standing(app: &App, instance: u16) -> Option<Standing> {
    let (rollout, slot) = (app.rollout.as_ref()?, app.slots.get(instance)?);
    let target = rollout.target();
    // One that is on its way because of a breach is not of this reload.
    let successor = slot.successor.filter(|successor| successor.counts.is_none());
    Some(match (slot.moved_to == target, successor) {
        (_, Some(_)) => Standing::Underway,
        (true, None) if rollout.reload.back.is_some() => Standing::Done,
        (true, None) => Standing::Underway,
        (false, None) => Standing::Due,
    })
}

fn leave_if_done(turn: &mut Turn, name: &Name, instance: u16) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let Some(rollout) = app.rollout.as_mut() else { return };
    let Some(slot) = app.slots.get(instance) else { return };
    // One that waits for other apps, or has run to its end, has nothing more to come.
    let settled = slot.phase == Phase::Waiting || slot.is_completed();
    let here = slot.moved_to == rollout.target() && (slot.phase.is_online() || settled);
    if here && slot.successor.is_none() && slot.leaving == 0 {
        rollout.moving.remove(&instance);
    }
}

/// Replace the worker of one slot: by a successor where two can run at once, else by stopping it
/// first.
fn begin_move(turn: &mut Turn, name: &Name, instance: u16) {
    successor::dismiss(turn, name, instance);
    let Some(app) = turn.state.apps.get(name) else { return };
    let (Some(rollout), Some(slot)) = (&app.rollout, app.slots.get(instance)) else { return };
    let target = rollout.target();
    let other = rollout.reload.change.as_ref().map(|(spec, _)| &**spec);
    if slot.want == Want::Up && slot.phase.is_running() && app.overlaps(other) {
        return successor::spawn(turn, name, instance, target, None);
    }
    worker::terminate(turn, name, instance);
    let spawn = turn.state.alter(name, instance, |_, slot| {
        slot.want = Want::Up;
        slot.call_off();
        slot.past = Past::default();
        slot.moved_to = target;
        slot.phase.child().is_none()
    });
    turn.keep(Keep::Slot(name.clone(), instance));
    if spawn == Some(true) {
        depend::come_up(turn, name, instance);
    }
}

/// A new worker has failed. `again_at` is that of one that holds its slot.
pub(crate) fn failed(turn: &mut Turn, name: &Name, failure: Failure, again_at: Option<Time>) {
    let Some(rollout) = rollout_mut(turn, name) else { return };
    if let Some(back) = &mut rollout.reload.back {
        // It could not be put back; what serves there goes on serving.
        if rollout.moving.remove(&failure.instance) {
            back.stuck += 1;
            turn.keep(Keep::App(name.clone()));
            turn.touch(name, None);
        }
        return;
    }
    let same_spec = rollout.reload.change.is_none();
    let holds_slot = turn
        .state
        .slot(name, failure.instance)
        .is_some_and(|slot| slot.phase.child() == Some(failure.child));
    if same_spec && holds_slot {
        // There is no older worker to keep, and nothing else to put back.
        let Failure { instance, child, exit, after, .. } = failure;
        let outcome = Outcome::StartFailed { instance, child, exit, after, again_at };
        return end(turn, name, Some(failure), outcome);
    }
    go_back(turn, name, Some(failure), None);
}

/// Undo what a reload has done so far.
pub(crate) fn go_back(
    turn: &mut Turn,
    name: &Name,
    failure: Option<Failure>,
    aborter: Option<OpId>,
) {
    trial::put(turn, name, None);
    let Some(rollout) = rollout_mut(turn, name) else { return };
    rollout.reload.back = Some(Back { failure, aborter, stuck: 0 });
    if rollout.reload.change.is_none() {
        let replaced = replaced(turn, name);
        return end(turn, name, failure, Outcome::RolledBack { failure, replaced, stuck: 0 });
    }
    rollout.cursor = 0;
    rollout.moving.clear();
    let (generation, before) = (rollout.reload.generation, rollout.reload.before);
    note(turn, name, generation, Milestone::RollingBack(failure));
    if let Some(failure) = failure {
        let seated = give_way(turn, name, failure, before);
        if let (true, Some(rollout)) = (seated, rollout_mut(turn, name)) {
            rollout.moving.insert(failure.instance);
        }
    }
    dismiss_successors(turn, name);
    // What is put back gets a generation of its own: that of the reload has had another spec.
    turn.state.settle_generation(name, generation + 1);
    turn.keep(Keep::App(name.clone()));
    turn.touch(name, None);
}

/// One that failed in its slot is followed by what was there before; whether it will be.
fn give_way(turn: &mut Turn, name: &Name, failure: Failure, before: u16) -> bool {
    let Failure { instance, child, .. } = failure;
    let given = turn.state.alter(name, instance, |_, slot| {
        if slot.phase.child() != Some(child) || slot.phase.is_running() {
            return false;
        }
        slot.call_off();
        slot.past = Past::default();
        slot.moved_to = None;
        if instance >= before {
            slot.want = Want::Down;
        }
        instance < before
    });
    given == Some(true)
}

fn replaced(turn: &Turn, name: &Name) -> u16 {
    let Some(app) = turn.state.apps.get(name) else { return 0 };
    let Some(rollout) = &app.rollout else { return 0 };
    let moved = |slot: &&crate::Slot| slot.moved_to == Some(rollout.reload.generation);
    u16::try_from(app.slots.all().iter().filter(moved).count()).unwrap_or(u16::MAX)
}

fn dismiss_successors(turn: &mut Turn, name: &Name) {
    let scope = turn.state.apps.get(name).map_or(0..0, |app| app.scope(None));
    for instance in scope {
        let successor = turn.state.slot(name, instance).and_then(|slot| slot.successor);
        if successor.is_some_and(|successor| successor.counts.is_none()) {
            successor::dismiss(turn, name, instance);
        }
    }
}

/// All slots have been looked at, and none is under way any more.
fn finish(turn: &mut Turn, name: &Name) {
    let Some(rollout) = rollout_mut(turn, name) else { return };
    if let Some(Back { failure, stuck, .. }) = rollout.reload.back {
        let outcome = Outcome::RolledBack { failure, replaced: 0, stuck };
        return end(turn, name, failure, outcome);
    }
    if let Some(wanted) = rollout.reload.change.as_ref().map(|(_, wanted)| *wanted) {
        fleet::shrink_to(turn, name, wanted);
    }
    if turn.state.apps.get(name).is_some_and(|app| app.leaving == 0) {
        end(turn, name, None, Outcome::Done);
    }
}

/// It is over, with this outcome.
fn end(turn: &mut Turn, name: &Name, failure: Option<Failure>, outcome: Outcome) {
    if failure.is_some() || outcome != Outcome::Done {
        dismiss_successors(turn, name);
    }
    trial::put(turn, name, None);
    let replaced = replaced(turn, name);
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let Some(Rollout { reload, .. }) = app.rollout.take() else { return };
    let Reload { op, generation, change, before, built, back, .. } = reload;
    let aborter = back.and_then(|back| back.aborter);
    if outcome == Outcome::Done {
        if let Some((spec, _)) = change {
            versions::succeed(turn, name, *spec, generation, before);
        }
        if let Some(app) = turn.state.apps.get_mut(name).filter(|_| built) {
            app.built = app.spec.build.is_some().then_some(generation);
        }
        note(turn, name, generation, Milestone::Done);
    } else if outcome != Outcome::Superseded {
        let (replaced, stuck) = if let Outcome::RolledBack { replaced, stuck, .. } = outcome {
            (replaced, stuck)
        } else {
            (replaced, 0)
        };
        note(turn, name, generation, Milestone::RolledBack { failure, replaced, stuck });
    }
    let newest = turn.state.apps.get(name).map_or(0, |app| app.generation).max(generation);
    turn.state.settle_generation(name, newest);
    let scope = turn.state.apps.get(name).map_or(0..0, |app| app.scope(None));
    for instance in scope {
        turn.state.alter(name, instance, |_, slot| slot.moved_to = None);
    }
    turn.keep(Keep::App(name.clone()));
    turn.reply(op, name, outcome);
    if let Some(aborter) = aborter {
        turn.reply(aborter, name, Outcome::Done);
    }
    turn.touch(name, None);
}

/// Something else is asked of the whole app: the reload is given up where it is.
pub(crate) fn call_off(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let Some(Reload { before, back, .. }) = app.rollout.as_ref().map(|r| r.reload.clone()) else {
        return;
    };
    dismiss_successors(turn, name);
    if back.is_none() {
        fleet::shrink_to(turn, name, before);
    }
    end(turn, name, None, Outcome::Superseded);
}

/// After a death of the daemon, once all are in their seats: who has no business there goes.
pub(crate) fn resume(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let target = app.rollout.as_ref().map(Rollout::target);
    for instance in app.scope(None) {
        let Some(slot) = turn.state.slot(name, instance) else { return };
        let astray = slot.successor.is_some_and(|successor| match target {
            Some(target) => successor.moved_to != target,
            None => successor.counts.is_none(),
        });
        if astray {
            successor::dismiss(turn, name, instance);
        }
    }
    turn.touch(name, None);
}

/// A worker that holds its slot has failed: does a reload go back because of it?
pub(crate) fn seated_failed(
    turn: &mut Turn,
    name: &Name,
    failure: Failure,
    again_at: Option<Time>,
) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let (Some(rollout), Some(slot)) = (&app.rollout, app.slots.get(failure.instance)) else {
        return;
    };
    if slot.moved_to == rollout.target() {
        failed(turn, name, failure, again_at);
    }
}

fn note(turn: &mut Turn, name: &Name, generation: u64, milestone: Milestone) {
    turn.note(Fact::Reload { app: name.clone(), generation, milestone });
}

fn rollout_mut<'a>(turn: &'a mut Turn, name: &Name) -> Option<&'a mut Rollout> {
    turn.state.apps.get_mut(name)?.rollout.as_mut()
}
