//! What is kept on disk, in the form in which it is kept: apart from the core's own types, so that
//! a change there is no change of the files.

use nexus_core::{
    AppRecord, ChildId, Goal, Next, OpId, Past, PendingAsk, Plan, SlotId, SlotRecord, Time,
    Waiting, Want,
};
use nexus_proto::EventView;
use nexus_spec::{AppSpec, Name};
use serde::{Deserialize, Serialize};

use crate::exits::StoredExit;
use crate::history::StoredVersion;
use crate::ops::Op;
use crate::origin::Origin;
use crate::rolling::{StoredReload, StoredSuccessor};
use crate::runs::Run;
use crate::vault::{Sealed, Vault};

/// One thing that is kept. A later one about the same thing replaces an earlier one. A line of the
/// file of intents is a list of them: what one turn changed is kept whole or not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// An app with all its slots.
    App(Box<StoredApp>),
    /// Times in later lines are of this boot of the machine.
    Boot { boot_id: String },
    /// An app is forgotten.
    Gone { app: Name },
    /// An operation.
    Operation(Box<Op>),
    /// All who wait for an answer about an app, in place of those who waited before.
    Pending { app: Name, asks: Vec<StoredPending> },
    /// A child that runs: what a cold start needs to find it again.
    Run(Run),
    /// What the journal tells of the rest of the line.
    Told { events: Vec<EventView> },
    /// A slot.
    Slot { app: Name, slot: StoredSlot },
    /// All specs that an app has had, in place of what was said of them before.
    Versions { app: Name, versions: Vec<StoredVersion> },
    /// The next number for a slot.
    NextSlot { id: u32 },
}

/// An app as asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredApp {
    pub(crate) spec: AppSpec,
    pub(crate) generation: u64,
    /// The generation with which the spec came first; an older file says nothing: 0.
    #[serde(default)]
    version: u64,
    /// A rollback that was last asked for leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returning: Option<u64>,
    pub(crate) built: Option<u64>,
    pub(crate) plan: Option<StoredPlan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reload: Option<StoredReload>,
    pub(crate) slots: Vec<StoredSlot>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) queued: bool,
    /// What the core does not know: where it came from.
    pub(crate) origin: Origin,
    /// The secrets among the variables, which stand nowhere else.
    #[serde(default)]
    sealed: StoredSecrets,
}

/// Encrypted values of secret variables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StoredSecrets {
    /// Of the spec's `env`.
    env: Sealed,
    /// Of the `env` of the spec that is to come.
    planned: Sealed,
    /// Of the caller's environment.
    base_env: Sealed,
    /// Of the `env` of the spec that a reload brings.
    reloading: Sealed,
    /// Of the environment of who asked for that.
    arriving: Sealed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredPlan {
    change: Option<(AppSpec, u16)>,
    new: bool,
    /// Older files have only plans that do.
    #[serde(default = "builds")]
    builds: bool,
    since: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredSlot {
    id: u32,
    pub(crate) instance: u16,
    want: StoredWant,
    next: StoredNext,
    restarts: u64,
    exits: Vec<u64>,
    streak: u32,
    last_exit: Option<StoredExit>,
    settled: u64,
    generation: u64,
    child: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    successor: Option<StoredSuccessor>,
    #[serde(default)]
    spurned: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredWant {
    Down,
    Gone,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredNext {
    At(u64),
    GivenUp,
    Run,
    Stay,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredPending {
    op: u64,
    app: Name,
    instance: Option<u16>,
    goal: StoredGoal,
    building: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredGoal {
    Down,
    Fresh(u64),
    Gone,
    Online,
    Reloaded(u16),
    Scaled(u16),
}

impl StoredApp {
    pub(crate) fn new(record: &AppRecord, origin: &Origin, vault: &Vault) -> StoredApp {
        let mut stored = StoredApp {
            spec: record.spec.clone(),
            generation: record.generation,
            version: record.version,
            returning: record.returning,
            built: record.built,
            plan: record.plan.as_ref().map(StoredPlan::new),
            reload: record.reload.as_ref().map(StoredReload::new),
            slots: record.slots.iter().map(StoredSlot::new).collect(),
            queued: record.queued,
            origin: origin.clone(),
            sealed: StoredSecrets::default(),
        };
        stored.sealed.base_env = vault.take(&record.spec, &mut stored.origin.base_env);
        stored.sealed.env = vault.take(&record.spec, &mut stored.spec.env);
        if let Some((planned, _)) = stored.plan.as_mut().and_then(|plan| plan.change.as_mut()) {
            let spec = planned.clone();
            stored.sealed.planned = vault.take(&spec, &mut planned.env);
        }
        let incoming = stored.incoming();
        if let Some(arriving) = &mut stored.origin.arriving {
            stored.sealed.arriving = vault.take(&incoming, &mut arriving.base_env);
        }
        if let Some((spec, _)) = stored.reload.as_mut().and_then(|reload| reload.change.as_mut()) {
            stored.sealed.reloading = vault.take(&incoming, &mut spec.env);
        }
        stored
    }

    /// Puts the secrets back among the variables. Those that the key does not open are lost, which
    /// is said.
    pub(crate) fn unseal(&mut self, vault: &Vault) {
        let sealed = std::mem::take(&mut self.sealed);
        let spec = self.spec.clone();
        let mut lost = vault.put_back(&spec, sealed.base_env, &mut self.origin.base_env);
        lost.extend(vault.put_back(&spec, sealed.env, &mut self.spec.env));
        if let Some((planned, _)) = self.plan.as_mut().and_then(|plan| plan.change.as_mut()) {
            let spec = planned.clone();
            lost.extend(vault.put_back(&spec, sealed.planned, &mut planned.env));
        }
        let incoming = self.incoming();
        if let Some(arriving) = &mut self.origin.arriving {
            let base_env = &mut arriving.base_env;
            lost.extend(vault.put_back(&incoming, sealed.arriving, base_env));
        }
        if let Some((spec, _)) = self.reload.as_mut().and_then(|reload| reload.change.as_mut()) {
            lost.extend(vault.put_back(&incoming, sealed.reloading, &mut spec.env));
        }
        if !lost.is_empty() {
            let names = lost.join(", ");
            tracing::error!(app = %spec.name, "state/key does not open {names}: start the app from \
                             its file again");
        }
    }

    /// The spec that is to come: by its rules what comes with it is secret.
    fn incoming(&self) -> AppSpec {
        let reloading = self.reload.as_ref().and_then(|reload| reload.change.as_ref());
        let planned = self.plan.as_ref().and_then(|plan| plan.change.as_ref());
        reloading.or(planned).map_or(&self.spec, |(spec, _)| spec).clone()
    }

    /// The core's record of it, but for what it has been.
    pub(crate) fn record(&self) -> AppRecord {
        AppRecord {
            spec: self.spec.clone(),
            generation: self.generation,
            version: self.version,
            versions: Vec::new(),
            returning: self.returning,
            built: self.built,
            plan: self.plan.as_ref().map(StoredPlan::plan),
            reload: self.reload.as_ref().map(StoredReload::reload),
            slots: self.in_order().map(StoredSlot::record).collect(),
            queued: self.queued,
        }
    }

    /// The slots of instances 0, 1, 2 … What a damaged file says beyond them has no place.
    fn in_order(&self) -> impl Iterator<Item = &StoredSlot> {
        (0..).map_while(|instance| {
            let is_it = |slot: &&StoredSlot| slot.instance == instance;
            let in_its_place = self.slots.get(usize::from(instance)).filter(is_it);
            in_its_place.or_else(|| self.slots.iter().find(is_it))
        })
    }

    /// Some instance is wanted up.
    pub(crate) fn is_wanted(&self) -> bool {
        self.slots.iter().any(|slot| slot.want == StoredWant::Up)
    }
}

fn builds() -> bool {
    true
}

impl StoredPlan {
    fn new(plan: &Plan) -> StoredPlan {
        StoredPlan {
            change: plan.change.as_ref().map(|(spec, count)| ((**spec).clone(), *count)),
            new: plan.new,
            builds: plan.builds,
            since: plan.since.0,
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            change: self.change.clone().map(|(spec, count)| (Box::new(spec), count)),
            new: self.new,
            builds: self.builds,
            since: ChildId(self.since),
        }
    }
}

impl StoredSlot {
    pub(crate) fn new(slot: &SlotRecord) -> StoredSlot {
        StoredSlot {
            id: slot.id.0,
            instance: slot.instance,
            want: match slot.want {
                Want::Down => StoredWant::Down,
                Want::Gone => StoredWant::Gone,
                Want::Up => StoredWant::Up,
            },
            next: match slot.next {
                Next::At(at) => StoredNext::At(at.0),
                Next::GivenUp => StoredNext::GivenUp,
                Next::Run => StoredNext::Run,
                Next::Stay => StoredNext::Stay,
            },
            restarts: slot.restarts,
            exits: slot.past.exits.iter().map(|at| at.0).collect(),
            streak: slot.past.streak,
            last_exit: slot.last_exit.as_ref().map(StoredExit::new),
            settled: slot.settled.0,
            generation: slot.generation,
            child: slot.child.map(|child| child.0),
            moved_to: slot.moved_to,
            successor: slot.successor.as_ref().map(StoredSuccessor::new),
            spurned: slot.spurned.0,
        }
    }

    pub(crate) fn record(&self) -> SlotRecord {
        SlotRecord {
            id: SlotId(self.id),
            instance: self.instance,
            want: match self.want {
                StoredWant::Down => Want::Down,
                StoredWant::Gone => Want::Gone,
                StoredWant::Up => Want::Up,
            },
            next: match self.next {
                StoredNext::At(at) => Next::At(Time(at)),
                StoredNext::GivenUp => Next::GivenUp,
                StoredNext::Run => Next::Run,
                StoredNext::Stay => Next::Stay,
            },
            restarts: self.restarts,
            past: Past {
                exits: self.exits.iter().map(|&at| Time(at)).collect(),
                streak: self.streak,
            },
            last_exit: self.last_exit.as_ref().map(StoredExit::last_exit),
            settled: ChildId(self.settled),
            generation: self.generation,
            child: self.child.map(ChildId),
            moved_to: self.moved_to,
            successor: self.successor.as_ref().map(StoredSuccessor::record),
            spurned: ChildId(self.spurned),
        }
    }

    /// The machine has been booted since: moments of the old boot mean nothing any more, and what
    /// had been given up is worth another try.
    pub(crate) fn after_boot(&mut self) {
        self.successor = None;
        self.exits.clear();
        self.streak = 0;
        if let Some(exit) = &mut self.last_exit {
            exit.at = 0;
        }
        self.next = match self.next {
            StoredNext::Stay => StoredNext::Stay,
            StoredNext::At(_) | StoredNext::GivenUp | StoredNext::Run => StoredNext::Run,
        };
    }

    /// The highest child number that it knows of.
    pub(crate) fn last_child(&self) -> u64 {
        let successor = self.successor.as_ref().map_or(0, StoredSuccessor::child);
        let known = [self.settled, self.spurned, successor, self.child.unwrap_or(0)];
        let known = known.into_iter().max().unwrap_or(0);
        self.last_exit.map_or(0, |exit| exit.child).max(known)
    }
}

impl StoredPending {
    pub(crate) fn new(ask: &PendingAsk) -> StoredPending {
        StoredPending {
            op: ask.waiting.op.0,
            app: ask.app.clone(),
            instance: ask.instance,
            goal: match ask.waiting.goal {
                Goal::Down => StoredGoal::Down,
                Goal::Fresh { generation } => StoredGoal::Fresh(generation),
                Goal::Gone => StoredGoal::Gone,
                Goal::Online => StoredGoal::Online,
                Goal::Reloaded { parallel } => StoredGoal::Reloaded(parallel),
                Goal::Scaled { from } => StoredGoal::Scaled(from),
            },
            building: ask.waiting.building,
        }
    }

    pub(crate) fn ask(&self) -> PendingAsk {
        PendingAsk {
            app: self.app.clone(),
            instance: self.instance,
            waiting: Waiting {
                op: OpId(self.op),
                goal: match self.goal {
                    StoredGoal::Down => Goal::Down,
                    StoredGoal::Fresh(generation) => Goal::Fresh { generation },
                    StoredGoal::Gone => Goal::Gone,
                    StoredGoal::Online => Goal::Online,
                    StoredGoal::Reloaded(parallel) => Goal::Reloaded { parallel },
                    StoredGoal::Scaled(from) => Goal::Scaled { from },
                },
                building: self.building,
            },
        }
    }
}
