//! Everything that can happen to the supervisor: a closed list.

use nexus_spec::{AppSpec, Name, Span};

use crate::timetable::Chime;

/// A moment in milliseconds on the machine's boot clock (`CLOCK_BOOTTIME`), so that moments stay
/// comparable across deaths of the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl std::ops::Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub for Time {
    type Output = Span;
    fn sub(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// One spawned process, by our number: chosen by the core when it orders a spawn, and never used
/// twice in a home. A pid can be recycled by the kernel; a `ChildId` cannot, so an event about a
/// child long gone finds nobody and is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub u64);

/// The kernel's number of a process. Recycled; never a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub i32);

/// The number that users type for a slot (`pm_id`). Never reused in a home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// One operation that a client asked for. Chosen by the shell; lives as long as its
/// `Idempotency-Key` does, also across deaths of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It exited with this code (0 to 255).
    Code(u8),
    /// This signal ended it.
    Signal(i32),
    /// The same, and the kernel wrote a core or gave it to a program for that.
    Core(i32),
    /// It was not ready in time, and we ended it.
    NeverReady,
    /// It never ran.
    NotSpawned(SpawnError),
    /// It went beyond this limit, and we replaced it.
    OverLimit(Limit),
    /// It is gone and the kernel could not say how. Counts as a crash, matches no stop code.
    Unknown,
}

/// Why a process never ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpawnError {
    /// The program, its interpreter or its directory is missing or may not be used: trying again
    /// changes nothing, so the worker is given up at once. The errno of the call.
    Permanent(i32),
    /// The machine had no room (EAGAIN, ENOMEM, EMFILE …): tried again with backoff. The errno.
    Resources(i32),
}

/// Which of a worker's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exam {
    /// Whether it is ready.
    Ready,
    /// Whether it is well.
    Health,
}

/// A new worker that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// In which slot.
    pub instance: u16,
    /// Which child.
    pub child: ChildId,
    /// How it ended.
    pub exit: Exit,
    /// How long it had lived.
    pub after: Span,
    /// When it failed.
    pub at: Time,
}

/// What a worker went beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Failures of its health check in a row.
    Health,
    /// A line of its output matches `rollback_on.log`: of one that a reload watches.
    Log,
    /// The memory of its whole tree, in bytes.
    Memory,
    /// The same, of one that a reload watches: `rollback_on.memory`.
    TrialMemory,
    /// The time since it last said that it is alive, in milliseconds.
    Watchdog,
}

/// A worker has gone beyond a limit for as long as its spec allows: the figures that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Breach {
    /// Which limit.
    pub limit: Limit,
    /// What was measured, in the limit's unit.
    pub measured: u64,
    /// What is allowed, in the limit's unit.
    pub allowed: u64,
    /// How long it had been beyond it.
    pub lasted: Span,
}

/// Why we do something to an app that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its files have changed.
    Changed,
    /// A time of its `cron_restart` has come.
    Cron,
    /// Its load asks for another number of workers.
    Load {
        /// How many there are.
        from: u16,
        /// How many there are to be.
        to: u16,
        /// What they use together, in percent of one CPU.
        used: u64,
    },
}

/// Everything that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A child says that it is alive (`WATCHDOG=1`).
    Alive {
        /// Which.
        child: ChildId,
    },
    /// A client wants something.
    Asked {
        /// To be answered by `Action::Reply` with the same number.
        op: OpId,
        /// What it wants.
        ask: Ask,
    },
    /// A child is beyond a limit. To be told again with each measurement for as long as that is
    /// true: one that comes at a bad moment (the child is not online, its app is being reloaded) is
    /// ignored.
    Breach {
        /// Which.
        child: ChildId,
        /// By how much.
        breach: Breach,
    },
    /// Files that an app watches have changed; what came together is told once.
    Changed {
        /// Whose.
        app: Name,
    },
    /// A check of a child is a command, and is to be run.
    Examine {
        /// Whom it examines.
        of: ChildId,
        /// Which check.
        exam: Exam,
        /// A command that runs for longer is ended, and has failed.
        patience: Span,
    },
    /// A child's main process is gone; `at` is when.
    Exited {
        /// Which.
        child: ChildId,
        /// How.
        exit: Exit,
        /// When, by the keeper's clock (the same boot clock).
        at: Time,
        /// Nothing of its tree was left when it went.
        tree_gone: bool,
    },
    /// The load of an app asks for another number of workers, as [`Load`](crate::Load) has judged. To
    /// be told again for as long as that is true: at a bad moment (something else is being done to
    /// the app, not all of its instances are up) it is ignored.
    Loaded {
        /// Whose.
        app: Name,
        /// How many there are.
        from: u16,
        /// How many there are to be.
        to: u16,
        /// What they use together, in percent of one CPU.
        used: u64,
    },
    /// Another process of a child's tree is its main one from here on, as it says.
    Main {
        /// Which.
        child: ChildId,
        /// That process.
        pid: Pid,
    },
    /// A child is ready: it said so, or a check did.
    Ready {
        /// Which.
        child: ChildId,
    },
    /// A child's health check has found it well, for the first time or again. That it is not well is
    /// a breach.
    Well {
        /// Which.
        child: ChildId,
    },
    /// A child asks for more time: to become ready, or to end.
    Extend {
        /// Which.
        child: ChildId,
        /// It has at least until then.
        until: Time,
    },
    /// The keeper carried out the `OnExit` of `old` in the daemon's absence: `new` was spawned in
    /// its place. Told after the `Exited` of `old`.
    Respawned {
        /// The one that exited.
        old: ChildId,
        /// Its successor, `OnExit::next` of the order of `old`.
        new: ChildId,
        /// The successor's pid.
        pid: Pid,
    },
    /// A spawn that was ordered did not come about, or `execve` failed.
    SpawnFailed {
        /// Which.
        child: ChildId,
        /// Why.
        error: SpawnError,
    },
    /// A child executes its program.
    Spawned {
        /// Which.
        child: ChildId,
        /// Its pid.
        pid: Pid,
    },
    /// A set time of an app has come.
    Struck {
        /// Whose.
        app: Name,
        /// For what.
        chime: Chime,
    },
    /// A deadline may have passed; the core looks for itself.
    Tick,
    /// After its main process had gone: nothing of a child's tree is left.
    TreeGone {
        /// Which.
        child: ChildId,
    },
    /// The answer to `Action::Undertake`: the operation has its number.
    Undertaken {
        /// To be answered by `Action::Reply` with the same number.
        op: OpId,
        /// Which app.
        app: Name,
        /// Why.
        cause: Cause,
    },
}

/// What a client may want of one app. An operation on several apps is several asks with the same
/// `OpId`; each is answered on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Call an operation off that is under way: a reload goes back to what was before, a scaling
    /// to the number of before. Others cannot be.
    Abort {
        /// Which app.
        app: Name,
        /// Which operation.
        of: OpId,
    },
    /// Stop it, then forget it.
    Delete {
        /// Which app.
        app: Name,
    },
    /// Replace workers one after another without a gap where two can run at once: see
    /// [`App::overlaps`](crate::App::overlaps).
    Reload {
        /// Which app.
        app: Name,
        /// Only this instance.
        instance: Option<u16>,
        /// In place of the stored spec, with its resolved number of instances.
        spec: Option<(Box<AppSpec>, u16)>,
        /// How many at once, at least 1.
        parallel: u16,
        /// Take over from a reload or a scaling that is under way.
        replace: bool,
    },
    /// Count restarts from 0 again, of all slots or one.
    Reset {
        /// Which app.
        app: Name,
        /// Only this instance.
        instance: Option<u16>,
    },
    /// Stop and start again, all slots or one, with the stored spec or a new one.
    Restart {
        /// Which app.
        app: Name,
        /// Only this instance.
        instance: Option<u16>,
        /// In place of the stored spec, with its resolved number of instances.
        spec: Option<(Box<AppSpec>, u16)>,
    },
    /// Reload it to a spec that it has had.
    Rollback {
        /// Which app.
        app: Name,
        /// The generation with which that spec came; `None` = the one before the present one.
        to: Option<u64>,
        /// How many at once, at least 1.
        parallel: u16,
        /// Take over from a reload or a scaling that is under way.
        replace: bool,
    },
    /// Have so many instances run. None at all: the first one stays, stopped.
    Scale {
        /// Which app.
        app: Name,
        /// How many.
        to: u16,
    },
    /// Make it run: a new app, or one that is stopped (`spec` = its stored one).
    Start {
        /// The app.
        spec: Box<AppSpec>,
        /// Its instances, resolved.
        instances: u16,
    },
    /// Make stopped slots of an app that is known run, all or one.
    StartKnown {
        /// Which app.
        app: Name,
        /// Only this instance.
        instance: Option<u16>,
    },
    /// Stop it, all slots or one; it stays known.
    Stop {
        /// Which app.
        app: Name,
        /// Only this instance.
        instance: Option<u16>,
    },
}

impl Ask {
    /// The app it is about.
    pub fn app(&self) -> &Name {
        match self {
            Ask::Abort { app, .. }
            | Ask::Delete { app }
            | Ask::Reload { app, .. }
            | Ask::Reset { app, .. }
            | Ask::Restart { app, .. }
            | Ask::Rollback { app, .. }
            | Ask::Scale { app, .. }
            | Ask::StartKnown { app, .. }
            | Ask::Stop { app, .. } => app,
            Ask::Start { spec, .. } => &spec.name,
        }
    }
}
