//! The one task that owns the state: an event comes in, the core decides, and the doers do it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use nexus_core::{Action, Event, OpId, State, Time, step};
use nexus_keeper::{Counters, Order, Trees};
use nexus_proto::Operation;
use nexus_spec::Name;
use tokio::sync::{mpsc, watch};

use crate::admission::{Admitted, Gate};
use crate::clock;
use crate::clockwork::Clockwork;
use crate::command::{Begun, Command};
use crate::history::History;
use crate::holdings::Holdings;
use crate::home::Home;
use crate::journal::Journal;
use crate::note::Note;
use crate::ops::Ops;
use crate::origin::Origin;
use crate::outputs::Outputs;
use crate::probes::Probes;
use crate::records::Entry;
use crate::reports::Newborn;
use crate::sampling::Sampling;
use crate::store::Store;
use crate::watching::Watching;

/// What the daemon is about to do with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Go on.
    Serve,
    /// End once the keeper has gone: the workers stay.
    Leaving,
    /// End now: the keeper is a new program, and starts a nexusd of it.
    GivingWay,
}

/// Everything that the loop owns.
pub(crate) struct Daemon {
    pub(crate) home: Home,
    pub(crate) state: State,
    pub(crate) holdings: Holdings,
    pub(crate) outputs: Outputs,
    pub(crate) sampling: Sampling,
    pub(crate) watching: Watching,
    pub(crate) probes: Probes,
    pub(crate) clockwork: Clockwork,
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) ops: Ops,
    /// What only we know of each app.
    pub(crate) origins: BTreeMap<Name, Origin>,
    /// The same of what each app has been.
    pub(crate) history: History,
    /// The notes of the living children, as the keeper has them.
    pub(crate) notes: HashMap<u64, Note>,
    /// The last ones that were acknowledged: the keeper may have put another in the place of one
    /// before it read that.
    pub(crate) forgotten: VecDeque<(u64, Note)>,
    /// Their main processes.
    pub(crate) pid_by_child: HashMap<u64, i32>,
    /// Which child a main process is.
    pub(crate) pids: HashMap<i32, u64>,
    /// Who is to be a child's main process after the one of whom the keeper has not answered yet.
    pub(crate) next_mains: HashMap<u64, i32>,
    /// Children that have not run their programs yet: the core is told of them when they do.
    pub(crate) newborn: HashMap<u64, Newborn>,
    /// Why a child could not be started, beyond an errno.
    pub(crate) excuses: BTreeMap<u64, String>,
    /// Sockets that only workers have: app and address.
    pub(crate) unadopted: BTreeSet<(Name, String)>,
    /// Events that our own actions have brought about, to be taken before anything else.
    pub(crate) queue: VecDeque<Event>,
    pub(crate) course: Course,
    /// Set once the keeper was told to end.
    pub(crate) shutdown: Option<crate::shutdown::Shutdown>,
    /// When a new program that is to be the keeper is late.
    pub(crate) upgrade_until: Option<Time>,
    /// `[daemon]`.
    pub(crate) gate: Gate,
    /// For those who wait for something to change.
    pub(crate) published: Published,
    /// A way for our own threads to reach the loop.
    pub(crate) own: mpsc::Sender<Command>,
    pub(crate) facts: Standing,
}

/// What does not change while this nexusd lives.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) began: Time,
    pub(crate) pair_began: Time,
    pub(crate) nexusd_restarts: u64,
    pub(crate) keeper_restarts: u64,
    pub(crate) keeper_pid: i32,
    pub(crate) trees: Trees,
    /// Distinguishes this home's workers from another's.
    pub(crate) home_id: String,
    /// NOTIFY_SOCKET of all workers.
    pub(crate) notify: String,
    /// Datagrams to it of processes that are no worker's.
    pub(crate) strangers: u64,
}

/// Notes of acknowledged children that are remembered.
const FORGOTTEN_MAX: usize = 64;
/// Explanations of failed starts that are remembered; the oldest go first.
const EXCUSES_MAX: usize = 1_024;

/// Numbers that grow when something changes.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) generation: watch::Sender<u64>,
    pub(crate) operations: watch::Sender<u64>,
    pub(crate) events: watch::Sender<u64>,
    /// Who may come in.
    pub(crate) admitted: watch::Sender<Admitted>,
}

impl Published {
    pub(crate) fn new() -> Published {
        Published {
            generation: watch::Sender::new(1),
            operations: watch::Sender::new(0),
            events: watch::Sender::new(0),
            admitted: watch::Sender::new(Admitted::default()),
        }
    }
}

impl Standing {
    pub(crate) fn new(
        keeper_pid: i32,
        counters: Counters,
        trees: Trees,
        home_id: String,
        notify: String,
    ) -> Standing {
        Standing {
            began: clock::now(),
            pair_began: Time(counters.pair_started_ms),
            nexusd_restarts: counters.nexusd_restarts,
            keeper_restarts: counters.keeper_restarts,
            keeper_pid,
            trees,
            home_id,
            notify,
            strangers: 0,
        }
    }
}

impl Daemon {
    /// One event, and all that it brings about.
    pub(crate) fn turn(&mut self, event: Event, by: &str) {
        self.turn_together(std::iter::once(event), by);
    }

    /// Several events whose outcome is kept in one piece: after a kill all have been, or none.
    pub(crate) fn turn_together(&mut self, events: impl Iterator<Item = Event>, by: &str) {
        let now = clock::now();
        let actions = events.flat_map(|event| step(&mut self.state, now, event)).collect();
        self.perform(actions, by);
        while let Some(event) = self.queue.pop_front() {
            let actions = step(&mut self.state, clock::now(), event);
            self.perform(actions, by);
        }
        self.publish();
    }

    /// One event that as a rule changes nothing that a client sees.
    pub(crate) fn quiet_turn(&mut self, event: Event) {
        let actions = step(&mut self.state, clock::now(), event);
        if !actions.is_empty() {
            self.perform(actions, crate::facts::NOBODY);
            self.turn(Event::Tick, crate::facts::NOBODY);
        }
    }

    /// Carry out what a turn decided. What happened, and what is to be kept, are written first, in one
    /// piece. A kill before that undoes the decision: it will be made again. A kill after it repeats an
    /// action, and every one is safe to repeat; it never forgets one.
    pub(crate) fn perform(&mut self, actions: Vec<Action>, by: &str) {
        let mut acts = Vec::with_capacity(actions.len());
        for action in actions {
            match action {
                Action::Keep(keep) => self.keep(&keep),
                Action::Reply { op, app, outcome } => self.reply(op, app, outcome),
                Action::Note(fact) => self.fact(fact, by),
                Action::Acknowledge { .. }
                | Action::Examined { .. }
                | Action::Kill { .. }
                | Action::Spawn { .. }
                | Action::Terminate { .. }
                | Action::Undertake { .. } => acts.push(action),
            }
        }
        self.commit();
        self.pass_on_ready();
        // In the core's order: until it has read `Resumed`, a keeper that reads of a successor before
        // it reads that the exit is settled would spawn the one that it was to spawn in our absence.
        for action in acts {
            self.act(action);
        }
        self.rewrite_if_due();
    }

    /// Write what was told and what is kept: in one line of the intents, from which the next nexusd
    /// has what a kill keeps us from writing into the journal.
    pub(crate) fn commit(&mut self) {
        let events = self.journal.pending();
        if !events.is_empty() {
            self.store.keep(Entry::Told { events: events.to_vec() });
        }
        self.store.commit();
        self.journal.write();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Acknowledge { child } => {
                if let Some(note) = self.notes.remove(&child.0) {
                    tracing::debug!(child = child.0, app = %note.app, "forgotten");
                    if self.forgotten.len() == FORGOTTEN_MAX {
                        self.forgotten.pop_front();
                    }
                    self.forgotten.push_back((child.0, note));
                }
                self.order(&Order::Acknowledge { child: child.0 });
            }
            Action::Examined { of, exit } => self.probes.exam_ends(of, exit),
            Action::Kill { child } => self.order(&Order::Kill { child: child.0 }),
            Action::Spawn { child, app, purpose, generation, on_exit } => {
                self.spawn(child, &app, purpose, generation, on_exit);
            }
            Action::Terminate { child, signal } => {
                self.probes.forget(child.0);
                let order = self.farewell(child, signal.0);
                self.told(child);
                self.order(&order);
            }
            Action::Undertake { app, cause } => self.undertake(app, cause),
            Action::Keep(_) | Action::Note(_) | Action::Reply { .. } => {}
        }
    }

    /// Remember why a child could not be started.
    pub(crate) fn remember(&mut self, child: u64, excuse: String) {
        self.excuses.insert(child, excuse);
        if self.excuses.len() > EXCUSES_MAX {
            self.excuses.pop_first();
        }
    }

    /// Send an order. A keeper that no longer takes any is dead or about to be found so.
    pub(crate) fn order(&mut self, order: &Order) {
        if let Err(error) = self.holdings.link.send(order) {
            tracing::warn!(%error, ?order, "the keeper takes no orders");
        }
    }

    pub(crate) fn keep(&mut self, keep: &nexus_core::Keep) {
        use nexus_core::Keep;
        match keep {
            Keep::App(name) => {
                self.allow(name);
                self.watch_files(name, clock::unix_ms());
                self.set_times(name);
                if let Some(entry) = self.app_entry(name) {
                    self.store.keep(entry);
                    self.store.keep(Entry::NextSlot { id: self.state.next_slot_id() });
                }
            }
            Keep::Gone(name) => {
                self.sampling.forget_app(name);
                self.history.remove(name);
                self.watch_files(name, 0);
                self.set_times(name);
                self.store.keep(Entry::Gone { app: name.clone() });
            }
            Keep::Pending(name) => {
                let entry = self.pending_entry(name);
                self.store.keep(entry);
            }
            Keep::Versions(name) => self.keep_versions(name),
            Keep::Slot(name, instance) => {
                let slot = self.state.app(name.as_str()).and_then(|app| app.slot(*instance));
                if let Some(slot) = slot {
                    let slot = crate::records::StoredSlot::new(&slot.record());
                    self.store.keep(Entry::Slot { app: name.clone(), slot });
                }
            }
        }
    }

    pub(crate) fn app_entry(&self, name: &Name) -> Option<Entry> {
        let app = self.state.app(name.as_str())?;
        let origin = self.origins.get(name).cloned().unwrap_or_default();
        Some(Entry::App(Box::new(crate::records::StoredApp::new(
            &app.record(),
            &origin,
            self.store.vault(),
        ))))
    }

    fn pending_entry(&self, name: &Name) -> Entry {
        let pending = self.state.app(name.as_str()).map(nexus_core::App::pending);
        let asks = pending.unwrap_or_default();
        let asks = asks.iter().map(crate::records::StoredPending::new).collect();
        Entry::Pending { app: name.clone(), asks }
    }

    pub(crate) fn rewrite_if_due(&mut self) {
        if !self.store.wants_rewrite() {
            return;
        }
        self.ops.expire();
        let mut entries = vec![Entry::NextSlot { id: self.state.next_slot_id() }];
        for (name, app) in self.state.apps() {
            entries.extend(self.app_entry(name));
            if !app.versions().is_empty() {
                entries.push(self.versions_entry(name, app));
            }
            entries.push(self.pending_entry(name));
        }
        entries.extend(self.ops.all().map(|op| Entry::Operation(Box::new(op.clone()))));
        entries.extend(self.runs());
        self.store.rewrite(entries.into_iter());
    }

    /// Tell all who wait that something may have changed.
    pub(crate) fn publish(&mut self) {
        crate::quiet::busy();
        self.published.generation.send_modify(|generation| *generation += 1);
        if let Some(service) = &mut self.holdings.service {
            service.changed();
        }
        self.published.events.send_if_modified(|last| {
            let newest = self.journal.last();
            std::mem::replace(last, newest) != newest
        });
    }

    /// An operation for a client, with the mark up to which it must be durable.
    pub(crate) fn begun(&mut self, op: OpId) -> Option<Begun> {
        let mark = self.store.sync();
        let op = self.ops.get_mut(op)?;
        if op.mark == 0 || op.ended_at.is_some() {
            op.mark = mark;
        }
        let operation: Operation = op.view.clone();
        Some(Begun { operation, mark: op.mark })
    }
}
