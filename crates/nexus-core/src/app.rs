//! One app: its spec, its slots, a build, who waits, and counts that make goals cheap to check.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nexus_spec::AppSpec;

use crate::changes::Changes;
use crate::depend::Patience;
use crate::event::{Exit, Time};
use crate::job;
use crate::phase::{Phase, Want};
use crate::record::{AppRecord, PendingAsk, Plan, Waiting};
use crate::rollout::Rollout;
use crate::slot::{Slot, Slots};
use crate::versions::Version;

/// One app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    pub(crate) spec: AppSpec,
    pub(crate) generation: u64,
    /// The generation with which its spec came first.
    pub(crate) version: u64,
    pub(crate) versions: Vec<Arc<Version>>,
    /// A rollback that is under way, or was last asked for, leads there.
    pub(crate) returning: Option<u64>,
    pub(crate) built: Option<u64>,
    pub(crate) build: Option<Build>,
    pub(crate) rollout: Option<Rollout>,
    pub(crate) changes: Changes,
    pub(crate) patience: Patience,
    /// A run of a job waits for the end of the one before.
    pub(crate) queued: bool,
    pub(crate) slots: Slots,
    pub(crate) counts: Counts,
    /// Children of this app that hold no seat any more, until they are gone.
    pub(crate) leaving: u32,
    /// At most one a scope (all instances, or one): a later ask overtakes an earlier one.
    pub(crate) waiting: BTreeMap<Option<u16>, Waiting>,
}

/// A build that runs, or waits for an earlier one to be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// What follows it.
    pub plan: Plan,
    /// The directory that it runs in: one build at a time.
    pub site: PathBuf,
    /// `Idle` (something of its own comes first: an app that it depends on, or what of it is
    /// leaving), `Waiting` (for other builds in its directory), `Spawning`, `Warming` (runs) or
    /// `Reaping`.
    pub phase: Phase,
    /// How its main process ended, while the rest of its tree is not gone yet.
    pub exit: Option<Exit>,
    /// When it was planned: who asks first builds first.
    pub asked: Time,
    /// When it was begun; until then, when it was planned.
    pub began: Time,
}

/// How many slots are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Online.
    pub online: u32,
    /// Has run to its end, with 0, and stays down by its spec.
    pub completed: u32,
    /// Online or completed with the app's generation.
    pub current: u32,
    /// Not wanted up, and nothing lives.
    pub down: u32,
    /// Its main process runs, and nobody has told it to stop.
    pub started: u32,
    /// Waits for the apps that its app depends on.
    pub waiting: u32,
    /// Wanted up.
    pub wanted: u32,
    /// Wanted up and neither given up, resting nor waiting for other apps.
    pub active: u32,
    /// To be forgotten.
    pub doomed: u32,
    /// Online, and its health check finds it well.
    pub well: u32,
}

impl Build {
    pub(crate) fn new(plan: Plan, site: PathBuf, now: Time) -> Build {
        Build { plan, site, phase: Phase::Idle, exit: None, asked: now, began: now }
    }
}

impl App {
    pub(crate) fn new(spec: AppSpec) -> App {
        App {
            spec,
            generation: 1,
            version: 1,
            versions: Vec::new(),
            returning: None,
            built: None,
            build: None,
            rollout: None,
            changes: Changes::default(),
            patience: Patience::default(),
            queued: false,
            slots: Slots::default(),
            counts: Counts::default(),
            leaving: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// What it was asked to be.
    pub fn spec(&self) -> &AppSpec {
        &self.spec
    }

    /// Grows with every new spec and every restart.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation whose spec was built, if it has a build and that has been run.
    pub fn built(&self) -> Option<u64> {
        self.built
    }

    /// The build that runs or is about to.
    pub fn build(&self) -> Option<&Build> {
        self.build.as_ref()
    }

    /// The reload that is under way.
    pub fn rollout(&self) -> Option<&Rollout> {
        self.rollout.as_ref()
    }

    /// What is known of changes of its files.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// It runs at set times, and is done when it exits.
    pub fn is_job(&self) -> bool {
        job::is_job(&self.spec)
    }

    /// A run waits for the end of the one before.
    pub fn queued(&self) -> bool {
        self.queued
    }

    /// All that is wanted of it is so: its workers are online, or, of a job, its runs are waited
    /// for.
    pub(crate) fn is_up(&self, instance: Option<u16>) -> bool {
        match (instance, self.is_job()) {
            (None, false) => self.all(self.counts.online),
            (None, true) => self.all(self.counts.wanted),
            (Some(one), job) => self.slots.get(one).is_some_and(|slot| {
                if job { slot.want == Want::Up } else { slot.phase.is_online() }
            }),
        }
    }

    /// The same, or they have run to their ends: nothing more is to come of it.
    pub(crate) fn has_come_up(&self, instance: Option<u16>) -> bool {
        self.is_up(instance)
            || match instance {
                None => self.all(self.counts.online + self.counts.completed),
                Some(one) => self.slots.get(one).is_some_and(Slot::is_completed),
            }
    }

    /// The spec of a child of this generation.
    pub fn spec_at(&self, generation: u64) -> &AppSpec {
        spec_of(&self.spec, self.rollout.as_ref(), Some(generation))
    }

    /// The spec of a slot's present worker, or of its next one.
    pub(crate) fn spec_in(&self, slot: &Slot) -> &AppSpec {
        spec_of(&self.spec, self.rollout.as_ref(), slot.moved_to)
    }

    /// Two workers of one slot can run at once, also if the other one is of this spec (`None`: the
    /// stored one): they are handed the socket, and neither binds it itself.
    pub fn overlaps(&self, other: Option<&AppSpec>) -> bool {
        !self.spec.listen.is_empty() && other.is_none_or(|other| !other.listen.is_empty())
    }

    /// How many slots it has.
    pub fn instances(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    /// All slots, by instance.
    pub fn slots(&self) -> &[Slot] {
        self.slots.all()
    }

    /// One slot.
    pub fn slot(&self, instance: u16) -> Option<&Slot> {
        self.slots.get(instance)
    }

    /// How many slots are what.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Children of this app that hold no slot any more and are not gone yet.
    pub fn leaving(&self) -> u32 {
        self.leaving
    }

    /// What is wanted of the app as a whole: `Up` if it is of any slot, or a build runs for it.
    pub fn want(&self) -> Want {
        if self.counts.doomed > 0 {
            Want::Gone
        } else if self.counts.wanted > 0 || self.build.is_some() {
            Want::Up
        } else {
            Want::Down
        }
    }

    /// Who waits for what of this app.
    pub fn pending(&self) -> Vec<PendingAsk> {
        let ask = |(&instance, &waiting): (&Option<u16>, &Waiting)| PendingAsk {
            app: self.spec.name.clone(),
            instance,
            waiting,
        };
        self.waiting.iter().map(ask).collect()
    }

    /// All that must outlive the daemon, who waits apart.
    pub fn record(&self) -> AppRecord {
        AppRecord {
            spec: self.spec.clone(),
            generation: self.generation,
            version: self.version,
            versions: self.versions.clone(),
            returning: self.returning,
            built: self.built,
            plan: self.build.as_ref().map(|build| build.plan.clone()),
            reload: self.rollout.as_ref().map(|rollout| rollout.reload.clone()),
            queued: self.queued,
            slots: self.slots.all().iter().map(Slot::record).collect(),
        }
    }

    /// It is looked at because something that it waits for may have come.
    pub(crate) fn visit(&self) {
        self.slots.visit();
    }

    /// How often it, or a slot of it, has been looked at: a measure of what turns have cost.
    pub fn visits(&self) -> u64 {
        self.slots.visits()
    }

    /// Its build has to be run before its workers may.
    pub(crate) fn is_unbuilt(&self) -> bool {
        self.spec.build.is_some() && self.built.is_none()
    }

    pub(crate) fn has(&self, instance: Option<u16>) -> bool {
        instance.is_none_or(|instance| usize::from(instance) < self.slots.len())
    }

    /// The instances of a scope.
    pub(crate) fn scope(&self, instance: Option<u16>) -> std::ops::Range<u16> {
        instance.map_or(0..self.instances(), |one| one..one.saturating_add(1))
    }

    pub(crate) fn all(&self, counted: u32) -> bool {
        usize::try_from(counted).is_ok_and(|counted| counted == self.slots.len())
    }
}

/// The spec of what a reload has moved to this generation, if that is under way; else the app's.
pub(crate) fn spec_of<'a>(
    spec: &'a AppSpec,
    rollout: Option<&'a Rollout>,
    moved_to: Option<u64>,
) -> &'a AppSpec {
    let reload = rollout.map(|rollout| &rollout.reload);
    let own = reload.filter(|reload| moved_to == Some(reload.generation));
    own.and_then(|reload| reload.change.as_ref()).map_or(spec, |(spec, _)| spec)
}

impl Counts {
    /// Wanted up, and down all the same: given up, or ended otherwise than well.
    pub(crate) fn stuck(self) -> u32 {
        self.wanted - self.active - self.completed - self.waiting
    }

    /// What one slot adds.
    pub(crate) fn of(slot: &Slot, generation: u64) -> Counts {
        let up = slot.want == Want::Up;
        let idle = slot.phase == Phase::Idle;
        let online = slot.phase.is_online();
        let (completed, waiting) = (slot.is_completed(), slot.phase == Phase::Waiting);
        Counts {
            online: online.into(),
            completed: completed.into(),
            current: ((online || completed) && slot.generation == generation).into(),
            down: (!up && idle).into(),
            started: (online || matches!(slot.phase, Phase::Warming { .. })).into(),
            waiting: waiting.into(),
            wanted: up.into(),
            active: (up && !idle && !waiting && slot.phase != Phase::Errored).into(),
            doomed: (slot.want == Want::Gone).into(),
            well: (online && slot.healthy == Some(true)).into(),
        }
    }

    pub(crate) fn swap(&mut self, out: Counts, into: Counts) {
        let swap = |count: &mut u32, out: u32, into: u32| *count = *count + into - out;
        swap(&mut self.online, out.online, into.online);
        swap(&mut self.completed, out.completed, into.completed);
        swap(&mut self.current, out.current, into.current);
        swap(&mut self.down, out.down, into.down);
        swap(&mut self.started, out.started, into.started);
        swap(&mut self.waiting, out.waiting, into.waiting);
        swap(&mut self.wanted, out.wanted, into.wanted);
        swap(&mut self.active, out.active, into.active);
        swap(&mut self.doomed, out.doomed, into.doomed);
        swap(&mut self.well, out.well, into.well);
    }
}
