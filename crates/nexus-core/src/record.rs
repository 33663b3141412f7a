//! What must outlive the daemon, as plain data for the shell to write and read.

use std::sync::Arc;

use nexus_spec::{AppSpec, Name};

use crate::event::{ChildId, Failure, Limit, OpId, SlotId};
use crate::phase::{Next, Want};
use crate::restart::Past;
use crate::slot::LastExit;
use crate::versions::Version;

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
    /// The generation with which its spec came first; 0 = it is not known, and is taken as its own.
    pub version: u64,
    /// The specs that it has had, which are kept apart from the rest: see [`Keep::Versions`].
    ///
    /// [`Keep::Versions`]: crate::Keep::Versions
    pub versions: Vec<Arc<Version>>,
    /// The generation that a rollback leads to.
    pub returning: Option<u64>,
    /// The generation whose spec was built, if it has a build and that has been run.
    pub built: Option<u64>,
    /// What waits for a build that runs or is about to.
    pub plan: Option<Plan>,
    /// The reload that is under way.
    pub reload: Option<Reload>,
    /// A run of a job waits for the end of the one before.
    pub queued: bool,
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
    /// The child that it had when this was written. Later ones are not written: the keeper's roll
    /// tells of them.
    pub child: Option<ChildId>,
    /// The generation of the reload that its worker belongs to; `None` = it is the app's own.
    pub moved_to: Option<u64>,
    /// Who is to take its child's place once ready.
    pub successor: Option<SuccessorRecord>,
    /// No successor up to this one takes the slot any more.
    pub spurned: ChildId,
}

/// A successor as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessorRecord {
    /// Its number.
    pub child: ChildId,
    /// The slot's `moved_to`, once it has taken the place.
    pub moved_to: Option<u64>,
    /// To take the place is a restart that nobody asked for: the other one went beyond this limit.
    pub counts: Option<Limit>,
}

/// A reload that is under way: every worker of its scope is replaced, and if one of the new ones
/// fails, all go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Who waits for it.
    pub op: OpId,
    /// The generation of the new workers.
    pub generation: u64,
    /// Their spec and its resolved number of instances; `None` = the stored ones.
    pub change: Option<(Box<AppSpec>, u16)>,
    /// Only this instance.
    pub instance: Option<u16>,
    /// How many at once.
    pub parallel: u16,
    /// How many instances there were before.
    pub before: u16,
    /// Its build was run for it.
    pub built: bool,
    /// So many instances have been replaced and watched for long enough.
    pub tried: u16,
    /// So many watched workers have ended by themselves, and it goes on.
    pub ends: u16,
    /// On its way back to what was before.
    pub back: Option<Back>,
}

/// A reload that has failed or was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    /// Which new worker failed and how; `None` = somebody aborted it.
    pub failure: Option<Failure>,
    /// Who waits for the abort.
    pub aborter: Option<OpId>,
    /// Instances that could not be put back.
    pub stuck: u16,
}

/// A build that runs or is about to. What is done when it has succeeded is what those wait for
/// who wait for it: see [`Waiting::building`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The spec that is built and its resolved number of instances; `None` = the stored one.
    pub change: Option<(Box<AppSpec>, u16)>,
    /// The app came with this ask: if the build fails, it is forgotten.
    pub new: bool,
    /// The build command is run. If not, the plan waits only for what the app depends on, in the
    /// same operation.
    pub builds: bool,
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
    /// Reloaded, once the build has succeeded.
    Reloaded {
        /// How many at once.
        parallel: u16,
    },
    /// As many as wanted, all online, and nothing of the surplus left.
    Scaled {
        /// How many there were before.
        from: u16,
    },
}

impl Goal {
    /// It is about new workers in the places of others.
    pub(crate) fn is_new(self) -> bool {
        match self {
            Goal::Fresh { .. } | Goal::Reloaded { .. } => true,
            Goal::Down | Goal::Gone | Goal::Online | Goal::Scaled { .. } => false,
        }
    }

    /// It waits for workers to become ready.
    pub(crate) fn is_up(self) -> bool {
        match self {
            Goal::Fresh { .. } | Goal::Online | Goal::Reloaded { .. } | Goal::Scaled { .. } => true,
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
            child: None,
            moved_to: None,
            successor: None,
            spurned: ChildId(0),
        }
    }
}
