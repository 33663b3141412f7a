//! Everything the supervisor can do to the world: a closed list.
//!
//! The shell carries a turn's actions out in order. All `Keep` actions come first, then the
//! replies; what they say must be written, in one piece, before any other action of the turn is
//! begun: a crash between the two must repeat an action (every one is safe to repeat), never
//! forget one.

use nexus_spec::{Name, Signal, Span, Until};

use crate::event::{Breach, Cause, ChildId, Exam, Exit, Failure, OpId, SlotId, SpawnError, Time};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The exit of this child is judged and kept: the keeper may forget it.
    Acknowledge {
        /// Which.
        child: ChildId,
    },
    /// The answer to `Event::Examine`.
    Examined {
        /// Who was to be examined.
        of: ChildId,
        /// How the command ended, `NeverReady` after its time was over; `None` = it was not run, or
        /// the worker has ended meanwhile.
        exit: Option<Exit>,
    },
    /// SIGKILL to the whole tree. No pid: only the keeper knows what has been recycled. Repeated
    /// by a deadline until the tree is gone.
    Kill {
        /// Which.
        child: ChildId,
    },
    /// Something changed that must outlive the daemon.
    Keep(Keep),
    /// Something for the journal of events.
    Note(Fact),
    /// An ask is answered. The outcome must be written together with the turn's `Keep` actions
    /// (which say that nobody waits for it any more), so replies come right after those.
    Reply {
        /// The operation.
        op: OpId,
        /// The app that the ask was about.
        app: Name,
        /// How it ended.
        outcome: Outcome,
    },
    /// Run a program.
    Spawn {
        /// Its number, and the slot's.
        child: ChildId,
        /// Whose.
        app: Name,
        /// What for.
        purpose: Purpose,
        /// The spec's generation it runs with.
        generation: u64,
        /// What the keeper does at its exit if no daemon is there.
        on_exit: OnExit,
    },
    /// A signal to the main process; the keeper passes it on to the rest of the tree when the main
    /// process has gone, and drops the child's `OnExit`.
    Terminate {
        /// Which.
        child: ChildId,
        /// The app's `stop_signal`.
        signal: Signal,
    },
    /// Begin an operation of our own on an app, and answer with `Event::Undertaken` next. Its number
    /// and what that leads to are kept together, so that a crash in between forgets both.
    Undertake {
        /// Which app.
        app: Name,
        /// Why.
        cause: Cause,
    },
}

/// What a program is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The app's `build` command; it has no slot.
    Build,
    /// A check of an instance's worker.
    Exam {
        /// 0, 1, 2 … within the app.
        instance: u16,
        /// The slot's number in the home.
        id: SlotId,
        /// Which check.
        exam: Exam,
    },
    /// An instance of the app.
    Worker {
        /// 0, 1, 2 … within the app.
        instance: u16,
        /// The slot's number in the home.
        id: SlotId,
    },
}

/// What follows an exit while no daemon is there: decided beforehand, carried out at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnExit {
    /// The successor's number, reserved; `None` = leave it.
    pub next: Option<ChildId>,
    /// From the exit to the successor's spawn.
    pub delay: Span,
    /// Exit codes after which it stays down.
    pub stay_codes: Vec<u8>,
}

/// What changed and must be kept. The shell reads the details from the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// An app as a whole, with all its slots: `App::record()`, and `State::next_slot_id()`.
    App(Name),
    /// The app is forgotten, and with it all that was kept of it.
    Gone(Name),
    /// Who waits for what of an app: `App::pending()` in place of what was kept.
    Pending(Name),
    /// One slot: `Slot::record()`.
    Slot(Name, u16),
    /// The specs that an app has had: `App::versions()`.
    Versions(Name),
}

/// Something that happened, for people: one line of `events`. `after` is how long the child had
/// lived (`Ready`, `Built`: had taken).
#[expect(missing_docs, reason = "the same few fields throughout, each named by its type")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A worker is replaced: it went beyond a limit. `after` is how long it had lived.
    Breached { app: Name, instance: u16, child: ChildId, breach: Breach, after: Span },
    /// The build ended.
    Built { app: Name, child: ChildId, exit: Exit, after: Span },
    /// The build began.
    BuildStarted { app: Name, child: ChildId },
    /// The app is forgotten.
    Deleted { app: Name },
    /// Given up: too many unstable exits, or it can not be run at all.
    Errored { app: Name, instance: u16, exit: Exit, exits: u32 },
    /// A worker's main process ended. `asked` = we had told it to. `again_at` = when it is to be
    /// tried again.
    Exited {
        app: Name,
        instance: u16,
        child: ChildId,
        exit: Exit,
        after: Span,
        asked: bool,
        again_at: Option<Time>,
    },
    /// The app seems to change its own files: it was replaced `after` times, each time followed by
    /// a change; the next replacement waits.
    HeldBack { app: Name, after: u32, until: Time },
    /// SIGKILL after the stop time-out.
    Killed { app: Name, instance: u16, child: ChildId },
    /// A worker is ready.
    Ready { app: Name, instance: u16, child: ChildId, after: Span },
    /// How a reload goes.
    Reload { app: Name, generation: u64, milestone: Milestone },
    /// A worker has taken the place of another.
    Replaced { app: Name, instance: u16, old: ChildId, child: ChildId, why: Why },
    /// Restarts are counted from 0 again.
    Reset { app: Name, instance: Option<u16> },
    /// A run of a job was due.
    Run { app: Name, what: Run },
    /// There are to be more instances, or fewer.
    Scaled { app: Name, from: u16, to: u16 },
    /// A worker was spawned.
    Started { app: Name, instance: u16, child: ChildId },
    /// A worker was told to stop.
    Stopping { app: Name, instance: u16, child: ChildId },
    /// An app is to start, and waits for another one first.
    Waits { app: Name, on: Name, until: Until },
    /// A worker has not finished in time what it had begun, and is told again.
    Undrained { app: Name, instance: u16, child: ChildId },
}

/// What becomes of a run that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It begins.
    Begun,
    /// It waits for the end of the one before.
    Queued,
    /// It begins when the one before, which is stopped, has gone.
    Replaced,
    /// It is left out: the one before has not ended.
    Skipped,
}

/// How a reload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// It begins.
    Begun {
        /// How many are to be replaced.
        instances: u16,
        /// A new worker is ready before an old one goes.
        overlaps: bool,
    },
    /// A successor failed; the worker that it was to replace serves on.
    KeptOld(Failure),
    /// All workers are of its generation.
    Done,
    /// It was given up: a new worker failed, or (`None`) somebody aborted it. What was before
    /// serves.
    RolledBack {
        /// Why.
        failure: Option<Failure>,
        /// But for so many instances, which have new workers of the same spec.
        replaced: u16,
        /// And for so many, which could not be put back.
        stuck: u16,
    },
    /// So many new workers are watched for so long before it goes on.
    Watched {
        /// How many.
        instances: u16,
        /// For how long.
        soak: Span,
    },
    /// It goes back to the old spec, worker by worker.
    RollingBack(Option<Failure>),
}

/// Why a worker has taken the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// A reload was asked for.
    Asked,
    /// The other one went beyond a limit.
    Breach,
    /// The other one had ended before it was told to.
    Ended,
}

/// How an ask ended, for one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is true now.
    Done,
    /// Somebody called it off.
    Aborted,
    /// Start of an app whose slots all were up already, with the same spec; nothing was done.
    AlreadyRunning,
    /// The build failed; nothing else was changed.
    BuildFailed {
        /// How it ended.
        exit: Exit,
        /// It was for a reload: what was before serves.
        old_serves: bool,
    },
    /// Another operation on the app is under way; nothing was changed.
    Busy {
        /// Which.
        with: OpId,
    },
    /// It is over, or of a kind that cannot be aborted; nothing was changed.
    CannotAbort,
    /// Start with another spec than that of the running app; nothing was changed.
    Conflict,
    /// No app, or no instance, of that name.
    NotFound,
    /// A rollback of an app that has had no such spec; nothing was changed.
    NoVersion,
    /// A reload that was given up: what was before serves.
    RolledBack {
        /// The new worker that failed; `None` = somebody aborted it.
        failure: Option<Failure>,
        /// Instances that have new workers: the spec is the same, so there is no going back.
        replaced: u16,
        /// Instances that could not be put back.
        stuck: u16,
    },
    /// Nothing was changed: what it depends on failed in the same operation.
    Spared {
        /// Which app.
        on: Name,
    },
    /// A later ask for the same app overtook this one.
    Superseded,
    /// A worker ended before it was ready. It is tried again at `again_at`, if that is given.
    StartFailed {
        /// Which slot.
        instance: u16,
        /// The child that failed.
        child: ChildId,
        /// How it ended.
        exit: Exit,
        /// How long it had lived.
        after: Span,
        /// When it is tried again; `None` = it is given up.
        again_at: Option<Time>,
    },
    /// It waits for another app, and starts by itself once that has come so far.
    Waits {
        /// Which app.
        on: Name,
        /// How far it has to come.
        until: Until,
    },
}

impl SpawnError {
    /// The errno of the call that failed.
    pub fn errno(self) -> i32 {
        match self {
            SpawnError::Permanent(errno) | SpawnError::Resources(errno) => errno,
        }
    }
}
