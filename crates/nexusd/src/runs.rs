//! The children that run, as they are kept on disk: so that a pair that begins after the death of
//! both finds them again.

use std::collections::BTreeMap;

use nexus_spec::Name;
use serde::{Deserialize, Serialize};

use crate::daemon::Daemon;
use crate::note::Proof;
use crate::records::Entry;

/// A child that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) app: Name,
    pub(crate) instance: u16,
    pub(crate) child: u64,
    pub(crate) pid: i32,
    /// When the process began, in clock ticks of the machine (`/proc/PID/stat`, field 22): with the
    /// boot id, no other process can have the same pid and this.
    pub(crate) start_ticks: u64,
    /// It has become ready. The keeper has that too, but only once it has read it.
    #[serde(default)]
    pub(crate) ready: bool,
    /// It writes to the second of its instance's pipes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) beside: bool,
    /// What has shown that it is ready, where that was not its age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<Proof>,
}

impl Daemon {
    /// Keep what a cold start needs to find the child again after the death of both of us: from its
    /// birth on, since it may run its program before we hear of that.
    pub(crate) fn keep_run(&mut self, child: u64) {
        if let Some(run) = self.run(child) {
            self.store.keep(Entry::Run(run));
            self.commit();
        }
    }

    pub(crate) fn run(&self, child: u64) -> Option<Run> {
        let note = self.notes.get(&child)?;
        let (instance, _) = note.worker?;
        let pid = *self.pid_by_child.get(&child)?;
        let start_ticks = crate::stat::start_ticks(pid)?;
        let ready = note.ready == Some(child);
        let (app, beside, proof) = (note.app.clone(), note.beside, note.proof(child).cloned());
        Some(Run { app, instance, child, pid, start_ticks, ready, beside, proof })
    }

    /// Keep the children that were born while nobody of us listened, or have another main process
    /// since.
    pub(crate) fn keep_runs(&mut self, kept: &BTreeMap<u64, Run>) {
        let is_kept = |child: &u64| {
            kept.get(child).is_some_and(|run| self.pid_by_child.get(child) == Some(&run.pid))
        };
        let missing = self.notes.keys().filter(|child| !is_kept(child));
        let mut missing: Vec<Run> = missing.filter_map(|&child| self.run(child)).collect();
        missing.sort_by_key(|run| run.child);
        missing.into_iter().for_each(|run| self.store.keep(Entry::Run(run)));
        self.commit();
    }

    /// All children that run, as they are kept: a successor after its incumbent, as they were born.
    pub(crate) fn runs(&self) -> Vec<Entry> {
        let mut runs: Vec<Run> = self.notes.keys().filter_map(|&child| self.run(child)).collect();
        runs.sort_by_key(|run| run.child);
        runs.into_iter().map(Entry::Run).collect()
    }
}
