//! A command that examines a worker, run beside it: one at a time for each, ended with it.

use nexus_spec::{Name, Span};

use crate::action::{Action, OnExit, Purpose};
use crate::event::{ChildId, Exam, Exit, Pid};
use crate::phase::Phase;
use crate::state::{Marks, Seat};
use crate::stray;
use crate::turn::Turn;

/// A command that runs, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examiner {
    /// Whom it examines.
    pub of: ChildId,
    /// The app of that worker.
    pub app: Name,
    /// `Spawning` or `Warming`, whose `settle_at` is when it is ended.
    pub phase: Phase,
    /// How long it may run.
    pub patience: Span,
}

/// The shell wants a worker to be examined. Answered once, by `Action::Examined`: at once if that
/// worker is not there, or is being examined.
pub(crate) fn begin(turn: &mut Turn, of: ChildId, exam: Exam, patience: Span) {
    let place = match turn.state.index.children.get(&of) {
        Some(Seat::Successor(name, instance) | Seat::Worker(name, instance)) => {
            Some((name.clone(), *instance))
        }
        Some(
            Seat::Build(_)
            | Seat::Changes(_)
            | Seat::Exam(_)
            | Seat::Patience(_)
            | Seat::Stray(_)
            | Seat::Trial(_),
        )
        | None => None,
    };
    let free = !turn.state.examined.contains_key(&of);
    let found = place.filter(|_| free).and_then(|(name, instance)| {
        let slot = turn.state.slot(&name, instance)?;
        let next = slot.successor.filter(|next| next.phase.child() == Some(of));
        let (phase, generation) = match next {
            Some(next) => (next.phase, next.generation),
            None => (slot.phase, slot.generation),
        };
        phase.is_running().then_some((name, instance, slot.id, generation))
    });
    let Some((app, instance, id, generation)) = found else {
        return turn.act(Action::Examined { of, exit: None });
    };
    let (child, _) = turn.state.fresh_child();
    let phase = Phase::Spawning { child, ready: false };
    put(turn, child, Some(Examiner { of, app: app.clone(), phase, patience }));
    let purpose = Purpose::Exam { instance, id, exam };
    let on_exit = OnExit { next: None, delay: Span(0), stay_codes: Vec::new() };
    turn.act(Action::Spawn { child, app, purpose, generation, on_exit });
}

/// The keeper has it.
pub(crate) fn spawned(turn: &mut Turn, child: ChildId, pid: Pid) {
    let now = turn.now;
    let Some(examiner) = turn.state.exams.get(&child).cloned() else { return };
    let settle_at = now + examiner.patience;
    let phase = Phase::Warming { child, pid, since: now, settle_at };
    put(turn, child, Some(Examiner { phase, ..examiner }));
}

/// Its main process is gone, or never was.
pub(crate) fn exited(turn: &mut Turn, child: ChildId, exit: Exit, tree_gone: bool) {
    let Some(Examiner { of, app, .. }) = put(turn, child, None) else { return };
    if tree_gone {
        turn.act(Action::Acknowledge { child });
    } else {
        stray::reap(turn, child, Some(&app), None);
    }
    turn.act(Action::Examined { of, exit: Some(exit) });
}

/// Its time is over: that is a failure.
pub(crate) fn due(turn: &mut Turn, child: ChildId) {
    if let Some(of) = end(turn, child) {
        turn.act(Action::Examined { of, exit: Some(Exit::NeverReady) });
    }
}

/// The worker is gone: there is nothing to examine any more.
pub(crate) fn abandon(turn: &mut Turn, of: ChildId) {
    let Some(&child) = turn.state.examined.get(&of) else { return };
    if let Some(of) = end(turn, child) {
        turn.act(Action::Examined { of, exit: None });
    }
}

fn end(turn: &mut Turn, child: ChildId) -> Option<ChildId> {
    let Examiner { of, app, .. } = put(turn, child, None)?;
    let (pid, since) = (None, turn.now);
    let kill_at = turn.now + turn.kill_again(Some(&app));
    turn.act(Action::Kill { child });
    stray::enter(
        turn,
        child,
        Some(&app),
        None,
        Phase::Stopping { child, pid, since, drained_at: None, kill_at },
    );
    Some(of)
}

/// Put an examiner in the place of one, or take it out. The only way: indexes follow.
fn put(turn: &mut Turn, child: ChildId, examiner: Option<Examiner>) -> Option<Examiner> {
    let marks =
        |one: Option<&Examiner>| one.map_or_else(Marks::default, |one| Marks::of_phase(one.phase));
    let after = marks(examiner.as_ref());
    let before = match examiner {
        Some(examiner) => {
            turn.state.examined.insert(examiner.of, child);
            turn.state.exams.insert(child, examiner)
        }
        None => turn.state.exams.remove(&child).inspect(|old| {
            turn.state.examined.remove(&old.of);
        }),
    };
    turn.state.index.moved(&Seat::Exam(child), marks(before.as_ref()), after);
    before
}
