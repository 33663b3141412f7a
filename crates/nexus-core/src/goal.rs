//! Who waits for what: answered when it is true, or as soon as it can no longer become true.

use nexus_spec::Name;

use crate::action::{Fact, Keep, Outcome};
use crate::app::App;
use crate::build;
use crate::changes::Changes;
use crate::depend;
use crate::event::{OpId, Time};
use crate::job;
use crate::phase::{Phase, Want};
use crate::record::{Goal, Waiting};
use crate::slot::LastExit;
use crate::turn::Turn;

/// Let `op` wait for `goal`.
pub(crate) fn wait(
    turn: &mut Turn,
    name: &Name,
    instance: Option<u16>,
    op: OpId,
    goal: Goal,
    building: bool,
) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    app.waiting.insert(instance, Waiting { op, goal, building });
    turn.keep(Keep::Pending(name.clone()));
    turn.touch(name, instance);
}

/// Answer whoever waits for these instances, or for all.
pub(crate) fn supersede(turn: &mut Turn, name: &Name, instance: Option<u16>) {
    let scopes: Vec<Option<u16>> = match (turn.state.apps.get(name), instance) {
        (None, _) => return,
        (Some(app), None) => app.waiting.keys().copied().collect(),
        (Some(_), Some(_)) => vec![None, instance],
    };
    for scope in scopes {
        answer(turn, name, scope, Outcome::Superseded);
    }
}

/// Who waits for the build: for which instances, and for what after it.
pub(crate) fn builders(turn: &Turn, name: &Name) -> Vec<(Option<u16>, Goal)> {
    let waiting = turn.state.apps.get(name).map(|app| app.waiting.iter());
    let building = waiting.into_iter().flatten().filter(|(_, waiting)| waiting.building);
    building.map(|(&scope, waiting)| (scope, waiting.goal)).collect()
}

/// Answer whoever waits for the build.
pub(crate) fn supersede_builders(turn: &mut Turn, name: &Name) {
    for (scope, _) in builders(turn, name) {
        answer(turn, name, scope, Outcome::Superseded);
    }
}

/// Nobody has to wait for the build any more; who asked for new workers waits for this generation.
pub(crate) fn built(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    for waiting in app.waiting.values_mut().filter(|waiting| waiting.building) {
        waiting.building = false;
        if let Goal::Fresh { generation } = &mut waiting.goal {
            *generation = app.generation;
        }
    }
    turn.keep(Keep::Pending(name.clone()));
}

/// Answer who waits for exactly this scope, if anyone does.
pub(crate) fn answer(turn: &mut Turn, name: &Name, scope: Option<u16>, outcome: Outcome) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    if let Some(waiting) = app.waiting.remove(&scope) {
        turn.keep(Keep::Pending(name.clone()));
        turn.reply(waiting.op, name, outcome);
    }
}

/// Whoever waits for exactly this scope waits for something else from here on.
pub(crate) fn withdraw(turn: &mut Turn, name: &Name, scope: Option<u16>) -> Option<OpId> {
    let waiting = turn.state.apps.get_mut(name)?.waiting.remove(&scope)?;
    turn.keep(Keep::Pending(name.clone()));
    Some(waiting.op)
}

/// A worker that someone may be waiting for has failed.
pub(crate) fn failed(
    turn: &mut Turn,
    name: &Name,
    instance: u16,
    last: LastExit,
    again_at: Option<Time>,
) {
    let LastExit { child, exit, lived, .. } = last;
    for scope in [None, Some(instance)] {
        let waiting = turn.state.apps.get(name).and_then(|app| app.waiting.get(&scope));
        if waiting.is_some_and(|waiting| waiting.goal.is_up() && !waiting.building) {
            let outcome = Outcome::StartFailed { instance, child, exit, after: lived, again_at };
            answer(turn, name, scope, outcome);
        }
    }
    depend::fell(turn, name);
}

/// Something that the app's goals depend on has changed: in this slot, or (`None`) apart from
/// slots.
pub(crate) fn check(turn: &mut Turn, name: &Name, instance: Option<u16>) {
    build::begin_if_free(turn, name);
    let Some(app) = turn.state.apps.get(name) else { return };
    app.visit();
    if app.all(app.counts.doomed) && is_down(app) {
        return forget(turn, name);
    }
    let own = instance.map(Some).filter(|scope| app.waiting.contains_key(scope));
    for scope in [Some(None), own].into_iter().flatten() {
        let Some(app) = turn.state.apps.get(name) else { return };
        if app.waiting.get(&scope).is_some_and(|waiting| holds(app, scope, *waiting)) {
            answer(turn, name, scope, Outcome::Done);
        }
    }
}

fn is_down(app: &App) -> bool {
    app.all(app.counts.down) && app.leaving == 0 && app.build.is_none()
}

fn holds(app: &App, scope: Option<u16>, waiting: Waiting) -> bool {
    if waiting.building {
        return false;
    }
    match (waiting.goal, scope) {
        (Goal::Down, None) => is_down(app),
        (Goal::Fresh { generation }, None) if app.is_job() => {
            app.slots.all().iter().all(|slot| job::has_run(slot, generation))
        }
        (Goal::Fresh { .. }, None) => app.all(app.counts.current),
        (Goal::Online, None) => app.has_come_up(None),
        (Goal::Scaled { .. }, _) if app.counts.wanted == 0 => is_down(app),
        (Goal::Scaled { .. }, _) => app.has_come_up(None) && app.leaving == 0,
        (Goal::Gone | Goal::Reloaded { .. }, _) => false,
        (Goal::Down | Goal::Fresh { .. } | Goal::Online, Some(instance)) => {
            app.slots.get(instance).is_some_and(|slot| match waiting.goal {
                Goal::Down => {
                    slot.want != Want::Up && slot.phase == Phase::Idle && slot.leaving == 0
                }
                Goal::Fresh { generation } if app.is_job() => job::has_run(slot, generation),
                Goal::Fresh { generation } => {
                    let up = slot.phase.is_online() || slot.is_completed();
                    up && slot.generation >= generation
                }
                Goal::Online => app.has_come_up(scope),
                Goal::Gone | Goal::Reloaded { .. } | Goal::Scaled { .. } => false,
            })
        }
    }
}

/// Nothing of the app is left, and that is what was asked for.
fn forget(turn: &mut Turn, name: &Name) {
    drop_app(turn, name);
    turn.note(Fact::Deleted { app: name.clone() });
}

/// Forget an app of which nothing lives; whoever waits for just that is answered.
pub(crate) fn drop_app(turn: &mut Turn, name: &Name) {
    let scopes = turn.state.apps.get(name).map(|app| app.waiting.keys().copied());
    for scope in scopes.into_iter().flatten().collect::<Vec<_>>() {
        answer(turn, name, scope, Outcome::Done);
    }
    while turn.state.apps.get(name).is_some_and(|app| app.slots.len() > 0) {
        turn.state.shrink(name);
    }
    turn.state.alter_changes(name, |changes| *changes = Changes::default());
    depend::put(turn, name, None);
    turn.state.forget(name);
    turn.keep(Keep::Gone(name.clone()));
}
