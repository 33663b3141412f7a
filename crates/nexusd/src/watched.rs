//! Apps whose files are watched: when they are, and what is done about a change.

use nexus_core::{App, Ask, Cause, Event, Keep, Time, Want};
use nexus_proto::{Switch, Trouble, WatchView};
use nexus_spec::{AppSpec, Name};

use crate::clock;
use crate::daemon::{Course, Daemon};
use crate::facts::{Line, NOBODY};
use crate::records::Entry;
use crate::watching::{Plan, Report};
use crate::words;

impl Daemon {
    /// Watch an app's files, if that is asked for and it is wanted up. What has changed after
    /// `since` (Unix time in milliseconds) has changed.
    pub(crate) fn watch_files(&mut self, name: &Name, since: u64) {
        let plan = self.watch_plan(name);
        self.watching.keep(name, plan, since);
    }

    fn watch_plan(&self, name: &Name) -> Option<Plan> {
        let app = self.state.app(name.as_str()).filter(|app| app.want() == Want::Up)?;
        let spec = app.spec();
        let off = self.origins.get(name).is_some_and(|origin| origin.watch_off);
        (!off && !spec.watch.paths.is_empty()).then(|| Plan {
            cwd: spec.cwd.clone(),
            watch: spec.watch.clone(),
            own: vec![
                self.home.logs(),
                self.home.state(),
                self.home.own_log(),
                self.home.root().join("nexus.sock"),
            ],
            logs: logs(spec),
        })
    }

    /// All of them, after a death of the daemon: a file that was changed after the last change that
    /// was acted upon, and after an app's workers began, was changed while nobody looked.
    pub(crate) fn watch_all(&mut self) {
        let names: Vec<Name> = self.state.apps().map(|(name, _)| name.clone()).collect();
        for name in names {
            let seen = self.origins.get(&name).map_or(0, |origin| origin.changes_seen);
            let app = self.state.app(name.as_str());
            let slots = app.map(App::slots).unwrap_or_default();
            let began = slots.iter().filter_map(|slot| slot.phase.since()).min();
            let began = began.map_or_else(clock::unix_ms, clock::unix_ms_of);
            self.watch_files(&name, began.max(seen));
        }
    }

    /// A restart that is to switch on the watching of an app that names no files: all that is below
    /// its directory is watched.
    pub(crate) fn with_watch(&self, ask: Ask, switch: Option<Switch>) -> Ask {
        let (Some(Switch::On | Switch::Toggle), Ask::Restart { app, instance, spec }) =
            (switch, &ask)
        else {
            return ask;
        };
        let Some(known) = self.state.app(app.as_str()) else { return ask };
        if !known.spec().watch.paths.is_empty() {
            return ask;
        }
        let stored = || (Box::new(known.spec().clone()), known.instances());
        let (mut wanted, count) = spec.clone().unwrap_or_else(stored);
        wanted.watch.paths = vec![wanted.cwd.clone()];
        Ask::Restart { app: app.clone(), instance: *instance, spec: Some((wanted, count)) }
    }

    /// Switch the watching of an app on or off.
    pub(crate) fn switch_watch(&mut self, app: &Name, switch: Switch, by: &str) {
        let named = self.state.app(app.as_str()).map(|app| !app.spec().watch.paths.is_empty());
        let (Some(named), Some(origin)) = (named, self.origins.get_mut(app)) else { return };
        let is_on = named && !origin.watch_off;
        let on = match switch {
            Switch::On => true,
            Switch::Off => false,
            Switch::Toggle => !is_on,
        };
        origin.watch_off = !on;
        if on == is_on {
            return;
        }
        let word = if on { "its files are watched" } else { "its files are not watched any more" };
        self.log(Line { app: Some(app.clone()), ..Line::new("watch", word.into(), by) });
        self.keep(&Keep::App(app.clone()));
    }

    /// A watcher has something to say.
    pub(crate) fn watched(&mut self, app: &Name, number: u64, report: Report) {
        // Who is ending decides nothing any more; the next nexusd looks for itself.
        if self.course != Course::Serve || self.shutdown.is_some() {
            return;
        }
        if self.watching.hear(app, number, report) {
            self.turn(Event::Changed { app: app.clone() }, NOBODY);
        } else {
            self.publish();
        }
    }

    /// Begin an operation of our own.
    pub(crate) fn undertake(&mut self, app: Name, cause: Cause) {
        let detail = match cause {
            Cause::Changed => {
                let changed = self.watching.take_changed(&app);
                let files = changed.map_or_else(|| "files".to_owned(), |batch| batch.to_string());
                format!("changed: {files}")
            }
            Cause::Cron => self.told_of_cron(&app),
            Cause::Load { from, to, used } => {
                let each = used / u64::from(from.max(1));
                format!("{each} % of a CPU each: from {from} to {to} instances")
            }
        };
        let (kind, verb) = match cause {
            Cause::Changed => ("watch", "reload"),
            Cause::Cron => ("cron", "reload"),
            Cause::Load { .. } => ("autoscale", "scale"),
        };
        tracing::info!(%app, "{detail}");
        let now = clock::unix_ms();
        if let (Cause::Changed, Some(origin)) = (cause, self.origins.get_mut(&app)) {
            origin.changes_seen = now;
        }
        let (key, by) = (format!("{kind}-{app}-{now}"), format!("nexusd ({kind})"));
        let op = self.ops.begin(key, verb, by, vec![app.clone()]);
        if let Some(op) = self.ops.get(op) {
            self.store.keep(Entry::Operation(Box::new(op.clone())));
        }
        self.log(Line { app: Some(app.clone()), ..Line::new(kind, detail, NOBODY) });
        self.queue.push_back(Event::Undertaken { op, app, cause });
    }

    /// What is told of a loop.
    pub(crate) fn told_of_loop(&self, app: &Name, after: u32, until: Time) -> String {
        let changed = self.watching.changed(app).map(ToString::to_string).unwrap_or_default();
        let wait = words::span(until - clock::now());
        format!(
            "it seems to change its own files ({changed}): reloaded {after} times, each time \
             followed by a change; the next reload waits {wait}; name them in `ignore_watch`"
        )
    }

    /// What clients see of it; `None` = nothing is watched.
    pub(crate) fn watch_view(&self, name: &Name, app: &App, now: Time) -> Option<WatchView> {
        let watch = &app.spec().watch;
        if watch.paths.is_empty() {
            return None;
        }
        let seen = self.watching.seen(name);
        let held = app.changes().held();
        Some(WatchView {
            on: !self.origins.get(name).is_some_and(|origin| origin.watch_off),
            paths: watch.paths.iter().map(|path| path.display().to_string()).collect(),
            ignore: watch.ignore.clone(),
            delay_ms: watch.delay.0,
            directories: seen.and_then(|seen| seen.directories).map(|count| count as u64),
            problem: seen.and_then(|seen| seen.problem.clone()),
            held_ms: held.map(|(until, _)| (until - now).0),
        })
    }

    /// What is wrong with it: a loop, or changes that are not seen.
    pub(crate) fn watch_trouble(&self, name: &Name, app: &App) -> Option<Trouble> {
        let told = |what: String, try_next: String| {
            Some(Trouble { what, instance: 0, last_lines: Vec::new(), try_next })
        };
        if let Some((until, after)) = app.changes().held() {
            let what = format!("{name}: {}", self.told_of_loop(name, after, until));
            return told(what, format!("nexusctl events --app {name}"));
        }
        let problem = self.watching.seen(name)?.problem.clone()?;
        told(format!("{name}: {problem}"), format!("nexusctl describe {name}"))
    }
}

/// Log files that are outside of the home.
fn logs(spec: &AppSpec) -> Vec<std::path::PathBuf> {
    [&spec.log.out_file, &spec.log.error_file].into_iter().flatten().cloned().collect()
}
