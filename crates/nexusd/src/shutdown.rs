//! The keeper was told to end (SIGTERM, as an init system does): all workers are stopped, and what
//! is wanted stays wanted, so that the next start brings it back.

use std::time::Duration;

use nexus_core::{ChildId, Time};
use nexus_keeper::{Order, Report};

use crate::clock;
use crate::daemon::Daemon;
use crate::facts::{Line, NOBODY};

/// After the last time-out: how long SIGKILL may take.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// What systemd is told that we may take beyond the longest of the apps' time-outs.
const STOP_MORE_MS: u64 = KILL_PATIENCE.as_millis() as u64 + 1_000;

/// All workers on their way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shutdown {
    /// When SIGKILL is sent, and when we give up.
    kill_at: Time,
    give_up_at: Time,
    killed: bool,
}

impl Daemon {
    /// Tell every child to go.
    pub(crate) fn shut_down(&mut self) {
        if self.shutdown.is_some() {
            return;
        }
        self.log(Line::new("daemon_stop", "told to end; all workers are stopped".into(), NOBODY));
        tracing::info!("told to end; all workers are stopped");
        let stop = |app: &nexus_core::App| app.spec().stop;
        // Who serves has its time to finish here, too.
        let longest = |app: &nexus_core::App| stop(app).kill_timeout.0 + app.spec().drain_timeout.0;
        let patience = self.state.apps().map(|(_, app)| longest(app)).max();
        let children: Vec<(u64, i32)> = self
            .notes
            .iter()
            .map(|(&child, note)| {
                let app = self.state.app(note.app.as_str());
                (child, app.map_or(nix::libc::SIGTERM, |app| stop(app).signal.0))
            })
            .collect();
        for (child, signal) in children {
            let order = self.farewell(nexus_core::ChildId(child), signal);
            self.order(&order);
        }
        let kill_at = clock::now() + nexus_spec::Span(patience.unwrap_or(0));
        self.shutdown = Some(Shutdown {
            kill_at,
            give_up_at: kill_at + nexus_spec::Span(KILL_PATIENCE.as_millis() as u64),
            killed: false,
        });
        if let Some(service) = &mut self.holdings.service {
            // A second more, for our own end.
            let patience = nexus_spec::Span(patience.unwrap_or(0) + STOP_MORE_MS);
            service.stopping(self.notes.len(), patience);
        }
        self.shutdown_deadline();
    }

    /// A report while everything is being stopped: the core is not told, since it would start
    /// again what is wanted.
    pub(crate) fn shutdown_report(&mut self, report: &Report) {
        match report {
            Report::Exited { child, tree_gone: true, .. }
            | Report::TreeGone { child }
            | Report::SpawnFailed { child, .. } => self.shutdown_gone(ChildId(*child)),
            Report::Spawned { child, .. } => self.order(&Order::Kill { child: *child }),
            Report::Exited { .. }
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
    pub(crate) fn shutdown_extends(&mut self, until: Time) {
        let Some(shutdown) = &mut self.shutdown else { return };
        if shutdown.killed || until <= shutdown.kill_at {
            return;
        }
        shutdown.kill_at = until;
        shutdown.give_up_at = until + nexus_spec::Span(KILL_PATIENCE.as_millis() as u64);
        if let Some(service) = &mut self.holdings.service {
            let patience = nexus_spec::Span((until - clock::now()).0 + STOP_MORE_MS);
            service.stopping(self.notes.len(), patience);
        }
    }

    fn shutdown_gone(&mut self, child: ChildId) {
        self.notes.remove(&child.0);
        self.order(&Order::Acknowledge { child: child.0 });
    }

    /// Look whether all are gone, or a time-out has passed.
    pub(crate) fn shutdown_deadline(&mut self) {
        let Some(shutdown) = self.shutdown else { return };
        let now = clock::now();
        if self.notes.is_empty() || now >= shutdown.give_up_at {
            return self.leave();
        }
        if now >= shutdown.kill_at && !shutdown.killed {
            let children: Vec<u64> = self.notes.keys().copied().collect();
            for child in children {
                self.order(&Order::Kill { child });
            }
            self.shutdown = Some(Shutdown { killed: true, ..shutdown });
        }
    }

    /// When the loop must look again.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let service = self.holdings.service.as_ref().and_then(|service| service.deadline());
        let next = match self.shutdown {
            Some(Shutdown { kill_at, killed: false, .. }) => Some(kill_at),
            Some(Shutdown { give_up_at, killed: true, .. }) => Some(give_up_at),
            None => self.state.next_deadline(),
        };
        next.into_iter().chain(service).chain(self.upgrade_until).min()
    }
}
