//! One worker's life: spawned, ready, told to stop, gone, and what follows.

use nexus_spec::{AppSpec, Name, Ready, Span};

use crate::action::{Action, Fact, Keep, Purpose};
use crate::app::App;
use crate::event::{ChildId, Exit, Failure, Pid, Time};
use crate::phase::{Next, Phase, Want};
use crate::restart::Verdict;
use crate::slot::{LastExit, Slot};
use crate::stop::{self, Farewell, Leaver};
use crate::turn::{KILL_AGAIN_MIN, Turn};
use crate::{breach, depend, goal, job, rollout, successor, trial};

/// `Ready::Default`: alive for this long.
pub(crate) const SETTLED_AFTER: Span = Span(1_000);

/// Order a worker for an empty slot.
pub(crate) fn spawn(turn: &mut Turn, name: &Name, instance: u16) {
    let Some(app) = turn.state.apps.get(name) else { return };
    let reload = app.rollout().map(|rollout| rollout.reload.generation);
    let Some(slot) = app.slots.get(instance) else { return };
    if slot.successor.is_some() {
        return successor::step_in(turn, name, instance, true);
    }
    // What belongs to a reload that is over is the app's own again.
    let moved_to = slot.moved_to.filter(|_| slot.moved_to == reload);
    let stale = moved_to != slot.moved_to;
    let generation = moved_to.unwrap_or(app.generation);
    if stale {
        turn.state.alter(name, instance, |_, slot| slot.moved_to = None);
        turn.keep(Keep::Slot(name.clone(), instance));
    }
    let now = turn.now;
    let (child, heir) = turn.state.fresh_child();
    let ordered = turn.state.alter(name, instance, |spec, slot| {
        slot.phase = Phase::Spawning { child, ready: false };
        slot.healthy = None;
        slot.next = Next::Run;
        slot.cold_until = Time(0);
        slot.generation = generation;
        let on_exit = slot.past.on_exit(&spec.restart, now, child, heir);
        slot.heir = on_exit.next;
        (slot.id, on_exit)
    });
    let Some((id, on_exit)) = ordered else { return };
    let purpose = Purpose::Worker { instance, id };
    turn.act(Action::Spawn { child, app: name.clone(), purpose, generation, on_exit });
}

/// The keeper has it.
pub(crate) fn spawned(turn: &mut Turn, name: &Name, instance: u16, child: ChildId, told: Pid) {
    let now = turn.now;
    let ready = turn.state.alter(name, instance, |spec, slot| match &mut slot.phase {
        Phase::Spawning { ready, .. } => {
            let ready = *ready;
            let settle_at = now + settling(spec);
            slot.phase = Phase::Warming { child, pid: told, since: now, settle_at };
            Some(ready)
        }
        Phase::Stopping { pid, .. } => {
            *pid = Some(told);
            None
        }
        Phase::Backoff { .. }
        | Phase::Errored
        | Phase::Idle
        | Phase::Online { .. }
        | Phase::Reaping { .. }
        | Phase::Waiting
        | Phase::Warming { .. } => None,
    });
    if let Some(Some(ready)) = ready {
        turn.note(Fact::Started { app: name.clone(), instance, child });
        if ready {
            online(turn, name, instance, now);
        }
    }
}

/// Something says that it is ready, it or a check; that matters only where the spec asks for it.
pub(crate) fn said_ready(turn: &mut Turn, name: &Name, instance: u16) {
    if spec(turn, name, instance).is_none_or(|spec| !spec.ready.may_be_said()) {
        return;
    }
    turn.state.alter(name, instance, |_, slot| {
        if let Phase::Spawning { ready, .. } = &mut slot.phase {
            *ready = true;
        }
    });
    online(turn, name, instance, turn.now);
}

pub(crate) fn online(turn: &mut Turn, name: &Name, instance: u16, online_at: Time) {
    let now = turn.now;
    let told = turn.state.alter(name, instance, |spec, slot| {
        let Phase::Warming { child, pid, since, .. } = slot.phase else { return None };
        let hung_at = breach::watched(spec, now);
        slot.phase = Phase::Online { child, pid, since, online_at, hung_at };
        Some((child, online_at - since))
    });
    if let Some(Some((child, after))) = told {
        turn.note(Fact::Ready { app: name.clone(), instance, child, after });
        turn.touch(name, Some(instance));
    }
}

/// It asks for more time.
pub(crate) fn extend(turn: &mut Turn, name: &Name, instance: u16, until: Time) {
    turn.state.alter(name, instance, |spec, slot| {
        slot.phase = slot.phase.extended(until, spec.ready.is_said());
    });
}

/// Another process is its main one.
pub(crate) fn led_by(turn: &mut Turn, name: &Name, instance: u16, pid: Pid) {
    turn.state.alter(name, instance, |_, slot| slot.phase = slot.phase.led_by(pid));
}

/// What an exit was and what it led to.
pub(crate) struct Told {
    pub(crate) last: LastExit,
    again_at: Option<Time>,
    /// It was judged now: how many unstable exits there are in the window; whether it had been
    /// ready.
    judged: Option<(usize, bool)>,
}

/// Its main process is gone, or never was (`Exit::NotSpawned`).
pub(crate) fn exited(
    turn: &mut Turn,
    name: &Name,
    instance: u16,
    exit: Exit,
    at: Time,
    tree_gone: bool,
) {
    settle_before(turn, name, instance, at);
    let now = turn.now;
    let told = turn.state.alter(name, instance, |spec, slot| {
        let patience = spec.stop.kill_timeout.max(KILL_AGAIN_MIN);
        let (told, child, kill_at) = match slot.phase {
            Phase::Online { child, .. }
            | Phase::Spawning { child, .. }
            | Phase::Warming { child, .. }
                if slot.want != Want::Up =>
            {
                // It was about to be told to go.
                let since = slot.phase.since().unwrap_or(at);
                slot.settled = slot.settled.max(child);
                (Some(ended(slot, child, exit, at, since)), child, now + patience)
            }
            Phase::Online { child, .. }
            | Phase::Spawning { child, .. }
            | Phase::Warming { child, .. } => {
                (Some(judge(spec, slot, child, exit, at)), child, now + patience)
            }
            Phase::Stopping { child, since, kill_at, .. } => {
                let kill_at = kill_at.min(now + patience);
                (Some(ended(slot, child, exit, at, since)), child, kill_at)
            }
            // Told again: the rest of its tree is all that is left to wait for.
            Phase::Reaping { child, kill_at } => (None, child, kill_at),
            Phase::Backoff { .. } | Phase::Errored | Phase::Idle | Phase::Waiting => return None,
        };
        slot.phase = Phase::Reaping { child, kill_at };
        told
    });
    if let Some(Some(told)) = told {
        turn.keep(Keep::Slot(name.clone(), instance));
        report(turn, name, instance, &told);
    }
    if turn.state.slot(name, instance).is_some_and(|slot| slot.successor.is_some()) {
        return successor::step_in(turn, name, instance, tree_gone);
    }
    if tree_gone {
        gone(turn, name, instance);
    }
}

/// A worker that only had to stay alive was ready before its end, though no tick came between.
fn settle_before(turn: &mut Turn, name: &Name, instance: u16, at: Time) {
    if spec(turn, name, instance).is_none_or(|spec| spec.ready.is_said()) {
        return;
    }
    if let Some(Phase::Warming { settle_at, .. }) = turn.state.slot(name, instance).map(|s| s.phase)
        && settle_at <= at
    {
        online(turn, name, instance, settle_at);
    }
}

/// An exit that nobody asked for.
pub(crate) fn judge(spec: &AppSpec, slot: &mut Slot, child: ChildId, exit: Exit, at: Time) -> Told {
    let online_for = match slot.phase {
        Phase::Online { online_at, .. } if at >= online_at => Some(at - online_at),
        Phase::Backoff { .. }
        | Phase::Errored
        | Phase::Idle
        | Phase::Online { .. }
        | Phase::Reaping { .. }
        | Phase::Spawning { .. }
        | Phase::Stopping { .. }
        | Phase::Waiting
        | Phase::Warming { .. } => None,
    };
    let lived = slot.phase.since().map_or(Span(0), |since| at - since);
    slot.next = match slot.past.judge(&spec.restart, at, exit, online_for, child) {
        // Whatever its end was, a job is done.
        Verdict::Again { .. } if job::is_job(spec) => Next::Stay,
        Verdict::Again { after } => {
            slot.restarts += 1;
            Next::At(at + after)
        }
        Verdict::GiveUp => Next::GivenUp,
        Verdict::Stay => Next::Stay,
    };
    let last = LastExit { child, exit, at, lived, asked: false };
    slot.last_exit = Some(last);
    slot.settled = slot.settled.max(child);
    let judged = Some((slot.past.exits.len(), online_for.is_some()));
    Told { last, again_at: slot.again_at(), judged }
}

/// An exit that we had asked for, or judged when we decided to end the worker.
fn ended(slot: &mut Slot, child: ChildId, exit: Exit, at: Time, since: Time) -> Told {
    let judged = slot.last_exit.filter(|last| last.child == child);
    let last = judged.unwrap_or(LastExit { child, exit, at, lived: at - since, asked: true });
    slot.last_exit = Some(last);
    Told { last, again_at: slot.again_at(), judged: None }
}

fn report(turn: &mut Turn, name: &Name, instance: u16, told: &Told) {
    let LastExit { child, exit, lived, asked, .. } = told.last;
    let (app, again_at) = (name.clone(), told.again_at);
    turn.note(Fact::Exited { app, instance, child, exit, after: lived, asked, again_at });
    judged(turn, name, instance, told);
}

/// Tell whoever must know that a worker has failed, if this was judged now.
pub(crate) fn judged(turn: &mut Turn, name: &Name, instance: u16, told: &Told) {
    let Some((exits, was_ready)) = told.judged else { return };
    let next = turn.state.slot(name, instance).map(|slot| slot.next);
    if next == Some(Next::GivenUp) {
        let exits = u32::try_from(exits).unwrap_or(u32::MAX);
        turn.note(Fact::Errored { app: name.clone(), instance, exit: told.last.exit, exits });
    }
    let job = turn.state.apps.get(name).is_some_and(App::is_job);
    // It is done, as its spec says that it may be.
    let said = spec(turn, name, instance).is_some_and(|spec| spec.ready.is_said());
    let done = next == Some(Next::Stay) && (was_ready || !said);
    if told.last.exit == Exit::Code(0) && (job || done) {
        return turn.touch(name, Some(instance));
    }
    // A worker that was ready may come back before anyone minds; one that will not never does.
    if !was_ready || told.again_at.is_none() {
        let LastExit { child, exit, at, lived: after, .. } = told.last;
        let failure = Failure { instance, child, exit, after, at };
        rollout::seated_failed(turn, name, failure, told.again_at);
        goal::failed(turn, name, instance, told.last, told.again_at);
    } else {
        let LastExit { child, exit, at, lived: after, .. } = told.last;
        trial::ended(turn, name, Failure { instance, child, exit, after, at });
    }
}

/// Nothing of its tree is left: what follows?
pub(crate) fn gone(turn: &mut Turn, name: &Name, instance: u16) {
    let now = turn.now;
    let gone = turn.state.alter(name, instance, |_, slot| {
        let Phase::Reaping { child, .. } = slot.phase else { return None };
        let (phase, again) = slot.after_end(now);
        slot.phase = phase;
        Some((child, again))
    });
    let Some(Some((child, again))) = gone else { return };
    turn.act(Action::Acknowledge { child });
    if again {
        depend::again(turn, name, instance);
    }
    turn.touch(name, Some(instance));
}

/// Its deadline has passed.
pub(crate) fn due(turn: &mut Turn, name: &Name, instance: u16) {
    let Some(phase) = turn.state.slot(name, instance).map(|slot| slot.phase) else { return };
    match phase {
        Phase::Backoff { .. } => depend::again(turn, name, instance),
        Phase::Warming { settle_at, .. } => {
            match spec(turn, name, instance).is_some_and(|spec| spec.ready.is_said()) {
                true => never_ready(turn, name, instance),
                false => online(turn, name, instance, settle_at),
            }
        }
        Phase::Reaping { .. } | Phase::Stopping { .. } => late(turn, name, instance),
        Phase::Online { .. } => breach::silent(turn, name, instance),
        Phase::Errored | Phase::Idle | Phase::Spawning { .. } | Phase::Waiting => {}
    }
}

/// It was told to go, and is not gone in time.
fn late(turn: &mut Turn, name: &Name, instance: u16) {
    let (now, again) = (turn.now, turn.kill_again(Some(name)));
    let late = turn.state.alter(name, instance, |spec, slot| {
        let (phase, signal) = stop::late(slot.phase, Some(spec), now, again)?;
        slot.phase = phase;
        Some((phase.child()?, signal))
    });
    let Some(Some((child, signal))) = late else { return };
    let app = name.clone();
    match signal {
        Some(signal) => {
            turn.act(Action::Terminate { child, signal });
            turn.note(Fact::Undrained { app, instance, child });
        }
        None => {
            turn.act(Action::Kill { child });
            turn.note(Fact::Killed { app, instance, child });
        }
    }
}

/// Never ready is a way to fail, and costs what any other failure costs.
fn never_ready(turn: &mut Turn, name: &Name, instance: u16) {
    let now = turn.now;
    let told = turn.state.alter(name, instance, |spec, slot| {
        let child = slot.phase.child().filter(|_| slot.want == Want::Up)?;
        Some(judge(spec, slot, child, Exit::NeverReady, now))
    });
    // Also one that is held until others have gone: its end is settled from here on.
    turn.keep(Keep::Slot(name.clone(), instance));
    terminate(turn, name, instance);
    let Some(Some(told)) = told else { return };
    judged(turn, name, instance, &told);
}

/// Begin to end a running worker; its exit is no failure then.
pub(crate) fn terminate(turn: &mut Turn, name: &Name, instance: u16) {
    let now = turn.now;
    let ended = turn.state.alter(name, instance, |spec, slot| {
        let leaver = Leaver::of(slot.phase, now)?;
        let Farewell { phase, signal } = leaver.leaves(Some(spec), now);
        slot.phase = phase;
        slot.settled = slot.settled.max(leaver.child);
        Some((leaver.child, signal?))
    });
    if let Some(Some((child, signal))) = ended {
        turn.act(Action::Terminate { child, signal });
        turn.note(Fact::Stopping { app: name.clone(), instance, child });
    }
}

/// From the spawn to readiness, or to the end of patience.
pub(crate) fn settling(spec: &AppSpec) -> Span {
    match spec.ready {
        Ready::Default => SETTLED_AFTER,
        Ready::Delay(span) => span,
        Ready::Fd | Ready::Ipc | Ready::Log(_) | Ready::Notify | Ready::Probe(_) => {
            spec.ready_timeout
        }
    }
}

/// What the slot's worker was started with: in a reload that may not be the app's own spec yet.
fn spec<'a>(turn: &'a Turn, name: &Name, instance: u16) -> Option<&'a AppSpec> {
    let app = turn.state.apps.get(name)?;
    app.slots.get(instance).map(|slot| app.spec_in(slot))
}

/// Take a successor that the keeper has spawned, if the slot waits for one. The restart was counted
/// when the exit was judged.
pub(crate) fn seat_heir(
    turn: &mut Turn,
    name: &Name,
    instance: u16,
    child: ChildId,
    pid: Pid,
) -> bool {
    let now = turn.now;
    let seated = turn.state.alter(name, instance, |spec, slot| {
        let (Want::Up, Phase::Backoff { .. }) = (slot.want, slot.phase) else { return false };
        let settle_at = now + settling(spec);
        slot.phase = Phase::Warming { child, pid, since: now, settle_at };
        slot.healthy = None;
        slot.next = Next::Run;
        slot.heir = None;
        true
    });
    let seated = seated == Some(true);
    if seated {
        turn.note(Fact::Started { app: name.clone(), instance, child });
        turn.touch(name, Some(instance));
    }
    seated
}
