//! The state becomes a `Snapshot`: what clients may see, and nothing else.

use nexus_core::{App, Phase, Slot, Time, Want};
use nexus_keeper::Trees;
use nexus_proto::{
    AppView, DaemonView, HostView, InstanceView, LogFile, Snapshot, Status, Trouble,
};
use nexus_spec::{Name, Span};

use crate::clock;
use crate::daemon::Daemon;
use crate::held::{Line, Stream};
use crate::history::scaling_view;
use crate::words;

impl Daemon {
    /// The fleet at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = clock::now();
        Snapshot {
            schema: "nexus.list/1".into(),
            generation: *self.published.generation.borrow(),
            generated_at: clock::rfc3339(clock::unix_ms()),
            daemon: DaemonView {
                version: env!("CARGO_PKG_VERSION").into(),
                home: self.home.root().display().to_string(),
                pid: i32::try_from(std::process::id()).unwrap_or_default(),
                keeper_pid: self.facts.keeper_pid,
                uptime_ms: (now - self.facts.began).0,
                pair_uptime_ms: (now - self.facts.pair_began).0,
                nexusd_restarts: self.facts.nexusd_restarts,
                keeper_restarts: self.facts.keeper_restarts,
                service: self.holdings.service.as_ref().and_then(|s| s.unit()).map(str::to_owned),
                keeper_version: self.holdings.link.keeper_version(),
                trees: self.trees().into(),
            },
            host: HostView {
                name: String::new(),
                cpus: 0,
                cpu_percent: None,
                load_1m: 0.0,
                memory_used_bytes: 0,
                memory_total_bytes: 0,
            },
            apps: self.app_views(now),
        }
    }

    /// All apps, by name.
    pub(crate) fn app_views(&self, now: Time) -> Vec<AppView> {
        self.state.apps().map(|(name, app)| self.app_view(name, app, now)).collect()
    }

    fn app_view(&self, name: &Name, app: &App, now: Time) -> AppView {
        let spec = app.spec();
        let waits = self.waits_for(name, app).or_else(|| self.builds_later(name, app));
        let waits = waits.unwrap_or_default();
        let instances: Vec<InstanceView> =
            app.slots().iter().map(|slot| self.instance_view(app, slot, &waits, now)).collect();
        let counts = app.counts();
        let mut command = spec.interpreter.clone();
        command.push(spec.script.display().to_string());
        command.extend(spec.args.iter().cloned());
        let online = instances.iter().filter(|instance| instance.status == Status::Online);
        AppView {
            name: name.clone(),
            namespace: spec.namespace.clone(),
            status: status_of(app, &instances),
            ready: u16::try_from(counts.online).unwrap_or(u16::MAX),
            wanted: app.instances(),
            restarts: instances.iter().map(|instance| instance.restarts).sum(),
            cpu_percent: None,
            memory_bytes: None,
            memory_high_bytes: spec.memory.high.map(|size| size.0),
            memory_max_bytes: spec.memory.max.map(|size| size.0),
            memory_hold_ms: spec.memory.hold.0,
            uptime_ms: online.filter_map(|instance| instance.uptime_ms).min(),
            generation: app.generation(),
            version: app.version(),
            versions: self.versions_view(name, app),
            rollout: self.rollout_view(app, now),
            scaling: scaling_view(app),
            listen: spec.listen.iter().map(|socket| socket.address.to_string()).collect(),
            unadopted: self.served_by_workers_only(name),
            command,
            cwd: spec.cwd.display().to_string(),
            ready_when: words::ready_when(&spec.ready, spec.ready_timeout, !spec.listen.is_empty()),
            health: spec.health.as_ref().map(words::health),
            stop_signal: words::signal(spec.stop.signal.0),
            stop_tree: spec.stop.tree,
            door: spec.door,
            kill_timeout_ms: spec.stop.kill_timeout.0,
            restart_policy: words::restart_policy(&spec.restart),
            env_names: spec.env.keys().cloned().collect(),
            user: spec.run_as.user.clone(),
            source: self.origins.get(name).map(|origin| origin.source.clone()),
            trouble: self
                .trouble(name, app, now)
                .or_else(|| self.dependency_trouble(name))
                .or_else(|| self.watch_trouble(name, app)),
            watch: self.watch_view(name, app, now),
            depends_on: self.dependencies(app),
            times: self.times_view(name, app),
            instances,
            build_log: spec.build.as_ref().map(|_| {
                self.home.log(name, Line::Build, Stream::Out, false).display().to_string()
            }),
        }
    }

    /// `waits` = what its app waits for, in words.
    fn instance_view(&self, app: &App, slot: &Slot, waits: &str, now: Time) -> InstanceView {
        let naming = self.naming(app.spec());
        let log = |stream: Stream| LogFile {
            stream: stream.word().into(),
            path: naming.file(Line::Instance(slot.instance), stream).0.display().to_string(),
        };
        let exit = slot.last_exit;
        let said = exit.map(|exit| {
            let excuse = self.excuses.get(&exit.child.0);
            let found = || self.finding(exit.child.0, exit.exit);
            excuse.cloned().unwrap_or_else(|| words::exit(exit.exit) + &found())
        });
        let online = slot.phase.is_online();
        let (says, about) = self.said(slot.phase.child());
        // What is to follow a worker that serves on meanwhile.
        let later =
            self.builds_later(&app.spec().name, app).filter(|_| slot.phase.child().is_some());
        let later = later.map(|waits| format!("; its build {waits}")).unwrap_or_default();
        InstanceView {
            id: slot.id.0,
            instance: slot.instance,
            status: status(app, slot),
            explain: format!(
                "{}{about}{}{later}",
                if status(app, slot) == Status::Waiting { waits } else { explain(app, slot) },
                words::ill(slot.healthy)
            ),
            says,
            ready_by: slot.phase.child().filter(|_| online).and_then(|child| self.ready_by(child)),
            healthy: slot.healthy,
            pid: slot.phase.pid().map(|pid| pid.0),
            child: slot.phase.child().map(|child| child.0),
            generation: slot.phase.child().map(|_| slot.generation),
            restarts: slot.restarts,
            uptime_ms: slot.phase.since().map(|since| (now - since).0),
            started_at_unix_ms: slot.phase.since().map(clock::unix_ms_of),
            again_in_ms: slot.again_at().map(|at| (at - now).0),
            last_exit: said,
            last_exit_ago_ms: exit.map(|exit| (now - exit.at).0),
            last_exit_asked: exit.map(|exit| exit.asked),
            last_lived_ms: exit.map(|exit| exit.lived.0),
            last_exit_code: exit.and_then(|exit| match exit.exit {
                nexus_core::Exit::Code(code) => Some(code),
                nexus_core::Exit::Core(_)
                | nexus_core::Exit::NeverReady
                | nexus_core::Exit::NotSpawned(_)
                | nexus_core::Exit::OverLimit(_)
                | nexus_core::Exit::Signal(_)
                | nexus_core::Exit::Unknown => None,
            }),
            cpu_percent: None,
            cpu_time_ms: None,
            memory_bytes: None,
            logs: Stream::BOTH.map(log).into(),
            tree: self.trees().into(),
        }
    }

    /// How trees are found.
    fn trees(&self) -> &'static str {
        match self.facts.trees {
            Trees::Cgroup => "cgroup",
            Trees::Sweep => "sweep",
        }
    }

    /// What is wrong with the first slot with which something is.
    fn trouble(&self, name: &Name, app: &App, now: Time) -> Option<Trouble> {
        let slot = app.slots().iter().find(|slot| {
            slot.want == Want::Up && matches!(slot.phase, Phase::Errored | Phase::Backoff { .. })
        })?;
        let exit = slot.last_exit?;
        let how = self.excuses.get(&exit.child.0).cloned().unwrap_or_else(|| {
            let found = self.finding(exit.child.0, exit.exit);
            format!("{} after {}{found}", words::ended(exit.exit), words::span(exit.lived))
        });
        let times = match slot.past.exits.len() {
            0 | 1 => String::new(),
            count => {
                let first = slot.past.exits.first().copied().unwrap_or(now);
                format!(", {count} times in {}", words::span(Span((now - first).0)))
            }
        };
        let again = words::again(slot.again_at(), now);
        Some(Trouble {
            what: format!("{name}/{} {how}{times}{again}", slot.instance),
            instance: slot.instance,
            last_lines: Vec::new(),
            try_next: format!("nexusctl logs {name} --err"),
        })
    }
}

/// A job between two runs.
fn waits_for_its_time(app: &App, slot: &Slot) -> bool {
    app.is_job() && slot.want == Want::Up && slot.phase == Phase::Idle
}

/// Its build waits for another one in its directory.
fn waits_to_build(app: &App) -> bool {
    app.build().is_some_and(|build| build.phase == Phase::Waiting)
}

fn explain(app: &App, slot: &Slot) -> &'static str {
    match waits_for_its_time(app, slot) {
        true => "a job: waits for its next run",
        false => slot.explain(),
    }
}

fn status(app: &App, slot: &Slot) -> Status {
    if waits_to_build(app) && slot.phase.child().is_none() {
        return Status::Waiting;
    }
    if waits_for_its_time(app, slot) {
        return Status::Scheduled;
    }
    match (slot.want, slot.phase) {
        (_, Phase::Online { .. }) => Status::Online,
        (_, Phase::Spawning { .. } | Phase::Warming { .. }) => Status::Starting,
        (_, Phase::Stopping { .. } | Phase::Reaping { .. }) => Status::Stopping,
        (_, Phase::Backoff { .. }) => Status::Backoff,
        (_, Phase::Errored) => Status::Errored,
        (_, Phase::Idle) => Status::Stopped,
        (_, Phase::Waiting) => Status::Waiting,
    }
}

/// The sum of its instances' states: the same for all, or the worst of those that are not ready.
fn status_of(app: &App, instances: &[InstanceView]) -> Status {
    if app.build().is_some_and(|build| build.plan.builds)
        && !instances.iter().any(|one| one.status == Status::Online)
    {
        return if waits_to_build(app) { Status::Waiting } else { Status::Building };
    }
    let any = |status: Status| instances.iter().any(|one| one.status == status);
    let all = |status: Status| instances.iter().all(|one| one.status == status);
    let order = [
        Status::Errored,
        Status::Backoff,
        Status::Waiting,
        Status::Starting,
        Status::Stopping,
        Status::Stopped,
        Status::Scheduled,
    ];
    if !instances.is_empty() && all(Status::Online) {
        return Status::Online;
    }
    let worst = order.into_iter().find(|&status| any(status)).unwrap_or(Status::Stopped);
    if any(Status::Online) { Status::Partial } else { worst }
}
