//! One simulated life: a daemon that may die after any action, its disk, its keeper, its clients.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{
    Action, Ask, ChildId, Event, Exit, Fact, OpId, Outcome, Purpose, SlotId, State, Time, Verb,
    resume, step,
};
use nexus_spec::{Name, Span};

use crate::disk::Disk;
use crate::keeper::{Fate, Keeper};
use crate::rng::Rng;
use crate::truth::Truth;

/// As much of its history as a failing seed tells.
const HISTORY: usize = 160;

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    pub(crate) state: State,
    pub(crate) disk: Disk,
    pub(crate) keeper: Keeper,
    /// Who waits for an answer.
    pub(crate) asked: BTreeSet<(OpId, Name)>,
    truth: Truth,
    last_op: u64,
    turns: u64,
    /// When the daemon is back, while it is dead.
    back_at: Option<Time>,
    /// In percent, at every turn.
    pub(crate) mortality: u64,
    trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(seed: u64, traced: bool) -> World {
        World {
            rng: Rng::new(seed),
            now: Time(1_000),
            state: State::default(),
            disk: Disk::default(),
            keeper: Keeper::new(),
            asked: BTreeSet::new(),
            truth: Truth::default(),
            last_op: 0,
            turns: 0,
            back_at: None,
            mortality: 2,
            trace: traced.then(Vec::new),
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now.0;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>6} {}", what()));
        }
    }

    /// A client asks; it waits while no daemon is there.
    pub(crate) fn ask(&mut self, ask: Ask) {
        while let Some(at) = self.back_at {
            self.run_until(at);
        }
        self.last_op += 1;
        self.turn(Event::Asked { op: OpId(self.last_op), ask });
    }

    /// Let time pass until `end`: fates, reports, deadlines.
    pub(crate) fn run_until(&mut self, end: Time) {
        loop {
            let fate_at = self.keeper.future.keys().next().map(|&(at, _)| at);
            let report_at = self.keeper.reports.first().map(|&(at, _)| at);
            let daemon_at = match self.back_at {
                Some(at) => Some(at),
                None => report_at.into_iter().chain(self.state.next_deadline()).min(),
            };
            let next = fate_at.into_iter().chain(daemon_at).min();
            let Some(at) = next.filter(|&at| at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            if fate_at.is_some_and(|fate_at| fate_at <= self.now) {
                let (_, fate) = self.keeper.future.pop_first().unwrap();
                self.fate(fate);
            } else if self.back_at.is_some() {
                self.comes_back();
            } else if report_at.is_some_and(|report_at| report_at <= self.now) {
                let (_, event) = self.keeper.reports.remove(0);
                self.turn(event);
            } else {
                self.turn(Event::Tick);
            }
        }
    }

    fn fate(&mut self, fate: Fate) {
        self.note(|| format!("  ({fate:?})"));
        let before = self.keeper.ever.len();
        let unasked = self.keeper.happens(&mut self.rng, self.now, fate);
        if let Some(slot) = unasked {
            self.truth.ended(slot);
        }
        if let Fate::Respawn(old) = fate
            && self.keeper.ever.len() > before
        {
            let mut all = self.keeper.kept.values();
            let heir =
                all.find(|kept| kept.entry.respawn_of == Some(old)).and_then(|kept| kept.slot());
            heir.into_iter().for_each(|slot| self.truth.spawned(slot));
        }
    }

    /// The daemon is gone, with all that it had in memory and all that it had not read.
    pub(crate) fn die(&mut self) {
        self.note(|| "the daemon dies".into());
        self.state = State::default();
        self.keeper.abandoned(&mut self.rng, self.now);
        let absence = if self.rng.chance(60) { 5 } else { 3_000 };
        self.back_at = Some(self.now + Span(1 + self.rng.below(absence)));
    }

    fn comes_back(&mut self) {
        self.note(|| "the daemon is back".into());
        self.back_at = None;
        let roll = self.keeper.roll();
        // Sometimes the keeper carries an `OnExit` out after it has told its roll.
        let late = self.rng.chance(15);
        self.keeper.resumed = !late;
        self.keeper.reports.clear();
        // Sometimes what the roll has told is told again as events.
        if self.rng.chance(30) {
            for entry in &roll.living {
                if let Some(ended) = entry.ended {
                    let (exit, at, tree_gone) = (ended.exit, ended.at, ended.tree_gone);
                    let again = Event::Exited { child: entry.child, exit, at, tree_gone };
                    self.keeper.reports.push((self.now, again));
                }
                if let (Some(old), None) = (entry.respawn_of, entry.ended) {
                    let again = Event::Respawned { old, new: entry.child, pid: entry.pid };
                    self.keeper.reports.push((self.now, again));
                }
            }
        }
        if late {
            self.meanwhile();
        }
        let (state, actions) = resume(self.disk.intents(), roll, self.now);
        self.state = state;
        self.carry_out(None, &BTreeSet::new(), actions);
        self.keeper.resumed = self.back_at.is_none();
        if self.back_at.is_none() {
            self.check();
        }
    }

    /// Fates of the moment between the roll and the order that ends the keeper's own respawns.
    fn meanwhile(&mut self) {
        let end = self.now + Span(40);
        while let Some((&(at, _), _)) = self.keeper.future.first_key_value() {
            if at > end {
                break;
            }
            let (_, fate) = self.keeper.future.pop_first().unwrap();
            self.now = self.now.max(at);
            self.fate(fate);
        }
    }

    fn turn(&mut self, event: Event) {
        self.note(|| format!("{event:?}"));
        let running = self.running();
        let asked = match &event {
            Event::Asked { op, ask } => Some((*op, ask.clone())),
            _ => None,
        };
        let actions = step(&mut self.state, self.now, event);
        self.carry_out(asked, &running, actions);
        if self.back_at.is_none() {
            self.check();
        }
    }

    /// Slots with a worker that nobody has told to stop.
    fn running(&self) -> BTreeSet<SlotId> {
        let slots = self.state.apps().flat_map(|(_, app)| app.slots());
        slots.filter(|slot| slot.phase.is_running()).map(|slot| slot.id).collect()
    }

    /// What is kept is kept in one piece, or not at all; after any further action the daemon may
    /// die.
    fn carry_out(
        &mut self,
        asked: Option<(OpId, Ask)>,
        running: &BTreeSet<SlotId>,
        actions: Vec<Action>,
    ) {
        let dies = self.rng.chance(self.mortality);
        if dies && self.rng.chance(30) {
            self.note(|| format!("  nothing is kept of {actions:?}"));
            return self.die();
        }
        let (said, acts): (Vec<Action>, Vec<Action>) = actions
            .into_iter()
            .partition(|action| matches!(action, Action::Keep(_) | Action::Reply { .. }));
        self.overtaken(asked.as_ref(), running, &said, &acts);
        if let Some((op, ask)) = asked {
            self.asked.insert((op, ask.app().clone()));
        }
        for action in said {
            self.note(|| format!("  -> {action:?}"));
            match action {
                Action::Keep(keep) => self.disk.keep(&keep, &self.state),
                Action::Reply { op, app, .. } => {
                    let waited = self.asked.remove(&(op, app));
                    assert!(waited, "answered twice, or unasked: {op:?}");
                }
                _ => {}
            }
        }
        let last = if dies { self.rng.below(acts.len() as u64 + 1) as usize } else { acts.len() };
        for action in acts.into_iter().take(last) {
            self.note(|| format!("  -> {action:?}"));
            self.perform(action);
        }
        if dies {
            self.die();
        }
    }

    /// Tell the truth which restarts are overtaken by what was asked for.
    fn overtaken(
        &mut self,
        asked: Option<&(OpId, Ask)>,
        running: &BTreeSet<SlotId>,
        said: &[Action],
        acts: &[Action],
    ) {
        if let Some((op, ask)) = asked {
            let refused = said.iter().any(|action| {
                matches!(action, Action::Reply { op: answered, outcome, .. }
                    if answered == op && matches!(outcome, Outcome::Conflict | Outcome::NotFound))
            });
            let building = self
                .state
                .pending()
                .iter()
                .any(|ask| ask.waiting.op == *op && ask.waiting.building);
            let (scope, ends) = match ask {
                Ask::Delete { .. } => (None, true),
                Ask::Restart { instance, .. } | Ask::Stop { instance, .. } => (*instance, true),
                Ask::Start { .. } => (None, false),
                Ask::StartKnown { instance, .. } => (*instance, false),
            };
            if !refused && !building {
                self.mark(ask.app(), scope, ends, running);
            }
        }
        for action in acts {
            let Action::Note(Fact::Built { app, exit: Exit::Code(0), .. }) = action else {
                continue;
            };
            let plan = self.disk.apps.get(app).and_then(|app| app.plan.clone());
            if let Some(plan) = plan {
                let ends = plan.verb == Verb::Restart;
                self.mark(app, plan.instance, ends, running);
            }
        }
    }

    fn mark(&mut self, app: &Name, scope: Option<u16>, ends: bool, running: &BTreeSet<SlotId>) {
        let Some(record) = self.state.app(app.as_str()) else { return };
        let slots: Vec<SlotId> = record
            .slots()
            .iter()
            .filter(|slot| scope.is_none_or(|scope| scope == slot.instance))
            .map(|slot| slot.id)
            .filter(|id| ends || !running.contains(id))
            .collect();
        for &slot in &slots {
            self.truth.asked(slot);
        }
        for kept in self.keeper.kept.values_mut() {
            kept.asked |= kept.slot().is_some_and(|slot| slots.contains(&slot));
        }
    }

    fn perform(&mut self, action: Action) {
        let World { rng, now, keeper, .. } = self;
        match action {
            Action::Acknowledge { child } => keeper.acknowledge(child),
            Action::Kill { child } => keeper.kill(rng, *now, child),
            Action::Keep(_) | Action::Note(_) | Action::Reply { .. } => {}
            Action::Spawn { child, app, purpose, generation, on_exit } => {
                self.one_at_a_time(purpose);
                let World { rng, now, keeper, .. } = self;
                let on_exit = Some(on_exit);
                keeper.spawn(rng, *now, child, app, purpose, generation, on_exit, None);
                if let Purpose::Worker { id, .. } = purpose {
                    self.truth.spawned(id);
                }
            }
            Action::Terminate { child, .. } => keeper.terminate(rng, *now, child),
        }
    }

    /// A successor comes only when nothing of its predecessor is left, apart from what has been
    /// told to go and from what the core has not been told of.
    fn one_at_a_time(&self, purpose: Purpose) {
        let Purpose::Worker { id, .. } = purpose else { return };
        let strays: BTreeSet<ChildId> = self.state.strays().map(|(&child, _)| child).collect();
        for kept in self.keeper.kept.values().filter(|kept| kept.lives()) {
            let child = kept.entry.child;
            let untold =
                self.keeper.reports.iter().any(
                    |(_, event)| matches!(event, Event::Respawned { new, .. } if *new == child),
                );
            let other = kept.slot() != Some(id) || strays.contains(&child) || untold;
            assert!(other, "spawned while {child:?} of the same slot lives");
        }
    }

    /// What must hold after every turn.
    fn check(&mut self) {
        self.turns += 1;
        // A debug build asks the oracle in `step` already.
        if !cfg!(debug_assertions) {
            assert_eq!(self.state.check(), Ok(()));
        }
        // What one turn forgets to keep is still missing a few turns later.
        if self.turns.is_multiple_of(4) {
            assert_eq!(self.disk.differs(&self.state), None, "not kept");
        }
        let due = self.state.next_deadline();
        assert!(due.is_none_or(|at| at > self.now), "a deadline in the past: the shell would spin");
        if !self.keeper.reports.is_empty() {
            return;
        }
        if let Some(what) = self.truth.differs(&self.state) {
            panic!("{what}");
        }
        let strays: BTreeSet<ChildId> = self.state.strays().map(|(&child, _)| child).collect();
        let builds = self.state.apps().filter_map(|(_, app)| app.build()?.phase.child());
        let builds: BTreeSet<ChildId> = builds.collect();
        let mut serving: BTreeMap<SlotId, ChildId> = BTreeMap::new();
        for kept in self.keeper.kept.values().filter(|kept| kept.lives()) {
            let child = kept.entry.child;
            let seated = self.state.by_child(child).is_some() || builds.contains(&child);
            assert!(seated || strays.contains(&child), "{child:?} was forgotten alive");
            if let (Some(slot), false) = (kept.slot(), kept.terminated || !kept.alive) {
                let other = serving.insert(slot, child);
                assert!(other.is_none(), "{child:?} and {other:?} both serve {slot:?}");
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(trace) = self.trace.as_ref().filter(|_| std::thread::panicking()) {
            let first = trace.len().saturating_sub(HISTORY);
            eprintln!("{}", trace[first..].join("\n"));
        }
    }
}
