//! What a client asked for becomes what is wanted of slots, and a goal to wait for.

use nexus_spec::{AppSpec, Name};

use crate::action::{Keep, Outcome};
use crate::app::App;
use crate::event::{Ask, OpId};
use crate::phase::Want;
use crate::record::{Goal, Plan, Verb};
use crate::turn::Turn;
use crate::{build, fleet, goal};

/// The one door.
pub(crate) fn asked(turn: &mut Turn, op: OpId, ask: Ask) {
    match ask {
        Ask::Delete { app } => delete(turn, op, &app),
        Ask::Restart { app, instance, spec } => restart(turn, op, &app, instance, spec),
        Ask::Start { spec, instances } => start(turn, op, spec, instances.max(1)),
        Ask::StartKnown { app, instance } => start_known(turn, op, &app, instance),
        Ask::Stop { app, instance } => stop(turn, op, &app, instance),
    }
}

fn start(turn: &mut Turn, op: OpId, spec: Box<AppSpec>, instances: u16) {
    let name = spec.name.clone();
    let Some(app) = turn.state.apps.get(&name) else {
        return start_new(turn, op, *spec, instances);
    };
    let same = app.spec == *spec && app.instances() == instances;
    let running = app.counts.active > 0;
    if running && !same {
        return turn.reply(op, &name, Outcome::Conflict);
    }
    let needs_build = needs_build(app, Some(&spec));
    let all_online = app.all(app.counts.online);
    goal::supersede(turn, &name, None);
    fleet::reprieve(turn, &name);
    let change = (!same).then_some((spec, instances));
    if needs_build {
        let since = turn.state.last_child();
        let plan = Plan { change, verb: Verb::Start, instance: None, new: false, since };
        build::plan(turn, &name, plan);
        return goal::wait(turn, &name, None, op, Goal::Online, true);
    }
    let built = turn.state.apps.get(&name).is_some_and(|app| app.built.is_some());
    build::abandon(turn, &name);
    build::apply(turn, &name, change, Verb::Start, None, built);
    wait_online(turn, &name, None, op, all_online);
}

fn start_new(turn: &mut Turn, op: OpId, spec: AppSpec, instances: u16) {
    let name = spec.name.clone();
    let needs_build = spec.build.is_some();
    turn.state.apps.insert(name.clone(), App::new(spec));
    for _ in 0..instances {
        turn.state.grow(&name);
    }
    turn.keep(Keep::App(name.clone()));
    if needs_build {
        let since = turn.state.last_child();
        let plan = Plan { change: None, verb: Verb::Start, instance: None, new: true, since };
        build::plan(turn, &name, plan);
    } else {
        build::apply(turn, &name, None, Verb::Start, None, false);
    }
    goal::wait(turn, &name, None, op, Goal::Online, needs_build);
}

fn start_known(turn: &mut Turn, op: OpId, name: &Name, instance: Option<u16>) {
    let Some(app) = known(turn, op, name, instance) else { return };
    let needs_build = needs_build(app, None);
    let all_online = match instance {
        None => app.all(app.counts.online),
        Some(one) => app.slots.get(one).is_some_and(|slot| slot.phase.is_online()),
    };
    overtake(turn, name, instance, needs_build);
    if needs_build {
        let since = turn.state.last_child();
        let plan = Plan { change: None, verb: Verb::Start, instance, new: false, since };
        build::plan(turn, name, plan);
        return goal::wait(turn, name, instance, op, Goal::Online, true);
    }
    build::apply(turn, name, None, Verb::Start, instance, false);
    wait_online(turn, name, instance, op, all_online);
}

fn restart(
    turn: &mut Turn,
    op: OpId,
    name: &Name,
    instance: Option<u16>,
    spec: Option<(Box<AppSpec>, u16)>,
) {
    let Some(app) = turn.state.apps.get(name) else {
        return turn.reply(op, name, Outcome::NotFound);
    };
    let spec = spec.map(|(spec, instances)| (spec, instances.max(1)));
    let instances = spec.as_ref().map_or(app.instances(), |&(_, instances)| instances);
    if instance.is_some_and(|instance| instance >= instances) {
        return turn.reply(op, name, Outcome::NotFound);
    }
    let change =
        spec.filter(|(spec, instances)| **spec != app.spec || *instances != app.instances());
    let needs_build = needs_build(app, change.as_ref().map(|(spec, _)| &**spec));
    let waits_for_build = app.build.as_ref().map(|build| build.plan.instance);
    // A new spec overtakes a plan for another one, whatever instance that was for.
    if let Some(planned) = waits_for_build.filter(|_| change.is_some()) {
        goal::answer(turn, name, planned, Outcome::Superseded);
        if !needs_build {
            build::abandon(turn, name);
        }
    }
    overtake(turn, name, instance, needs_build);
    let generation = turn.state.apps.get(name).map_or(0, |app| app.generation) + 1;
    let fresh = Goal::Fresh { generation };
    if needs_build {
        let since = turn.state.last_child();
        build::plan(turn, name, Plan { change, verb: Verb::Restart, instance, new: false, since });
    } else {
        let built = turn.state.apps.get(name).is_some_and(|app| app.built.is_some());
        build::apply(turn, name, change, Verb::Restart, instance, built);
    }
    goal::wait(turn, name, instance, op, fresh, needs_build);
}

fn stop(turn: &mut Turn, op: OpId, name: &Name, instance: Option<u16>) {
    if known(turn, op, name, instance).is_none() {
        return;
    }
    overtake(turn, name, instance, false);
    dismiss(turn, name, instance, Want::Down);
    goal::wait(turn, name, instance, op, Goal::Down, false);
}

fn delete(turn: &mut Turn, op: OpId, name: &Name) {
    if known(turn, op, name, None).is_none() {
        return;
    }
    goal::supersede(turn, name, None);
    build::abandon(turn, name);
    dismiss(turn, name, None, Want::Gone);
    goal::wait(turn, name, None, op, Goal::Gone, false);
}

fn dismiss(turn: &mut Turn, name: &Name, instance: Option<u16>, want: Want) {
    let scope = turn.state.apps.get(name).map_or(0..0, |app| app.scope(instance));
    for instance in scope {
        fleet::dismiss(turn, name, instance, want);
    }
    turn.keep(match instance {
        None => Keep::App(name.clone()),
        Some(instance) => Keep::Slot(name.clone(), instance),
    });
}

/// The app, if it and the instance exist; if not, that is the answer.
fn known<'a>(turn: &'a mut Turn, op: OpId, name: &Name, instance: Option<u16>) -> Option<&'a App> {
    if turn.state.apps.get(name).is_none_or(|app| !app.has(instance)) {
        turn.reply(op, name, Outcome::NotFound);
        return None;
    }
    turn.state.apps.get(name)
}

/// The latest ask wins: earlier ones about the same instances are answered, a deletion is called
/// off, and so is what waits for a build, unless this ask will wait for one too.
fn overtake(turn: &mut Turn, name: &Name, instance: Option<u16>, builds: bool) {
    goal::supersede(turn, name, instance);
    fleet::reprieve(turn, name);
    let planned = turn.state.apps.get(name).and_then(|app| app.build.as_ref());
    let overlaps = planned.is_some_and(|build| {
        instance.is_none() || build.plan.instance.is_none() || build.plan.instance == instance
    });
    if overlaps && !builds {
        build::abandon(turn, name);
    }
}

fn wait_online(turn: &mut Turn, name: &Name, instance: Option<u16>, op: OpId, all_online: bool) {
    if all_online {
        turn.reply(op, name, Outcome::AlreadyRunning);
    } else {
        goal::wait(turn, name, instance, op, Goal::Online, false);
    }
}

/// This spec (`None`: the stored one) has a build that has not been run.
fn needs_build(app: &App, spec: Option<&AppSpec>) -> bool {
    match spec {
        None => app.is_unbuilt(),
        Some(spec) => spec.build.is_some() && (app.is_unbuilt() || *spec != app.spec),
    }
}
