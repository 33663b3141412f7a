//! Starts in the order of dependencies: who is to come up waits until the apps that it depends on
//! have come so far, and then starts by itself.
//!
//! Only what is asked for waits, and what comes back after the end of both of the pair, as after a
//! reboot: a worker that comes back after an exit of its own was up already, and an app whose
//! dependency goes down runs on.

use std::collections::BTreeSet;

use nexus_spec::{Name, Span, Until};

use crate::action::{Fact, Keep, Outcome};
use crate::app::App;
use crate::event::{OpId, Time};
use crate::phase::{Next, Phase};
use crate::state::{Marks, Seat, State};
use crate::turn::Turn;
use crate::{order, worker};

/// Whoever waits for the start of an app is answered after so much waiting for its dependencies;
/// the app goes on waiting.
pub const WAIT_MAX: Span = Span(30 * 60 * 1_000);

/// How long somebody waits because of dependencies. It does not outlive the daemon: the next one
/// begins anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) until: Option<Time>,
    /// The operation for which the app is held until those have gone that depend on it.
    pub(crate) op: Option<OpId>,
    /// Those that have not.
    pub(crate) behind: BTreeSet<Name>,
    /// The last operation that has failed for the app: what depends on it is spared by that.
    pub(crate) failed: Option<OpId>,
    /// Those that are held because of it, and for which operation: what it depends on may be
    /// forgotten before it.
    pub(crate) ahead: BTreeSet<(OpId, Name)>,
}

/// What an app waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Which app.
    pub on: Name,
    /// How far it has to come.
    pub until: Until,
    /// It will not come so far by itself: somebody has to do something.
    pub blocked: bool,
}

impl State {
    /// The first app that one still has to wait for, of those that an app depends on; one that will
    /// not come by itself first.
    pub fn lacking(&self, name: &Name) -> Option<Lacking> {
        let app = self.apps.get(name)?;
        let lacking = || app.spec.depends_on.iter().filter(|(on, until)| !self.met(on, **until));
        let blocked = lacking().find(|(on, _)| self.is_blocked(on));
        let is_blocked = blocked.is_some();
        let (on, until) = blocked.or_else(|| lacking().next())?;
        Some(Lacking { on: on.clone(), until: *until, blocked: is_blocked })
    }

    /// The app has come so far.
    pub fn met(&self, on: &Name, until: Until) -> bool {
        let Some(app) = self.apps.get(on) else { return false };
        let counts = app.counts;
        let up = match until {
            Until::Started => counts.started,
            Until::Ready => counts.online,
            Until::Healthy if app.spec.health.is_some() => counts.well,
            Until::Healthy => counts.online,
            Until::Completed => 0,
        };
        counts.wanted > 0 && up + counts.completed >= counts.wanted
    }

    /// It comes no further unless somebody does something, with it or with one that it waits for.
    fn is_blocked(&self, name: &Name) -> bool {
        let (mut open, mut seen) = (vec![name], BTreeSet::new());
        while let Some(name) = open.pop() {
            let Some(app) = self.apps.get(name) else { return true };
            if app.build.is_some() || !seen.insert(name) {
                continue;
            }
            let counts = app.counts;
            // A job that rests runs when its time has come.
            let stuck = counts.stuck() > 0 && !app.is_job();
            if counts.wanted == 0 || stuck {
                return true;
            }
            if counts.waiting > 0 {
                let lacking =
                    app.spec.depends_on.iter().filter(|(on, until)| !self.met(on, **until));
                open.extend(lacking.map(|(on, _)| on));
            }
        }
        false
    }
}

/// Order a worker for an empty slot, once what its app depends on has come so far.
pub(crate) fn come_up(turn: &mut Turn, name: &Name, instance: u16) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let beside = app.slots.get(instance).is_some_and(|slot| slot.successor.is_some());
    let lacking = turn.state.lacking(name).filter(|_| !beside);
    let Some(Lacking { on, until, .. }) = lacking else {
        return worker::spawn(turn, name, instance);
    };
    if app.counts.waiting == 0 {
        turn.note(Fact::Waits { app: name.clone(), on, until });
    }
    let comes_back = turn.state.alter(name, instance, |_, slot| {
        let comes_back = slot.next != Next::Run;
        (slot.phase, slot.next) = (Phase::Waiting, Next::Run);
        slot.healthy = None;
        comes_back
    });
    if comes_back == Some(true) {
        turn.keep(Keep::Slot(name.clone(), instance));
    }
    turn.touch(name, Some(instance));
}

/// Nothing of its slot lives, and it is wanted. What comes back by itself, or in a reload, was up
/// already: it waits for no other app. Where all have ended with the machine it does, from the first
/// moment on, which a new daemon is to know, too.
pub(crate) fn again(turn: &mut Turn, name: &Name, instance: u16) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let Some(slot) = app.slots.get(instance) else { return };
    let reload = app.rollout().map(|rollout| rollout.reload.generation);
    let of_reload = reload.is_some() && slot.moved_to == reload;
    match slot.next {
        Next::At(until) if slot.is_cold(turn.now) && !of_reload => {
            if until <= turn.now || turn.state.lacking(name).is_some() {
                come_up(turn, name, instance);
            }
        }
        Next::At(_) => worker::spawn(turn, name, instance),
        Next::GivenUp | Next::Run | Next::Stay if of_reload => worker::spawn(turn, name, instance),
        Next::GivenUp | Next::Run | Next::Stay => come_up(turn, name, instance),
    }
}

/// Something has changed: go on as far as possible.
pub(crate) fn advance(turn: &mut Turn, name: &Name) {
    let Some(app) = turn.state.apps.get(name) else { return };
    if app.counts.waiting == 0 {
        if app.patience.until.is_some() && !order::is_held(turn.state, name) {
            put(turn, name, None);
        }
        return;
    }
    match turn.state.lacking(name) {
        None => {
            for instance in app.scope(None) {
                let waits = |slot: &crate::Slot| slot.phase == Phase::Waiting;
                if turn.state.slot(name, instance).is_some_and(waits) {
                    worker::spawn(turn, name, instance);
                    turn.touch(name, Some(instance));
                }
            }
        }
        Some(lacking) if lacking.blocked => answer(turn, name, &lacking),
        Some(_) if app.patience.until.is_none() && someone_waits(app) => {
            put(turn, name, Some(turn.now + WAIT_MAX));
        }
        Some(_) => {}
    }
}

/// An app that others may wait for has changed.
pub(crate) fn stirred(turn: &mut Turn, name: &Name) {
    let Some(all) = turn.state.index.waiters.get(name).cloned() else { return };
    all.iter().for_each(|dependent| advance(turn, dependent));
    if turn.state.is_blocked(name) {
        fell(turn, name);
    }
}

/// An app has failed, for now or for good: whoever waits for the start of one that depends on it is
/// told so. That one goes on waiting.
pub(crate) fn fell(turn: &mut Turn, name: &Name) {
    let (mut fallen, mut open) = (BTreeSet::new(), vec![name.clone()]);
    while let Some(on) = open.pop() {
        for dependent in turn.state.index.waiters.get(&on).cloned().unwrap_or_default() {
            let Some(app) = turn.state.apps.get(&dependent) else { continue };
            let until = app.spec.depends_on.get(&on).copied();
            let lacks = until.filter(|&until| !turn.state.met(&on, until));
            if let (Some(until), 1..) = (lacks, app.counts.waiting)
                && fallen.insert(dependent.clone())
            {
                let lacking = Lacking { on: on.clone(), until, blocked: true };
                answer(turn, &dependent, &lacking);
                open.push(dependent);
            }
        }
    }
}

/// One has waited for long enough.
pub(crate) fn due(turn: &mut Turn, name: &Name) {
    put(turn, name, None);
    if order::is_held(turn.state, name) {
        order::release(turn, name);
    } else if let Some(lacking) = turn.state.lacking(name) {
        answer(turn, name, &lacking);
    }
}

fn someone_waits(app: &App) -> bool {
    app.waiting.values().any(|waiting| waiting.goal.is_up() && !waiting.building)
}

/// Tell whoever waits for slots that wait.
fn answer(turn: &mut Turn, name: &Name, lacking: &Lacking) {
    let Some(app) = turn.state.apps.get(name).filter(|app| app.counts.waiting > 0) else { return };
    let waits = |scope: &Option<u16>| {
        let slot = scope.map(|instance| app.slots.get(instance).map(|slot| slot.phase));
        slot.is_none_or(|phase| phase == Some(Phase::Waiting))
    };
    let of_start =
        app.waiting.iter().filter(|(_, waiting)| waiting.goal.is_up() && !waiting.building);
    let scopes: Vec<_> = of_start.map(|(&scope, _)| scope).filter(waits).collect();
    for scope in scopes {
        let Lacking { on, until, .. } = lacking.clone();
        crate::goal::answer(turn, name, scope, Outcome::Waits { on, until });
    }
}

/// Set or end the time that one waits. The only way: the index follows.
pub(crate) fn put(turn: &mut Turn, name: &Name, until: Option<Time>) {
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let before = std::mem::replace(&mut app.patience.until, until);
    let seat = Seat::Patience(name.clone());
    turn.state.index.moved(&seat, Marks::of_deadline(before), Marks::of_deadline(until));
}
