//! What an ask does to slots: wanted, no longer wanted, replaced, more or fewer of them.

use nexus_spec::{AppSpec, Name};

use crate::action::{Keep, Outcome};
use crate::goal;
use crate::phase::{Next, Phase, Want};
use crate::restart::Past;
use crate::stop::Leaver;
use crate::turn::Turn;
use crate::{depend, job, stray, successor, versions, worker};

/// What an ask for workers to run does to those that run already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// They are stopped first.
    Restart,
    /// They are left alone.
    Start,
}

/// Make the slots of a scope run.
pub(crate) fn run(turn: &mut Turn, name: &Name, scope: Option<u16>, verb: Verb) {
    let instances = turn.state.apps.get(name).map_or(0..0, |app| app.scope(scope));
    for instance in instances {
        match verb {
            Verb::Restart => recycle(turn, name, instance),
            Verb::Start => enlist(turn, name, instance),
        }
    }
    turn.keep(Keep::App(name.clone()));
    turn.touch(name, scope);
}

/// Wanted up, with a clean record; what is down comes at once, what is going down comes back.
fn enlist(turn: &mut Turn, name: &Name, instance: u16) {
    let spawn = turn.state.alter(name, instance, |spec, slot| {
        slot.want = Want::Up;
        if slot.phase.is_running() {
            return false;
        }
        slot.call_off();
        slot.past = Past::default();
        let empty = slot.phase.child().is_none();
        if job::is_job(spec) {
            // It runs when its time has come.
            slot.next = Next::Stay;
            if empty {
                slot.phase = Phase::Idle;
            }
            return false;
        }
        empty
    });
    if spawn == Some(true) {
        depend::come_up(turn, name, instance);
    }
}

/// What was kept running runs at set times from now on.
fn becomes_job_slot(turn: &mut Turn, name: &Name, instance: u16) {
    worker::terminate(turn, name, instance);
    if turn.state.slot(name, instance).is_some_and(|slot| slot.want == Want::Up) {
        enlist(turn, name, instance);
    }
}

/// Stopped and started again; what is down comes at once.
fn recycle(turn: &mut Turn, name: &Name, instance: u16) {
    successor::dismiss(turn, name, instance);
    let spawn = turn.state.alter(name, instance, |_, slot| {
        slot.want = Want::Up;
        slot.call_off();
        slot.past = Past::default();
        slot.phase.child().is_none()
    });
    match spawn {
        Some(true) => depend::come_up(turn, name, instance),
        Some(false) => worker::terminate(turn, name, instance),
        None => {}
    }
}

/// No longer wanted: `Down` or `Gone`; `held` = it is told to go once those have gone that depend
/// on it.
pub(crate) fn dismiss(turn: &mut Turn, name: &Name, instance: u16, want: Want, held: bool) {
    successor::dismiss(turn, name, instance);
    turn.state.alter(name, instance, |_, slot| {
        slot.want = want;
        slot.call_off();
        if slot.phase.child().is_none() {
            slot.phase = Phase::Idle;
        }
    });
    if !held {
        worker::terminate(turn, name, instance);
    }
}

/// To be kept after all.
pub(crate) fn reprieve(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get(name).filter(|app| app.counts.doomed > 0) else { return };
    for instance in app.scope(None) {
        turn.state.alter(name, instance, |_, slot| {
            if slot.want == Want::Gone {
                slot.want = Want::Down;
            }
        });
    }
    turn.keep(Keep::App(name.clone()));
}

/// A new spec, and so a new generation, with as many slots as it asks for. `built` = its build has
/// been run.
pub(crate) fn adopt(turn: &mut Turn, name: &Name, spec: AppSpec, instances: u16, built: bool) {
    let before = turn.state.apps.get(name).map_or(0, |app| app.instances());
    let generation = turn.state.bump(name);
    // What no longer has a place leaves by the rules that it was started with.
    shrink_to(turn, name, instances);
    let homeless: Vec<Option<u16>> = turn.state.apps.get(name).map_or_else(Vec::new, |app| {
        app.waiting.keys().filter(|scope| !app.has(**scope)).copied().collect()
    });
    for scope in homeless {
        goal::answer(turn, name, scope, Outcome::Superseded);
    }
    if let Some(app) = turn.state.apps.get_mut(name) {
        app.built = (built && spec.build.is_some()).then_some(generation);
        let becomes_job = job::is_job(&spec) && !job::is_job(&app.spec);
        let scope = app.scope(None);
        versions::succeed(turn, name, spec, generation, before);
        if becomes_job {
            scope.for_each(|instance| becomes_job_slot(turn, name, instance));
        }
    }
    while turn.state.apps.get(name).is_some_and(|app| app.instances() < instances) {
        turn.state.grow(name);
    }
    turn.keep(Keep::App(name.clone()));
}

/// At most so many slots: the last ones go, and their workers are told to.
pub(crate) fn shrink_to(turn: &mut Turn, name: &Name, instances: u16) {
    while turn.state.apps.get(name).is_some_and(|app| app.instances() > instances) {
        evict_last(turn, name);
    }
}

fn evict_last(turn: &mut Turn, name: &Name) {
    let instances = turn.state.apps.get(name).map_or(0, |app| app.instances());
    let Some(last) = instances.checked_sub(1) else { return };
    successor::dismiss(turn, name, last);
    let last = turn.state.apps.get(name).and_then(|app| app.slots.get(app.instances() - 1));
    let Some(phase) = last.map(|slot| slot.phase) else { return };
    turn.state.shrink(name);
    turn.keep(Keep::App(name.clone()));
    if let Some(leaver) = Leaver::of(phase, turn.now) {
        stray::dismiss(turn, leaver, Some(name), None);
    } else if let Some(child) = phase.child() {
        stray::enter(turn, child, Some(name), None, phase);
    }
}
