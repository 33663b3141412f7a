//! A worker that has gone beyond a limit is replaced, and that counts as a restart.

use nexus_spec::Name;

use crate::action::{Fact, Keep};
use crate::event::{Breach, Exit};
use crate::phase::Phase;
use crate::restart::Verdict;
use crate::turn::Turn;
use crate::{successor, worker};

/// An online worker is beyond a limit.
pub(crate) fn breached(turn: &mut Turn, name: &Name, instance: u16, breach: Breach) {
    let now = turn.now;
    let Some(app) = turn.state.apps.get(name) else { return };
    let Some(slot) = app.slots.get(instance) else { return };
    // Whoever replaces it already does; the next measurement comes soon enough.
    if app.rollout.is_some() || slot.successor.is_some() || now < slot.patient_until {
        return;
    }
    if app.overlaps(None) && overlap(turn, name, instance, breach) {
        return;
    }
    let told = turn.state.alter(name, instance, |spec, slot| {
        let child = slot.phase.child().filter(|_| slot.phase.is_online())?;
        Some(worker::judge(&spec.restart, slot, child, Exit::OverLimit, now))
    });
    let Some(Some(told)) = told else { return };
    let (child, after) = (told.last.child, told.last.lived);
    turn.note(Fact::Breached { app: name.clone(), instance, child, breach, after });
    turn.keep(Keep::Slot(name.clone(), instance));
    worker::terminate(turn, name, instance);
    worker::judged(turn, name, instance, &told);
}

/// Start its successor beside it, unless it is to be given up.
fn overlap(turn: &mut Turn, name: &Name, instance: u16, breach: Breach) -> bool {
    let now = turn.now;
    let judged = turn.state.alter(name, instance, |spec, slot| {
        let Phase::Online { child, since, online_at, .. } = slot.phase else { return None };
        let mut past = slot.past.clone();
        let online_for = Some(now - online_at);
        match past.judge(&spec.restart, now, Exit::OverLimit, online_for, child) {
            Verdict::Again { .. } => slot.past = past,
            Verdict::GiveUp | Verdict::Stay => return None,
        }
        Some((child, now - since))
    });
    let Some(Some((child, after))) = judged else { return false };
    turn.note(Fact::Breached { app: name.clone(), instance, child, breach, after });
    successor::spawn(turn, name, instance, None, true);
    true
}
