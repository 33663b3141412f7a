//! After a death of the daemon: which of a slot's children serves, and what becomes of the others.

use nexus_spec::{AppSpec, Name, Span};

use crate::action::{Action, Fact, Keep};
use crate::event::{ChildId, Time};
use crate::phase::{Next, Phase, Want};
use crate::resume::{Ended, Entry, dismiss};
use crate::slot::{LastExit, Slot};
use crate::stop::Farewell;
use crate::turn::Turn;
use crate::{breach, depend, order, worker};

/// Give one slot the child that it had, or what follows when it has none. `held` is in the order
/// of the children's numbers.
pub(crate) fn seat(turn: &mut Turn, name: &Name, instance: u16, held: Vec<Entry>) {
    charge_predecessors(turn, name, instance, &held);
    let Some(slot) = turn.state.slot(name, instance) else { return };
    // What is held until those have gone that depend on it runs on.
    let wanted = slot.want == Want::Up || order::is_held(turn.state, name);
    let settled = slot.settled;
    // Told to go without being settled: it had lost the place to another.
    let (gone, held): (Vec<Entry>, Vec<Entry>) =
        held.into_iter().partition(|entry| entry.told.is_some() && entry.child > settled);
    gone.iter().for_each(|entry| dismiss(turn, entry));
    let Some(slot) = turn.state.slot(name, instance) else { return };
    let (old, new): (Vec<&Entry>, Vec<&Entry>) =
        held.iter().partition(|entry| entry.child <= settled);
    let (late, new): (Vec<&Entry>, Vec<&Entry>) =
        new.into_iter().partition(|entry| is_late_heir(slot, entry, &held));
    let last = |entries: &[&Entry]| entries.last().map(|entry| entry.child);
    let chosen = choose(&new).or_else(|| last(&late)).or_else(|| last(&old));
    let is_late = late.iter().any(|entry| Some(entry.child) == chosen);
    for entry in old.into_iter().chain(late).chain(new) {
        if Some(entry.child) != chosen {
            dismiss(turn, entry);
        } else if entry.child <= settled {
            take_settled(turn, name, instance, entry);
        } else {
            take(turn, name, instance, entry, is_late || !wanted);
        }
    }
    if chosen.is_none() {
        follow_up(turn, name, instance);
    }
}

/// The newest that is ready serves, else the oldest that lives, else the one that ended last is
/// judged.
fn choose(new: &[&Entry]) -> Option<ChildId> {
    let living = || new.iter().filter(|entry| entry.ended.is_none());
    let ready = living().rfind(|entry| entry.ready);
    ready.or(living().next()).or(new.last()).map(|entry| entry.child)
}

/// An exit that the keeper has answered with a successor is a restart that nobody asked for.
fn charge_predecessors(turn: &mut Turn, name: &Name, instance: u16, held: &[Entry]) {
    for heir in held {
        let old = held.iter().find(|entry| Some(entry.child) == heir.respawn_of);
        let Some((old, ended)) = old.and_then(|old| old.ended.map(|ended| (old, ended))) else {
            continue;
        };
        let lived = ended.at - old.started_at;
        let charged = turn.state.alter(name, instance, |spec, slot| {
            if old.child <= slot.settled {
                return false;
            }
            let online_for = online_for(spec, old, ended.at);
            slot.past.judge(&spec.restart, ended.at, ended.exit, online_for, old.child);
            slot.restarts += 1;
            slot.settled = old.child;
            slot.next = Next::At(heir.started_at);
            let Ended { exit, at, .. } = ended;
            slot.last_exit = Some(LastExit { child: old.child, exit, at, lived, asked: false });
            true
        });
        if charged == Some(true) {
            turn.keep(Keep::Slot(name.clone(), instance));
            turn.note(Fact::Exited {
                app: name.clone(),
                instance,
                child: old.child,
                exit: ended.exit,
                after: lived,
                asked: false,
                again_at: Some(heir.started_at),
            });
        }
    }
}

/// A child of which nothing has been judged: it serves, or is told to go, or its exit is judged.
fn take(turn: &mut Turn, name: &Name, instance: u16, entry: &Entry, unwanted: bool) {
    let until = entry.ended.map_or(turn.now, |ended| ended.at);
    let kill_at = turn.now + turn.kill_again(Some(name));
    let Entry { child, pid, started_at: since, .. } = *entry;
    let now = turn.now;
    turn.state.alter(name, instance, |spec, slot| {
        slot.generation = entry.generation;
        slot.heir = entry.respawn_of.is_none().then_some(ChildId(child.0 + 1));
        slot.next = Next::Run;
        let settle_at = since + worker::settling(spec);
        slot.phase = if unwanted && entry.ended.is_some() {
            Phase::Stopping { child, pid: None, since, drained_at: None, kill_at }
        } else {
            match (pid, entry.ready) {
                (None, ready) => Phase::Spawning { child, ready },
                (Some(pid), false) => {
                    let phase = Phase::Warming { child, pid, since, settle_at };
                    phase.extended(entry.until.unwrap_or(since), spec.ready.is_said())
                }
                (Some(pid), true) => {
                    let online_at = online_at(spec, entry).unwrap_or(since).min(until);
                    let hung_at = breach::watched(spec, now);
                    Phase::Online { child, pid, since, online_at, hung_at }
                }
            }
        };
    });
    match entry.ended {
        Some(Ended { exit, at, tree_gone }) => {
            worker::exited(turn, name, instance, exit, at, tree_gone);
        }
        None if unwanted => {
            turn.keep(Keep::Slot(name.clone(), instance));
            worker::terminate(turn, name, instance);
        }
        None => {}
    }
}

/// A child whose end is settled: it had been told to go, or its exit has been judged.
fn take_settled(turn: &mut Turn, name: &Name, instance: u16, entry: &Entry) {
    let child = entry.child;
    let (now, again) = (turn.now, turn.kill_again(Some(name)));
    let signal = turn.state.alter(name, instance, |spec, slot| {
        slot.generation = entry.generation;
        let judged = slot.last_exit.is_some_and(|last| last.child >= child);
        let Farewell { phase, signal } = entry.leaver().leaves(Some(spec), now);
        slot.phase = match entry.ended {
            Some(_) if judged => Phase::Reaping { child, kill_at: now + again },
            Some(_) | None => phase,
        };
        signal
    });
    match (entry.ended, signal.flatten()) {
        (Some(Ended { exit, at, tree_gone }), _) => {
            worker::exited(turn, name, instance, exit, at, tree_gone);
        }
        (None, Some(signal)) => turn.act(Action::Terminate { child, signal }),
        (None, None) => {}
    }
}

/// Nothing of the slot lives.
fn follow_up(turn: &mut Turn, name: &Name, instance: u16) {
    let now = turn.now;
    let spawn = turn.state.alter(name, instance, |_, slot| {
        if slot.phase != Phase::Idle {
            return false;
        }
        let (phase, spawn) = slot.after_end(now);
        slot.phase = phase;
        spawn
    });
    if spawn == Some(true) {
        depend::again(turn, name, instance);
    }
}

/// The keeper has spawned it in the place of a child whose restart was not due any more: we had
/// told that one to go, or somebody had asked for something else since, or we had restarted it.
fn is_late_heir(slot: &Slot, entry: &Entry, held: &[Entry]) -> bool {
    let Some(old) = entry.respawn_of.filter(|&old| old <= slot.settled) else { return false };
    let due = matches!(slot.next, Next::At(_)) && slot.settled == old;
    let taken = slot.recorded == Some(entry.child);
    // Our own order in place of the old one was kept, and lost before the keeper had it.
    let ours = slot.recorded.filter(|&child| child > slot.settled);
    let lost = ours.is_some_and(|ours| held.iter().all(|entry| entry.child != ours));
    !(due || taken || lost && entry.generation >= slot.generation)
}

/// When it became ready, if it did. When a worker said so is not known any more: its spawn stands
/// for it.
fn online_at(spec: &AppSpec, entry: &Entry) -> Option<Time> {
    let settled = entry.started_at + worker::settling(spec);
    match (spec.ready.is_said(), entry.ended) {
        (true, _) => entry.ready.then_some(entry.started_at),
        // It was ready sooner, or it would not have been at all.
        (false, Some(ended)) if entry.ready => Some(settled.min(ended.at)),
        (false, _) => Some(settled),
    }
}

fn online_for(spec: &AppSpec, entry: &Entry, at: Time) -> Option<Span> {
    online_at(spec, entry).filter(|&online_at| online_at <= at).map(|online_at| at - online_at)
}
