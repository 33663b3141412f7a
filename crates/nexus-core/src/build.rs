//! Build first: what an ask wanted waits until the app's build command has succeeded.

use std::path::{Path, PathBuf};

use nexus_spec::{AppSpec, Name, Span};

use crate::action::{Action, Fact, Keep, OnExit, Outcome, Purpose};
use crate::app::Build;
use crate::event::{Exit, Pid};
use crate::fleet::Verb;
use crate::phase::Phase;
use crate::record::{Goal, Plan};
use crate::rollout::Wish;
use crate::state::State;
use crate::stop::Leaver;
use crate::turn::{KILL_AGAIN_MIN, Turn};
use crate::{fleet, goal, order, rollout, stray};

/// What a plan is for.
pub(crate) struct Wanted {
    /// A spec and its resolved number of instances; `None` = the stored ones.
    pub(crate) change: Option<(Box<AppSpec>, u16)>,
    /// The app came with the ask.
    pub(crate) new: bool,
    /// The build command is run; else the plan only waits for other apps of the same operation.
    pub(crate) builds: bool,
}

/// Build the stored spec (`None`) or another one, which is stored if the build succeeds. A build
/// of the same spec that runs already will do; one of another spec is overtaken.
pub(crate) fn plan(turn: &mut Turn, name: &Name, wanted: Wanted) {
    let Wanted { change, new, builds } = wanted;
    turn.keep(Keep::App(name.clone()));
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let running = app.build.as_mut().map(|build| &mut build.plan);
    if let Some(plan) = running.filter(|plan| plan.change == change) {
        plan.builds |= builds;
        return turn.touch(name, None);
    }
    let running = app.build.as_ref().map(|build| &build.plan);
    let new = new || running.is_some_and(|plan| plan.new);
    goal::supersede_builders(turn, name);
    abandon(turn, name);
    let Some(app) = turn.state.apps.get(name) else { return };
    let (now, since) = (turn.now, turn.state.last_child());
    let plan = Plan { change, new, builds, since };
    let site = site(&app.spec, &plan);
    turn.state.alter_build(name, |build| {
        *build = Some(Build::new(plan, site, now));
    });
    turn.touch(name, None);
}

/// Where it runs.
pub(crate) fn site(spec: &AppSpec, plan: &Plan) -> PathBuf {
    plan.change.as_ref().map_or(spec, |(spec, _)| spec).cwd.clone()
}

/// The directory may be free for the next one.
pub(crate) fn wake(turn: &mut Turn, site: &Path) {
    if let Some(next) = turn.state.next_in(site) {
        turn.touch(&next, None);
    }
}

/// Nobody waits for the build any more: it is ended.
pub(crate) fn abandon(turn: &mut Turn, name: &Name) {
    let Some(Some(build)) = turn.state.alter_build(name, Option::take) else { return };
    turn.state.stir(name);
    turn.keep(Keep::App(name.clone()));
    match build.phase {
        Phase::Online { child, .. }
        | Phase::Spawning { child, .. }
        | Phase::Warming { child, .. } => {
            stray::dismiss(turn, Leaver::new(child, turn.now), Some(name), None);
            stray::holds(turn, child, build.site.clone());
        }
        Phase::Reaping { child, .. } | Phase::Stopping { child, .. } => {
            stray::enter(turn, child, Some(name), None, build.phase);
            stray::holds(turn, child, build.site.clone());
        }
        Phase::Backoff { .. } | Phase::Errored | Phase::Idle | Phase::Waiting => {}
    }
    wake(turn, &build.site);
}

/// Begin, unless something of the same operation comes first. Two builds of one app never run at
/// once, nor two in one directory: each would undo what the other one does.
pub(crate) fn begin_if_free(turn: &mut Turn, name: &Name) {
    let app = turn.state.apps.get(name);
    let Some(build) = app.and_then(|app| app.build.as_ref()) else { return };
    if !matches!(build.phase, Phase::Idle | Phase::Waiting) {
        return;
    }
    let (site, waits) = (build.site.clone(), build.phase == Phase::Waiting);
    match build.plan.builds {
        _ if waits => {}
        true if may_begin(turn.state, name) => put(turn, name, Phase::Waiting),
        false if !order::is_planned_later(turn.state, name) => return end_plan(turn, name),
        true | false => return,
    }
    begin_first(turn, &site);
}

/// There is nothing to build: what waited for other apps is done now.
fn end_plan(turn: &mut Turn, name: &Name) {
    if let Some(Some(Build { plan, .. })) = turn.state.alter_build(name, Option::take) {
        turn.keep(Keep::App(name.clone()));
        turn.touch(name, None);
        succeeded(turn, name, plan);
    }
}

/// Nothing of its own comes first.
fn may_begin(state: &State, name: &Name) -> bool {
    let gone = state.apps.get(name).is_some_and(|app| app.leaving == 0);
    gone && !order::is_planned_later(state, name)
}

/// Begin the first one that waits there, if the directory is free. One that may not begin any more
/// leaves the queue until it may, so that a turn looks at nobody in vain twice.
fn begin_first(turn: &mut Turn, site: &Path) {
    while let Some(name) = turn.state.next_in(site) {
        if may_begin(turn.state, &name) {
            return begin(turn, &name);
        }
        put(turn, &name, Phase::Idle);
    }
}

fn put(turn: &mut Turn, name: &Name, phase: Phase) {
    turn.state.alter_build(name, |build| {
        if let Some(build) = build {
            build.phase = phase;
        }
    });
}

fn begin(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let changes = app.build.as_ref().is_some_and(|build| build.plan.change.is_some());
    let generation = app.generation + u64::from(changes);
    let (child, _) = turn.state.fresh_child();
    let now = turn.now;
    turn.state.alter_build(name, |build| {
        if let Some(build) = build {
            build.phase = Phase::Spawning { child, ready: false };
            build.began = now;
        }
    });
    turn.note(Fact::BuildStarted { app: name.clone(), child });
    let on_exit = OnExit { next: None, delay: Span(0), stay_codes: Vec::new() };
    let (app, purpose) = (name.clone(), Purpose::Build);
    turn.act(Action::Spawn { child, app, purpose, generation, on_exit });
}

/// The keeper has it.
pub(crate) fn spawned(turn: &mut Turn, name: &Name, pid: Pid) {
    let now = turn.now;
    let settle_at = now + patience(turn, name);
    turn.state.alter_build(name, |build| {
        if let Some(build) = build
            && let Phase::Spawning { child, .. } = build.phase
        {
            build.phase = Phase::Warming { child, pid, since: now, settle_at };
        }
    });
}

/// How long it may take, by the spec that it is for.
pub(crate) fn patience(turn: &Turn, name: &Name) -> Span {
    let app = turn.state.apps.get(name);
    let spec = app.map(|app| {
        let change = app.build.as_ref().and_then(|build| build.plan.change.as_ref());
        change.map_or(&app.spec, |(spec, _)| spec)
    });
    spec.map_or(AppSpec::BUILD_TIMEOUT, |spec| spec.build_timeout)
}

/// Its main process is gone, or never was.
pub(crate) fn exited(turn: &mut Turn, name: &Name, exit: Exit, tree_gone: bool) {
    let kill_at = turn.now + turn.kill_again(Some(name));
    turn.state.alter_build(name, |build| {
        if let Some(build) = build
            && let Some(child) = build.phase.child()
        {
            build.exit = build.exit.or(Some(exit));
            build.phase = Phase::Reaping { child, kill_at };
        }
    });
    if tree_gone {
        gone(turn, name);
    }
}

/// Its deadline has passed.
pub(crate) fn due(turn: &mut Turn, name: &Name) {
    let again_at = turn.now + KILL_AGAIN_MIN;
    let child = turn.state.alter_build(name, |build| {
        let build = build.as_mut()?;
        if matches!(build.phase, Phase::Warming { .. }) {
            // How it ends from here on is our doing.
            build.exit = Some(Exit::NeverReady);
        }
        match &mut build.phase {
            Phase::Warming { child, settle_at: at, .. }
            | Phase::Reaping { child, kill_at: at }
            | Phase::Stopping { child, kill_at: at, .. } => {
                *at = again_at;
                Some(*child)
            }
            Phase::Backoff { .. }
            | Phase::Errored
            | Phase::Idle
            | Phase::Online { .. }
            | Phase::Spawning { .. }
            | Phase::Waiting => None,
        }
    });
    if let Some(Some(child)) = child {
        turn.act(Action::Kill { child });
    }
}

/// Nothing of its tree is left: what waited for it can be done, or can not.
pub(crate) fn gone(turn: &mut Turn, name: &Name) {
    let ended = turn.state.alter_build(name, |slot| {
        let build = slot.as_ref()?;
        let Phase::Reaping { child, .. } = build.phase else { return None };
        Some((child, build.exit?, slot.take()?))
    });
    let Some(Some((child, exit, build))) = ended else { return };
    turn.act(Action::Acknowledge { child });
    turn.state.stir(name);
    turn.note(Fact::Built { app: name.clone(), child, exit, after: turn.now - build.began });
    turn.keep(Keep::App(name.clone()));
    turn.touch(name, None);
    wake(turn, &build.site);
    if exit == Exit::Code(0) {
        succeeded(turn, name, build.plan)
    } else {
        failed(turn, name, exit, &build.plan)
    }
}

fn failed(turn: &mut Turn, name: &Name, exit: Exit, plan: &Plan) {
    for (scope, goal) in goal::builders(turn, name) {
        let old_serves = matches!(goal, Goal::Reloaded { .. });
        goal::answer(turn, name, scope, Outcome::BuildFailed { exit, old_serves });
    }
    if plan.new {
        goal::drop_app(turn, name);
    }
}

/// What it was to follow has failed: nothing is done, and whoever waits for it is told so.
pub(crate) fn spare(turn: &mut Turn, name: &Name, on: &Name) {
    for (scope, _) in goal::builders(turn, name) {
        goal::answer(turn, name, scope, Outcome::Spared { on: on.clone() });
    }
    abandon(turn, name);
    turn.touch(name, None);
}

/// What was waited for is done now.
fn succeeded(turn: &mut Turn, name: &Name, plan: Plan) {
    let verb = |goal: Goal| match goal {
        Goal::Fresh { .. } => Verb::Restart,
        Goal::Down | Goal::Gone | Goal::Online | Goal::Reloaded { .. } | Goal::Scaled { .. } => {
            Verb::Start
        }
    };
    let waited = goal::builders(turn, name);
    if let Some(&(scope, Goal::Reloaded { parallel })) =
        waited.iter().find(|(_, goal)| matches!(goal, Goal::Reloaded { .. }))
    {
        return reload(turn, name, scope, parallel, plan);
    }
    match plan.change {
        Some((spec, instances)) => fleet::adopt(turn, name, *spec, instances, true),
        None if waited.iter().any(|&(_, goal)| verb(goal) == Verb::Restart) => {
            turn.state.bump(name);
        }
        None => {}
    }
    if let Some(app) = turn.state.apps.get_mut(name)
        && app.spec.build.is_some()
    {
        app.built = Some(app.generation);
    }
    goal::built(turn, name);
    for (scope, goal) in waited {
        fleet::run(turn, name, scope, verb(goal));
    }
}

/// A reload waited for it; whoever else did was overtaken by that.
fn reload(turn: &mut Turn, name: &Name, instance: Option<u16>, parallel: u16, plan: Plan) {
    let Some(op) = goal::withdraw(turn, name, instance) else { return };
    let wish = Wish { op, instance, change: plan.change, parallel, built: plan.builds };
    rollout::begin(turn, name, wish);
}
