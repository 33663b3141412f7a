//! How a child is told to go, and how long it has: to finish what it has begun, and to end.

use nexus_spec::{AppSpec, Signal, Span};

use crate::event::{ChildId, Pid, Time};
use crate::phase::Phase;

/// SIGTERM, for a child whose app is not known.
const SIGTERM: Signal = Signal(15);
/// From that signal to SIGKILL.
const PATIENCE: Span = Span(10_000);

/// A child that is to go.
#[derive(Clone, Copy)]
pub(crate) struct Leaver {
    pub(crate) child: ChildId,
    pub(crate) pid: Option<Pid>,
    /// When it was spawned.
    pub(crate) since: Time,
    /// It is ready, and so may be busy with something that it is to finish.
    pub(crate) serves: bool,
    /// A daemon that is dead had told it then.
    pub(crate) told: Option<Time>,
}

/// How it goes.
pub(crate) struct Farewell {
    /// `Stopping`.
    pub(crate) phase: Phase,
    /// To be sent now; `None` = it knows already, and has time to finish.
    pub(crate) signal: Option<Signal>,
}

impl Leaver {
    /// One that has just been ordered, or of which no more is known.
    pub(crate) fn new(child: ChildId, now: Time) -> Leaver {
        Leaver { child, pid: None, since: now, serves: false, told: None }
    }

    /// The one that is in this phase, if it is running.
    pub(crate) fn of(phase: Phase, now: Time) -> Option<Leaver> {
        let child = phase.child().filter(|_| phase.is_running())?;
        let (pid, since) = (phase.pid(), phase.since().unwrap_or(now));
        Some(Leaver { child, pid, since, serves: phase.is_online(), told: None })
    }

    /// Tell it to go. One that serves is told once, has `drain_timeout` to finish, and is told again
    /// when that is over; a second signal means at once to many programs.
    pub(crate) fn leaves(self, spec: Option<&AppSpec>, now: Time) -> Farewell {
        let Leaver { child, pid, since, serves, told } = self;
        let signal = spec.map_or(SIGTERM, |spec| spec.stop.signal);
        let patience = spec.map_or(PATIENCE, |spec| spec.stop.kill_timeout);
        let drain = spec.map_or(Span(0), |spec| spec.drain_timeout);
        let drained_at = Some(told.unwrap_or(now) + drain).filter(|&at| serves && at > now);
        let kill_at = drained_at.unwrap_or(now) + patience;
        Farewell {
            phase: Phase::Stopping { child, pid, since, drained_at, kill_at },
            signal: Some(signal).filter(|_| told.is_none() || drained_at.is_none()),
        }
    }
}

/// The deadline of a child that has been told has passed: the phase that it is in from here on, and
/// the signal to send it; without one, all of it is killed.
pub(crate) fn late(
    phase: Phase,
    spec: Option<&AppSpec>,
    now: Time,
    again: Span,
) -> Option<(Phase, Option<Signal>)> {
    match phase {
        Phase::Reaping { child, .. } => {
            Some((Phase::Reaping { child, kill_at: now + again }, None))
        }
        Phase::Stopping { child, pid, since, drained_at: Some(_), .. } => {
            let patience = spec.map_or(PATIENCE, |spec| spec.stop.kill_timeout);
            let kill_at = now + patience.max(Span(1));
            let phase = Phase::Stopping { child, pid, since, drained_at: None, kill_at };
            Some((phase, Some(spec.map_or(SIGTERM, |spec| spec.stop.signal))))
        }
        Phase::Stopping { child, pid, since, drained_at, .. } => {
            let kill_at = now + again;
            Some((Phase::Stopping { child, pid, since, drained_at, kill_at }, None))
        }
        Phase::Backoff { .. }
        | Phase::Errored
        | Phase::Idle
        | Phase::Online { .. }
        | Phase::Spawning { .. }
        | Phase::Waiting
        | Phase::Warming { .. } => None,
    }
}
