//! Jobs: apps that run at set times, and are done when they exit. Between runs a job is wanted up
//! and nothing of it lives.

use nexus_spec::{AppSpec, Name, Overlap};

use crate::action::{Action, Fact, Keep, Run};
use crate::app::App;
use crate::event::{Cause, Exit};
use crate::phase::Want;
use crate::restart::Past;
use crate::slot::Slot;
use crate::timetable::Chime;
use crate::turn::Turn;
use crate::{depend, worker};

/// It runs at set times.
pub(crate) fn is_job(spec: &AppSpec) -> bool {
    spec.schedule.cron.is_some()
}

/// A run of this generation, or of a later one, is under way or has ended well.
pub(crate) fn has_run(slot: &Slot, generation: u64) -> bool {
    let well = slot.last_exit.is_some_and(|last| last.exit == Exit::Code(0));
    slot.generation >= generation
        && (slot.phase.is_online() || (well && slot.phase.child().is_none()))
}

/// A set time has come.
pub(crate) fn struck(turn: &mut Turn, name: &Name, chime: Chime) {
    let Some(app) = turn.state.apps.get(name).filter(|app| app.want() == Want::Up) else { return };
    match chime {
        Chime::Restart if is_job(&app.spec) => {}
        Chime::Restart => {
            turn.act(Action::Undertake { app: name.clone(), cause: Cause::Cron });
        }
        Chime::Run if is_job(&app.spec) => due(turn, name),
        Chime::Run => {}
    }
}

fn due(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let what = match (is_running(app), app.spec.schedule.overlap) {
        // What it is to run is being made.
        _ if app.build.is_some() => Run::Skipped,
        (false, _) => Run::Begun,
        (true, Overlap::Skip) => Run::Skipped,
        (true, Overlap::Queue) if app.queued => Run::Skipped,
        (true, Overlap::Queue) => Run::Queued,
        (true, Overlap::Replace) => Run::Replaced,
    };
    turn.note(Fact::Run { app: name.clone(), what });
    match what {
        Run::Begun | Run::Replaced => begin(turn, name),
        Run::Queued => queue(turn, name, true),
        Run::Skipped => {}
    }
}

/// The run that waits begins when the one before has ended.
pub(crate) fn advance(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get(name).filter(|app| app.queued) else { return };
    if app.want() != Want::Up || !is_job(&app.spec) {
        queue(turn, name, false);
    } else if !is_running(app) && app.build.is_none() {
        queue(turn, name, false);
        turn.note(Fact::Run { app: name.clone(), what: Run::Begun });
        begin(turn, name);
    }
}

fn queue(turn: &mut Turn, name: &Name, queued: bool) {
    if let Some(app) = turn.state.apps.get_mut(name) {
        app.queued = queued;
        turn.keep(Keep::App(name.clone()));
    }
}

fn is_running(app: &App) -> bool {
    app.slots.all().iter().any(|slot| slot.want == Want::Up && slot.phase.child().is_some())
}

/// Run all instances that are wanted; one that runs still is stopped first.
fn begin(turn: &mut Turn, name: &Name) {
    let scope = turn.state.apps.get(name).map_or(0..0, |app| app.scope(None));
    for instance in scope {
        if turn.state.slot(name, instance).is_none_or(|slot| slot.want != Want::Up) {
            continue;
        }
        worker::terminate(turn, name, instance);
        let spawn = turn.state.alter(name, instance, |_, slot| {
            slot.call_off();
            slot.past = Past::default();
            slot.phase.child().is_none()
        });
        if spawn == Some(true) {
            depend::come_up(turn, name, instance);
        }
    }
    turn.keep(Keep::App(name.clone()));
    turn.touch(name, None);
}
