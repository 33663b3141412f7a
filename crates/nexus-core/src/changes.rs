//! Files of an app have changed: its workers are replaced, once for all that came together, and
//! less and less often where it is the app itself that changes them.
//!
//! What is decided here is carried out as an operation of our own, so that a reload because of a
//! change is one like any other: it can be seen, is in the way of others, and can be aborted.

use nexus_spec::{Name, Span};

use crate::action::{Action, Fact};
use crate::app::App;
use crate::event::{Cause, OpId, Time};
use crate::phase::Want;
use crate::rollout::Wish;
use crate::scale;
use crate::turn::Turn;

/// A change that comes so soon after a replacement may have been made by the new workers.
const SOON: Span = Span(10_000);
/// So many of those in a row are a loop.
const LOOP: u32 = 5;
/// The first pause of a loop; each one is twice as long as the one before.
const PAUSE: Span = Span(2_000);
/// The longest.
const PAUSE_MAX: Span = Span(5 * 60 * 1_000);

/// What is known of the changes of an app's files. It does not outlive the daemon: the next one
/// looks at the files for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Something has changed that nothing was done about yet.
    waiting: bool,
    /// It is a loop: nothing is done before.
    held_until: Option<Time>,
    /// We have asked for an operation.
    called: bool,
    /// The operation that is under way.
    op: Option<OpId>,
    /// The end of the last one.
    ended_at: Option<Time>,
    /// Replacements in a row that were followed soon by a change.
    streak: u32,
}

impl Changes {
    /// The app seems to change its own files: it is not replaced before this moment, after so many
    /// replacements that were each followed by a change.
    pub fn held(&self) -> Option<(Time, u32)> {
        self.held_until.map(|until| (until, self.streak))
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.held_until
    }

    /// The operation has ended; whether it was ours.
    pub(crate) fn ended(&mut self, op: OpId, now: Time) -> bool {
        let own = self.op == Some(op);
        if own {
            self.op = None;
            self.ended_at = Some(now);
        }
        own
    }

    /// The pause after the last replacement.
    fn pause(&self) -> Span {
        let Some(more) = self.streak.checked_sub(LOOP) else { return Span(0) };
        let doubled = PAUSE.0.saturating_mul(1 << more.min(20));
        Span(doubled.min(PAUSE_MAX.0))
    }
}

/// Files of the app have changed.
pub(crate) fn changed(turn: &mut Turn, name: &Name) {
    let now = turn.now;
    let known = turn.state.alter_changes(name, |changes| {
        if !changes.waiting {
            let under_way = changes.called || changes.op.is_some();
            let soon = under_way || changes.ended_at.is_some_and(|ended| now - ended <= SOON);
            changes.streak = if soon { changes.streak.saturating_add(1) } else { 0 };
        }
        changes.waiting = true;
    });
    if known.is_some() {
        advance(turn, name);
    }
}

/// Do something about what has changed, if that is possible now.
pub(crate) fn advance(turn: &mut Turn, name: &Name) {
    let now = turn.now;
    let Some(app) = turn.state.apps.get(name).filter(|app| app.changes.waiting) else { return };
    if app.want() != Want::Up {
        // Who is stopped stays so; it will begin with the files of that moment.
        turn.state.alter_changes(name, |changes| {
            (changes.waiting, changes.held_until) = (false, None);
        });
        return;
    }
    if is_busy(app) {
        turn.state.alter_changes(name, |changes| changes.held_until = None);
        return;
    }
    let until = app.changes.ended_at.map_or(now, |ended| ended + app.changes.pause());
    if until > now {
        let told = app.changes.held_until.is_some();
        let after = app.changes.streak;
        turn.state.alter_changes(name, |changes| changes.held_until = Some(until));
        if !told {
            turn.note(Fact::HeldBack { app: name.clone(), after, until });
        }
        return;
    }
    turn.state.alter_changes(name, |changes| {
        (changes.waiting, changes.held_until, changes.called) = (false, None, true);
    });
    turn.act(Action::Undertake { app: name.clone(), cause: Cause::Changed });
}

/// Something is being done to it already, by us or by somebody else.
pub(crate) fn is_busy(app: &App) -> bool {
    let own = app.changes.called || app.changes.op.is_some();
    own || app.rollout.is_some() || app.build.is_some() || !app.waiting.is_empty()
}

/// The operation that we have asked for has begun.
pub(crate) fn undertaken(turn: &mut Turn, op: OpId, name: &Name, cause: Cause) {
    match cause {
        Cause::Changed => {
            turn.state.alter_changes(name, |changes| {
                (changes.called, changes.op) = (false, Some(op));
            });
        }
        Cause::Cron => {}
        Cause::Load { from, to, .. } => return scale::follow(turn, op, name, from, to),
    }
    let wish = Wish { op, instance: None, change: None, parallel: 1, built: false };
    crate::ask::reload(turn, name, wish, false);
}
