//! The keeper was told to end (SIGTERM, as an init system does): all workers are stopped, those that
//! depend on others before them, and what is wanted stays wanted, so that the next start brings it
//! back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nexus_core::{ChildId, Departure, Time};
use nexus_keeper::{Order, Report};
use nexus_spec::{Name, Span};

use crate::clock;
use crate::daemon::Daemon;
use crate::facts::{Line, NOBODY};

/// After its time-out: how long a child may take to end by SIGKILL.
const KILL_PATIENCE: Span = Span(5_000);
/// What systemd is told that we may take beyond the longest of the apps' time-outs.
const STOP_MORE: Duration = Duration::from_secs(1);

/// All workers on their way out.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    departure: Departure,
    /// Children that are told once those have gone that depend on their app.
    untold: BTreeMap<Name, BTreeSet<u64>>,
    /// Children that have been told and are waited for.
    told: BTreeMap<u64, Told>,
    /// The same, by when they are to be looked at.
    deadlines: BTreeSet<(Time, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    /// When SIGKILL is sent; after that: when it is not waited for any more.
    at: Time,
    killed: bool,
}

impl Shutdown {
    fn put(&mut self, child: u64, told: Told) {
        if let Some(before) = self.told.insert(child, told) {
            self.deadlines.remove(&(before.at, child));
        }
        self.deadlines.insert((told.at, child));
    }

    /// A child is not waited for any more. Whether it was.
    fn without(&mut self, app: &Name, child: u64) -> bool {
        if let Some(told) = self.told.remove(&child) {
            return self.deadlines.remove(&(told.at, child));
        }
        let Some(untold) = self.untold.get_mut(app) else { return false };
        let waited = untold.remove(&child);
        if untold.is_empty() {
            self.untold.remove(app);
        }
        waited
    }

    /// Nothing is known of a child any more.
    fn forget(&mut self, at: Time, child: u64) {
        self.told.remove(&child);
        self.deadlines.remove(&(at, child));
    }

    fn is_over(&self) -> bool {
        self.told.is_empty() && self.untold.is_empty()
    }
}

impl Daemon {
    /// Tell every child to go.
    pub(crate) fn shut_down(&mut self) {
        if self.shutdown.is_some() {
            return;
        }
        self.log(Line::new("daemon_stop", "told to end; all workers are stopped".into(), NOBODY));
        tracing::info!("told to end; all workers are stopped");
        let apps = self.notes.values().map(|note| &note.app);
        let (departure, free) = Departure::begin(&self.state, apps);
        let mut untold: BTreeMap<Name, BTreeSet<u64>> = BTreeMap::new();
        for (&child, note) in &self.notes {
            untold.entry(note.app.clone()).or_default().insert(child);
        }
        let (told, deadlines) = (BTreeMap::new(), BTreeSet::new());
        self.shutdown = Some(Shutdown { departure, untold, told, deadlines });
        self.shutdown_tell(&free);
        self.shutdown_deadline();
    }

    /// Tell the children of these apps to go.
    fn shutdown_tell(&mut self, apps: &[Name]) {
        let now = clock::now();
        let mut longest = None;
        for app in apps {
            let spec = self.state.app(app.as_str()).map(nexus_core::App::spec);
            let signal = spec.map_or(nix::libc::SIGTERM, |spec| spec.stop.signal.0);
            // Who serves has its time to finish here, too.
            let last = spec.map_or(0, |spec| spec.stop.kill_timeout.0 + spec.drain_timeout.0);
            let Some(shutdown) = &mut self.shutdown else { return };
            let children = shutdown.untold.remove(app).unwrap_or_default();
            for &child in &children {
                longest = longest.max(Some(last));
                shutdown.put(child, Told { at: now + Span(last), killed: false });
            }
            for child in children {
                let order = self.farewell(ChildId(child), signal);
                self.order(&order);
            }
        }
        if let Some(last) = longest {
            self.shutdown_lasts(Span(last));
        }
    }

    /// The service manager is told how long the children may take, and we.
    fn shutdown_lasts(&mut self, patience: Span) {
        let more = KILL_PATIENCE.0 + STOP_MORE.as_millis() as u64;
        if let Some(service) = &mut self.holdings.service {
            service.stopping(self.notes.len(), Span(patience.0 + more));
        }
    }

    /// A report while everything is being stopped: the core is not told, since it would start
    /// again what is wanted.
    pub(crate) fn shutdown_report(&mut self, report: &Report) {
        match report {
            Report::Exited { child, tree_gone: true, .. }
            | Report::TreeGone { child }
            | Report::SpawnFailed { child, .. } => self.shutdown_gone(*child),
            Report::Spawned { child, .. } => self.order(&Order::Kill { child: *child }),
            Report::Exited { .. }
            | Report::Main { .. }
            | Report::Pong { .. }
            | Report::Refused { .. }
            | Report::Respawned { .. }
            | Report::Running { .. }
            | Report::Stop
            | Report::Upgrade => {}
        }
        self.shutdown_deadline();
    }

    /// One of them needs longer.
    pub(crate) fn shutdown_extends(&mut self, child: ChildId, until: Time) {
        let Some(shutdown) = &mut self.shutdown else { return };
        let told = shutdown.told.get(&child.0).copied();
        if told.is_some_and(|told| !told.killed && told.at < until) {
            shutdown.put(child.0, Told { at: until, killed: false });
            self.shutdown_lasts(until - clock::now());
        }
    }

    fn shutdown_gone(&mut self, child: u64) {
        let note = self.notes.remove(&child);
        self.order(&Order::Acknowledge { child });
        if let Some(note) = note {
            self.shutdown_without(&note.app, child);
        }
    }

    /// A child has gone, or is given up.
    fn shutdown_without(&mut self, app: &Name, child: u64) {
        let Some(shutdown) = &mut self.shutdown else { return };
        // One that was given up may still go.
        if shutdown.without(app, child) {
            let free = shutdown.departure.gone(&self.state, app);
            self.shutdown_tell(&free);
        }
    }

    /// Look whether all are gone, or a time-out has passed.
    pub(crate) fn shutdown_deadline(&mut self) {
        let now = clock::now();
        loop {
            let Some(shutdown) = &mut self.shutdown else { return };
            if shutdown.is_over() {
                return self.leave();
            }
            let Some(&(at, child)) = shutdown.deadlines.first() else {
                // They wait for each other: nobody goes first.
                let all: Vec<Name> = shutdown.untold.keys().cloned().collect();
                self.shutdown_tell(&all);
                continue;
            };
            if at > now {
                return;
            }
            let killed = shutdown.told.get(&child).is_some_and(|told| told.killed);
            if killed {
                let app = self.notes.get(&child).map(|note| note.app.clone());
                match app {
                    Some(app) => self.shutdown_without(&app, child),
                    None => shutdown.forget(at, child),
                }
            } else {
                shutdown.put(child, Told { at: now + KILL_PATIENCE, killed: true });
                self.order(&Order::Kill { child });
            }
        }
    }

    /// When the loop must look again.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let service = self.holdings.service.as_ref().and_then(|service| service.deadline());
        let next = match &self.shutdown {
            Some(shutdown) => shutdown.deadlines.first().map(|&(at, _)| at),
            None => self.state.next_deadline(),
        };
        next.into_iter().chain(service).chain(self.upgrade_until).min()
    }
}
