//! One turn: what it changes, what it says, what it does; and the order in which that goes out.

use std::collections::BTreeSet;

use nexus_spec::{Name, Span};

use crate::action::{Action, Fact, Keep, Outcome};
use crate::event::{OpId, Time};
use crate::order::{self, Answered};
use crate::state::{Seat, State};
use crate::{build, changes, depend, exam, goal, job, rollout, stray, successor, trial, worker};

/// The least time between two SIGKILLs to the same tree.
pub(crate) const KILL_AGAIN_MIN: Span = Span(1_000);

/// One turn in the making.
pub(crate) struct Turn<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: Time,
    keeps: BTreeSet<Keep>,
    replies: Vec<Action>,
    acts: Vec<Action>,
    touched: Vec<(Name, Option<u16>)>,
    answered: Vec<Answered>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(state: &'a mut State, now: Time) -> Turn<'a> {
        Turn {
            state,
            now,
            keeps: BTreeSet::new(),
            replies: Vec::new(),
            acts: Vec::new(),
            touched: Vec::new(),
            answered: Vec::new(),
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.acts.push(action);
    }

    pub(crate) fn note(&mut self, fact: Fact) {
        self.acts.push(Action::Note(fact));
    }

    pub(crate) fn keep(&mut self, keep: Keep) {
        self.keeps.insert(keep);
    }

    pub(crate) fn reply(&mut self, op: OpId, app: &Name, outcome: Outcome) {
        let now = self.now;
        if self.state.alter_changes(app, |changes| changes.ended(op, now)) == Some(true) {
            self.touch(app, None);
        }
        self.answered.extend(Answered::of(self.state, op, app, &outcome));
        self.replies.push(Action::Reply { op, app: app.clone(), outcome });
    }

    /// Goals that depend on this slot (`None`: on the app as a whole) may have become true.
    pub(crate) fn touch(&mut self, app: &Name, instance: Option<u16>) {
        self.touched.push((app.clone(), instance));
    }

    /// The time between two SIGKILLs to the same tree.
    pub(crate) fn kill_again(&self, app: Option<&Name>) -> Span {
        let app = app.and_then(|name| self.state.apps.get(name));
        app.map_or(KILL_AGAIN_MIN, |app| app.spec.stop.kill_timeout.max(KILL_AGAIN_MIN))
    }

    /// What follows from the state alone, whatever the event was: passed deadlines, reached goals.
    pub(crate) fn settle(&mut self) {
        loop {
            // Before anything goes on that an answer calls off.
            if let Some(answered) = self.answered.pop() {
                order::answered(self, &answered);
            } else if let Some((name, instance)) = self.touched.pop() {
                rollout::advance(self, &name, instance);
                goal::check(self, &name, instance);
                changes::advance(self, &name);
                job::advance(self, &name);
                depend::advance(self, &name);
            } else if let Some(name) = self.state.stirred.pop_first() {
                depend::stirred(self, &name);
            } else if let Some((_, seat)) = self.first_due() {
                match seat {
                    Seat::Build(name) => build::due(self, &name),
                    Seat::Changes(name) => changes::advance(self, &name),
                    Seat::Exam(child) => exam::due(self, child),
                    Seat::Patience(name) => depend::due(self, &name),
                    Seat::Stray(child) => stray::due(self, child),
                    Seat::Trial(name) => trial::due(self, &name),
                    Seat::Successor(name, instance) => successor::due(self, &name, instance),
                    Seat::Worker(name, instance) => worker::due(self, &name, instance),
                }
            } else {
                return;
            }
        }
    }

    fn first_due(&self) -> Option<(Time, Seat)> {
        self.state.index.deadlines.first().filter(|(at, _)| *at <= self.now).cloned()
    }

    /// What is to be kept, then what was waited for, then everything else.
    pub(crate) fn finish(self) -> Vec<Action> {
        let Turn { keeps, replies, acts, .. } = self;
        // A forgotten app has nothing else to keep, and an app's record has all its slots in it.
        let needless = |keep: &Keep| match keep {
            Keep::App(name) | Keep::Pending(name) => keeps.contains(&Keep::Gone(name.clone())),
            Keep::Gone(_) => false,
            Keep::Slot(name, _) => {
                keeps.contains(&Keep::App(name.clone()))
                    || keeps.contains(&Keep::Gone(name.clone()))
            }
            Keep::Versions(name) => keeps.contains(&Keep::Gone(name.clone())),
        };
        let mut all = Vec::with_capacity(keeps.len() + replies.len() + acts.len());
        all.extend(keeps.iter().filter(|keep| !needless(keep)).cloned().map(Action::Keep));
        all.extend(replies);
        all.extend(acts);
        all
    }
}
