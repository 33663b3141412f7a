//! One place in an app, and all the slots of one app with a count of how many were looked at.

use std::sync::atomic::{AtomicU64, Ordering};

use nexus_spec::Span;

use crate::event::{ChildId, Exit, SlotId, Time};
use crate::phase::{Next, Phase, Want, explain};
use crate::record::SlotRecord;
use crate::restart::Past;
use crate::successor::Successor;

/// One place in an app: at most one worker at a time lives in it, and beside it at most one that is
/// to take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The number that users type; never reused.
    pub id: SlotId,
    /// 0, 1, 2 … within the app.
    pub instance: u16,
    /// What is asked for.
    pub want: Want,
    /// What is.
    pub phase: Phase,
    /// What follows when nothing of it lives, while it is wanted up.
    pub next: Next,
    /// Restarts that nobody asked for: done, or due.
    pub restarts: u64,
    /// What earlier exits have cost it.
    pub past: Past,
    /// How the last child ended.
    pub last_exit: Option<LastExit>,
    /// No exit of a child up to this one is judged (again): it has been, or we ended that child
    /// ourselves.
    pub settled: ChildId,
    /// The spec's generation of the present child, or of the last one.
    pub generation: u64,
    /// Whether its health check finds the present child well; `None` = it has none, or there is no
    /// answer yet.
    pub healthy: Option<bool>,
    /// Who is to take the present child's place once ready: in a reload, or after a breach.
    pub successor: Option<Successor>,
    /// The generation of the reload that its worker belongs to; `None` = it is the app's own. If
    /// that reload is under way, what is spawned here is of that generation, too.
    pub moved_to: Option<u64>,
    /// Children that have held this slot and are not gone yet.
    pub leaving: u32,
    /// No successor up to this one takes the slot any more.
    pub(crate) spurned: ChildId,
    /// A breach is not acted on before.
    pub(crate) patient_until: Time,
    /// The number that is reserved for the keeper's respawn of the last child that we ordered.
    pub(crate) heir: Option<ChildId>,
    /// The child that it had when it was last kept, as far as a new daemon knows.
    pub(crate) recorded: Option<ChildId>,
    /// Both of the pair had ended, perhaps with the machine: what has ended with them, or is found
    /// to have ended until then, comes back with all the others, in their order.
    pub(crate) cold_until: Time,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastExit {
    /// Which child.
    pub child: ChildId,
    /// How.
    pub exit: Exit,
    /// When.
    pub at: Time,
    /// From its spawn to its end.
    pub lived: Span,
    /// We had told it to.
    pub asked: bool,
}

impl Slot {
    pub(crate) fn new(id: SlotId, instance: u16) -> Slot {
        Slot::from_record(&SlotRecord::new(id, instance))
    }

    /// As it was kept, with nothing alive.
    pub(crate) fn from_record(record: &SlotRecord) -> Slot {
        Slot {
            id: record.id,
            instance: record.instance,
            want: record.want,
            phase: Phase::Idle,
            next: record.next,
            restarts: record.restarts,
            past: record.past.clone(),
            last_exit: record.last_exit,
            settled: record.settled,
            generation: record.generation,
            healthy: None,
            successor: None,
            moved_to: record.moved_to,
            leaving: 0,
            spurned: record.spurned,
            patient_until: Time(0),
            heir: None,
            recorded: record.child,
            cold_until: Time(0),
        }
    }

    /// All that must outlive the daemon.
    pub fn record(&self) -> SlotRecord {
        SlotRecord {
            id: self.id,
            instance: self.instance,
            want: self.want,
            next: self.next,
            restarts: self.restarts,
            past: self.past.clone(),
            last_exit: self.last_exit,
            settled: self.settled,
            generation: self.generation,
            child: self.phase.child(),
            moved_to: self.moved_to,
            successor: self.successor.and_then(Successor::record),
            spurned: self.spurned,
        }
    }

    /// When it is tried again, if it waits for that.
    pub fn again_at(&self) -> Option<Time> {
        match (self.want, self.next) {
            (Want::Up, Next::At(at)) => Some(at),
            (Want::Up, Next::GivenUp | Next::Run | Next::Stay) | (Want::Down | Want::Gone, _) => {
                None
            }
        }
    }

    /// Its state in words.
    pub fn explain(&self) -> &'static str {
        match (self.successor, self.leaving, self.phase) {
            (Some(_), ..) if self.phase.is_running() => "running; its successor is being started",
            (None, 1.., Phase::Online { .. }) => "running; its predecessor is being drained",
            (Some(_) | None, ..) => explain(self.want, self.phase),
        }
    }

    /// Whatever an exit had led to is overtaken by an ask: a restart that was due does not happen.
    pub(crate) fn call_off(&mut self) {
        if let Next::At(_) = self.next {
            self.restarts = self.restarts.saturating_sub(1);
        }
        self.next = Next::Run;
    }

    /// What follows when nothing of it lives any more: the phase, and whether to go on at once.
    pub(crate) fn after_end(&self, now: Time) -> (Phase, bool) {
        match (self.want, self.next) {
            (Want::Down | Want::Gone, _) | (Want::Up, Next::Stay) => (Phase::Idle, false),
            (Want::Up, Next::GivenUp) => (Phase::Errored, false),
            (Want::Up, Next::Run) => (Phase::Idle, true),
            (Want::Up, Next::At(until)) => {
                (Phase::Backoff { until }, until <= now || self.is_cold(now))
            }
        }
    }

    /// What comes back at that time does so in order.
    pub(crate) fn is_cold(&self, now: Time) -> bool {
        now < self.cold_until
    }

    /// It has run to its end, with 0, and stays down by its spec.
    pub fn is_completed(&self) -> bool {
        let well = self.last_exit.is_some_and(|last| last.exit == Exit::Code(0));
        (self.want, self.phase, self.next) == (Want::Up, Phase::Idle, Next::Stay) && well
    }

    /// Nothing lives, and it can not come back by itself although it is wanted.
    pub(crate) fn is_stuck(&self) -> bool {
        self.want == Want::Up
            && match self.phase {
                Phase::Errored => true,
                Phase::Idle => self.next == Next::Stay && !self.is_completed(),
                Phase::Backoff { .. }
                | Phase::Online { .. }
                | Phase::Reaping { .. }
                | Phase::Spawning { .. }
                | Phase::Stopping { .. }
                | Phase::Waiting
                | Phase::Warming { .. } => false,
            }
    }
}

/// The slots of one app. Every look at one, or at the app for its own sake, is counted, so that a
/// test can show that a turn costs what it touches.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    all: Vec<Slot>,
    visits: AtomicU64,
}

impl Slots {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, instance: u16) -> Option<&Slot> {
        self.visits.fetch_add(1, Ordering::Relaxed);
        self.all.get(usize::from(instance))
    }

    pub(crate) fn get_mut(&mut self, instance: u16) -> Option<&mut Slot> {
        *self.visits.get_mut() += 1;
        self.all.get_mut(usize::from(instance))
    }

    pub(crate) fn all(&self) -> &[Slot] {
        self.visits.fetch_add(self.all.len() as u64, Ordering::Relaxed);
        &self.all
    }

    /// For the oracle alone, whose cost is not that of a turn.
    pub(crate) fn uncounted(&self) -> &[Slot] {
        &self.all
    }

    pub(crate) fn push(&mut self, slot: Slot) {
        self.all.push(slot);
    }

    pub(crate) fn pop(&mut self) -> Option<Slot> {
        self.all.pop()
    }

    /// A look at the app.
    pub(crate) fn visit(&self) {
        self.visits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn visits(&self) -> u64 {
        self.visits.load(Ordering::Relaxed)
    }
}

impl Clone for Slots {
    fn clone(&self) -> Slots {
        Slots { all: self.all.clone(), visits: AtomicU64::new(self.visits()) }
    }
}

impl PartialEq for Slots {
    /// How often one has looked is not part of what is.
    fn eq(&self, other: &Slots) -> bool {
        self.all == other.all
    }
}

impl Eq for Slots {}
