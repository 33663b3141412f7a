//! Children that hold no seat: replaced, surplus, or of an app that nobody knows. They are ended,
//! and remembered until nothing of them is left.

use std::path::PathBuf;

use nexus_spec::Name;

use crate::action::Action;
use crate::build;
use crate::event::{ChildId, Pid, SlotId, Time};
use crate::phase::Phase;
use crate::site::{self, Stand};
use crate::state::{Marks, Seat};
use crate::stop::{self, Farewell, Leaver};
use crate::turn::Turn;

/// A child that holds no seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Whose it was, if the app is known.
    pub app: Option<Name>,
    /// The slot that it held or was to hold, if there is one.
    pub slot: Option<SlotId>,
    /// `Stopping` or `Reaping`.
    pub phase: Phase,
    /// The directory that a build runs in: no other one begins there before this is gone.
    pub site: Option<PathBuf>,
}

/// Tell a child that has lost its seat, or never had one, to go.
pub(crate) fn dismiss(turn: &mut Turn, leaver: Leaver, app: Option<&Name>, slot: Option<SlotId>) {
    let spec = app.and_then(|name| turn.state.apps.get(name)).map(|app| &app.spec);
    let Farewell { phase, signal } = leaver.leaves(spec, turn.now);
    let child = leaver.child;
    if let Some(signal) = signal {
        turn.act(Action::Terminate { child, signal });
    }
    enter(turn, child, app, slot, phase);
}

/// Wait for the rest of a child whose main process is gone.
pub(crate) fn reap(turn: &mut Turn, child: ChildId, app: Option<&Name>, slot: Option<SlotId>) {
    let kill_at = turn.now + turn.kill_again(app);
    enter(turn, child, app, slot, Phase::Reaping { child, kill_at });
}

/// Put a child, in a phase that it brings from its seat, among the strays.
pub(crate) fn enter(
    turn: &mut Turn,
    child: ChildId,
    app: Option<&Name>,
    slot: Option<SlotId>,
    phase: Phase,
) {
    let known = app.filter(|name| turn.state.apps.contains_key(*name)).cloned();
    if let Some(app) = known.as_ref().and_then(|name| turn.state.apps.get_mut(name)) {
        app.leaving += 1;
    }
    turn.state.index.moved(&Seat::Stray(child), Marks::default(), Marks::of_phase(phase));
    let slot = slot.filter(|&id| leaves(turn, id, 1).is_some());
    turn.state.strays.insert(child, Stray { app: known, slot, phase, site: None });
}

/// It is a build, which has its directory until nothing of it is left.
pub(crate) fn holds(turn: &mut Turn, child: ChildId, at: PathBuf) {
    let Some(stray) = turn.state.strays.get_mut(&child) else { return };
    stray.site = Some(at.clone());
    site::come(&mut turn.state.index.sites, at, Stand::Runs(child));
}

/// Its main process is gone.
pub(crate) fn exited(turn: &mut Turn, child: ChildId, tree_gone: bool) {
    if tree_gone {
        return gone(turn, child);
    }
    let Some(stray) = turn.state.strays.get(&child) else { return };
    let kill_at = match stray.phase {
        Phase::Reaping { kill_at, .. } | Phase::Stopping { kill_at, .. } => kill_at,
        Phase::Backoff { .. }
        | Phase::Errored
        | Phase::Idle
        | Phase::Online { .. }
        | Phase::Spawning { .. }
        | Phase::Waiting
        | Phase::Warming { .. } => return,
    };
    put(turn, child, Phase::Reaping { child, kill_at });
}

/// Nothing of it is left, if its main process had gone before.
pub(crate) fn tree_gone(turn: &mut Turn, child: ChildId) {
    let stray = turn.state.strays.get(&child);
    if stray.is_some_and(|stray| matches!(stray.phase, Phase::Reaping { .. })) {
        gone(turn, child);
    }
}

/// It asks for more time to end.
pub(crate) fn extend(turn: &mut Turn, child: ChildId, until: Time) {
    if let Some(phase) = turn.state.strays.get(&child).map(|stray| stray.phase) {
        put(turn, child, phase.extended(until, false));
    }
}

/// Another process is its main one.
pub(crate) fn led_by(turn: &mut Turn, child: ChildId, pid: Pid) {
    if let Some(phase) = turn.state.strays.get(&child).map(|stray| stray.phase) {
        put(turn, child, phase.led_by(pid));
    }
}

/// Its deadline has passed.
pub(crate) fn due(turn: &mut Turn, child: ChildId) {
    let Some(stray) = turn.state.strays.get(&child) else { return };
    let (app, phase) = (stray.app.clone(), stray.phase);
    let again = turn.kill_again(app.as_ref());
    let spec = app.as_ref().and_then(|name| turn.state.apps.get(name)).map(|app| &app.spec);
    let Some((phase, signal)) = stop::late(phase, spec, turn.now, again) else { return };
    match signal {
        Some(signal) => turn.act(Action::Terminate { child, signal }),
        None => turn.act(Action::Kill { child }),
    }
    put(turn, child, phase);
}

fn gone(turn: &mut Turn, child: ChildId) {
    let Some(stray) = turn.state.strays.remove(&child) else { return };
    turn.state.index.moved(&Seat::Stray(child), Marks::of_phase(stray.phase), Marks::default());
    turn.act(Action::Acknowledge { child });
    if let Some(at) = stray.site {
        site::leave(&mut turn.state.index.sites, &at, &Stand::Runs(child));
        build::wake(turn, &at);
    }
    if let Some(name) = stray.app {
        if let Some(app) = turn.state.apps.get_mut(&name) {
            app.leaving -= 1;
        }
        let instance = stray.slot.and_then(|id| leaves(turn, id, -1));
        turn.touch(&name, instance);
        if instance.is_some() {
            turn.touch(&name, None);
        }
    }
}

/// One more child, or one less, that has held this slot is on its way out; which instance that is,
/// if the slot is still there.
fn leaves(turn: &mut Turn, id: SlotId, change: i32) -> Option<u16> {
    let (name, instance) = turn.state.by_id(id).map(|(name, at)| (name.clone(), at))?;
    turn.state.alter(&name, instance, |_, slot| {
        slot.leaving = slot.leaving.saturating_add_signed(change);
    });
    Some(instance)
}

fn put(turn: &mut Turn, child: ChildId, phase: Phase) {
    if let Some(stray) = turn.state.strays.get_mut(&child) {
        let before = Marks::of_phase(stray.phase);
        stray.phase = phase;
        turn.state.index.moved(&Seat::Stray(child), before, Marks::of_phase(phase));
    }
}
