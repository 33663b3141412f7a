//! The one door: an event comes in, a list of actions goes out.

use crate::action::Action;
use crate::event::{Breach, ChildId, Event, Exit, Pid, Time};
use crate::phase::{Next, Phase, Want};
use crate::state::{Seat, State};
use crate::stop::Leaver;
use crate::turn::Turn;
use crate::{ask, breach, build, changes, exam, job, scale, stray, successor, worker};

/// Decide. Reads nothing but its arguments: the same state, moment and event always give the same
/// answer.
pub fn step(state: &mut State, now: Time, event: Event) -> Vec<Action> {
    let mut turn = Turn::new(state, now);
    match event {
        Event::Alive { child } => {
            if let Some(Seat::Worker(name, instance)) = seat(&turn, child) {
                breach::alive(&mut turn, &name, instance);
            }
        }
        Event::Asked { op, ask } => ask::asked(&mut turn, op, ask),
        Event::Breach { child, breach } => breached(&mut turn, child, breach),
        Event::Changed { app } => changes::changed(&mut turn, &app),
        Event::Examine { of, exam, patience } => exam::begin(&mut turn, of, exam, patience),
        Event::Exited { child, exit, at, tree_gone } => {
            exited(&mut turn, child, exit, at, tree_gone);
        }
        Event::Extend { child, until } => extend(&mut turn, child, until),
        Event::Loaded { app, from, to, used } => scale::loaded(&mut turn, &app, from, to, used),
        Event::Main { child, pid } => led_by(&mut turn, child, pid),
        Event::Ready { child } => said_ready(&mut turn, child),
        Event::Respawned { old, new, pid } => respawned(&mut turn, old, new, pid),
        Event::SpawnFailed { child, error } => {
            exited(&mut turn, child, Exit::NotSpawned(error), now, true);
        }
        Event::Spawned { child, pid } => spawned(&mut turn, child, pid),
        Event::Struck { app, chime } => job::struck(&mut turn, &app, chime),
        Event::Tick => {}
        Event::TreeGone { child } => tree_gone(&mut turn, child),
        Event::Undertaken { op, app, cause } => changes::undertaken(&mut turn, op, &app, cause),
        Event::Well { child } => {
            if let Some(Seat::Worker(name, instance)) = seat(&turn, child) {
                breach::well(&mut turn, &name, instance);
            }
        }
    }
    turn.settle();
    let actions = turn.finish();
    state.check_if_small();
    actions
}

/// A child asks for more time.
fn extend(turn: &mut Turn, child: ChildId, until: Time) {
    match seat(turn, child) {
        Some(Seat::Stray(_)) => stray::extend(turn, child, until),
        Some(Seat::Successor(name, instance)) => {
            successor::extend(turn, &name, instance, until);
        }
        Some(Seat::Worker(name, instance)) => {
            worker::extend(turn, &name, instance, until);
        }
        Some(
            Seat::Build(_) | Seat::Changes(_) | Seat::Exam(_) | Seat::Patience(_) | Seat::Trial(_),
        )
        | None => {}
    }
}

/// A child is ready.
fn said_ready(turn: &mut Turn, child: ChildId) {
    match seat(turn, child) {
        Some(Seat::Successor(name, instance)) => {
            successor::said_ready(turn, &name, instance);
        }
        Some(Seat::Worker(name, instance)) => worker::said_ready(turn, &name, instance),
        Some(
            Seat::Build(_)
            | Seat::Changes(_)
            | Seat::Exam(_)
            | Seat::Patience(_)
            | Seat::Stray(_)
            | Seat::Trial(_),
        )
        | None => {}
    }
}

fn seat(turn: &Turn, child: ChildId) -> Option<Seat> {
    turn.state.index.children.get(&child).cloned()
}

/// The main process of a child is gone, or never was.
pub(crate) fn exited(turn: &mut Turn, child: ChildId, exit: Exit, at: Time, tree_gone: bool) {
    exam::abandon(turn, child);
    match seat(turn, child) {
        Some(Seat::Build(name)) => build::exited(turn, &name, exit, tree_gone),
        Some(Seat::Exam(child)) => exam::exited(turn, child, exit, tree_gone),
        Some(Seat::Stray(_)) => stray::exited(turn, child, tree_gone),
        Some(Seat::Successor(name, instance)) => {
            successor::exited(turn, &name, instance, exit, at, tree_gone);
        }
        Some(Seat::Worker(name, instance)) => {
            worker::exited(turn, &name, instance, exit, at, tree_gone);
        }
        // Changes of files are no child. An echo of one whose exit is judged is told again because
        // the acknowledgement was lost.
        Some(Seat::Changes(_) | Seat::Patience(_) | Seat::Trial(_)) | None if tree_gone => {
            turn.act(Action::Acknowledge { child })
        }
        Some(Seat::Changes(_) | Seat::Patience(_) | Seat::Trial(_)) | None => {
            stray::reap(turn, child, None, None)
        }
    }
}

fn breached(turn: &mut Turn, child: ChildId, breach: Breach) {
    match seat(turn, child) {
        Some(Seat::Successor(name, instance)) => {
            successor::breached(turn, &name, instance, breach);
        }
        Some(Seat::Worker(name, instance)) => breach::breached(turn, &name, instance, breach),
        Some(
            Seat::Build(_)
            | Seat::Changes(_)
            | Seat::Exam(_)
            | Seat::Patience(_)
            | Seat::Stray(_)
            | Seat::Trial(_),
        )
        | None => {}
    }
}

fn tree_gone(turn: &mut Turn, child: ChildId) {
    match seat(turn, child) {
        Some(Seat::Build(name)) => build::gone(turn, &name),
        Some(Seat::Stray(_)) => stray::tree_gone(turn, child),
        Some(Seat::Worker(name, instance)) => worker::gone(turn, &name, instance),
        // Its main process lives: this is about nobody.
        Some(Seat::Exam(_) | Seat::Successor(..)) => {}
        Some(Seat::Changes(_) | Seat::Patience(_) | Seat::Trial(_)) | None => {
            turn.act(Action::Acknowledge { child })
        }
    }
}

/// Another process is a child's main one.
fn led_by(turn: &mut Turn, child: ChildId, pid: Pid) {
    match seat(turn, child) {
        Some(Seat::Stray(_)) => stray::led_by(turn, child, pid),
        Some(Seat::Successor(name, instance)) => successor::led_by(turn, &name, instance, pid),
        Some(Seat::Worker(name, instance)) => worker::led_by(turn, &name, instance, pid),
        Some(
            Seat::Build(_) | Seat::Changes(_) | Seat::Exam(_) | Seat::Patience(_) | Seat::Trial(_),
        )
        | None => {}
    }
}

fn spawned(turn: &mut Turn, child: ChildId, pid: Pid) {
    match seat(turn, child) {
        Some(Seat::Build(name)) => build::spawned(turn, &name, pid),
        Some(Seat::Exam(child)) => exam::spawned(turn, child, pid),
        Some(Seat::Successor(name, instance)) => successor::spawned(turn, &name, instance, pid),
        Some(Seat::Worker(name, instance)) => worker::spawned(turn, &name, instance, child, pid),
        Some(Seat::Changes(_) | Seat::Patience(_) | Seat::Stray(_) | Seat::Trial(_)) | None => {}
    }
}

/// The keeper has put `new` in the place of `old`. Taken, if its place is free and it is wanted.
fn respawned(turn: &mut Turn, old: ChildId, new: ChildId, pid: Pid) {
    if seat(turn, new).is_some() {
        // The roll had it already, perhaps before it had a process.
        return spawned(turn, new, pid);
    }
    let place = turn.state.index.heirs.get(&new).cloned();
    if let Some(Seat::Worker(name, instance)) = &place {
        leave_to_heir(turn, old, name, *instance);
        if worker::seat_heir(turn, name, *instance, new, pid) {
            return;
        }
    }
    let app = match &place {
        Some(Seat::Successor(name, _) | Seat::Worker(name, _)) => Some(name),
        Some(
            Seat::Build(_)
            | Seat::Changes(_)
            | Seat::Exam(_)
            | Seat::Patience(_)
            | Seat::Stray(_)
            | Seat::Trial(_),
        )
        | None => None,
    };
    stray::dismiss(turn, Leaver::new(new, turn.now), app, None);
}

/// What is left of a judged predecessor does not keep its successor out: that one lives already.
fn leave_to_heir(turn: &mut Turn, old: ChildId, name: &nexus_spec::Name, instance: u16) {
    let left = turn.state.alter(name, instance, |_, slot| {
        let Phase::Reaping { child, .. } = slot.phase else { return None };
        let Next::At(until) = slot.next else { return None };
        if child != old || slot.want != Want::Up {
            return None;
        }
        Some((slot.id, std::mem::replace(&mut slot.phase, Phase::Backoff { until })))
    });
    if let Some(Some((id, phase))) = left {
        stray::enter(turn, old, Some(name), Some(id), phase);
    }
}
