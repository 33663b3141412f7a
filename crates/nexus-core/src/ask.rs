//! What a client asked for becomes what is wanted of slots, and a goal to wait for.

use nexus_spec::{AppSpec, Name};

use crate::action::{Keep, Outcome};
use crate::app::App;
use crate::event::{Ask, OpId};
use crate::fleet::Verb;
use crate::phase::Want;
use crate::record::Goal;
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
        build::plan(turn, &name, change, false);
        return goal::wait(turn, &name, None, op, Goal::Online, true);
    }
    build::abandon(turn, &name);
    if let Some((spec, instances)) = change {
        fleet::adopt(turn, &name, *spec, instances, true);
    }
    fleet::run(turn, &name, None, Verb::Start);
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
        build::plan(turn, &name, None, true);
    } else {
        fleet::run(turn, &name, None, Verb::Start);
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
        build::plan(turn, name, None, false);
        return goal::wait(turn, name, instance, op, Goal::Online, true);
    }
    fleet::run(turn, name, instance, Verb::Start);
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
    if change.is_some() {
        // A new spec overtakes another new one, whichever instances that was for.
        goal::supersede_builders(turn, name);
    }
    overtake(turn, name, instance, needs_build);
    if needs_build {
        let generation = turn.state.apps.get(name).map_or(0, |app| app.generation) + 1;
        build::plan(turn, name, change, false);
        return goal::wait(turn, name, instance, op, Goal::Fresh { generation }, true);
    }
    match change {
        Some((spec, instances)) => fleet::adopt(turn, name, *spec, instances, true),
        None => _ = turn.state.bump(name),
    }
    fleet::run(turn, name, instance, Verb::Restart);
    let generation = turn.state.apps.get(name).map_or(0, |app| app.generation);
    goal::wait(turn, name, instance, op, Goal::Fresh { generation }, false);
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
/// off, and so is a build for which nobody waits any more, unless this ask will.
fn overtake(turn: &mut Turn, name: &Name, instance: Option<u16>, builds: bool) {
    goal::supersede(turn, name, instance);
    fleet::reprieve(turn, name);
    if !builds && goal::builders(turn, name).is_empty() {
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
