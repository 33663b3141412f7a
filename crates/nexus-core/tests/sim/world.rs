//! One simulated life: a daemon that may die after any action, its disk, its keeper, its clients.

use std::collections::BTreeSet;

use nexus_core::{
    Action, Ask, Cause, ChildId, Event, Exit, Fact, OpId, Purpose, Roll, SlotId, State, Time,
    resume, step,
};
use nexus_spec::{Name, Span};

use crate::contract::Contract;
use crate::disk::Disk;
use crate::keeper::{Fate, Keeper};
use crate::order::Due;
use crate::owed::{Moved, fact};
use crate::pids::pid_of;
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
    pub(crate) truth: Truth,
    contract: Contract,
    /// Reloads of one instance, by their generation.
    pub(crate) scoped: BTreeSet<(Name, u64)>,
    /// Children that are told to go in the turn that orders them.
    pub(crate) born_asked: BTreeSet<ChildId>,
    pub(crate) last_op: u64,
    /// Operations that the daemon begins by itself.
    undertakings: Vec<(Name, Cause)>,
    pub(crate) turns: u64,
    /// Whose exams have not been answered.
    examined: BTreeSet<ChildId>,
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
            contract: Contract::default(),
            scoped: BTreeSet::new(),
            born_asked: BTreeSet::new(),
            last_op: 0,
            undertakings: Vec::new(),
            turns: 0,
            examined: BTreeSet::new(),
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
    pub(crate) fn ask(&mut self, asks: Vec<Ask>) {
        while let Some(at) = self.back_at {
            self.run_until(at);
        }
        self.last_op += 1;
        let op = OpId(self.last_op);
        // Asked and kept together, or not at all.
        for ask in self.state.arrange(asks) {
            if self.back_at.is_none() {
                self.turn(Event::Asked { op, ask });
            }
        }
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
                self.now = self.now.max(end);
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
        self.keeper.happens(&mut self.rng, self.now, fate);
        if let Fate::Respawn(old) = fate
            && self.keeper.ever.len() > before
            && let Some(kept) = self.keeper.kept.get(&old)
            && let Some(slot) = kept.slot()
            // What is put in the place of one that was to take a place is wanted by nobody.
            && !self.disk.is_successor(old)
        {
            self.truth.respawned(slot, old, kept.asked);
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

    /// An upgrade: what was decided is done, what has not been read is left to a daemon of another
    /// program, which gets the roll of a keeper that is another one, too, and has the same children.
    fn gives_way(&mut self) {
        self.note(|| "the daemon gives way to another program".into());
        self.state = State::default();
        self.keeper.abandoned(&mut self.rng, self.now);
        self.back_at = Some(self.now + Span(1 + self.rng.below(10)));
    }

    fn comes_back(&mut self) {
        // Whoever waited for an exam has died with the daemon.
        self.examined.clear();
        self.note(|| "the daemon is back".into());
        self.back_at = None;
        let reboots = self.rng.chance(10);
        if reboots {
            self.note(|| "with the machine".into());
            self.keeper.reboots(self.now);
        }
        let mut roll = Roll { cold: reboots, ..self.keeper.roll() };
        self.contract.begins(&roll);
        // Sometimes the keeper carries an `OnExit` out after it has told its roll.
        let late = !reboots && self.rng.chance(15);
        self.keeper.resumed = !late;
        self.keeper.reports.clear();
        // Sometimes what the roll has told is told again as events.
        if self.rng.chance(30) {
            for entry in &mut roll.living {
                if let Some(ended) = entry.ended {
                    let (exit, at, tree_gone) = (ended.exit, ended.at, ended.tree_gone);
                    let again = Event::Exited { child: entry.child, exit, at, tree_gone };
                    self.keeper.reports.push((self.now, again));
                }
                let old = entry.respawn_of.filter(|old| self.keeper.kept.contains_key(old));
                if let (Some(old), None) = (old, entry.ended) {
                    let again =
                        Event::Respawned { old, new: entry.child, pid: pid_of(entry.child) };
                    self.keeper.reports.push((self.now, again));
                    // The roll was read in the moment between the order and the process.
                    entry.pid = entry.pid.filter(|_| self.rng.chance(50));
                }
            }
        }
        if late {
            self.meanwhile();
        }
        let all = roll.living.iter().filter(|entry| entry.ended.is_some());
        let ended = all.map(|entry| entry.child).collect();
        let (state, actions) = resume(self.disk.intents(), roll, self.now);
        self.state = state;
        let moved = self.disk.moved();
        let due = self.due_again();
        self.carry_out(ended, None, &BTreeSet::new(), &moved, &due, actions);
        self.keeper.resumed = self.back_at.is_none();
        if self.back_at.is_none() {
            self.contract.resumes();
            self.check();
        }
        self.undertake();
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
        self.contract.reads(self.now, &event);
        let (running, moved, due) = (self.running(), self.moved(), self.due());
        let asked = match &event {
            Event::Asked { op, ask } => Some((*op, ask.clone())),
            Event::Undertaken { op, app, cause: Cause::Load { to, .. } } => {
                Some((*op, Ask::Scale { app: app.clone(), to: *to }))
            }
            Event::Undertaken { op, app, .. } => {
                let (app, instance, spec) = (app.clone(), None, None);
                Some((*op, Ask::Reload { app, instance, spec, parallel: 1, replace: false }))
            }
            _ => None,
        };
        let ended = match event {
            Event::Exited { child, .. } | Event::SpawnFailed { child, .. } => vec![child],
            _ => Vec::new(),
        };
        let exam = match event {
            Event::Examine { of, .. } => Some(of),
            _ => None,
        };
        // One that is being examined is told at once that it is not examined again.
        let first = exam.is_none_or(|of| self.examined.insert(of));
        let mut actions = step(&mut self.state, self.now, event);
        if !first {
            let answer = Action::Examined { of: exam.unwrap(), exit: None };
            let at = actions.iter().position(|action| *action == answer).unwrap();
            actions.remove(at);
        }
        self.carry_out(ended, asked, &running, &moved, &due, actions);
        if self.keeper.reports.is_empty() {
            self.contract.settles();
        }
        if self.back_at.is_none() {
            self.check();
            if self.mortality > 0 && self.rng.chance(1) {
                self.gives_way();
            }
        }
        self.undertake();
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
        ended: Vec<ChildId>,
        asked: Option<(OpId, Ask)>,
        running: &BTreeSet<SlotId>,
        moved: &Moved,
        due: &Due,
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
        let facts: Vec<Fact> = acts.iter().filter_map(fact).cloned().collect();
        // Who was promoted may end in the same turn.
        facts.iter().for_each(|fact| self.promoted(fact, running));
        for child in ended {
            self.tell_truth(child, &facts);
        }
        self.wait_for_others(due);
        self.overtaken(asked.as_ref(), running, &said);
        facts.iter().for_each(|fact| self.runs(fact, running, &acts));
        self.moves(moved, running, &acts);
        for fact in &facts {
            self.begins(fact);
            self.stepped_in(fact);
            self.whole(fact);
        }
        let builders = self.disk.builders();
        self.goes_on(&builders, running, &acts);
        if let Some((op, ask)) = asked {
            self.asked.insert((op, ask.app().clone()));
        }
        self.keep_and_reply(said);
        let last = if dies { self.rng.below(acts.len() as u64 + 1) as usize } else { acts.len() };
        for (n, action) in acts.into_iter().enumerate() {
            if let Action::Note(Fact::Built { app, exit: Exit::Code(0), .. }) = &action {
                self.built(app, &builders, &self.left_alone(running));
            }
            if n < last {
                self.note(|| format!("  -> {action:?}"));
                self.perform(action);
            }
        }
        if dies {
            self.die();
        }
    }

    fn keep_and_reply(&mut self, said: Vec<Action>) {
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
    }

    fn perform(&mut self, action: Action) {
        self.contract.orders(&action);
        let World { rng, now, keeper, .. } = self;
        match action {
            Action::Acknowledge { child } => keeper.acknowledge(child),
            Action::Examined { of, .. } => {
                assert!(self.examined.remove(&of), "examined twice, or unasked: {of:?}");
            }
            Action::Kill { child } => keeper.kill(rng, *now, child),
            Action::Keep(_) | Action::Note(_) | Action::Reply { .. } => {}
            Action::Spawn { child, app, purpose, generation, on_exit } => {
                self.one_at_a_time(child, purpose);
                let beside = self.is_successor(child);
                let World { rng, now, keeper, .. } = self;
                let on_exit = Some(on_exit);
                keeper.spawn(rng, *now, child, app, purpose, generation, on_exit, None);
                let spawned = keeper.kept.get_mut(&child).unwrap();
                spawned.asked = self.born_asked.contains(&child);
                self.one_build_in_each_directory(child, purpose);
                if let Purpose::Worker { id, .. } = purpose
                    && !beside
                {
                    self.truth.spawned(id);
                }
            }
            Action::Terminate { child, .. } => keeper.terminate(rng, *now, child),
            Action::Undertake { app, cause } => self.undertakings.push((app, cause)),
        }
    }

    /// Operations of the daemon's own begin at once, unless it has died.
    fn undertake(&mut self) {
        for (app, cause) in std::mem::take(&mut self.undertakings) {
            if self.back_at.is_none() {
                self.last_op += 1;
                self.turn(Event::Undertaken { op: OpId(self.last_op), app, cause });
            }
        }
    }

    /// Something that only a living daemon sees.
    pub(crate) fn happens(&mut self, event: Event) {
        if self.back_at.is_none() {
            self.turn(event);
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
