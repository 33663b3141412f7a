//! What is told while workers are replaced one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use nexus_proto::{AppView, InstanceView, Snapshot, Status, Target};
use nexus_spec::{AppSpec, Name};

use crate::context::Context;
use crate::human::{count, span, waited};

/// The workers of some apps, as they are replaced.
#[derive(Debug)]
pub(crate) struct Rolling {
    begun: Instant,
    /// Who served when the operation began; `None` = nobody did.
    before: BTreeMap<(Name, u16), Option<i32>>,
    /// Whose replacement has been told.
    told: BTreeSet<(Name, u16, i32)>,
    announced: BTreeSet<Name>,
    /// The last word about a pause: after how many instances, and how much of it was left.
    paused: BTreeMap<Name, (u16, u64)>,
}

/// At most so often it is told how much of a pause is left, in milliseconds.
pub(crate) const TOLD_EVERY_MS: u64 = 10_000;

impl Rolling {
    /// What served before.
    pub(crate) fn new(before: Option<&Snapshot>, apps: &BTreeSet<Name>) -> Rolling {
        let apps = before
            .iter()
            .flat_map(|snapshot| &snapshot.apps)
            .filter(|app| apps.contains(&app.name));
        let of = |app: &AppView| {
            let pid = |one: &InstanceView| ((app.name.clone(), one.instance), one.pid);
            app.instances.iter().map(pid).collect::<Vec<_>>()
        };
        Rolling {
            begun: Instant::now(),
            before: apps.flat_map(of).collect(),
            told: BTreeSet::new(),
            announced: BTreeSet::new(),
            paused: BTreeMap::new(),
        }
    }

    /// Say what is about to happen to an app, once.
    pub(crate) fn announce(&mut self, context: &Context, app: &AppView, line: &str) {
        if self.announced.insert(app.name.clone()) {
            context.note(line);
        }
    }

    /// Tell that what has been replaced is watched, and from time to time for how much longer.
    pub(crate) fn pause(&mut self, context: &Context, app: &AppView) {
        let watched = app.rollout.as_ref().and_then(|it| Some((it, it.watched_for_ms?)));
        let Some((rollout, left)) = watched else {
            self.paused.remove(&app.name);
            return;
        };
        let (name, done, of) = (&app.name, rollout.done, rollout.of);
        let told = self.paused.get(name).filter(|(batch, _)| *batch == done);
        if told.is_some_and(|(_, before)| left + TOLD_EVERY_MS > *before) {
            return;
        }
        let word = if told.is_none() { "for" } else { "on, for" };
        let (left_in_words, more) = (span(left), if told.is_none() { "" } else { " more" });
        context.note(&format!(
            "  {name}  {done} of {of} replaced; watched {word} {left_in_words}{more}"
        ));
        self.paused.insert(name.clone(), (done, left));
    }

    /// Whether a pause is under way, of which there is more to tell.
    pub(crate) fn is_paused(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Tell of each instance that has another worker, once that is ready.
    pub(crate) fn see(&mut self, context: &Context, app: &AppView) {
        for one in app.instances.iter().filter(|one| one.status == Status::Online) {
            let Some(pid) = one.pid else { continue };
            let before = self.before.get(&(app.name.clone(), one.instance)).copied().flatten();
            if before == Some(pid) || !self.told.insert((app.name.clone(), one.instance, pid)) {
                continue;
            }
            let was = before.map(|before| format!("{before} -> ")).unwrap_or_default();
            let time = waited(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
            context
                .note(&format!("  {}/{}  pid {was}{pid}  ready at {time}", app.name, one.instance));
        }
    }
}

/// `api: 4 instances, one at a time, successor first`; how it will be done, before it is.
pub(crate) fn plan(app: &AppView, target: &Target, specs: &[AppSpec], parallel: u16) -> String {
    let spec = specs.iter().find(|spec| spec.name == app.name);
    let what = match target.instance {
        Some(instance) => format!("{}/{instance}", app.name),
        None => format!("{}: {}", app.name, count(u64::from(app.wanted), "instance")),
    };
    let pace = match parallel {
        1 => "one at a time".to_owned(),
        many => format!("{many} at a time"),
    };
    format!("{what}, {pace}, {}", order(app, spec))
}

/// Whether a new worker is ready before an old one goes.
pub(crate) fn order(app: &AppView, spec: Option<&AppSpec>) -> &'static str {
    if !app.listen.is_empty() && spec.is_none_or(|spec| !spec.listen.is_empty()) {
        "successor first"
    } else {
        "each stopped first: no socket is passed to it (`listen`)"
    }
}
