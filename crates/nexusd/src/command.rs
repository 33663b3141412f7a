//! What the front door asks of the loop that owns the state.

use std::sync::Arc;

use nexus_proto::{
    Actor, AppVerb, Apply, Diff, EventView, Operation, Problem, SendText, SignalApps, Snapshot,
    Start, Target, UpgradeDaemon,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::access::Access;
use crate::admission::Admitted;
use crate::environment::Wearer;
use crate::flush::Flush;

/// Commands that may wait for the loop; a client beyond that waits in its connection.
pub(crate) const COMMANDS_MAX: usize = 256;

/// One question or one request, with the place for the answer. A client that has gone away drops
/// its end; the work goes on.
#[derive(Debug)]
pub(crate) enum Command {
    /// Begin an operation, or find the one that the key began.
    Begin(Begin, oneshot::Sender<Result<Begun, Problem>>),
    /// A worker is beyond a limit.
    Breach(nexus_core::ChildId, nexus_core::Breach),
    /// The last lines of a failing worker have been read.
    Detail(Detail),
    /// A check has found something out about a worker.
    Found(crate::probes::Found),
    /// What an `apply` would do.
    Diff(Apply, oneshot::Sender<Result<Diff, Problem>>),
    /// Whose environment is asked for.
    Environment(Asked, oneshot::Sender<Result<Wearer, Problem>>),
    /// Recent events after a number.
    Events(u64, oneshot::Sender<Vec<EventView>>),
    /// All output of an app that is gone has been moved: let its descriptors go.
    Drained(nexus_spec::Name),
    /// Empty log files, or rotate them.
    Flush(Flushing, oneshot::Sender<Result<Vec<Flush>, Problem>>),
    /// End the daemon and leave the workers running: who asked, unless an operation did.
    Leave(Option<Actor>, oneshot::Sender<()>),
    /// The load of an app's workers, so many, asks for another number of them: what they use together,
    /// in percent of one CPU.
    Loaded(nexus_spec::Name, u16, u16, u64),
    /// A line of output goes to another file now.
    LogRenewed(nexus_log::LineId),
    /// The disk of a line of output is slow.
    LogSlow(nexus_log::LineId),
    /// The operation of a key.
    Operation(String, oneshot::Sender<Option<Begun>>),
    /// Keep the present list for `resurrect`: who asked.
    Save(Actor, oneshot::Sender<Result<u64, Problem>>),
    /// Somebody was refused what they asked for.
    Refused(Actor, String),
    /// Send a line to the stdin of workers.
    Send(Sending, oneshot::Sender<Result<Begun, Problem>>),
    /// Signal main processes.
    Signal(Signalling, oneshot::Sender<Result<Begun, Problem>>),
    /// The app of a name.
    Named(String, oneshot::Sender<Result<nexus_spec::Name, Problem>>),
    /// The fleet.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// Put another program in the place of both.
    Upgrade(Upgrading, oneshot::Sender<Result<Begun, Problem>>),
    /// What targets stand for.
    Targets(Vec<String>, oneshot::Sender<Result<Vec<Target>, Problem>>),
    /// A watcher of files has something to say.
    Watched { app: nexus_spec::Name, number: u64, report: crate::watching::Report },
}

/// The environment of one instance.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) app: String,
    pub(crate) instance: Option<u16>,
    /// Secrets too.
    pub(crate) reveal: bool,
    /// Who asks.
    pub(crate) by: Actor,
}

/// A line for the stdin of workers: it asks nothing of the core.
#[derive(Debug)]
pub(crate) struct Sending {
    /// The client's `Idempotency-Key`.
    pub(crate) key: String,
    /// Who asks.
    pub(crate) by: Actor,
    /// What, and to whom.
    pub(crate) asked: SendText,
}

/// Another program for the pair: it asks nothing of the core.
#[derive(Debug)]
pub(crate) struct Upgrading {
    /// The client's `Idempotency-Key`.
    pub(crate) key: String,
    /// Who asks.
    pub(crate) by: Actor,
    /// What.
    pub(crate) asked: UpgradeDaemon,
    /// The file, opened, or why it cannot be.
    pub(crate) program: Result<std::os::fd::OwnedFd, Problem>,
}

/// A signal for main processes: it asks nothing of the core.
#[derive(Debug)]
pub(crate) struct Signalling {
    /// The client's `Idempotency-Key`.
    pub(crate) key: String,
    /// Who asks.
    pub(crate) by: Actor,
    /// Which, and to whom.
    pub(crate) asked: SignalApps,
}

/// Log files to be emptied or rotated: it asks nothing of the core, and may be done again.
#[derive(Debug)]
pub(crate) struct Flushing {
    /// Who asks.
    pub(crate) by: Actor,
    /// Whose.
    pub(crate) asked: nexus_proto::FlushLogs,
}

/// A request that changes something.
#[derive(Debug)]
pub(crate) struct Begin {
    /// The client's `Idempotency-Key`.
    pub(crate) key: String,
    /// Who asks.
    pub(crate) by: Actor,
    /// What.
    pub(crate) what: What,
    /// `[daemon]` of it with its names looked up.
    pub(crate) access: Option<Access>,
}

/// What is to be changed.
#[derive(Debug)]
pub(crate) enum What {
    /// Call a reload or a scaling off.
    Abort(AppVerb),
    /// Make it as the file says.
    Apply(Apply),
    Delete(AppVerb),
    /// Stop everything, then end the daemon.
    Kill,
    Reload(AppVerb),
    Reset(AppVerb),
    Restart(AppVerb),
    /// Back to a spec of before.
    Rollback(AppVerb),
    Scale(AppVerb),
    /// Start what was saved and is not there.
    Resurrect,
    Start(Start),
    StartKnown(AppVerb),
    Stop(AppVerb),
}

impl What {
    /// The apps of a file that it makes true, and whether they are all of the file.
    pub(crate) fn file(&self) -> Option<(&Start, bool)> {
        match self {
            What::Start(start) => Some((start, false)),
            What::Apply(apply) => Some((&apply.start, apply.whole)),
            What::Abort(_)
            | What::Delete(_)
            | What::Kill
            | What::Reload(_)
            | What::Reset(_)
            | What::Restart(_)
            | What::Rollback(_)
            | What::Scale(_)
            | What::Resurrect
            | What::StartKnown(_)
            | What::Stop(_) => None,
        }
    }
}

/// An operation and the mark after which it is durable.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) operation: Operation,
    pub(crate) mark: u64,
}

/// The last lines for one result of an operation.
#[derive(Debug)]
pub(crate) struct Detail {
    pub(crate) op: nexus_core::OpId,
    pub(crate) result: nexus_proto::AppResult,
}

/// The front door's end of it all.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) commands: mpsc::Sender<Command>,
    /// The snapshot's generation.
    pub(crate) generation: watch::Receiver<u64>,
    /// Changes whenever an operation does.
    pub(crate) operations: watch::Receiver<u64>,
    /// The number of the newest event.
    pub(crate) events: watch::Receiver<u64>,
    /// Changes up to this mark are durable.
    pub(crate) synced: watch::Receiver<u64>,
    /// What workers use.
    pub(crate) board: crate::sampling::Board,
    /// The home's state folder.
    pub(crate) state: std::path::PathBuf,
    /// Places for those who follow something.
    pub(crate) streams: Arc<tokio::sync::Semaphore>,
    /// Places for others than our own user and root.
    pub(crate) guests: Arc<tokio::sync::Semaphore>,
    /// Who may come in.
    pub(crate) admitted: watch::Receiver<Admitted>,
}

impl Front {
    /// Ask the loop; `None` = it is ending.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Wait until a mark is durable.
    pub(crate) async fn durable(&self, mark: u64) {
        let mut synced = self.synced.clone();
        // The sender lives as long as the process.
        let _ = synced.wait_for(|&done| done >= mark).await;
    }
}
