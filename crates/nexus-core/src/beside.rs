//! After a death of the daemon: who was to take a worker's place, beside that worker again.

use nexus_spec::{Name, Span};

use crate::action::Keep;
use crate::event::{ChildId, Exit, Failure, Time};
use crate::phase::{Phase, Want};
use crate::record::SuccessorRecord;
use crate::resume::{Entry, dismiss};
use crate::successor::{self, Successor};
use crate::turn::Turn;
use crate::{reseat, rollout, worker};

/// What has become of a successor in the daemon's absence, to be acted on once every child of the
/// app is in its seat.
pub(crate) enum News {
    /// It ended; to take the place would have counted as a restart (`counts`).
    Failed { failure: Failure, counts: bool },
    /// It is ready.
    Ready { instance: u16, child: ChildId },
}

/// Give one slot its worker, and, if one was on its way, that worker's successor.
pub(crate) fn seat(
    turn: &mut Turn,
    name: &Name,
    instance: u16,
    held: Vec<Entry>,
    record: Option<SuccessorRecord>,
) -> Option<News> {
    if turn.state.slot(name, instance).is_none() {
        // The slot has gone meanwhile: what it was made for has failed.
        held.iter().for_each(|entry| dismiss(turn, entry));
        return None;
    }
    let Some(record) = record else {
        seat_worker(turn, name, instance, held);
        return None;
    };
    let own = |entry: &Entry| entry.child == record.child || entry.respawn_of == Some(record.child);
    let (next, held): (Vec<Entry>, Vec<Entry>) = held.into_iter().partition(own);
    if let [entry] = &next[..]
        && entry.ended.is_none()
        && entry.child == record.child
    {
        put(turn, name, instance, record, entry);
        seat_worker(turn, name, instance, held);
        go_on(turn, name, instance);
        return entry.ready.then_some(News::Ready { instance, child: entry.child });
    }
    spurn(turn, name, instance, record.child, &next);
    seat_worker(turn, name, instance, held);
    next.iter().for_each(|entry| dismiss(turn, entry));
    let first = next.first()?;
    Some(News::Failed {
        failure: failure(instance, first, turn.now),
        counts: record.counts.is_some(),
    })
}

/// Act on what has become of an app's successors.
pub(crate) fn hear(turn: &mut Turn, name: &Name, news: &[News]) {
    for news in news {
        if let News::Failed { failure, counts } = *news {
            successor::failed(turn, name, failure, counts);
        }
    }
    // Before any of them takes a place: after a failure none of them is to.
    rollout::resume(turn, name);
    for news in news {
        if let News::Ready { instance, child } = *news {
            ready(turn, name, instance, child);
        }
    }
}

fn ready(turn: &mut Turn, name: &Name, instance: u16, child: ChildId) {
    let now = turn.now;
    let Some(slot) = turn.state.slot(name, instance) else { return };
    if slot.successor.is_some_and(|successor| successor.phase.child() == Some(child)) {
        successor::promote(turn, name, instance, now);
    } else if slot.phase.child() == Some(child) {
        worker::online(turn, name, instance, now);
    }
}

/// Without those that have left the place, and those that were to take it once and are not to any
/// more.
fn seat_worker(turn: &mut Turn, name: &Name, instance: u16, held: Vec<Entry>) {
    let Some(slot) = turn.state.slot(name, instance) else { return };
    let (past, recorded) = (slot.settled.max(slot.spurned), slot.recorded);
    // What the keeper has put in the place of one that was spurned is to take no place either.
    let spurned = Some(slot.spurned);
    let (held, past): (Vec<Entry>, Vec<Entry>) = held.into_iter().partition(|entry| {
        let kept = [Some(entry.child), entry.respawn_of];
        entry.child > past && entry.respawn_of != spurned
            || recorded.is_some() && kept.contains(&recorded)
    });
    past.iter().for_each(|entry| dismiss(turn, entry));
    reseat::seat(turn, name, instance, held);
}

fn put(turn: &mut Turn, name: &Name, instance: u16, record: SuccessorRecord, entry: &Entry) {
    let Entry { child, pid, generation, started_at: since, .. } = *entry;
    let Some(app) = turn.state.apps.get(name) else { return };
    let spec = app.spec_at(generation);
    let settle_at = since + worker::settling(spec);
    let SuccessorRecord { moved_to, counts, .. } = record;
    let phase = match pid {
        Some(pid) => Phase::Warming { child, pid, since, settle_at },
        None => Phase::Spawning { child, ready: entry.ready },
    };
    let phase = phase.extended(entry.until.unwrap_or(since), spec.ready.is_said());
    let heir = Some(ChildId(child.0 + 1));
    turn.state.alter(name, instance, |_, slot| {
        slot.successor = Some(Successor { phase, generation, moved_to, counts, heir });
    });
}

/// The worker beside it may not be there any more, or be wanted any more.
fn go_on(turn: &mut Turn, name: &Name, instance: u16) {
    let Some(slot) = turn.state.slot(name, instance) else { return };
    let beside = slot.phase.is_running() || matches!(slot.phase, Phase::Stopping { .. });
    if slot.want != Want::Up {
        successor::dismiss(turn, name, instance);
    } else if !beside {
        successor::step_in(turn, name, instance, false);
    }
}

/// It does not take the place any more, nor does what the keeper has put in its own.
fn spurn(turn: &mut Turn, name: &Name, instance: u16, child: ChildId, next: &[Entry]) {
    let newest = next.iter().map(|entry| entry.child).chain([child]).max();
    turn.state
        .alter(name, instance, |_, slot| slot.spurned = slot.spurned.max(newest.unwrap_or(child)));
    turn.keep(Keep::Slot(name.clone(), instance));
}

fn failure(instance: u16, entry: &Entry, now: Time) -> Failure {
    let exit = entry.ended.map_or(Exit::Unknown, |ended| ended.exit);
    let after = entry.ended.map_or(Span(0), |ended| ended.at - entry.started_at);
    let at = entry.ended.map_or(now, |ended| ended.at);
    Failure { instance, child: entry.child, exit, after, at }
}
