//! A reload that is under way, as it is kept on disk, and as it is told.

use nexus_core::{
    Back, ChildId, Exit, Failure, LastExit, Limit, Milestone, OpId, Reload, SuccessorRecord, Why,
};
use nexus_spec::{AppSpec, Name};
use serde::{Deserialize, Serialize};

use crate::exits::StoredExit;
use crate::words::{self, ended, span};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredReload {
    op: u64,
    generation: u64,
    pub(crate) change: Option<(AppSpec, u16)>,
    instance: Option<u16>,
    parallel: u16,
    before: u16,
    built: bool,
    #[serde(default)]
    tried: u16,
    #[serde(default)]
    ends: u16,
    back: Option<StoredBack>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredBack {
    instance: Option<u16>,
    failed: Option<StoredExit>,
    aborter: Option<u64>,
    stuck: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredSuccessor {
    child: u64,
    moved_to: Option<u64>,
    counts: bool,
    /// The limit that the other one went beyond, if it counts; an older file says nothing: memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<StoredLimit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredLimit {
    Health,
    Memory,
    Watchdog,
}

impl StoredReload {
    pub(crate) fn new(reload: &Reload) -> StoredReload {
        let change = reload.change.as_ref();
        StoredReload {
            op: reload.op.0,
            generation: reload.generation,
            change: change.map(|(spec, instances)| ((**spec).clone(), *instances)),
            instance: reload.instance,
            parallel: reload.parallel,
            before: reload.before,
            built: reload.built,
            tried: reload.tried,
            ends: reload.ends,
            back: reload.back.as_ref().map(StoredBack::new),
        }
    }

    pub(crate) fn reload(&self) -> Reload {
        let change = self.change.clone();
        Reload {
            op: OpId(self.op),
            generation: self.generation,
            change: change.map(|(spec, instances)| (Box::new(spec), instances)),
            instance: self.instance,
            parallel: self.parallel,
            before: self.before,
            built: self.built,
            tried: self.tried,
            ends: self.ends,
            back: self.back.as_ref().map(StoredBack::back),
        }
    }
}

impl StoredBack {
    fn new(back: &Back) -> StoredBack {
        let exit = |Failure { child, exit, after, at, .. }| {
            let last = LastExit { child, exit, at, lived: after, asked: false };
            StoredExit::new(&last)
        };
        StoredBack {
            instance: back.failure.map(|failure| failure.instance),
            failed: back.failure.map(exit),
            aborter: back.aborter.map(|op| op.0),
            stuck: back.stuck,
        }
    }

    fn back(&self) -> Back {
        let failure = self.failed.zip(self.instance).map(|(failed, instance)| {
            let LastExit { child, exit, at, lived: after, .. } = failed.last_exit();
            Failure { instance, child, exit, after, at }
        });
        Back { failure, aborter: self.aborter.map(OpId), stuck: self.stuck }
    }
}

impl StoredSuccessor {
    pub(crate) fn new(successor: &SuccessorRecord) -> StoredSuccessor {
        let SuccessorRecord { child, moved_to, counts } = *successor;
        let limit = counts.map(|limit| match limit {
            Limit::Health => StoredLimit::Health,
            // What only holds in a reload brings no successor about that counts.
            Limit::Log | Limit::Memory | Limit::TrialMemory => StoredLimit::Memory,
            Limit::Watchdog => StoredLimit::Watchdog,
        });
        StoredSuccessor { child: child.0, moved_to, counts: counts.is_some(), limit }
    }

    pub(crate) fn record(&self) -> SuccessorRecord {
        let StoredSuccessor { child, moved_to, counts, limit } = *self;
        let counts = counts.then_some(match limit {
            Some(StoredLimit::Health) => Limit::Health,
            Some(StoredLimit::Memory) | None => Limit::Memory,
            Some(StoredLimit::Watchdog) => Limit::Watchdog,
        });
        SuccessorRecord { child: ChildId(child), moved_to, counts }
    }

    pub(crate) fn child(&self) -> u64 {
        self.child
    }
}

/// What the journal says of a reload: the kind of event, and its detail.
pub(crate) fn told(milestone: Milestone, generation: u64) -> (&'static str, String) {
    match milestone {
        Milestone::Begun { instances, overlaps } => {
            let how = if overlaps { "successor first" } else { "stopped first: no passed socket" };
            let workers = if instances == 1 { "instance" } else { "instances" };
            ("reload", format!("to generation {generation}: {instances} {workers}, {how}"))
        }
        Milestone::Done => ("reloaded", format!("all of generation {generation}")),
        Milestone::KeptOld(failure) => {
            ("kept", format!("the new worker {}; the old one serves on", failed(failure)))
        }
        Milestone::RolledBack { failure, replaced, stuck } => {
            ("rolled_back", rolled_back(failure, replaced, stuck))
        }
        Milestone::Watched { instances, soak } => {
            let workers = if instances == 1 { "new worker is" } else { "new workers are" };
            ("soak", format!("{instances} {workers} watched for {}", span(soak)))
        }
        Milestone::RollingBack(failure) => {
            let why = failure.map_or("aborted".to_owned(), |failure| {
                format!("instance {} {}", failure.instance, failed(failure))
            });
            ("rolling_back", format!("generation {generation} goes: {why}"))
        }
    }
}

/// Where a reload that was given up has left the app.
pub(crate) fn rolled_back(failure: Option<Failure>, replaced: u16, stuck: u16) -> String {
    let why = failure.map_or("aborted".to_owned(), |failure| {
        format!("instance {} {}", failure.instance, failed(failure))
    });
    let replaced = match replaced {
        0 => String::new(),
        1 => "; 1 instance was replaced before and runs on".into(),
        many => format!("; {many} instances were replaced before and run on"),
    };
    let stuck = match stuck {
        0 => String::new(),
        1 => "; 1 instance could not be put back".into(),
        many => format!("; {many} instances could not be put back"),
    };
    format!("{why}; what was before serves{replaced}{stuck}")
}

fn failed(failure: Failure) -> String {
    format!("{} after {}", ended(failure.exit), span(failure.after))
}

/// Why a worker has taken the place of another, in words.
pub(crate) fn why(why: Why, old: ChildId) -> String {
    let old = old.0;
    match why {
        Why::Asked => format!("takes the place of child {old}"),
        Why::Breach => format!("takes the place of child {old}, which was beyond its limit"),
        Why::Ended => format!("takes the place of child {old}, which had ended"),
    }
}

/// `a reload of `api` that failed, as the client is told.
pub(crate) fn message(
    app: &Name,
    failure: Option<Failure>,
    (replaced, stuck): (u16, u16),
    excuse: Option<&str>,
) -> String {
    let why = match (failure, excuse) {
        (None, _) => "it was aborted".to_owned(),
        (Some(failure), Some(excuse)) => format!("new {app}/{} {excuse}", failure.instance),
        (Some(Failure { instance, exit: Exit::NeverReady, after, .. }), None) => {
            format!("new {app}/{instance} was not ready after {}", span(after))
        }
        (Some(failure), None) => format!(
            "new {app}/{} {} after {}",
            failure.instance,
            words::ended(failure.exit),
            span(failure.after)
        ),
    };
    let state = match (replaced, stuck) {
        (0, 0) => String::new(),
        (replaced, 0) => format!("; {replaced} replaced before it run on"),
        (_, stuck) => format!("; {stuck} could not be put back"),
    };
    format!("{why}{state}")
}
