//! A reload that tries its new workers: so many first, watched for a while before the next. What
//! `rollback_on` names takes the reload back meanwhile: that one ends by itself or is beyond a limit.

use nexus_spec::{Canary, Name, RollbackOn, Span};

use crate::action::{Fact, Keep, Milestone};
use crate::app::App;
use crate::event::{Breach, Exit, Failure, Limit, Time};
use crate::phase::Phase;
use crate::rollout::{self, Rollout};
use crate::state::{Marks, Seat};
use crate::turn::Turn;

/// How far a reload may go before what it has done is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stage {
    /// Counted from the first instance of its scope.
    end: u16,
    soak: Span,
}

/// The present stage; `None` = the rest is replaced without a pause.
fn stage(app: &App) -> Option<Stage> {
    let reload = &app.rollout()?.reload;
    let rule = &app.spec_at(reload.generation).rollout;
    let (soak, tried) = (rule.soak.unwrap_or(Span(0)), reload.tried);
    if reload.back.is_some() {
        return None;
    }
    match (rule.canary, rule.soak) {
        (Some(canary), _) => {
            let end = count(canary, scope(app));
            (tried < end).then_some(Stage { end, soak })
        }
        (None, Some(_)) => Some(Stage { end: tried.saturating_add(reload.parallel), soak }),
        (None, None) => None,
    }
}

/// How many instances the reload replaces.
fn scope(app: &App) -> u16 {
    let reload = app.rollout().map(|rollout| &rollout.reload);
    let wanted = reload.and_then(|reload| reload.change.as_ref()).map(|(_, wanted)| *wanted);
    match reload.and_then(|reload| reload.instance) {
        Some(_) => 1,
        None => wanted.map_or(app.instances(), |wanted| wanted.min(app.instances())),
    }
}

/// At least one.
fn count(canary: Canary, of: u16) -> u16 {
    match canary {
        Canary::Count(count) => count,
        Canary::Percent(percent) => {
            let part = (u32::from(of) * u32::from(percent)).div_ceil(100);
            u16::try_from(part).unwrap_or(of)
        }
    }
    .max(1)
}

/// Whether one more instance may be begun, of which so many are.
pub(crate) fn lets(app: &App, begun: u16) -> bool {
    let watched = app.rollout().is_some_and(|rollout| rollout.soak_until.is_some());
    !watched && stage(app).is_none_or(|stage| begun < stage.end)
}

/// Nothing is under way: what has been replaced since the last time is watched first, if it is to
/// be; whether it is.
pub(crate) fn watch(turn: &mut Turn, name: &Name) -> bool {
    let Some(app) = turn.state.apps.get(name) else { return false };
    let Some(rollout) = app.rollout() else { return false };
    if rollout.soak_until.is_some() {
        return true;
    }
    let (done, tried) = (rollout.begun().min(scope(app)), rollout.reload.tried);
    let Some(Stage { soak, .. }) = stage(app).filter(|_| done > tried) else { return false };
    let generation = rollout.reload.generation;
    put(turn, name, Some(turn.now + soak));
    if soak > Span(0) {
        let milestone = Milestone::Watched { instances: done - tried, soak };
        turn.note(Fact::Reload { app: name.clone(), generation, milestone });
    }
    true
}

/// They were watched for long enough.
pub(crate) fn due(turn: &mut Turn, name: &Name) {
    put(turn, name, None);
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let scope = scope(app);
    let Some(rollout) = app.rollout.as_mut() else { return };
    rollout.reload.tried = rollout.begun().min(scope);
    turn.keep(Keep::App(name.clone()));
    turn.touch(name, None);
}

/// Set or end the pause. The only way: the index follows.
pub(crate) fn put(turn: &mut Turn, name: &Name, until: Option<Time>) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let Some(rollout) = app.rollout.as_mut() else { return };
    let before = std::mem::replace(&mut rollout.soak_until, until);
    let seat = Seat::Trial(name.clone());
    turn.state.index.moved(&seat, Marks::of_deadline(before), Marks::of_deadline(until));
}

/// A worker that served has ended by itself.
pub(crate) fn ended(turn: &mut Turn, name: &Name, failure: Failure) {
    let Some(rule) = rule_of(turn, name, failure.instance).map(|rule| rule.restarts) else {
        return;
    };
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let Some(rollout) = app.rollout.as_mut() else { return };
    if rollout.reload.ends.saturating_add(1) >= rule {
        return rollout::go_back(turn, name, Some(failure), None);
    }
    // It is watched on, and what follows waits until it is back.
    rollout.reload.ends += 1;
    rollout.awaits(failure.instance);
    turn.keep(Keep::App(name.clone()));
}

/// A worker is beyond a limit; whether that takes a reload back.
pub(crate) fn breached(turn: &mut Turn, name: &Name, instance: u16, breach: Breach) -> bool {
    if !rule_of(turn, name, instance).is_some_and(|rule| counts(rule, breach.limit)) {
        return false;
    }
    let phase = turn.state.slot(name, instance).map(|slot| slot.phase);
    let (child, since) = match phase {
        Some(Phase::Online { child, since, .. }) => (child, since),
        // Not ready yet, and without an incumbent: what it writes and uses counts from its birth.
        Some(Phase::Warming { child, since, .. }) if is_of_trial(breach.limit) => (child, since),
        // What it wrote was read before the report of its birth.
        Some(Phase::Spawning { child, .. }) if is_of_trial(breach.limit) => (child, turn.now),
        Some(_) | None => return false,
    };
    let (at, after) = (turn.now, turn.now - since);
    turn.note(Fact::Breached { app: name.clone(), instance, child, breach, after });
    let exit = Exit::OverLimit(breach.limit);
    rollout::go_back(turn, name, Some(Failure { instance, child, exit, after, at }), None);
    true
}

/// It holds only for workers that a reload watches.
pub(crate) fn is_of_trial(limit: Limit) -> bool {
    match limit {
        Limit::Log | Limit::TrialMemory => true,
        Limit::Health | Limit::Memory | Limit::Watchdog => false,
    }
}

/// Whether this takes a reload back.
pub(crate) fn counts(rule: &RollbackOn, limit: Limit) -> bool {
    match limit {
        Limit::Health => rule.health,
        Limit::Log => rule.log.is_some(),
        Limit::Memory => true,
        Limit::TrialMemory => rule.memory.is_some(),
        Limit::Watchdog => rule.watchdog,
    }
}

/// What takes the reload back to which this slot's worker is new; `None` = it is not, or its reload
/// watches nobody.
fn rule_of<'a>(turn: &'a Turn, name: &Name, instance: u16) -> Option<&'a RollbackOn> {
    let app = turn.state.apps.get(name)?;
    let slot = app.slots.get(instance)?;
    app.watches(slot.moved_to)
}

impl Rollout {
    /// Until when what it has replaced is watched, and nothing else happens.
    pub fn watched_until(&self) -> Option<Time> {
        self.soak_until
    }

    /// So many instances have been replaced, or put back.
    pub fn done(&self) -> u16 {
        let moving = u16::try_from(self.moving().len()).unwrap_or(u16::MAX);
        self.begun().saturating_sub(moving)
    }
}

impl App {
    /// How many instances the reload that is under way is about.
    pub fn to_replace(&self) -> u16 {
        scope(self)
    }

    /// What takes the reload back that is under way, if workers of this generation are new to it
    /// and watched.
    fn watches(&self, generation: Option<u64>) -> Option<&RollbackOn> {
        let reload = &self.rollout()?.reload;
        let rule = &self.spec_at(reload.generation).rollout;
        let watched = reload.back.is_none()
            && (rule.canary.is_some() || rule.soak.is_some())
            && generation == Some(reload.generation);
        watched.then_some(&rule.rollback_on)
    }

    /// What takes a reload back that is under way and watches its new workers, which are those of
    /// this generation.
    pub fn trial(&self, generation: u64) -> Option<&RollbackOn> {
        self.watches(Some(generation))
    }
}
