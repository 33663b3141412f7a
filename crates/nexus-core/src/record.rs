//! What must outlive the daemon, as plain data for the shell to write and read.

use nexus_spec::{AppSpec, Name};

use crate::event::{ChildId, OpId, SlotId};
use crate::phase::{Next, Want};
use crate::restart::Past;
use crate::slot::LastExit;

/// Everything kept, as read from disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intents {
    /// All apps.
    pub apps: Vec<AppRecord>,
    /// The next number that users may type for a slot.
    pub next_slot_id: u32,
    /// Asks that have not been answered.
    pub pending: Vec<PendingAsk>,
}

/// One app as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRecord {
    /// As asked for; the name is in it.
    pub spec: AppSpec,
    /// Grows with every new spec and every restart.
    pub generation: u64,
    /// The generation whose spec was built, if it has a build and that has been run.
    pub built: Option<u64>,
    /// What waits for a build that runs or is about to.
    pub plan: Option<Plan>,
    /// Its slots by instance, from 0 without a gap.
    pub slots: Vec<SlotRecord>,
}

/// One slot as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRecord {
    /// The number that users type.
    pub id: SlotId,
    /// 0, 1, 2 … within the app.
    pub instance: u16,
    /// What is asked for.
    pub want: Want,
    /// What follows when nothing of it lives, while it is wanted up.
    pub next: Next,
    /// Restarts that nobody asked for: done, or due.
    pub restarts: u64,
    /// What earlier exits have cost it.
    pub past: Past,
    /// How the last child ended.
    pub last_exit: Option<LastExit>,
    /// No exit of a child up to this one is judged (again).
    pub settled: ChildId,
    /// The spec's generation of its last child.
    pub generation: u64,
}

/// A build that runs or is about to. What is done when it has succeeded is what those wait for
/// who wait for it: see [`Waiting::building`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The spec that is built and its resolved number of instances; `None` = the stored one.
    pub change: Option<(Box<AppSpec>, u16)>,
    /// The app came with this ask: if the build fails, it is forgotten.
    pub new: bool,
    /// A build up to this number was ordered for an earlier plan.
    pub since: ChildId,
}

/// One ask that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// To be answered with this number.
    pub op: OpId,
    /// What must be true.
    pub goal: Goal,
    /// Not before the build that runs has succeeded.
    pub building: bool,
}

/// One ask that waits for its answer, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingAsk {
    /// Which app.
    pub app: Name,
    /// Only this instance.
    pub instance: Option<u16>,
    /// Who waits for what.
    pub waiting: Waiting,
}

/// What must be true before an ask is answered with `Done`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Nothing lives.
    Down,
    /// Online with this generation or a later one.
    Fresh {
        /// The generation.
        generation: u64,
    },
    /// Forgotten.
    Gone,
    /// Online.
    Online,
}

impl Goal {
    /// It waits for workers to become ready.
    pub(crate) fn is_up(self) -> bool {
        match self {
            Goal::Fresh { .. } | Goal::Online => true,
            Goal::Down | Goal::Gone => false,
        }
    }
}

impl SlotRecord {
    /// A slot that nothing has happened to yet.
    pub fn new(id: SlotId, instance: u16) -> SlotRecord {
        SlotRecord {
            id,
            instance,
            want: Want::Down,
            next: Next::Run,
            restarts: 0,
            past: Past::default(),
            last_exit: None,
            settled: ChildId(0),
            generation: 0,
        }
    }
}
