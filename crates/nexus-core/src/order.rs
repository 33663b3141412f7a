//! Several apps in one operation: those that depend on others are restarted and reloaded after them,
//! and stopped before them.
//!
//! Nothing of that is kept: it follows from who waits for what. An app is held while another one of
//! the same operation has to be answered first.

use std::collections::{BTreeMap, BTreeSet};

use nexus_spec::{AppSpec, Dependencies, Name, Span};

use crate::action::{Keep, Outcome};
use crate::app::App;
use crate::event::{Ask, OpId};
use crate::phase::Want;
use crate::record::Goal;
use crate::state::State;
use crate::turn::Turn;
use crate::{build, depend, worker};

/// Beyond what those that depend on an app have to finish and to end.
const MARGIN: Span = Span(5_000);

/// An app has been answered that others may have been held for.
pub(crate) struct Answered {
    op: OpId,
    app: Name,
    failed: bool,
    /// Those that it held.
    held: Vec<Name>,
    /// Those that depend on it.
    above: Vec<Name>,
}

impl Answered {
    /// `None`: this changes nothing for any other one, nor for itself.
    pub(crate) fn of(
        state: &mut State,
        op: OpId,
        name: &Name,
        outcome: &Outcome,
    ) -> Option<Answered> {
        let failed = has_failed(outcome);
        let patience = state.apps.get_mut(name).map(|app| &mut app.patience);
        let (held, is_held) = patience.map_or((Vec::new(), false), |patience| {
            let (held, rest) =
                std::mem::take(&mut patience.ahead).into_iter().partition(|(of, _)| *of == op);
            let held: BTreeSet<(OpId, Name)> = held;
            patience.ahead = rest;
            if failed {
                patience.failed = Some(op);
            }
            let is_held = patience.op == Some(op) && !patience.behind.is_empty();
            (held.into_iter().map(|(_, name)| name).collect(), is_held)
        });
        let above = above(state, name);
        let alone = held.is_empty() && above.is_empty() && !is_held;
        (!alone).then(|| Answered { op, app: name.clone(), failed, held, above })
    }
}

fn has_failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done | Outcome::AlreadyRunning | Outcome::Superseded => false,
        Outcome::Aborted
        | Outcome::BuildFailed { .. }
        | Outcome::Busy { .. }
        | Outcome::CannotAbort
        | Outcome::Conflict
        | Outcome::NotFound
        | Outcome::NoVersion
        | Outcome::RolledBack { .. }
        | Outcome::Spared { .. }
        | Outcome::StartFailed { .. }
        | Outcome::Waits { .. } => true,
    }
}

/// What was held because of it may go on, or is not to be done any more.
pub(crate) fn answered(turn: &mut Turn, answered: &Answered) {
    // Something else is asked of it now, which may leave it unwanted.
    let own = turn.state.apps.get(&answered.app).map(|app| &app.patience);
    if own.is_some_and(|own| own.op == Some(answered.op) && !own.behind.is_empty()) {
        release(turn, &answered.app);
    }
    for name in &answered.held {
        let app = turn.state.apps.get_mut(name);
        let held = app.filter(|app| app.patience.op == Some(answered.op));
        let waited = held.is_some_and(|app| app.patience.behind.remove(&answered.app));
        if waited && !is_held(turn.state, name) {
            release(turn, name);
        }
    }
    for name in &answered.above {
        match plans(turn.state, name, answered.op) {
            true if answered.failed => build::spare(turn, name, &answered.app),
            true => turn.touch(name, None),
            false => {}
        }
    }
}

/// Those dependencies, and all that they depend on.
fn reach(state: &State, from: &Dependencies) -> Vec<Name> {
    let next = |name: &Name| {
        let app = state.apps.get(name);
        app.into_iter().flat_map(|app| app.spec.depends_on.keys().cloned()).collect()
    };
    walk(from.keys().cloned().collect(), next)
}

/// All that depend on an app, directly or not.
fn above(state: &State, name: &Name) -> Vec<Name> {
    let next = |name: &Name| {
        let dependents = state.index.dependents.get(name);
        dependents.into_iter().flatten().cloned().collect::<Vec<Name>>()
    };
    walk(next(name), next)
}

fn walk(mut open: Vec<Name>, next: impl Fn(&Name) -> Vec<Name>) -> Vec<Name> {
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    while let Some(name) = open.pop() {
        if seen.insert(name.clone()) {
            open.extend(next(&name));
            all.push(name);
        }
    }
    all
}

/// The operation that all of the app is going down for.
fn going_down(state: &State, name: &Name) -> Option<OpId> {
    let waiting = state.apps.get(name)?.waiting.get(&None)?;
    matches!(waiting.goal, Goal::Down | Goal::Gone).then_some(waiting.op)
}

/// It is to go down, and something that depends on it goes first.
pub(crate) fn is_held(state: &State, name: &Name) -> bool {
    let patience = state.apps.get(name).map(|app| &app.patience);
    patience.is_some_and(|patience| {
        !patience.behind.is_empty() && patience.op == going_down(state, name)
    })
}

/// It is to go down: whether it is held until those have gone that depend on it and go down for the
/// same operation; not for longer than they may take.
pub(crate) fn hold(turn: &mut Turn, name: &Name) -> bool {
    let Some(op) = going_down(turn.state, name) else { return false };
    let goes = |dependent: &Name| going_down(turn.state, dependent) == Some(op);
    let behind: BTreeSet<Name> = above(turn.state, name).into_iter().filter(goes).collect();
    let patience = Span(MARGIN.0.saturating_add(time_of(turn.state, name, &behind)));
    let held = !behind.is_empty();
    for dependent in &behind {
        if let Some(app) = turn.state.apps.get_mut(dependent) {
            app.patience.ahead.insert((op, name.clone()));
        }
    }
    if let Some(app) = turn.state.apps.get_mut(name) {
        (app.patience.op, app.patience.behind) = (Some(op), behind);
    }
    depend::put(turn, name, held.then(|| turn.now + patience));
    held
}

/// How long those may take that go one after another before an app: the longest way up to it.
fn time_of(state: &State, name: &Name, behind: &BTreeSet<Name>) -> u64 {
    let mut times = BTreeMap::new();
    let above = |name: &Name| state.index.dependents.get(name).into_iter().flatten();
    let own = |name: &Name| {
        let app = state.apps.get(name).filter(|_| behind.contains(name));
        app.map_or(0, |app| app.spec.stop.kill_timeout.0.saturating_add(app.spec.drain_timeout.0))
    };
    longest(name, above, own, &mut times);
    times.get(name).copied().unwrap_or(0)
}

/// Tell its workers to go that are to: it is not held any more.
pub(crate) fn release(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    app.patience.behind.clear();
    let scope = app.scope(None);
    depend::put(turn, name, None);
    for instance in scope {
        if turn.state.slot(name, instance).is_some_and(|slot| slot.want != Want::Up) {
            worker::terminate(turn, name, instance);
        }
    }
    turn.keep(Keep::App(name.clone()));
    turn.touch(name, None);
}

/// What an operation has failed for already, of all that these lead to; the farthest of them.
pub(crate) fn failed(state: &State, from: &Dependencies, op: OpId) -> Option<Name> {
    let failed =
        |name: &Name| state.apps.get(name).is_some_and(|app| app.patience.failed == Some(op));
    reach(state, from).into_iter().rfind(failed)
}

/// An operation has not been answered for something that these lead to.
pub(crate) fn follows(state: &State, from: &Dependencies, op: OpId) -> bool {
    let apps = reach(state, from);
    apps.iter().filter_map(|name| state.apps.get(name)).any(|app| owes(app, op))
}

fn owes(app: &App, op: OpId) -> bool {
    let reloads = app.rollout().is_some_and(|rollout| rollout.reload.op == op);
    reloads || app.waiting.values().any(|waiting| waiting.op == op)
}

/// What is planned for an app waits for another one of the same operation.
pub(crate) fn is_planned_later(state: &State, name: &Name) -> bool {
    let Some(app) = state.apps.get(name) else { return false };
    let Some(plan) = app.build.as_ref().map(|build| &build.plan) else { return false };
    let spec = plan.change.as_ref().map_or(&app.spec, |(spec, _)| spec);
    let mut builders =
        app.waiting.values().filter(|waiting| waiting.building && waiting.goal.is_new());
    builders.any(|waiting| follows(state, &spec.depends_on, waiting.op))
}

/// Something is planned for an app for that operation.
fn plans(state: &State, name: &Name, op: OpId) -> bool {
    let mut waiting = state.apps.get(name).into_iter().flat_map(|app| app.waiting.values());
    waiting.any(|waiting| waiting.building && waiting.op == op && waiting.goal.is_new())
}

impl State {
    /// All that depend on an app, directly or not.
    pub fn dependents(&self, name: &Name) -> Vec<Name> {
        above(self, name)
    }

    /// The spec that comes with an ask, or that it goes back to.
    pub fn brought_by<'a>(&'a self, ask: &'a Ask) -> Option<&'a AppSpec> {
        match ask {
            Ask::Rollback { app, to, .. } => {
                self.apps.get(app)?.version_at(*to).map(|version| &version.spec)
            }
            Ask::Reload { spec, .. } | Ask::Restart { spec, .. } => {
                spec.as_ref().map(|(spec, _)| &**spec)
            }
            Ask::Start { spec, .. } => Some(spec),
            Ask::Abort { .. }
            | Ask::Delete { .. }
            | Ask::Reset { .. }
            | Ask::Scale { .. }
            | Ask::StartKnown { .. }
            | Ask::Stop { .. } => None,
        }
    }

    /// The asks of one operation in the order in which they have to come: who depends on another
    /// after it, or before it where both are to go down. What those that are to come up depend on
    /// comes up with them, if it is down.
    pub fn arrange(&self, mut asks: Vec<Ask>) -> Vec<Ask> {
        let mut specs: BTreeMap<Name, Dependencies> = BTreeMap::new();
        let known = self.apps.values().map(|app| &app.spec);
        for spec in known.chain(asks.iter().filter_map(|ask| self.brought_by(ask))) {
            specs.remove(&spec.name);
            if !spec.depends_on.is_empty() {
                specs.insert(spec.name.clone(), spec.depends_on.clone());
            }
        }
        if specs.is_empty() {
            return asks;
        }
        let mut asked: BTreeSet<Name> = asks.iter().map(|ask| ask.app().clone()).collect();
        let up = asks.iter().filter(|ask| ask.brings_up()).map(|ask| ask.app().clone());
        let next = |name: &Name| specs.get(name).into_iter().flat_map(|on| on.keys().cloned());
        for app in walk(up.collect(), |name| next(name).collect()) {
            if self.is_down(&app) && asked.insert(app.clone()) {
                asks.push(Ask::StartKnown { app, instance: None });
            }
        }
        let mut ranks = BTreeMap::new();
        let on = |name: &Name| specs.get(name).into_iter().flat_map(|on| on.keys());
        for ask in &asks {
            longest(ask.app(), on, |_| 1, &mut ranks);
        }
        let rank_of = |ask: &Ask| ranks.get(ask.app()).copied().unwrap_or(0);
        asks.sort_by_key(|ask| match ask.brings_down() {
            true => (true, u64::MAX - rank_of(ask)),
            false => (false, rank_of(ask)),
        });
        asks
    }

    /// It is known, and is not up, nor on its way, nor done.
    fn is_down(&self, name: &Name) -> bool {
        let Some(app) = self.apps.get(name) else { return false };
        let stuck = app.counts.stuck() > 0 && !app.is_job();
        app.want() == Want::Down || (app.want() == Want::Up && stuck)
    }
}

impl Ask {
    /// What it is about is to come up anew.
    fn brings_up(&self) -> bool {
        match self {
            Ask::Restart { .. } | Ask::Start { .. } | Ask::StartKnown { .. } => true,
            Ask::Abort { .. }
            | Ask::Delete { .. }
            | Ask::Reload { .. }
            | Ask::Reset { .. }
            | Ask::Rollback { .. }
            | Ask::Scale { .. }
            | Ask::Stop { .. } => false,
        }
    }

    /// What it is about is to go down.
    fn brings_down(&self) -> bool {
        match self {
            Ask::Delete { .. } | Ask::Stop { .. } => true,
            Ask::Abort { .. }
            | Ask::Reload { .. }
            | Ask::Reset { .. }
            | Ask::Restart { .. }
            | Ask::Rollback { .. }
            | Ask::Scale { .. }
            | Ask::Start { .. }
            | Ask::StartKnown { .. } => false,
        }
    }
}

/// How long the longest way from an app is, by what each on it adds, its own included. A way that
/// comes back to itself ends there.
fn longest<'a, I: Iterator<Item = &'a Name>>(
    name: &Name,
    next: impl Fn(&Name) -> I,
    own: impl Fn(&Name) -> u64,
    known: &mut BTreeMap<Name, u64>,
) {
    let mut path = vec![(name.clone(), next(name))];
    let mut begun = BTreeSet::from([name.clone()]);
    while let Some((_, rest)) = path.last_mut() {
        let open = rest.find(|next| !known.contains_key(*next) && !begun.contains(*next));
        if let Some(open) = open {
            begun.insert(open.clone());
            path.push((open.clone(), next(open)));
        } else if let Some((at, _)) = path.pop() {
            let further = next(&at).filter_map(|next| known.get(next)).max().copied().unwrap_or(0);
            known.entry(at.clone()).or_insert(further.saturating_add(own(&at)));
        }
    }
}
