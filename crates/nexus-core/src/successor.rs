//! Who is to take a worker's place: started beside it, and in its place once ready. If it fails,
//! the worker that was there serves on.
//!
//! A successor's number is higher than that of the worker beside it, always: a worker that ends
//! while its successor is on the way is not started again, its successor takes the place at once.

use nexus_spec::{AppSpec, Name, Span};

use crate::action::{Action, Fact, Keep, Milestone, Purpose, Why};
use crate::event::{Breach, ChildId, Exit, Failure, Limit, Pid, SlotId, Time};
use crate::phase::{Next, Phase};
use crate::record::SuccessorRecord;
use crate::restart::Past;
use crate::slot::{LastExit, Slot};
use crate::stop::Leaver;
use crate::turn::Turn;
use crate::worker::{self, settling};
use crate::{breach, rollout, stray, trial};

/// After a breach whose successor failed, the worker is left alone for so long.
pub(crate) const BREACH_AGAIN: Span = Span(60_000);

/// A worker that is to take another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    /// `Spawning` or `Warming`.
    pub phase: Phase,
    /// The spec's generation that it runs with.
    pub generation: u64,
    /// The slot's `moved_to`, once it has taken the place.
    pub moved_to: Option<u64>,
    /// To take the place is a restart that nobody asked for: the other one went beyond this limit.
    pub counts: Option<Limit>,
    /// The number that is reserved for the keeper's respawn of it.
    pub(crate) heir: Option<ChildId>,
}

impl Successor {
    /// All that must outlive the daemon.
    pub(crate) fn record(self) -> Option<SuccessorRecord> {
        let Successor { phase, moved_to, counts, .. } = self;
        phase.child().map(|child| SuccessorRecord { child, moved_to, counts })
    }
}

/// Order one for a slot whose worker runs.
pub(crate) fn spawn(
    turn: &mut Turn,
    name: &Name,
    instance: u16,
    moved_to: Option<u64>,
    counts: Option<Limit>,
) {
    let (child, next) = turn.state.fresh_child();
    let Some(app) = turn.state.apps.get(name) else { return };
    let Some(slot) = app.slots.get(instance) else { return };
    let generation = moved_to.unwrap_or(app.generation);
    let clean = Past::default();
    let past = if counts.is_some() { &slot.past } else { &clean };
    let on_exit = past.on_exit(&app.spec_at(generation).restart, turn.now, child, next);
    let purpose = Purpose::Worker { instance, id: slot.id };
    let phase = Phase::Spawning { child, ready: false };
    let heir = on_exit.next;
    turn.state.alter(name, instance, |_, slot| {
        slot.successor = Some(Successor { phase, generation, moved_to, counts, heir });
    });
    turn.keep(Keep::Slot(name.clone(), instance));
    turn.act(Action::Spawn { child, app: name.clone(), purpose, generation, on_exit });
}

/// The keeper has it.
pub(crate) fn spawned(turn: &mut Turn, name: &Name, instance: u16, pid: Pid) {
    let now = turn.now;
    let Some(patience) = spec(turn, name, instance).map(settling) else { return };
    let spawned = turn.state.alter(name, instance, |_, slot| {
        let successor = slot.successor.as_mut()?;
        let Phase::Spawning { child, ready: said } = successor.phase else { return None };
        let settle_at = now + patience;
        successor.phase = Phase::Warming { child, pid, since: now, settle_at };
        Some((child, said))
    });
    let Some(Some((child, said))) = spawned else { return };
    turn.note(Fact::Started { app: name.clone(), instance, child });
    if said {
        promote(turn, name, instance, now);
    }
}

/// It says that it is ready.
pub(crate) fn said_ready(turn: &mut Turn, name: &Name, instance: u16) {
    if spec(turn, name, instance).is_none_or(|spec| !spec.ready.may_be_said()) {
        return;
    }
    turn.state.alter(name, instance, |_, slot| {
        if let Some(Successor { phase: Phase::Spawning { ready, .. }, .. }) = &mut slot.successor {
            *ready = true;
        }
    });
    promote(turn, name, instance, turn.now);
}

/// It asks for more time.
pub(crate) fn extend(turn: &mut Turn, name: &Name, instance: u16, until: Time) {
    let Some(said) = spec(turn, name, instance).map(|spec| spec.ready.is_said()) else { return };
    turn.state.alter(name, instance, |_, slot| {
        if let Some(successor) = &mut slot.successor {
            successor.phase = successor.phase.extended(until, said);
        }
    });
}

/// Another process is its main one.
pub(crate) fn led_by(turn: &mut Turn, name: &Name, instance: u16, pid: Pid) {
    turn.state.alter(name, instance, |_, slot| {
        if let Some(successor) = &mut slot.successor {
            successor.phase = successor.phase.led_by(pid);
        }
    });
}

/// Its deadline has passed.
pub(crate) fn due(turn: &mut Turn, name: &Name, instance: u16) {
    let Some(said) = spec(turn, name, instance).map(|spec| spec.ready.is_said()) else { return };
    let phase = turn.state.slot(name, instance).and_then(|slot| slot.successor).map(|s| s.phase);
    let Some(Phase::Warming { since, settle_at, .. }) = phase else { return };
    if !said {
        return promote(turn, name, instance, settle_at);
    }
    let after = turn.now - since;
    let Some((id, successor)) = take(turn, name, instance) else { return };
    let Some(child) = successor.phase.child() else { return };
    stray::dismiss(turn, Leaver::new(child, turn.now), Some(name), Some(id));
    let exit = Exit::NeverReady;
    let failure = Failure { instance, child, exit, after, at: turn.now };
    failed(turn, name, failure, successor.counts.is_some());
}

/// It is beyond a limit before it is ready: that counts if it is one that a reload watches.
pub(crate) fn breached(turn: &mut Turn, name: &Name, instance: u16, breach: Breach) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let Some(successor) = app.slots.get(instance).and_then(|slot| slot.successor) else { return };
    // What it wrote may have been read before the report of its birth.
    let since = successor.phase.since().unwrap_or(turn.now);
    let Some(child) = successor.phase.child() else { return };
    let of_reload = successor.counts.is_none() && trial::is_of_trial(breach.limit);
    if !of_reload
        || !app.trial(successor.generation).is_some_and(|rule| trial::counts(rule, breach.limit))
    {
        return;
    }
    let (at, after) = (turn.now, turn.now - since);
    turn.note(Fact::Breached { app: name.clone(), instance, child, breach, after });
    let Some((id, _)) = take(turn, name, instance) else { return };
    stray::dismiss(turn, Leaver::new(child, turn.now), Some(name), Some(id));
    let exit = Exit::OverLimit(breach.limit);
    failed(turn, name, Failure { instance, child, exit, after, at }, false);
}

/// Its main process is gone, or never was.
pub(crate) fn exited(
    turn: &mut Turn,
    name: &Name,
    instance: u16,
    exit: Exit,
    at: Time,
    tree_gone: bool,
) {
    let Some(slot) = turn.state.slot(name, instance) else { return };
    let Some(Successor { phase, .. }) = slot.successor else { return };
    let only_alive = spec(turn, name, instance).is_some_and(|spec| !spec.ready.is_said());
    if let Phase::Warming { settle_at, .. } = phase
        && only_alive
        && settle_at <= at
    {
        // It only had to stay alive, and was ready before its end, though no tick came between.
        promote(turn, name, instance, settle_at);
        return worker::exited(turn, name, instance, exit, at, tree_gone);
    }
    let Some((id, successor)) = take(turn, name, instance) else { return };
    let Some(child) = successor.phase.child() else { return };
    if tree_gone {
        turn.act(Action::Acknowledge { child });
    } else {
        stray::reap(turn, child, Some(name), Some(id));
    }
    let after = phase.since().map_or(Span(0), |since| at - since);
    failed(turn, name, Failure { instance, child, exit, after, at }, successor.counts.is_some());
}

pub(crate) fn failed(turn: &mut Turn, name: &Name, failure: Failure, counts: bool) {
    let generation = turn.state.apps.get(name).map_or(0, |app| match &app.rollout {
        Some(rollout) => rollout.reload.generation,
        None => app.generation,
    });
    let milestone = Milestone::KeptOld(failure);
    turn.note(Fact::Reload { app: name.clone(), generation, milestone });
    turn.touch(name, Some(failure.instance));
    if counts {
        let until = turn.now + BREACH_AGAIN;
        turn.state.alter(name, failure.instance, |_, slot| slot.patient_until = until);
    } else {
        rollout::failed(turn, name, failure, None);
    }
}

/// Nobody wants it any more.
pub(crate) fn dismiss(turn: &mut Turn, name: &Name, instance: u16) {
    let Some((id, successor)) = take(turn, name, instance) else { return };
    let Some(child) = successor.phase.child() else { return };
    stray::dismiss(turn, Leaver::new(child, turn.now), Some(name), Some(id));
    turn.note(Fact::Stopping { app: name.clone(), instance, child });
    turn.touch(name, Some(instance));
}

/// It is ready: it serves, and the worker that served is told to go.
pub(crate) fn promote(turn: &mut Turn, name: &Name, instance: u16, online_at: Time) {
    let now = turn.now;
    let hung_at = spec(turn, name, instance).and_then(|spec| breach::watched(spec, now));
    let promoted = turn.state.alter(name, instance, |_, slot| {
        let successor = slot.successor?;
        let Phase::Warming { child, pid, since, .. } = successor.phase else { return None };
        let (id, left) = (slot.id, slot.phase);
        if let Some(limit) = successor.counts {
            slot.restarts += 1;
            slot.last_exit = left.child().map(|child| over(limit, child, left, now));
        } else {
            slot.call_off();
            slot.past = Past::default();
        }
        take_place(slot, successor);
        slot.phase = Phase::Online { child, pid, since, online_at, hung_at };
        Some((id, left, child, online_at - since, successor.counts.is_some()))
    });
    let Some(Some((id, left, child, after, counts))) = promoted else { return };
    turn.note(Fact::Ready { app: name.clone(), instance, child, after });
    let why = if counts { Why::Breach } else { Why::Asked };
    replaced(turn, name, instance, (left, child), why);
    if let Some(leaver) = Leaver::of(left, now) {
        stray::dismiss(turn, leaver, Some(name), Some(id));
        turn.note(Fact::Stopping { app: name.clone(), instance, child: leaver.child });
    } else if let Some(child) = left.child() {
        stray::enter(turn, child, Some(name), Some(id), left);
    }
}

/// The worker beside it has ended (`tree_gone`: with all of its tree): it takes the place, ready or
/// not, and its own end is that of the slot's worker from here on.
pub(crate) fn step_in(turn: &mut Turn, name: &Name, instance: u16, tree_gone: bool) {
    let stepped = turn.state.alter(name, instance, |_, slot| {
        let (id, left, successor) = (slot.id, slot.phase, slot.successor?);
        let why = match (slot.next, successor.counts.is_some()) {
            (Next::At(_), _) => Why::Ended,
            (Next::GivenUp | Next::Run | Next::Stay, true) => Why::Breach,
            (Next::GivenUp | Next::Run | Next::Stay, false) => Why::Asked,
        };
        slot.restarts += u64::from(why == Why::Breach);
        take_place(slot, successor);
        slot.phase = successor.phase;
        Some((id, left, successor.phase, why))
    });
    let Some(Some((id, left, phase, why))) = stepped else { return };
    if let Some(child) = phase.child() {
        replaced(turn, name, instance, (left, child), why);
    }
    match left.child() {
        Some(child) if tree_gone => turn.act(Action::Acknowledge { child }),
        Some(child) => stray::enter(turn, child, Some(name), Some(id), left),
        None => {}
    }
}

fn replaced(
    turn: &mut Turn,
    name: &Name,
    instance: u16,
    (left, child): (Phase, ChildId),
    why: Why,
) {
    if let Some(old) = left.child() {
        turn.note(Fact::Replaced { app: name.clone(), instance, old, child, why });
    }
    turn.keep(Keep::Slot(name.clone(), instance));
    turn.touch(name, Some(instance));
}

/// All that a slot takes over from its successor, but for the phase.
fn take_place(slot: &mut Slot, successor: Successor) {
    slot.successor = None;
    slot.healthy = None;
    slot.settled = slot.phase.child().map_or(slot.settled, |child| slot.settled.max(child));
    slot.next = Next::Run;
    slot.generation = successor.generation;
    slot.moved_to = successor.moved_to;
    slot.heir = successor.heir;
}

fn over(limit: Limit, child: ChildId, phase: Phase, at: Time) -> LastExit {
    let lived = phase.since().map_or(Span(0), |since| at - since);
    LastExit { child, exit: Exit::OverLimit(limit), at, lived, asked: false }
}

/// Take it out of its slot, never to come back.
fn take(turn: &mut Turn, name: &Name, instance: u16) -> Option<(SlotId, Successor)> {
    let taken = turn.state.alter(name, instance, |_, slot| {
        let successor = slot.successor.take()?;
        slot.spurned =
            successor.phase.child().map_or(slot.spurned, |child| slot.spurned.max(child));
        Some((slot.id, successor))
    });
    let taken = taken.flatten()?;
    turn.keep(Keep::Slot(name.clone(), instance));
    Some(taken)
}

/// What it was started with; `None` = there is no successor.
fn spec<'a>(turn: &'a Turn, name: &Name, instance: u16) -> Option<&'a AppSpec> {
    let app = turn.state.apps.get(name)?;
    let successor = app.slots.get(instance)?.successor?;
    Some(app.spec_at(successor.generation))
}
