//! A worker that has gone beyond a limit is replaced, and that counts as a restart.

use nexus_spec::Name;

use crate::action::{Fact, Keep};
use crate::event::{Breach, Exit};
use crate::turn::Turn;
use crate::worker;

/// An online worker is beyond a limit.
pub(crate) fn breached(turn: &mut Turn, name: &Name, instance: u16, breach: Breach) {
    let now = turn.now;
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
