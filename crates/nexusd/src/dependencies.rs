//! Apps that depend on others: what is refused beforehand, and how it is told.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{App, Ask, Phase, Slot, Want};
use nexus_proto::{Code, DependencyView, Problem, Trouble};
use nexus_spec::{AppSpec, Name, Until};

use crate::daemon::Daemon;
use crate::requests::Plan;
use crate::words;

impl Daemon {
    /// Refuse what would leave an app with a dependency that nobody knows or that can never be, or
    /// apps that wait for each other.
    pub(crate) fn must_fit_together(&self, plan: &Plan) -> Result<(), Problem> {
        let gone: BTreeSet<&Name> = plan.asks.iter().filter_map(deleted).collect();
        let brought = || plan.asks.iter().filter_map(|ask| self.state.brought_by(ask));
        if gone.is_empty() && brought().next().is_none() {
            return Ok(());
        }
        // As they are, and as they are about to be.
        let known = self.state.apps().map(|(name, app)| (name, specs_of(app)));
        let mut specs: BTreeMap<&Name, Vec<&AppSpec>> = known.collect();
        specs.extend(brought().map(|spec| (&spec.name, vec![spec])));
        specs.retain(|name, _| !gone.contains(name));
        for name in gone {
            let needs = |spec: &&AppSpec| spec.depends_on.contains_key(name);
            let dependents = specs.iter().filter(|(_, specs)| specs.iter().any(needs));
            let dependents: Vec<&str> = dependents.map(|(name, _)| name.as_str()).collect();
            if !dependents.is_empty() {
                return Err(needed(name, &dependents));
            }
        }
        // What is not touched fitted together before, or is not to be in the way now.
        for spec in brought() {
            for (on, until) in &spec.depends_on {
                let Some(other) = specs.get(on) else {
                    return Err(unknown(spec, on, specs.keys().map(|name| name.as_str())));
                };
                if let Some(clause) = other.iter().find_map(|other| other.cannot_be(*until)) {
                    let title = format!("`{}` waits until `{on}` is {until}: {clause}", spec.name);
                    return Err(bad(&spec.name, on, title));
                }
            }
        }
        let on = |name: &Name| {
            let specs = specs.get(name).into_iter().flatten();
            specs.flat_map(|spec| spec.depends_on.keys())
        };
        let path = nexus_spec::circles(brought().map(|spec| &spec.name), on).into_iter().next();
        match path.as_deref() {
            Some(path @ [app, on, ..]) => Err(bad(app, on, nexus_spec::told_circle(path))),
            Some([] | [_]) | None => Ok(()),
        }
    }

    /// What an app waits for, in words, if a slot of it does.
    pub(crate) fn waits_for(&self, name: &Name, app: &App) -> Option<String> {
        if app.counts().waiting == 0 {
            return None;
        }
        let lacking = self.state.lacking(name)?;
        let state = self.state_of(&lacking.on);
        Some(format!("waits until `{}` is {} ({state})", lacking.on, lacking.until))
    }

    /// Whose build comes first in the same directory, in words, if one does.
    pub(crate) fn builds_later(&self, name: &Name, app: &App) -> Option<String> {
        app.build().filter(|build| build.phase == Phase::Waiting)?;
        let other = self.state.builds_after(name).map(|other| format!("the build of `{other}`"));
        let other = other.unwrap_or_else(|| "another build".to_owned());
        Some(format!("waits for {other} in the same directory"))
    }

    /// How an app that another one depends on is: `errored: db/0 exited with code 3 after 20ms`.
    pub(crate) fn state_of(&self, on: &Name) -> String {
        let Some(app) = self.state.app(on.as_str()) else {
            return "there is no app of that name".to_owned();
        };
        let slot = |phase: fn(&Slot) -> bool| app.slots().iter().find(|slot| phase(slot));
        if let Some(waits) = self.builds_later(on, app) {
            return format!("it {waits}");
        }
        if app.build().is_some_and(|build| build.plan.builds) {
            return "it is being built".to_owned();
        }
        if app.want() != Want::Up {
            return "it is stopped".to_owned();
        }
        let counts = app.counts();
        // Of many it is known by the counts alone that there is nothing to look for.
        let up = counts.online + counts.completed;
        let failed = |slot: &Slot| {
            let ended = slot.phase == Phase::Idle && !slot.is_completed();
            let down = ended || matches!(slot.phase, Phase::Backoff { .. } | Phase::Errored);
            slot.want == Want::Up && down
        };
        if up + counts.waiting < counts.wanted
            && let Some(slot) = slot(failed)
        {
            if app.is_job() && slot.last_exit.is_none() {
                return "it waits for its time".to_owned();
            }
            let how = slot.last_exit.map(|last| {
                let excuse = self.excuses.get(&last.child.0).cloned();
                let ended =
                    || format!("{} after {}", words::ended(last.exit), words::span(last.lived));
                excuse.unwrap_or_else(ended)
            });
            let how = how.unwrap_or_else(|| "does not run".to_owned());
            let given_up = if slot.phase == Phase::Errored { "; given up" } else { "" };
            return format!("{on}/{} {how}{given_up}", slot.instance);
        }
        if counts.waiting > 0
            && let Some(lacking) = self.state.lacking(on)
        {
            return format!("it waits for `{}`", lacking.on);
        }
        if counts.completed >= counts.wanted {
            return "it has completed".to_owned();
        }
        let comes = |slot: &Slot| !slot.phase.is_online() && !slot.is_completed();
        if up < counts.wanted
            && let Some(slot) = slot(comes)
        {
            return format!("{on}/{} is {}", slot.instance, plainly(slot.phase));
        }
        match app.spec().health.is_some() && counts.well + counts.completed < counts.wanted {
            true => "its health check has not succeeded".to_owned(),
            false => "it is online".to_owned(),
        }
    }

    /// The apps that an app depends on, as they are.
    pub(crate) fn dependencies(&self, app: &App) -> Vec<DependencyView> {
        let view = |(on, until): (&Name, &Until)| DependencyView {
            app: on.clone(),
            until: until.to_string(),
            met: self.state.met(on, *until),
            state: self.state_of(on),
        };
        app.spec().depends_on.iter().map(view).collect()
    }

    /// An app waits for one that does not come by itself.
    pub(crate) fn dependency_trouble(&self, name: &Name) -> Option<Trouble> {
        let app = self.state.app(name.as_str()).filter(|app| app.counts().waiting > 0)?;
        let lacking = self.state.lacking(name).filter(|lacking| lacking.blocked)?;
        let waits = app.slots().iter().find(|slot| slot.phase == Phase::Waiting)?;
        let what = format!("{name}/{} {}", waits.instance, self.waits_for(name, app)?);
        let try_next = match self.state.app(lacking.on.as_str()) {
            Some(on) if on.want() == Want::Up => format!("nexusctl why {}", lacking.on),
            Some(_) | None => format!("nexusctl start {}", lacking.on),
        };
        Some(Trouble { what, instance: waits.instance, last_lines: Vec::new(), try_next })
    }
}

fn plainly(phase: Phase) -> &'static str {
    match phase {
        Phase::Online { .. } => "online",
        Phase::Spawning { .. } | Phase::Warming { .. } => "not ready yet",
        Phase::Stopping { .. } | Phase::Reaping { .. } => "going down",
        Phase::Waiting => "waiting",
        Phase::Backoff { .. } | Phase::Errored | Phase::Idle => "down",
    }
}

fn deleted(ask: &Ask) -> Option<&Name> {
    match ask {
        Ask::Delete { app } => Some(app),
        Ask::Abort { .. }
        | Ask::Reload { .. }
        | Ask::Reset { .. }
        | Ask::Restart { .. }
        | Ask::Rollback { .. }
        | Ask::Scale { .. }
        | Ask::Start { .. }
        | Ask::StartKnown { .. }
        | Ask::Stop { .. } => None,
    }
}

/// The spec that an app has, and those that it may have soon: after its build, or its reload.
fn specs_of(app: &App) -> Vec<&AppSpec> {
    let planned = app.build().and_then(|build| build.plan.change.as_ref());
    let reloaded = app.rollout().and_then(|rollout| rollout.reload.change.as_ref());
    let soon = planned.into_iter().chain(reloaded).map(|(spec, _)| &**spec);
    std::iter::once(app.spec()).chain(soon).collect()
}

fn bad(app: &Name, on: &Name, title: String) -> Problem {
    let at = nexus_proto::Dependency { app: app.clone(), on: on.clone() };
    Problem { dependency: Some(Box::new(at)), ..Problem::new(Code::BadConfig, title) }
}

fn unknown<'a>(spec: &AppSpec, on: &Name, names: impl Iterator<Item = &'a str>) -> Problem {
    let near = crate::targets::unknown(on.as_str(), names);
    let title = format!("`{}` depends on `{on}`, and there is no app of that name", spec.name);
    let mut problem = bad(&spec.name, on, title);
    problem.help = near.help;
    problem
}

fn needed(name: &Name, dependents: &[&str]) -> Problem {
    let title = format!("`{name}` is not deleted: {} on it", depend(dependents));
    Problem::new(Code::Refused, title)
        .help(format!("nexusctl delete {name} {}        deletes them too", dependents.join(" ")))
        .help(format!("nexusctl stop {name}             stops it and keeps it"))
}

fn depend(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [one] => format!("{one} depends"),
        many => format!("{} depend", many.join(", ")),
    }
}
