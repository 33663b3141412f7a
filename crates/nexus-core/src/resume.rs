//! After a death of the daemon: what was asked for (from disk) and what is (the keeper's roll) put
//! together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nexus_spec::{Name, Span};

use crate::action::{Action, Outcome, Purpose};
use crate::app::{App, Build};
use crate::beside;
use crate::event::{ChildId, Exit, Pid, Time};
use crate::phase::{Next, Phase};
use crate::record::{AppRecord, Goal, Intents, PendingAsk, SlotRecord, SuccessorRecord};
use crate::restart::longest;
use crate::rollout::Rollout;
use crate::slot::Slot;
use crate::state::{Seat, State};
use crate::stop::Leaver;
use crate::stray;
use crate::turn::Turn;
use crate::{build, goal, order};

/// One child that the keeper has not been allowed to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub child: ChildId,
    /// Its main process; `None`: it is ordered, and the keeper reports it later.
    pub pid: Option<Pid>,
    /// Whose it is.
    pub app: Name,
    /// What for.
    pub purpose: Purpose,
    /// The directory of a build, if that is known.
    pub site: Option<PathBuf>,
    /// The spec's generation it runs with.
    pub generation: u64,
    /// It has said that it is ready.
    pub ready: bool,
    /// When it was spawned.
    pub started_at: Time,
    /// It had asked for time until then.
    pub until: Option<Time>,
    /// It was told to go then.
    pub told: Option<Time>,
    /// The child whose `OnExit` brought it about.
    pub respawn_of: Option<ChildId>,
    /// Its main process is gone, or never was. Telling the same exit again as an event, after
    /// `resume`, changes nothing.
    pub ended: Option<Ended>,
}

impl Entry {
    /// As one that is to go.
    pub(crate) fn leaver(&self) -> Leaver {
        let Entry { child, pid, started_at: since, ready: serves, told, .. } = *self;
        Leaver { child, pid, since, serves, told }
    }
}

/// How a child of the roll ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// When.
    pub at: Time,
    /// Nothing of its tree is left.
    pub tree_gone: bool,
}

/// The keeper's answer to "what have you got?".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    /// All children that nobody has acknowledged, living and ended.
    pub living: Vec<Entry>,
    /// Both of the pair had ended, perhaps with the machine.
    pub cold: bool,
    /// The highest number ever ordered or reserved, so that none is used twice; what the entries
    /// and the intents show is known without it.
    pub last_child: ChildId,
}

/// Join what was kept with what is. The answer's actions are those of a turn.
pub fn resume(intents: Intents, roll: Roll, now: Time) -> (State, Vec<Action>) {
    let mut state = State { last_child: last_child(&intents, &roll), ..State::default() };
    let Intents { apps, next_slot_id, pending } = intents;
    let mut expected = BTreeMap::new();
    for record in apps {
        expected.extend(restore(&mut state, record, now));
    }
    let used = state.index.ids.last_key_value().map_or(0, |(id, _)| id.0.saturating_add(1));
    state.next_slot_id = next_slot_id.max(used);
    let mut turn = Turn::new(&mut state, now);
    for ask in pending {
        wait_again(&mut turn, ask);
    }
    for name in turn.state.apps.keys().cloned().collect::<Vec<_>>() {
        order::hold(&mut turn, &name);
    }
    set_cold(&mut turn, roll.cold);
    seat_all(&mut turn, roll.living, &expected);
    for name in turn.state.apps.keys().cloned().collect::<Vec<_>>() {
        check_again(&mut turn, &name);
    }
    turn.settle();
    let actions = turn.finish();
    state.check_if_small();
    (state, actions)
}

/// How long after the beginning of a pair an end may be found that belongs to the end of the one
/// before.
const COLD: Span = Span(1_000);

/// What begins anew comes back in order.
fn set_cold(turn: &mut Turn, cold: bool) {
    let cold_until = turn.now + COLD;
    for name in turn.state.apps.keys().filter(|_| cold).cloned().collect::<Vec<_>>() {
        let scope = turn.state.apps.get(&name).map_or(0..0, |app| app.scope(None));
        for instance in scope {
            turn.state.alter(&name, instance, |_, slot| slot.cold_until = cold_until);
        }
    }
}

/// Every number up to this one may have been used or reserved.
fn last_child(intents: &Intents, roll: &Roll) -> u64 {
    let of_slot = |slot: &SlotRecord| {
        let successor = slot.successor.map_or(0, |successor| successor.child.0);
        slot.settled.0.max(slot.spurned.0).max(successor)
    };
    let slots = intents.apps.iter().flat_map(|app| &app.slots).map(of_slot);
    let plans = intents.apps.iter().filter_map(|app| app.plan.as_ref()).map(|plan| plan.since.0);
    let entries = roll.living.iter().map(|entry| entry.child.0);
    let ordered = slots.chain(plans).chain(entries).max().unwrap_or(0);
    // The number after an ordered one is reserved for its respawn.
    roll.last_child.0.max(ordered.saturating_add(1))
}

/// Put back an app with its slots, nothing of which lives yet. Its answer is the successors that
/// were on their way.
fn restore(state: &mut State, record: AppRecord, now: Time) -> Expected {
    let AppRecord { spec, generation, version, versions, returning, .. } = record;
    let AppRecord { built, plan, reload, queued, slots, .. } = record;
    let latest = now + longest(&spec.restart);
    let name = spec.name.clone();
    let rollout = reload.map(Rollout::new);
    let version = if version == 0 { generation } else { version };
    let app = App { generation, version, versions, returning, ..App::new(spec) };
    state.found(App { built, rollout, queued, ..app });
    let mut expected = Vec::new();
    for record in slots {
        expected.extend(record.successor.map(|next| ((name.clone(), record.instance), next)));
        let mut slot = Slot::from_record(&record);
        // Another boot's clock may have been far ahead.
        slot.past.exits.retain(|&at| at <= now);
        if let Next::At(at) = slot.next {
            slot.next = Next::At(at.min(latest));
        }
        state.enrol(&name, slot);
    }
    if let Some(plan) = plan {
        let site = state.apps.get(&name).map(|app| build::site(&app.spec, &plan));
        let site = site.unwrap_or_default();
        state.alter_build(&name, |place| *place = Some(Build::new(plan, site, now)));
    }
    expected
}

fn wait_again(turn: &mut Turn, ask: PendingAsk) {
    let PendingAsk { app: name, instance, mut waiting } = ask;
    let Some(app) = turn.state.apps.get_mut(&name) else {
        let gone = waiting.goal == Goal::Gone;
        let outcome = if gone { Outcome::Done } else { Outcome::NotFound };
        return turn.reply(waiting.op, &name, outcome);
    };
    waiting.building &= app.build.is_some();
    app.waiting.insert(instance, waiting);
}

/// Successors that were on their way, by app and instance.
type Expected = Vec<((Name, u16), SuccessorRecord)>;

fn seat_all(
    turn: &mut Turn,
    mut living: Vec<Entry>,
    expected: &BTreeMap<(Name, u16), SuccessorRecord>,
) {
    living.sort_by_key(|entry| entry.child);
    let mut seats: BTreeMap<Seat, Vec<Entry>> = BTreeMap::new();
    for entry in living {
        match seat_of(turn.state, &entry) {
            Some(seat) => seats.entry(seat).or_default().push(entry),
            None => dismiss(turn, &entry),
        }
    }
    let names: Vec<(Name, u16)> =
        turn.state.apps.iter().map(|(name, app)| (name.clone(), app.instances())).collect();
    for (name, instances) in names {
        let mut news = Vec::new();
        for instance in 0..instances {
            let held = seats.remove(&Seat::Worker(name.clone(), instance)).unwrap_or_default();
            let successor = expected.get(&(name.clone(), instance)).copied();
            news.extend(beside::seat(turn, &name, instance, held, successor));
        }
        beside::hear(turn, &name, &news);
        // What a build has made possible needs the workers in their seats.
        if let Some(held) = seats.remove(&Seat::Build(name.clone())) {
            seat_build(turn, &name, held);
        }
    }
}

/// The place that an entry may have; `None` = there is none, or it is no longer its own.
fn seat_of(state: &State, entry: &Entry) -> Option<Seat> {
    match entry.purpose {
        Purpose::Build => {
            let build = state.app(entry.app.as_str())?.build.as_ref()?;
            (entry.child > build.plan.since).then(|| Seat::Build(entry.app.clone()))
        }
        // It was begun by a daemon that is dead.
        Purpose::Exam { .. } => None,
        Purpose::Worker { instance, id } => (state.slot(&entry.app, instance)?.id == id)
            .then(|| Seat::Worker(entry.app.clone(), instance)),
    }
}

/// There is no place for it.
pub(crate) fn dismiss(turn: &mut Turn, entry: &Entry) {
    let slot = match entry.purpose {
        Purpose::Build | Purpose::Exam { .. } => None,
        Purpose::Worker { id, .. } => Some(id),
    };
    match entry.ended {
        None => stray::dismiss(turn, entry.leaver(), Some(&entry.app), slot),
        Some(ended) if ended.tree_gone => turn.act(Action::Acknowledge { child: entry.child }),
        Some(_) => stray::reap(turn, entry.child, Some(&entry.app), slot),
    }
    if entry.purpose == Purpose::Build {
        let app = turn.state.apps.get(&entry.app);
        let site = entry.site.clone().or_else(|| app.map(|app| app.spec.cwd.clone()));
        if let Some(site) = site {
            stray::holds(turn, entry.child, site);
        }
    }
}

/// The newest of a plan's builds is its build.
fn seat_build(turn: &mut Turn, name: &Name, mut held: Vec<Entry>) {
    let Some(newest) = held.pop() else { return };
    for older in &held {
        dismiss(turn, older);
    }
    let Entry { child, pid, started_at: since, ended, .. } = newest;
    let settle_at = since + build::patience(turn, name);
    turn.state.alter_build(name, |build| {
        if let Some(build) = build {
            build.phase = match pid {
                Some(pid) => Phase::Warming { child, pid, since, settle_at },
                None => Phase::Spawning { child, ready: false },
            };
            build.began = since;
        }
    });
    if let Some(Ended { exit, tree_gone, .. }) = ended {
        build::exited(turn, name, exit, tree_gone);
    }
}

/// Goals may have been reached, or become out of reach, before or during the daemon's absence.
fn check_again(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let scopes: Vec<Option<u16>> = app.waiting.keys().copied().collect();
    for scope in scopes {
        let Some(app) = turn.state.apps.get(name) else { return };
        let stuck = app.scope(scope).find_map(|instance| {
            let waits = |slot: &Slot| app.is_job() && slot.phase == Phase::Idle;
            let stuck = |slot: &&Slot| slot.is_stuck() && !waits(slot);
            let slot = app.slots.get(instance).filter(stuck)?;
            Some((instance, slot.last_exit?))
        });
        if let Some((instance, last)) = stuck {
            goal::failed(turn, name, instance, last, None);
        }
        turn.touch(name, scope);
    }
    turn.touch(name, None);
}
