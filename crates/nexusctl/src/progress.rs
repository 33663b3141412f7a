//! What is told on stderr while an operation runs: builds, starts, readiness, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_proto::{AppResult, AppView, Operation, Snapshot, Status, Verdict};
use nexus_spec::{AppSpec, Name, Ready};

use crate::build_log::{BuildLog, From};
use crate::context::Context;
use crate::human::{count, span, waited};
use crate::rolling::{self, Rolling};

/// What has been told of one operation.
#[derive(Debug)]
pub(crate) struct Progress {
    context: Context,
    verb: String,
    begun: Instant,
    /// What was asked for, where the caller knows it.
    specs: BTreeMap<Name, AppSpec>,
    /// Builds' logs that were there before.
    old_logs: BTreeMap<Name, String>,
    apps: BTreeSet<Name>,
    building: BTreeMap<Name, BuildLog>,
    built: BTreeSet<Name>,
    starting: BTreeMap<Name, Instant>,
    answered: BTreeSet<Name>,
    waiting: BTreeSet<Name>,
    rolling: Rolling,
    ended: bool,
}

/// Whether workers are replaced one after another: it may take long, and goes on without us.
pub(crate) fn is_rolling(verb: &str) -> bool {
    matches!(verb, "reload" | "rollback" | "scale")
}

impl Progress {
    /// Nothing has been told. `before` = what there was before the operation began.
    pub(crate) fn new(
        context: &Context,
        operation: &Operation,
        specs: &[AppSpec],
        before: Option<&Snapshot>,
    ) -> Progress {
        let answered = operation.results.iter().map(|result| result.app.clone());
        let old = before.map(|snapshot| snapshot.apps.as_slice()).unwrap_or_default();
        let log = |app: &AppView| Some((app.name.clone(), app.build_log.clone()?));
        let apps: BTreeSet<Name> = operation.waiting.iter().cloned().chain(answered).collect();
        Progress {
            rolling: Rolling::new(before, &apps),
            context: context.clone(),
            verb: operation.verb.clone(),
            begun: Instant::now(),
            specs: specs.iter().map(|spec| (spec.name.clone(), spec.clone())).collect(),
            old_logs: old.iter().filter_map(log).collect(),
            apps,
            building: BTreeMap::new(),
            built: BTreeSet::new(),
            starting: BTreeMap::new(),
            answered: BTreeSet::new(),
            waiting: BTreeSet::new(),
            ended: false,
        }
    }

    /// The present state.
    pub(crate) fn see(&mut self, snapshot: &Snapshot) {
        if self.ended {
            return;
        }
        let mine = snapshot.apps.iter().filter(|app| self.apps.contains(&app.name));
        for app in mine.cloned().collect::<Vec<_>>() {
            self.rolls(&app);
            match app.status {
                Status::Building => self.builds(&app),
                Status::Waiting => {
                    self.built(&app.name);
                    self.waits(&app);
                }
                Status::Starting | Status::Online | Status::Partial | Status::Backoff => {
                    self.built(&app.name);
                    if app.status == Status::Starting && !is_rolling(&self.verb) {
                        self.starts(&app);
                    }
                }
                Status::Stopping | Status::Stopped | Status::Scheduled | Status::Errored => {
                    self.built(&app.name);
                }
            }
        }
    }

    /// It starts once others are up: said once.
    fn waits(&mut self, app: &AppView) {
        let Some(one) = app.instances.iter().find(|one| one.status == Status::Waiting) else {
            return;
        };
        if !self.answered.contains(&app.name) && self.waiting.insert(app.name.clone()) {
            self.context.note(&format!("{} {}", app.name, one.explain));
        }
    }

    /// Whether the operation has answers that have not been told.
    pub(crate) fn has_news(&self, operation: &Operation) -> bool {
        operation.results.iter().any(|result| !self.answered.contains(&result.app))
    }

    /// How far the operation is; `snapshot` is not older.
    pub(crate) fn hear(&mut self, operation: &Operation, snapshot: Option<&Snapshot>) {
        if self.ended {
            return;
        }
        for result in &operation.results {
            if self.answered.insert(result.app.clone()) {
                let app =
                    snapshot.and_then(|all| all.apps.iter().find(|app| app.name == result.app));
                self.result(result, app);
            }
        }
    }

    /// Nothing is told from now on. Gives the apps whose build's lines have been shown.
    pub(crate) fn end(&mut self) -> BTreeSet<Name> {
        self.ended = true;
        for (_, log) in std::mem::take(&mut self.building) {
            log.finish();
        }
        std::mem::take(&mut self.built)
    }

    fn builds(&mut self, app: &AppView) {
        if self.building.contains_key(&app.name) || self.context.quiet {
            return;
        }
        let command = self.specs.get(&app.name).and_then(|spec| spec.build.as_deref());
        let command = command.map(|line| format!(": {}", crate::text::plain(line)));
        self.context.note(&format!("building {}{}", app.name, command.unwrap_or_default()));
        let Some(path) = &app.build_log else { return };
        let from =
            if self.old_logs.get(&app.name) == Some(path) { From::Now } else { From::Beginning };
        if let Some(log) = BuildLog::follow(Path::new(path), from, self.context.err.color) {
            self.building.insert(app.name.clone(), log);
        }
    }

    fn built(&mut self, app: &Name) {
        if let Some(log) = self.building.remove(app) {
            log.finish();
            self.built.insert(app.clone());
        }
    }

    fn starts(&mut self, app: &AppView) {
        if self.starting.contains_key(&app.name) {
            return;
        }
        self.starting.insert(app.name.clone(), Instant::now());
        let rule = self.specs.get(&app.name).map(rule);
        let rule = rule.unwrap_or_else(|| crate::text::plain(&app.ready_when));
        let instances = count(u64::from(app.wanted), "instance");
        self.context.note(&format!("starting {}: {instances}, ready = {rule}", app.name));
    }

    fn rolls(&mut self, app: &AppView) {
        if !is_rolling(&self.verb) || app.status == Status::Building {
            return;
        }
        let doing = match self.verb.as_str() {
            "reload" => Some("reloading"),
            "rollback" => Some("rolling back"),
            _ => None,
        };
        if let Some(doing) = doing {
            let spec = self.specs.get(&app.name);
            let rule = spec.map(rule).unwrap_or_else(|| crate::text::plain(&app.ready_when));
            let instances = count(u64::from(app.wanted), "instance");
            let order = rolling::order(app, spec);
            let line = format!("{doing} {}: {instances}, ready = {rule}, {order}", app.name);
            self.rolling.announce(&self.context, app, &line);
        }
        self.rolling.see(&self.context, app);
        self.rolling.pause(&self.context, app);
    }

    /// How long to wait for a change before there may be something to tell.
    pub(crate) fn patience(&self, longest: Duration) -> Duration {
        let pause = Duration::from_millis(rolling::TOLD_EVERY_MS);
        if self.rolling.is_paused() { pause.min(longest) } else { longest }
    }

    fn result(&mut self, result: &AppResult, app: Option<&AppView>) {
        self.built(&result.app);
        let name = match result.instance {
            Some(instance) => format!("{}/{instance}", result.app),
            None => result.app.to_string(),
        };
        match (result.verdict, self.verb.as_str(), app) {
            (Verdict::Done, verb, Some(app)) if is_rolling(verb) => {
                let time =
                    waited(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
                let counts = format!("ready {} of {}", app.ready, app.wanted);
                self.context.note(&format!("{} {name}: {counts} in {time}", past(&self.verb)));
            }
            (Verdict::Done, "start" | "restart" | "resurrect" | "apply", Some(app))
                if app.status == Status::Stopped =>
            {
                self.context.note(&format!("  {name}: has run to its end"));
            }
            (Verdict::Done, "start" | "restart" | "resurrect" | "apply", Some(app)) => {
                self.starts(app);
                let since = self.starting.get(&app.name).copied().unwrap_or(self.begun);
                // A start that was over before we looked began with the operation.
                let since =
                    since.min(if self.built.contains(&app.name) { since } else { self.begun });
                let time = waited(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
                let subject = if self.apps.len() > 1 { format!("{name}: ") } else { String::new() };
                let by = ready_by(app)
                    .map(|by| format!(": {}", crate::text::plain(&by)))
                    .unwrap_or_default();
                let counts = format!("ready {} of {} in {time}{by}", app.ready, app.wanted);
                self.context.note(&format!("  {subject}{counts}"));
            }
            (Verdict::Done, verb, _) => self.context.note(&format!("{} {name}", past(verb))),
            (Verdict::AlreadyRunning, "stop" | "delete", _) => {
                self.context.note(&format!("{name} was stopped already"));
            }
            (Verdict::AlreadyRunning, _, _) => {
                self.context.note(&format!("{name} is running already"));
            }
            (
                Verdict::StartFailed
                | Verdict::RolledBack
                | Verdict::Aborted
                | Verdict::Busy
                | Verdict::CannotAbort
                | Verdict::BuildFailed
                | Verdict::Conflict
                | Verdict::NotFound
                | Verdict::Spared
                | Verdict::Superseded
                | Verdict::Waits,
                _,
                _,
            ) => {}
        }
    }
}

/// `listening on tcp://[::]:3000`: by what its instances were found to be ready, where no rule says
/// it.
pub(crate) fn ready_by(app: &AppView) -> Option<String> {
    if !app.ready_when.starts_with("default") {
        return None;
    }
    let all: BTreeSet<&str> =
        app.instances.iter().filter_map(|one| one.ready_by.as_deref()).collect();
    let first = *all.first()?;
    Some(match all.len() {
        1 => first.to_owned(),
        more => format!("{first}, and {} more", more - 1),
    })
}

/// `notify within 30s`.
fn rule(spec: &AppSpec) -> String {
    match &spec.ready {
        Ready::Default if spec.listen.is_empty() => "listening, or alive for 1s".to_owned(),
        Ready::Default => "alive for 1s".to_owned(),
        Ready::Delay(time) => format!("alive for {}", span(time.0)),
        said @ (Ready::Fd | Ready::Ipc | Ready::Log(_) | Ready::Notify | Ready::Probe(_)) => {
            format!("{said} within {}", span(spec.ready_timeout.0))
        }
    }
}

/// `stopped`, for `stop`.
fn past(verb: &str) -> String {
    match verb {
        "stop" | "kill" => "stopped".to_owned(),
        // What is still there after an `apply` is told as a start.
        "delete" | "apply" => "deleted".to_owned(),
        "start" | "resurrect" => "started".to_owned(),
        "restart" => "restarted".to_owned(),
        "reload" => "reloaded".to_owned(),
        "reset" => "reset".to_owned(),
        "rollback" => "rolled back".to_owned(),
        "scale" => "scaled".to_owned(),
        "abort" => "aborted what was under way:".to_owned(),
        other => format!("{other}:"),
    }
}
