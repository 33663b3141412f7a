//! What is wanted of a slot, and what it is doing: two enums whose pairs all have a name.

use crate::event::{ChildId, Pid, Time};

/// What we intend, as opposed to what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// Not running.
    Down,
    /// Not running, and then forgotten.
    Gone,
    /// Running.
    Up,
}

/// What is. Deadlines live inside the phase they belong to, so a phase that is left takes its
/// deadline with it and no timer has to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing lives; it is tried again at `until`.
    Backoff {
        /// When.
        until: Time,
    },
    /// Nothing lives; given up until someone asks again.
    Errored,
    /// Nothing lives, nothing is due.
    Idle,
    /// Ready.
    Online {
        /// Who.
        child: ChildId,
        /// Its main process.
        pid: Pid,
        /// When it was spawned.
        since: Time,
        /// When it became ready.
        online_at: Time,
        /// When it counts as hung, unless it says before that it is alive.
        hung_at: Option<Time>,
    },
    /// The main process is gone, the rest of its tree not yet. Nothing is spawned in its place
    /// before.
    Reaping {
        /// Whose tree.
        child: ChildId,
        /// When SIGKILL is sent (again).
        kill_at: Time,
    },
    /// Ordered; the keeper has not reported it yet.
    Spawning {
        /// Who.
        child: ChildId,
        /// It has already said that it is ready: that message may outrun the keeper's report.
        ready: bool,
    },
    /// Told to stop. What comes after it is [`Next`].
    Stopping {
        /// Who.
        child: ChildId,
        /// Its main process, if the keeper had reported it.
        pid: Option<Pid>,
        /// When it was spawned.
        since: Time,
        /// Until then it finishes what it has begun; then it is told again.
        drained_at: Option<Time>,
        /// When SIGKILL is sent (again).
        kill_at: Time,
    },
    /// Running, not ready yet.
    Warming {
        /// Who.
        child: ChildId,
        /// Its main process.
        pid: Pid,
        /// When it was spawned.
        since: Time,
        /// When it counts as ready, or, where something has to say so, as never ready. A build: when it is
        /// ended.
        settle_at: Time,
    },
    /// Nothing lives; it is spawned once the apps that it depends on have come so far.
    Waiting,
}

/// What follows as soon as nothing of a slot lives, while it is wanted up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Next {
    /// It is spawned then, or at this moment if that is later: an unasked restart, counted.
    At(Time),
    /// Given up: too many unstable exits, or it can not be run at all.
    GivenUp,
    /// It is spawned: someone asked for it.
    #[default]
    Run,
    /// It stays down: its exit is one after which the spec says so.
    Stay,
}

impl Phase {
    /// The child that holds the slot: alive, or its tree not yet gone.
    pub fn child(self) -> Option<ChildId> {
        match self {
            Phase::Online { child, .. }
            | Phase::Reaping { child, .. }
            | Phase::Spawning { child, .. }
            | Phase::Stopping { child, .. }
            | Phase::Warming { child, .. } => Some(child),
            Phase::Backoff { .. } | Phase::Errored | Phase::Idle | Phase::Waiting => None,
        }
    }

    /// When this phase wants something done without any event.
    pub fn deadline(self) -> Option<Time> {
        match self {
            Phase::Backoff { until } => Some(until),
            Phase::Reaping { kill_at, .. } => Some(kill_at),
            Phase::Stopping { drained_at, kill_at, .. } => Some(drained_at.unwrap_or(kill_at)),
            Phase::Warming { settle_at, .. } => Some(settle_at),
            Phase::Online { hung_at, .. } => hung_at,
            Phase::Errored | Phase::Idle | Phase::Spawning { .. } | Phase::Waiting => None,
        }
    }

    /// The same, with at least so much time to become ready, where something has to say so
    /// (`said`), or to end by itself.
    pub(crate) fn extended(mut self, until: Time, said: bool) -> Phase {
        match &mut self {
            Phase::Stopping { drained_at, kill_at, .. } => {
                *drained_at = drained_at.map(|at| at.max(until));
                *kill_at = (*kill_at).max(until);
            }
            Phase::Warming { settle_at: at, .. } if said => *at = (*at).max(until),
            Phase::Backoff { .. }
            | Phase::Errored
            | Phase::Idle
            | Phase::Online { .. }
            | Phase::Reaping { .. }
            | Phase::Spawning { .. }
            | Phase::Waiting
            | Phase::Warming { .. } => {}
        }
        self
    }

    /// The same, with another main process, if there is one at all.
    pub(crate) fn led_by(mut self, leader: Pid) -> Phase {
        match &mut self {
            Phase::Online { pid, .. } | Phase::Warming { pid, .. } => *pid = leader,
            Phase::Stopping { pid, .. } => *pid = pid.map(|_| leader),
            Phase::Backoff { .. }
            | Phase::Errored
            | Phase::Idle
            | Phase::Reaping { .. }
            | Phase::Spawning { .. }
            | Phase::Waiting => {}
        }
        self
    }

    /// The main process, while it lives and has been reported.
    pub fn pid(self) -> Option<Pid> {
        match self {
            Phase::Online { pid, .. } | Phase::Warming { pid, .. } => Some(pid),
            Phase::Stopping { pid, .. } => pid,
            Phase::Backoff { .. }
            | Phase::Errored
            | Phase::Idle
            | Phase::Reaping { .. }
            | Phase::Spawning { .. }
            | Phase::Waiting => None,
        }
    }

    /// When the child was spawned, while its main process lives and has been reported.
    pub fn since(self) -> Option<Time> {
        match self {
            Phase::Online { since, .. }
            | Phase::Stopping { since, .. }
            | Phase::Warming { since, .. } => Some(since),
            Phase::Backoff { .. }
            | Phase::Errored
            | Phase::Idle
            | Phase::Reaping { .. }
            | Phase::Spawning { .. }
            | Phase::Waiting => None,
        }
    }

    /// Ready.
    pub fn is_online(self) -> bool {
        matches!(self, Phase::Online { .. })
    }

    /// A child that nobody has told to stop: spawning, warming or online.
    pub fn is_running(self) -> bool {
        matches!(self, Phase::Online { .. } | Phase::Spawning { .. } | Phase::Warming { .. })
    }
}

/// The pair of want and phase in words.
pub fn explain(want: Want, phase: Phase) -> &'static str {
    match (want, phase) {
        (Want::Up, Phase::Backoff { .. }) => "exited; waiting to be started again",
        (Want::Up, Phase::Errored) => "given up after its last exit; start it to try again",
        (Want::Up, Phase::Idle) => "exited in a way after which it is to stay down",
        (Want::Up, Phase::Online { .. }) => "running, as asked",
        (Want::Up, Phase::Reaping { .. }) => "exited; the rest of its processes are being ended",
        (Want::Up, Phase::Spawning { .. }) => "being started",
        (Want::Up, Phase::Stopping { .. }) => "going down; what follows is decided when it is gone",
        (Want::Up, Phase::Waiting) => "waits for the apps that it depends on",
        (Want::Up, Phase::Warming { .. }) => "running, not ready yet",
        (Want::Down, Phase::Idle) => "stopped, as asked",
        (Want::Down, Phase::Backoff { .. } | Phase::Errored | Phase::Waiting) => {
            "about to be stopped"
        }
        (Want::Down, Phase::Online { .. } | Phase::Spawning { .. } | Phase::Warming { .. }) => {
            "about to be told to stop"
        }
        (Want::Down, Phase::Stopping { .. }) => "told to stop; not gone yet",
        (Want::Down, Phase::Reaping { .. }) => "stopped; the rest of its processes not gone yet",
        (Want::Gone, Phase::Backoff { .. } | Phase::Errored | Phase::Idle | Phase::Waiting) => {
            "about to be forgotten"
        }
        (Want::Gone, Phase::Online { .. } | Phase::Spawning { .. } | Phase::Warming { .. }) => {
            "about to be told to stop, then to be forgotten"
        }
        (Want::Gone, Phase::Stopping { .. }) => "told to stop, then to be forgotten",
        (Want::Gone, Phase::Reaping { .. }) => {
            "stopped; to be forgotten when the rest of its processes are gone"
        }
    }
}
