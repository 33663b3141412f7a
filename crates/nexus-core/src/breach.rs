//! A worker that has gone beyond a limit is replaced, and that counts as a restart.

use nexus_spec::{AppSpec, Name, Span};

use crate::action::{Fact, Keep};
use crate::event::{Breach, Exit, Limit, Time};
use crate::phase::{Phase, Want};
use crate::restart::Verdict;
use crate::turn::Turn;
use crate::{depend, successor, trial, worker};

/// When a deadline is seen later than this, the machine or the daemon stood still: what workers said
/// meanwhile has not been read yet.
const LATE: Span = Span(250);

/// An online worker is beyond a limit.
pub(crate) fn breached(turn: &mut Turn, name: &Name, instance: u16, breach: Breach) {
    let now = turn.now;
    if breach.limit == Limit::Health {
        turn.state.alter(name, instance, |_, slot| slot.healthy = Some(false));
        turn.touch(name, Some(instance));
        depend::fell(turn, name);
    }
    if trial::breached(turn, name, instance, breach) || trial::is_of_trial(breach.limit) {
        return;
    }
    let Some(app) = turn.state.apps.get(name) else { return };
    let Some(slot) = app.slots.get(instance).filter(|slot| slot.want == Want::Up) else { return };
    // Whoever replaces it already does; the next measurement comes soon enough.
    if app.rollout.is_some() || slot.successor.is_some() || now < slot.patient_until {
        return;
    }
    if app.overlaps(None) && !app.is_job() && overlap(turn, name, instance, breach) {
        return;
    }
    let told = turn.state.alter(name, instance, |spec, slot| {
        let child = slot.phase.child().filter(|_| slot.phase.is_online())?;
        Some(worker::judge(spec, slot, child, Exit::OverLimit(breach.limit), now))
    });
    let Some(Some(told)) = told else { return };
    let (child, after) = (told.last.child, told.last.lived);
    turn.note(Fact::Breached { app: name.clone(), instance, child, breach, after });
    turn.keep(Keep::Slot(name.clone(), instance));
    worker::terminate(turn, name, instance);
    worker::judged(turn, name, instance, &told);
}

/// Its check has found it well.
pub(crate) fn well(turn: &mut Turn, name: &Name, instance: u16) {
    turn.state.alter(name, instance, |_, slot| slot.healthy = Some(true));
    turn.touch(name, Some(instance));
}

/// It says that it is alive.
pub(crate) fn alive(turn: &mut Turn, name: &Name, instance: u16) {
    let now = turn.now;
    turn.state.alter(name, instance, |spec, slot| {
        if let Phase::Online { hung_at, .. } = &mut slot.phase {
            *hung_at = watched(spec, now);
        }
    });
}

/// When a worker that says nothing more counts as hung.
pub(crate) fn watched(spec: &AppSpec, now: Time) -> Option<Time> {
    spec.watchdog.map(|span| now + span)
}

/// It has not said for too long that it is alive. Looked at again in as much time: this may be a
/// bad moment to replace it, or its successor may fail; or nobody was there to hear it.
pub(crate) fn silent(turn: &mut Turn, name: &Name, instance: u16) {
    let now = turn.now;
    let allowed = turn.state.alter(name, instance, |spec, slot| {
        let Phase::Online { hung_at, .. } = &mut slot.phase else { return None };
        let was = std::mem::replace(hung_at, watched(spec, now));
        spec.watchdog.filter(|_| was.is_some_and(|at| now - at <= LATE))
    });
    let Some(Some(Span(allowed))) = allowed else { return };
    let (limit, measured) = (Limit::Watchdog, allowed);
    breached(turn, name, instance, Breach { limit, measured, allowed, lasted: Span(0) });
}

/// Start its successor beside it, unless it is to be given up.
fn overlap(turn: &mut Turn, name: &Name, instance: u16, breach: Breach) -> bool {
    let now = turn.now;
    let judged = turn.state.alter(name, instance, |spec, slot| {
        let Phase::Online { child, since, online_at, .. } = slot.phase else { return None };
        let mut past = slot.past.clone();
        let online_for = Some(now - online_at);
        let exit = Exit::OverLimit(breach.limit);
        match past.judge(&spec.restart, now, exit, online_for, child) {
            Verdict::Again { .. } => slot.past = past,
            Verdict::GiveUp | Verdict::Stay => return None,
        }
        Some((child, now - since))
    });
    let Some(Some((child, after))) = judged else { return false };
    turn.note(Fact::Breached { app: name.clone(), instance, child, breach, after });
    successor::spawn(turn, name, instance, None, Some(breach.limit));
    true
}
