//! What the keeper reports and what workers say, as events.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use nexus_core::{Allowed, App, ChildId, Event, Pid, Time, step};
use nexus_keeper::{Order, Report, UNASKED};
use nexus_spec::{Instances, Name};

use crate::clock;
use crate::daemon::{Course, Daemon};
use crate::facts::NOBODY;
use crate::notify::Said;
use crate::roll::exit;
use crate::spawn::spawn_error;

/// A child that has not run its program yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Newborn {
    /// Its main process, once there is one.
    pid: Option<i32>,
    /// In whose place the keeper has put it.
    old: Option<u64>,
}

/// Datagrams taken before something else has its turn.
const WORDS_MAX: usize = 64;

/// What a worker of this generation may use.
fn allowed(app: &App, generation: u64) -> Allowed {
    let trial = app.trial(generation).and_then(|rule| rule.memory);
    Allowed { limits: app.spec_at(generation).memory, trial }
}

impl Daemon {
    /// One report.
    pub(crate) fn report(&mut self, report: Report) {
        if let (Report::Pong { number }, Some(service)) = (&report, &mut self.holdings.service)
            && *number != UNASKED
        {
            service.alive();
        }
        if matches!(report, Report::Upgrade) {
            return self.look_at_upgrade();
        }
        if self.shutdown.is_some() {
            return self.shutdown_report(&report);
        }
        match report {
            Report::Exited { child, ended, at_ms, tree_gone } => {
                let (exit, at) = (exit(ended), Time(at_ms));
                let note = self.notes.get(&child).cloned();
                self.runs_its_program(child);
                let event = Event::Exited { child: ChildId(child), exit, at, tree_gone };
                let actions = step(&mut self.state, clock::now(), event);
                self.tell_end(&actions, note.as_ref(), child, exit);
                self.perform(actions, NOBODY);
                self.turn_together(std::iter::empty(), NOBODY);
                self.dies(child);
            }
            Report::Main { child, pid, errno } => self.main_is_set(ChildId(child), pid, errno),
            Report::Refused { child, errno, why } => self.refused(child, errno, why),
            Report::Respawned { old, new } => {
                self.bequeath(old, new);
                self.newborn.insert(new, Newborn { pid: None, old: Some(old) });
            }
            Report::Running { child } => {
                tracing::debug!(child, "runs its program");
                self.runs_its_program(child);
                self.sample(child);
                self.probe(child);
            }
            Report::Spawned { child, pid } => {
                self.lives(child, pid);
                self.tell_birth(child);
                self.keep_run(child);
                self.is_born(child, pid);
            }
            Report::SpawnFailed { child, stage, errno } => {
                self.excuse(child, stage, errno);
                match self.newborn.get(&child) {
                    // The core is to know in whose place it was.
                    Some(Newborn { old: Some(_), .. }) => self.runs_its_program(child),
                    Some(_) | None => drop(self.newborn.remove(&child)),
                }
                let error = spawn_error(errno);
                self.turn(Event::SpawnFailed { child: ChildId(child), error }, NOBODY);
                self.dies(child);
            }
            Report::Stop => self.shut_down(),
            Report::TreeGone { child } => {
                self.turn(Event::TreeGone { child: ChildId(child) }, NOBODY);
            }
            Report::Pong { .. } | Report::Upgrade => {}
        }
    }

    /// A child has a process, which will run its program.
    pub(crate) fn is_born(&mut self, child: u64, pid: i32) {
        self.newborn.entry(child).or_default().pid = Some(pid);
    }

    /// A child that has been born runs its program, or has ended.
    pub(crate) fn runs_its_program(&mut self, child: u64) {
        if self.shutdown.is_some() {
            return;
        }
        let Some(Newborn { pid: Some(pid), old }) = self.newborn.remove(&child) else { return };
        let (child, pid) = (ChildId(child), Pid(pid));
        let event = match old {
            Some(old) => Event::Respawned { old: ChildId(old), new: child, pid },
            None => Event::Spawned { child, pid },
        };
        self.turn(event, NOBODY);
    }

    /// The keeper has put `new` in the place of `old`, perhaps before it read that we had done with
    /// that one.
    fn bequeath(&mut self, old: u64, new: u64) {
        let late = self.forgotten.iter().find(|(child, _)| *child == old).map(|(_, note)| note);
        if let Some(note) = self.notes.get(&old).or(late).cloned() {
            self.notes.insert(new, note);
        }
    }

    /// An order was not carried out.
    fn refused(&mut self, child: Option<u64>, errno: i32, why: &str) {
        if child.is_none() && errno == nix::libc::ESRCH {
            // It has forgotten the child already, or never had it.
            return tracing::debug!("the keeper refuses an order: {why}");
        }
        tracing::error!(child, errno, "the keeper refuses an order: {why}");
        if let Some(child) = child {
            self.remember(child, format!("could not be started: {why}"));
            let error = spawn_error(errno);
            self.turn(Event::SpawnFailed { child: ChildId(child), error }, NOBODY);
        }
    }

    /// Somebody waits for us: see whether the keeper is there. One that hangs leaves this unread.
    pub(crate) fn ask_keeper(&mut self) {
        if self.course == Course::Serve && self.shutdown.is_none() {
            self.order(&Order::Ping { number: UNASKED });
        }
    }

    fn dies(&mut self, child: u64) {
        self.newborn.remove(&child);
        self.holdings.dies(child);
        if let Some(pid) = self.pid_by_child.remove(&child) {
            self.pids.remove(&pid);
        }
        self.sampling.forget(child);
        self.probes.forget(child);
    }

    /// A worker runs its program: from here on what it uses is its own.
    pub(crate) fn sample(&mut self, child: u64) {
        let note = self.notes.get(&child).filter(|note| note.worker.is_some());
        if let (Some(note), Some(&pid)) = (note, self.pid_by_child.get(&child)) {
            let app = self.state.app(note.app.as_str());
            let allowed = app.map(|app| allowed(app, note.generation)).unwrap_or_default();
            let scaling = app.and_then(|app| match app.spec_at(note.generation).instances {
                Instances::Auto(rule) => Some(rule),
                Instances::AllBut(_) | Instances::Count(_) | Instances::Max => None,
            });
            self.sampling.watch(child, &note.app, pid, (allowed, scaling));
        }
    }

    /// What the workers of an app may use, and write: those of a reload by what that brings.
    pub(crate) fn allow(&mut self, name: &Name) {
        let Some(app) = self.state.app(name.as_str()) else { return };
        if app.rollout().is_none() {
            self.probes.unlisten(name);
        }
        for slot in app.slots() {
            let next = slot.successor.and_then(|next| Some((next.phase.child()?, next.generation)));
            let own = slot.phase.child().map(|child| (child, slot.generation));
            for (child, generation) in own.into_iter().chain(next) {
                self.sampling.allow(child.0, allowed(app, generation));
            }
        }
    }

    /// Take some datagrams of workers; true = there may be more. A sender that is nobody's worker
    /// is not believed.
    pub(crate) fn words(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        for _ in 0..WORDS_MAX {
            let Some(said) = crate::notify::peek(socket)? else { return Ok(false) };
            if !said.words.is_empty() {
                match self.sender(&said) {
                    Some(child) => {
                        // Who speaks runs a program; the keeper may not have seen that yet.
                        self.runs_its_program(child.0);
                        said.words.into_iter().for_each(|word| self.heard(child, word));
                    }
                    None => self.stranger(said.pid),
                }
            }
            // Only now: had we been killed before, the next nexusd would have read it again.
            crate::notify::consume(socket)?;
        }
        Ok(true)
    }
}

impl Daemon {
    /// Nobody's process has spoken to us. Told when their number has doubled: they cannot fill the
    /// log.
    fn stranger(&mut self, pid: i32) {
        self.facts.strangers += 1;
        if self.facts.strangers.is_power_of_two() {
            tracing::warn!(
                pid,
                times = self.facts.strangers,
                "a process that is no worker's speaks to us"
            );
        }
    }

    /// The child whose main process is the sender or an ancestor of it. One that has spoken on a
    /// descriptor of its own and is gone already is known by that descriptor's name, which nobody
    /// else can have; that he is of the child's user keeps out who had the name before it.
    fn sender(&mut self, said: &Said) -> Option<ChildId> {
        // Its birth was reported before it could say a word, but perhaps not read yet.
        // A broken link is seen, and waited out, by the loop.
        while self.reports().unwrap_or(false) {}
        let main = crate::notify::main_of(said.pid, |pid| self.pids.contains_key(&pid));
        if let Some(child) = main.and_then(|pid| self.pids.get(&pid)) {
            return Some(ChildId(*child));
        }
        let child = said.named.filter(|_| crate::stat::of(said.pid).is_none())?;
        let main = self.pid_by_child.get(&child)?;
        let user = std::fs::metadata(format!("/proc/{main}")).ok()?.uid();
        (user == said.uid).then_some(ChildId(child))
    }
}
