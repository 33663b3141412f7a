//! A client's request becomes asks of the core: checked whole before anything changes.

use std::collections::BTreeMap;

use nexus_core::{Ask, Event, OpId, Wall, Want};
use nexus_proto::{Actor, AppVerb, Code, Problem, Start, Switch, Target};
use nexus_spec::{AppSpec, Name, Size, Source};

use crate::calendar;
use crate::clock;
use crate::command::{Begin, Begun, What};
use crate::cpus;
use crate::daemon::Daemon;
use crate::facts::Line;
use crate::origin::Origin;
use crate::records::{Entry, StoredApp};
use crate::rollouts::about;
use crate::{saved, targets};

/// Workers of one app at the most: what the keeper can keep.
pub(crate) const INSTANCES_MAX: u16 = nexus_keeper::CHILDREN_MAX as u16;

/// What a request asks of the core, in full.
pub(crate) struct Plan {
    pub(crate) verb: &'static str,
    pub(crate) asks: Vec<Ask>,
    pub(crate) origins: BTreeMap<Name, Origin>,
    pub(crate) then_leave: bool,
    /// Whether the files of these apps are watched from now on.
    pub(crate) watch: Option<Switch>,
}

impl Plan {
    pub(crate) fn new(verb: &'static str, asks: Vec<Ask>) -> Plan {
        Plan { verb, asks, origins: BTreeMap::new(), then_leave: false, watch: None }
    }
}

impl Daemon {
    /// Begin an operation, or answer with the one that its key began.
    pub(crate) fn begin(&mut self, begin: Begin) -> Result<Begun, Problem> {
        self.ops.expire();
        if let Some(op) = self.ops.by_key(&begin.key) {
            let id = OpId(op.id);
            return self.begun(id).ok_or_else(|| lost(&begin.key));
        }
        self.must_be_kept(&begin.what)?;
        let (by, actor) = (begin.by.to_string(), begin.by);
        let settings = self.settings_of(&begin.what, begin.access);
        let changes = self.changes(&begin.what);
        let mut plan = self.plan(begin.what)?;
        self.must_fit_together(&plan)?;
        plan.asks = self.state.arrange(plan.asks);
        self.must_have_room(&plan)?;
        if let Some(settings) = settings {
            self.set(settings)?;
        }
        self.tell_changes(changes, &actor);
        let apps: Vec<Name> = plan.asks.iter().map(|ask| ask.app().clone()).collect();
        let names: Vec<String> = plan.asks.iter().map(about).collect();
        let detail = format!("{} {}", plan.verb, names.join(" "));
        tracing::info!(by, "{detail}");
        let id = self.ops.begin(begin.key.clone(), plan.verb, by.clone(), apps);
        if let Some(op) = self.ops.get_mut(id) {
            op.then_leave = plan.then_leave;
            self.store.keep(Entry::Operation(Box::new(op.clone())));
        }
        // Where an app comes from is kept with the app, which the first turn keeps; one that is
        // asked nothing has no turn.
        let reloads = |name: &Name| {
            let of_it = |ask: &Ask| matches!(ask, Ask::Reload { app, .. } | Ask::Rollback { app, .. } if app == name);
            plan.asks.iter().any(of_it)
        };
        for (name, origin) in plan.origins {
            if reloads(&name) {
                self.expect_origin(&name, origin);
                continue;
            }
            let known = self.adopt_origin(name.clone(), origin);
            if known && let Some(entry) = self.app_entry(&name) {
                self.store.keep(entry);
            }
        }
        self.log_of(&actor, Line::new("operator", detail, &by));
        if let Some(switch) = plan.watch {
            plan.asks.iter().for_each(|ask| self.switch_watch(ask.app(), switch, &by));
        }
        let asked = plan.asks.into_iter().map(|ask| Event::Asked { op: id, ask });
        self.turn_together(asked, &by);
        self.commit();
        if plan.then_leave && self.ops.get(id).is_some_and(|op| op.ended_at.is_some()) {
            self.leave_soon();
        }
        self.publish();
        self.begun(id).ok_or_else(|| lost(&begin.key))
    }

    /// What cannot be kept is not begun; to end apps is always possible.
    fn must_be_kept(&mut self, what: &What) -> Result<(), Problem> {
        if matches!(what, What::Kill | What::Stop(_)) {
            return Ok(());
        }
        self.rewrite_if_due();
        match self.store.lacking() {
            None => Ok(()),
            Some(why) => {
                let title = "nothing is changed, since it could not be kept".to_owned();
                let folder = self.home.state();
                Err(Problem::new(Code::TooMuch, title)
                    .cause(format!("{}: {why}", folder.display()))
                    .help(format!("df {}        then make room, and try again", folder.display())))
            }
        }
    }

    /// A known app keeps how its log files are called. Returns whether it is known.
    fn adopt_origin(&mut self, name: Name, mut origin: Origin) -> bool {
        self.remember_origin(&name);
        let is_known = self.state.app(name.as_str()).is_some();
        if is_known && let Some(known) = self.origins.get(&name) {
            origin.plain_zero = known.plain_zero;
        }
        self.origins.insert(name, origin);
        is_known
    }

    fn plan(&self, what: What) -> Result<Plan, Problem> {
        match what {
            What::Apply(apply) => self.application(apply),
            What::Delete(verb) => {
                let targets = self.targets(&verb.targets)?;
                if let Some(target) = targets.iter().find(|target| target.instance.is_some()) {
                    let title = format!("one instance of `{}` cannot be deleted", target.app);
                    return Err(Problem::new(Code::Refused, title)
                        .help(format!("nexusctl delete {}        deletes the app", target.app)));
                }
                let asks = targets.into_iter().map(|target| Ask::Delete { app: target.app });
                Ok(Plan::new("delete", asks.collect()))
            }
            What::Kill => {
                let asks = self
                    .state
                    .apps()
                    .map(|(name, _)| Ask::Stop { app: name.clone(), instance: None });
                Ok(Plan { then_leave: true, ..Plan::new("kill", asks.collect()) })
            }
            What::Abort(verb) => self.abort(&verb),
            What::Reload(verb) => self.reload(verb),
            What::Reset(verb) => {
                let asks = self.targets(&verb.targets)?.into_iter();
                let ask = |Target { app, instance }| Ask::Reset { app, instance };
                Ok(Plan::new("reset", asks.map(ask).collect()))
            }
            What::Restart(verb) => self.restart(verb),
            What::Rollback(verb) => self.rollback(&verb),
            What::Resurrect => self.resurrection(),
            What::Scale(verb) => self.scale(&verb),
            What::Start(start) => {
                let (specs, origins) = self.checked(start)?;
                let asks = specs
                    .into_iter()
                    .map(|(spec, instances)| Ask::Start { spec: Box::new(spec), instances });
                Ok(Plan { origins, ..Plan::new("start", asks.collect()) })
            }
            What::StartKnown(verb) => self.known("start", &verb, |Target { app, instance }| {
                Ask::StartKnown { app, instance }
            }),
            What::Stop(verb) => {
                let ask = |Target { app, instance }| Ask::Stop { app, instance };
                Ok(Plan { watch: verb.watch, ..self.known("stop", &verb, ask)? })
            }
        }
    }

    /// What is asked of apps that are known, with new specs; one that is not there is started.
    pub(crate) fn of_specs(
        &self,
        verb: &'static str,
        start: Start,
        ask: impl Fn(Name, (Box<AppSpec>, u16)) -> Ask,
    ) -> Result<Plan, Problem> {
        let (specs, origins) = self.checked(start)?;
        let asks = specs.into_iter().map(|(spec, instances)| {
            let spec = Box::new(spec);
            match self.state.app(spec.name.as_str()) {
                Some(_) => ask(spec.name.clone(), (spec, instances)),
                None => Ask::Start { spec, instances },
            }
        });
        Ok(Plan { origins, ..Plan::new(verb, asks.collect()) })
    }

    /// With new specs, with another limit of memory, or as it is.
    fn restart(&self, verb: AppVerb) -> Result<Plan, Problem> {
        if let Some(start) = verb.specs {
            return self.of_specs("restart", start, |app, spec| Ask::Restart {
                app,
                instance: None,
                spec: Some(spec),
            });
        }
        let asks = self.targets(&verb.targets)?.into_iter().map(|target| {
            let Target { app, instance } = target.clone();
            let ask = match verb.max_memory_restart {
                Some(max) => self.restart_with(target, max),
                None => Ok(Ask::Restart { app, instance, spec: None }),
            };
            ask.map(|ask| self.with_watch(ask, verb.watch))
        });
        let asks = asks.collect::<Result<_, _>>()?;
        Ok(Plan { watch: verb.watch, ..Plan::new("restart", asks) })
    }

    /// A restart with another limit of memory, which is the whole app's.
    fn restart_with(&self, target: Target, max: Size) -> Result<Ask, Problem> {
        let Target { app, instance } = target;
        let Some(known) = self.state.app(app.as_str()) else {
            return Err(targets::unknown(app.as_str(), std::iter::empty()));
        };
        let mut spec = known.spec().clone();
        if let Some(high) = spec.memory.high.filter(|high| *high > max) {
            let title = format!("`{app}`: `memory.high` is {high}, above the new limit of {max}");
            return Err(Problem::new(Code::BadConfig, title)
                .help("lower `memory.high` in its project file, then restart it with the file"));
        }
        spec.memory.max = Some(max);
        Ok(Ask::Restart { app, instance, spec: Some((Box::new(spec), known.instances())) })
    }

    /// One ask for each of the targets.
    fn known(
        &self,
        verb: &'static str,
        body: &AppVerb,
        ask: fn(Target) -> Ask,
    ) -> Result<Plan, Problem> {
        let targets = self.targets(&body.targets)?;
        Ok(Plan::new(verb, targets.into_iter().map(ask).collect()))
    }

    /// What was saved and does not run, with what it depends on.
    fn resurrection(&self) -> Result<Plan, Problem> {
        let saved = saved::read(&self.home.state()).map_err(|error| {
            Problem::new(Code::Internal, "the saved list cannot be read".into())
                .cause(error.to_string())
        })?;
        let mut plan = Plan::new("resurrect", Vec::new());
        let is_down =
            |name: &Name| self.state.app(name.as_str()).is_none_or(|app| app.want() == Want::Down);
        for mut app in saved::wanted(saved, is_down) {
            app.unseal(self.store.vault());
            let name = app.spec.name.clone();
            match self.state.app(name.as_str()) {
                Some(_) => plan.asks.push(Ask::StartKnown { app: name, instance: None }),
                None => {
                    let instances = cpus::resolve(app.spec.instances);
                    plan.asks.push(Ask::Start { spec: Box::new(app.spec), instances });
                    plan.origins.insert(name, app.origin);
                }
            }
        }
        Ok(plan)
    }

    /// What words stand for.
    pub(crate) fn targets(&self, words: &[String]) -> Result<Vec<Target>, Problem> {
        targets::resolve(words, &self.app_views(clock::now()))
    }

    /// Keep the present list for `resurrect`. An empty one never replaces a full one.
    pub(crate) fn save(&mut self, actor: &Actor) -> Result<u64, Problem> {
        let stored = |(name, app): (&Name, &nexus_core::App)| {
            let origin = self.origins.get(name).cloned().unwrap_or_default();
            StoredApp::new(&app.record(), &origin, self.store.vault())
        };
        let apps: Vec<StoredApp> = self.state.apps().map(stored).collect();
        let failed = |error: std::io::Error| {
            Problem::new(Code::Internal, "the list cannot be saved".into()).cause(error.to_string())
        };
        let folder = self.home.state();
        if apps.is_empty() && !saved::read(&folder).map_err(failed)?.is_empty() {
            return Err(Problem::new(
                Code::Refused,
                "there are no apps: the saved list is not replaced by an empty one".into(),
            )
            .help("nexusctl resurrect                  starts what was saved"));
        }
        saved::write(&folder, &apps).map_err(failed)?;
        let by = actor.to_string();
        self.log_of(actor, Line::new("save", format!("{} apps", apps.len()), &by));
        Ok(apps.len() as u64)
    }
}

pub(crate) fn lost(key: &str) -> Problem {
    Problem::new(Code::Internal, format!("the operation `{key}` was lost"))
}

pub(crate) type Specs = (Vec<(AppSpec, u16)>, BTreeMap<Name, Origin>);

/// What types do not enforce, since any client may send it.
pub(crate) fn checked(start: Start) -> Result<Specs, Problem> {
    let bad = |title: String| Err(Problem::new(Code::BadConfig, title));
    let base_env: BTreeMap<String, String> = start.base_env.into_iter().collect();
    let mut specs = Vec::new();
    let mut origins = BTreeMap::new();
    for mut spec in start.apps {
        spec.restart.auto &= spec.schedule.cron.is_none();
        let name = spec.name.clone();
        let instances = cpus::resolve(spec.instances);
        if instances > INSTANCES_MAX {
            return bad(format!("`{name}`: at most {INSTANCES_MAX} instances"));
        }
        if !spec.cwd.is_absolute() {
            return bad(format!("`{name}`: the working directory must be an absolute path"));
        }
        let signal = nix::sys::signal::Signal::try_from(spec.stop.signal.0);
        if signal.is_err() && !(32..=64).contains(&spec.stop.signal.0) {
            return bad(format!("`{name}`: {} is no signal", spec.stop.signal.0));
        }
        let assigned = spec.env.iter().chain(&base_env);
        if let Some((key, _)) = assigned.into_iter().find(|(key, value)| {
            key.is_empty() || key.contains(['=', '\0']) || value.contains('\0')
        }) {
            return bad(format!("`{name}`: {key:?} cannot be set in an environment"));
        }
        if let Some(clause) = calendar::flaw(&spec, Wall(clock::unix_ms())) {
            return bad(format!("`{name}`: {clause}"));
        }
        if let Some(problem) = odd_sources(&spec) {
            return bad(format!("`{name}`: {problem}"));
        }
        let origin = Origin {
            source: start.source.clone(),
            base_env: inherited(&spec, &base_env),
            plain_zero: instances == 1,
            watch_off: false,
            changes_seen: 0,
            restarted_for: 0,
            run_for: 0,
            arriving: None,
        };
        if origins.insert(name.clone(), origin).is_some() {
            return bad(format!("two apps are named `{name}`"));
        }
        specs.push((spec, instances));
    }
    if specs.is_empty() {
        return bad("there is no app to start".into());
    }
    Ok((specs, origins))
}

/// What is wrong with where an app's variables come from.
fn odd_sources(spec: &AppSpec) -> Option<String> {
    let named = |name: &str| !name.is_empty() && name.len() <= VARIABLE_MAX;
    let variables = std::iter::once(&spec.instance_var).chain(&spec.increment_var);
    let odd = |name: &&String| !named(name) || name.contains(['=', '\0']);
    if let Some(name) = variables.chain(spec.secrets.keys()).find(odd) {
        return Some(format!("{name:?} cannot name a variable"));
    }
    let files = spec.secrets.values().filter_map(|source| match source {
        Source::File(path) => Some(path),
        Source::Command(_) | Source::Credential(_) => None,
    });
    let relative = spec.env_file.iter().chain(files).find(|path| !path.is_absolute());
    relative.map(|path| format!("{} must be an absolute path", path.display()))
}

/// The longest name of a variable that numbers the instances, in bytes: it is carried by each
/// order of a spawn.
const VARIABLE_MAX: usize = 64;

/// Of the caller's environment, what the app's workers or its build get: no more is kept.
fn inherited(spec: &AppSpec, base_env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let builds = spec.build.is_some();
    let wanted = |name: &str| {
        spec.inherit.takes(name) || (builds && crate::template::TOOLCHAIN.contains(&name))
    };
    let wanted = base_env.iter().filter(|(name, _)| wanted(name));
    wanted.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What a client sees of an operation that it did not begin.
pub(crate) fn shown(daemon: &mut Daemon, key: &str) -> Option<Begun> {
    let id = OpId(daemon.ops.by_key(key)?.id);
    daemon.begun(id)
}
