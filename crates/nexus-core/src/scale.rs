//! More instances or fewer, live; and an operation called off.

use nexus_spec::{Instances, Name};

use crate::action::{Action, Fact, Keep, Outcome};
use crate::build::Wanted;
use crate::event::{Cause, OpId};
use crate::fleet::{self, Verb};
use crate::phase::{Next, Want};
use crate::record::Goal;
use crate::turn::Turn;
use crate::{build, changes, goal, rollout};

/// Have `to` instances run, and let `op` wait for that. Those that stay keep their numbers and
/// their workers.
pub(crate) fn scale(turn: &mut Turn, op: OpId, name: &Name, to: u16) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    // The goal of undoing it is the number that was wanted, not the one that was there.
    let from = if app.counts.wanted == 0 { 0 } else { app.instances() };
    let slots = to.max(1);
    let follows_load = matches!(app.spec.instances, Instances::Auto(_));
    if slots != app.instances() && !follows_load {
        app.spec.instances = Instances::Count(slots);
    }
    fleet::shrink_to(turn, name, slots);
    while turn.state.apps.get(name).is_some_and(|app| app.instances() < slots) {
        turn.state.grow(name);
    }
    turn.keep(Keep::App(name.clone()));
    if from != to {
        turn.note(Fact::Scaled { app: name.clone(), from, to });
    }
    let needs_build = to > 0 && turn.state.apps.get(name).is_some_and(crate::App::is_unbuilt);
    if to == 0 {
        fleet::dismiss(turn, name, 0, Want::Down, false);
    } else if needs_build {
        build::plan(turn, name, Wanted { change: None, new: false, builds: true });
    } else {
        fleet::run(turn, name, None, Verb::Start);
    }
    goal::wait(turn, name, None, op, Goal::Scaled { from }, needs_build);
}

/// The load of an app asks for another number of workers.
pub(crate) fn loaded(turn: &mut Turn, name: &Name, from: u16, to: u16, used: u64) {
    if may_follow(turn, name, from, to) {
        turn.act(Action::Undertake { app: name.clone(), cause: Cause::Load { from, to, used } });
    }
}

/// The operation has begun in which the number follows the load.
pub(crate) fn follow(turn: &mut Turn, op: OpId, name: &Name, from: u16, to: u16) {
    if may_follow(turn, name, from, to) {
        scale(turn, op, name, to);
    } else {
        turn.reply(op, name, Outcome::Superseded);
    }
}

/// All of its instances are up, and nothing else is being done to it.
fn may_follow(turn: &Turn, name: &Name, from: u16, to: u16) -> bool {
    let Some(app) = turn.state.apps.get(name) else { return false };
    let Instances::Auto(rule) = app.spec.instances else { return false };
    app.instances() == from
        && rule.allowed(to) == to
        && app.is_up(None)
        && app.leaving == 0
        && !changes::is_busy(app)
}

/// Call an operation off.
pub(crate) fn abort(turn: &mut Turn, op: OpId, name: &Name, of: OpId) {
    let Some(app) = turn.state.apps.get_mut(name) else {
        return turn.reply(op, name, Outcome::NotFound);
    };
    if let Some(rollout) = app.rollout.as_mut().filter(|rollout| rollout.reload.op == of) {
        let Some(back) = &mut rollout.reload.back else {
            return rollout::go_back(turn, name, None, Some(op));
        };
        let earlier = back.aborter.replace(op);
        turn.keep(Keep::App(name.clone()));
        if let Some(earlier) = earlier {
            turn.reply(earlier, name, Outcome::Superseded);
        }
        return;
    }
    let waiting = app.waiting.iter().find(|(_, waiting)| waiting.op == of);
    let Some((scope, goal)) = waiting.map(|(&scope, waiting)| (scope, waiting.goal)) else {
        return turn.reply(op, name, Outcome::CannotAbort);
    };
    match goal {
        Goal::Reloaded { .. } => {
            goal::answer(turn, name, scope, Outcome::Aborted);
            build::abandon(turn, name);
            turn.reply(op, name, Outcome::Done);
        }
        Goal::Scaled { from } => {
            goal::answer(turn, name, scope, Outcome::Aborted);
            build::abandon(turn, name);
            scale(turn, op, name, from);
        }
        Goal::Down | Goal::Fresh { .. } | Goal::Gone | Goal::Online => {
            turn.reply(op, name, Outcome::CannotAbort);
        }
    }
}

/// Count restarts from 0 again. One that is due will be the first.
pub(crate) fn reset(turn: &mut Turn, op: OpId, name: &Name, instance: Option<u16>) {
    let scope = turn.state.apps.get(name).map_or(0..0, |app| app.scope(instance));
    for instance in scope {
        turn.state.alter(name, instance, |_, slot| {
            slot.restarts = u64::from(matches!(slot.next, Next::At(_)));
        });
    }
    turn.keep(match instance {
        None => Keep::App(name.clone()),
        Some(instance) => Keep::Slot(name.clone(), instance),
    });
    turn.note(Fact::Reset { app: name.clone(), instance });
    turn.reply(op, name, Outcome::Done);
}
