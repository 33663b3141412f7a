//! What a client asked for becomes what is wanted of slots, and a goal to wait for.

use nexus_spec::{AppSpec, Name};

use crate::action::{Keep, Outcome};
use crate::app::App;
use crate::build::Wanted;
use crate::event::{Ask, OpId};
use crate::fleet::Verb;
use crate::phase::Want;
use crate::record::Goal;
use crate::rollout::Wish;
use crate::turn::Turn;
use crate::{build, fleet, goal, job, order, rollout, scale};

/// The one door.
pub(crate) fn asked(turn: &mut Turn, op: OpId, ask: Ask) {
    match ask {
        Ask::Abort { app, of } => scale::abort(turn, op, &app, of),
        Ask::Delete { app } => delete(turn, op, &app),
        Ask::Reload { app, instance, spec, parallel, replace } => {
            let change = spec.map(|(spec, instances)| (spec, instances.max(1)));
            let wish = Wish { op, instance, change, parallel, built: false };
            reload(turn, &app, wish, replace);
        }
        Ask::Reset { app, instance } => {
            if known(turn, op, &app, instance).is_some() {
                scale::reset(turn, op, &app, instance);
            }
        }
        Ask::Restart { app, instance, spec } => restart(turn, op, &app, instance, spec),
        Ask::Rollback { app, to, parallel, replace } => {
            rollback(turn, op, &app, to, (parallel, replace));
        }
        Ask::Scale { app, to } => scale(turn, op, &app, to),
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
    let all_online = app.is_up(None);
    if let Some(with) = reloads(app) {
        return turn.reply(op, &name, busy_unless(all_online, with));
    }
    goal::supersede(turn, &name, None);
    fleet::reprieve(turn, &name);
    let change = (!same).then_some((spec, instances));
    if needs_build {
        build::plan(turn, &name, Wanted { change, new: false, builds: true });
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
    turn.state.found(App::new(spec));
    for _ in 0..instances {
        turn.state.grow(&name);
    }
    turn.keep(Keep::App(name.clone()));
    if needs_build {
        build::plan(turn, &name, Wanted { change: None, new: true, builds: true });
    } else {
        fleet::run(turn, &name, None, Verb::Start);
    }
    goal::wait(turn, &name, None, op, Goal::Online, needs_build);
}

fn start_known(turn: &mut Turn, op: OpId, name: &Name, instance: Option<u16>) {
    let Some(app) = known(turn, op, name, instance) else { return };
    let (needs_build, reloading) = (needs_build(app, None), reloads(app));
    let all_online = app.is_up(instance);
    if let Some(with) = reloading {
        return turn.reply(op, name, busy_unless(all_online, with));
    }
    overtake(turn, name, instance, needs_build);
    if needs_build {
        build::plan(turn, name, Wanted { change: None, new: false, builds: true });
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
    if let (Some(_), Some(with)) = (instance, reloads(app)) {
        return turn.reply(op, name, Outcome::Busy { with });
    }
    let change =
        spec.filter(|(spec, instances)| **spec != app.spec || *instances != app.instances());
    let needs_build = needs_build(app, change.as_ref().map(|(spec, _)| &**spec));
    if let Some(on) = failed_before(turn, op, name, change.as_ref()) {
        return turn.reply(op, name, Outcome::Spared { on });
    }
    if change.is_some() {
        // A new spec overtakes another new one, whichever instances that was for.
        goal::supersede_builders(turn, name);
    }
    let later = follows(turn, op, name, change.as_ref());
    overtake(turn, name, instance, needs_build || later);
    if needs_build || later {
        let generation = turn.state.apps.get(name).map_or(0, |app| app.generation) + 1;
        build::plan(turn, name, Wanted { change, new: false, builds: needs_build });
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

/// Replace workers one after another; the build runs first, if there is one.
pub(crate) fn reload(turn: &mut Turn, name: &Name, wish: Wish, replace: bool) {
    let Wish { op, instance, .. } = wish;
    let Some(app) = known(turn, op, name, instance) else { return };
    // Of one instance the spec stays: the others have it, too.
    let same =
        |(spec, count): &(Box<AppSpec>, u16)| **spec == app.spec && *count == app.instances();
    let change = wish.change.filter(|change| instance.is_none() && !same(change));
    let spec = change.as_ref().map_or(&app.spec, |(spec, _)| spec);
    let builds = spec.build.is_some();
    // One that has put new workers of another spec in place can be taken over only by one that
    // replaces them all, whatever comes of a build: else the app would be left in two minds.
    let halfway = app.rollout.as_ref().is_some_and(|rollout| rollout.reload.change.is_some());
    let replace = replace && (!halfway || instance.is_none() && !builds);
    if let Some(with) = busy(app).filter(|_| !replace) {
        return turn.reply(op, name, Outcome::Busy { with });
    }
    let job = job::is_job(spec) || app.is_job();
    if let Some(on) = failed_before(turn, op, name, change.as_ref()) {
        return turn.reply(op, name, Outcome::Spared { on });
    }
    let later = !job && follows(turn, op, name, change.as_ref());
    overtake(turn, name, None, builds || later);
    if job {
        return renew_job(turn, name, Wish { change, ..wish }, builds);
    }
    if builds || later {
        build::plan(turn, name, Wanted { change, new: false, builds });
        let goal = Goal::Reloaded { parallel: wish.parallel };
        return goal::wait(turn, name, instance, op, goal, true);
    }
    rollout::begin(turn, name, Wish { change, ..wish });
}

/// To a spec that it has had, as to a new one.
fn rollback(
    turn: &mut Turn,
    op: OpId,
    name: &Name,
    to: Option<u64>,
    (parallel, replace): (u16, bool),
) {
    let Some(app) = known(turn, op, name, None) else { return };
    let Some(version) = app.version_at(to).cloned() else {
        return turn.reply(op, name, Outcome::NoVersion);
    };
    if replace || busy(app).is_none() {
        turn.keep(Keep::App(name.clone()));
        let app = turn.state.apps.get_mut(name);
        app.into_iter().for_each(|app| app.returning = Some(version.generation));
    }
    let change = Some((Box::new(version.spec.clone()), version.instances.max(1)));
    let wish = Wish { op, instance: None, change, parallel, built: false };
    reload(turn, name, wish, replace);
}

/// A job, or what becomes or was one, runs the new version when its time has come; a run that is
/// under way ends as it began.
fn renew_job(turn: &mut Turn, name: &Name, wish: Wish, builds: bool) {
    let Wish { op, instance, change, .. } = wish;
    if builds {
        build::plan(turn, name, Wanted { change, new: false, builds });
        return goal::wait(turn, name, instance, op, Goal::Online, true);
    }
    if let Some((spec, instances)) = change {
        fleet::adopt(turn, name, *spec, instances, true);
    }
    fleet::run(turn, name, instance, Verb::Start);
    goal::wait(turn, name, instance, op, Goal::Online, false);
}

fn scale(turn: &mut Turn, op: OpId, name: &Name, to: u16) {
    let Some(app) = known(turn, op, name, None) else { return };
    if let Some(with) = busy(app) {
        return turn.reply(op, name, Outcome::Busy { with });
    }
    let unbuilt = app.is_unbuilt();
    overtake(turn, name, None, unbuilt);
    scale::scale(turn, op, name, to);
}

/// Something that it depends on is to be replaced first, in the same operation.
fn follows(turn: &Turn, op: OpId, name: &Name, change: Option<&(Box<AppSpec>, u16)>) -> bool {
    let spec = spec_to_be(turn, name, change);
    spec.is_some_and(|spec| order::follows(turn.state, &spec.depends_on, op))
}

/// Something that it depends on was to be replaced first, in the same operation, and was not.
fn failed_before(
    turn: &Turn,
    op: OpId,
    name: &Name,
    change: Option<&(Box<AppSpec>, u16)>,
) -> Option<Name> {
    order::failed(turn.state, &spec_to_be(turn, name, change)?.depends_on, op)
}

fn spec_to_be<'a>(
    turn: &'a Turn,
    name: &Name,
    change: Option<&'a (Box<AppSpec>, u16)>,
) -> Option<&'a AppSpec> {
    let known = turn.state.apps.get(name).map(|app| &app.spec);
    change.map(|(spec, _)| &**spec).or(known)
}

/// The reload that is under way, or waits for its build.
fn reloads(app: &App) -> Option<OpId> {
    let waiting = app.waiting.values();
    let builds = || waiting.clone().find(|waiting| matches!(waiting.goal, Goal::Reloaded { .. }));
    app.rollout.as_ref().map(|rollout| rollout.reload.op).or_else(|| builds().map(|w| w.op))
}

/// The reload or the scaling that is under way.
fn busy(app: &App) -> Option<OpId> {
    let all = app.waiting.get(&None);
    let scales = all.filter(|waiting| matches!(waiting.goal, Goal::Scaled { .. }));
    reloads(app).or(scales.map(|waiting| waiting.op))
}

fn busy_unless(all_online: bool, with: OpId) -> Outcome {
    if all_online { Outcome::AlreadyRunning } else { Outcome::Busy { with } }
}

fn stop(turn: &mut Turn, op: OpId, name: &Name, instance: Option<u16>) {
    let Some(app) = known(turn, op, name, instance) else { return };
    if let (Some(_), Some(with)) = (instance, reloads(app)) {
        return turn.reply(op, name, Outcome::Busy { with });
    }
    overtake(turn, name, instance, false);
    goal::wait(turn, name, instance, op, Goal::Down, false);
    dismiss(turn, name, instance, Want::Down);
}

fn delete(turn: &mut Turn, op: OpId, name: &Name) {
    if known(turn, op, name, None).is_none() {
        return;
    }
    goal::supersede(turn, name, None);
    rollout::call_off(turn, name);
    build::abandon(turn, name);
    goal::wait(turn, name, None, op, Goal::Gone, false);
    dismiss(turn, name, None, Want::Gone);
}

fn dismiss(turn: &mut Turn, name: &Name, instance: Option<u16>, want: Want) {
    let scope = turn.state.apps.get(name).map_or(0..0, |app| app.scope(instance));
    let held = instance.is_none() && order::hold(turn, name);
    for instance in scope {
        fleet::dismiss(turn, name, instance, want, held);
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
    rollout::call_off(turn, name);
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
        Some(spec) => spec.build.is_some() && (app.is_unbuilt() || !builds_alike(spec, &app.spec)),
    }
}

/// What was built for the one will do for the other: they differ at most in a limit, and in what is
/// watched.
fn builds_alike(one: &AppSpec, other: &AppSpec) -> bool {
    *one == AppSpec { memory: one.memory, watch: one.watch.clone(), ..other.clone() }
}
