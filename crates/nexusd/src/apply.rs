//! A project file as the wish of what runs: what differs, and the least that makes it so.

use std::collections::BTreeMap;

use nexus_core::{App, Ask, Phase, Want};
use nexus_proto::{Actor, AppDiff, Apply, Change, Diff, Problem, Remedy, SettingDiff};
use nexus_spec::{AppSpec, Difference, Name};

use crate::command::What;
use crate::daemon::Daemon;
use crate::facts::Line;
use crate::origin::Origin;
use crate::requests::Plan;

/// What differs, with all that is needed to mend it.
struct Differing {
    diff: AppDiff,
    wanted: Option<(AppSpec, u16)>,
}

impl Daemon {
    /// What `apply` would do.
    pub(crate) fn diff(&self, apply: Apply) -> Result<Diff, Problem> {
        let source = apply.start.source.clone();
        let daemon = self.daemon_diff(apply.start.daemon.as_ref(), &source, apply.whole);
        let (differing, _) = self.differing(apply)?;
        let apps: Vec<AppDiff> = differing.into_iter().map(|one| one.diff).collect();
        let same = daemon.is_empty() && apps.iter().all(|app| app.change == Change::Same);
        Ok(Diff { schema: "nexus.diff/1".into(), source, same, daemon, apps })
    }

    /// The asks that make it so. What stays as it is is asked nothing, and belongs to the file from
    /// now on.
    pub(crate) fn application(&self, apply: Apply) -> Result<Plan, Problem> {
        let (differing, origins) = self.differing(apply)?;
        let asks = differing.into_iter().filter_map(ask).collect();
        Ok(Plan { origins, ..Plan::new("apply", asks) })
    }

    /// Whose settings a request changes, and which: names, no values. `None` = the daemon's own.
    pub(crate) fn changes(&self, what: &What) -> Vec<(Option<Name>, String)> {
        let named = |settings: Vec<SettingDiff>| {
            settings.into_iter().map(|one| one.setting).collect::<Vec<_>>().join(", ")
        };
        let of_daemon = what.file().map(|(start, whole)| {
            named(self.daemon_diff(start.daemon.as_ref(), &start.source, whole))
        });
        let of_daemon = of_daemon.filter(|settings| !settings.is_empty());
        let mut changes: Vec<(Option<Name>, String)> =
            of_daemon.map(|settings| (None, format!("[daemon] {settings}"))).into_iter().collect();
        if let What::Apply(apply) = what
            && let Ok(diff) = self.diff(apply.clone())
        {
            let changed = diff.apps.into_iter().filter(|app| app.change == Change::Changed);
            changes.extend(changed.map(|app| (Some(app.app), named(app.settings))));
        }
        changes
    }

    /// Write them down.
    pub(crate) fn tell_changes(&mut self, changes: Vec<(Option<Name>, String)>, actor: &Actor) {
        let by = actor.to_string();
        for (app, settings) in changes {
            self.log_of(actor, Line { app, ..Line::new("config", settings, &by) });
        }
    }

    fn differing(&self, apply: Apply) -> Result<(Vec<Differing>, BTreeMap<Name, Origin>), Problem> {
        let source = apply.start.source.clone();
        let (specs, mut origins) = self.checked(apply.start)?;
        let mut all: Vec<Differing> = specs.into_iter().map(|spec| self.compare(spec)).collect();
        for one in all.iter().filter(|one| one.diff.change == Change::Same) {
            // Its workers were born with the old surroundings: those stay with it.
            if let Some(known) = self.origins.get(&one.diff.app) {
                let kept = Origin { source: source.clone(), ..known.clone() };
                origins.insert(one.diff.app.clone(), kept);
            }
        }
        if apply.whole {
            let action = if apply.prune { Remedy::Delete } else { Remedy::Nothing };
            let of_file = |name: &&Name| {
                let from = self.origins.get(*name).map(|origin| origin.source.as_str());
                from == Some(&source) && !origins.contains_key(*name)
            };
            let gone = self.state.apps().map(|(name, _)| name).filter(of_file);
            all.extend(gone.map(|name| Differing {
                diff: AppDiff {
                    app: name.clone(),
                    change: Change::Removed,
                    action,
                    settings: Vec::new(),
                },
                wanted: None,
            }));
        }
        Ok((all, origins))
    }

    fn compare(&self, (spec, instances): (AppSpec, u16)) -> Differing {
        let app = spec.name.clone();
        let (change, action, settings) = match self.state.app(app.as_str()) {
            None => (Change::Added, Remedy::Start, Vec::new()),
            Some(known) => {
                let settings = differences(known, &spec, instances);
                let up = known.want() == Want::Up;
                match (settings.is_empty(), is_down(known, &spec)) {
                    (false, _) if up => (Change::Changed, Remedy::Reload, settings),
                    (false, _) => (Change::Changed, Remedy::Start, settings),
                    (true, true) => (Change::Down, Remedy::Start, settings),
                    (true, false) => (Change::Same, Remedy::Nothing, settings),
                }
            }
        };
        let diff = AppDiff { app, change, action, settings };
        Differing { diff, wanted: Some((spec, instances)) }
    }
}

/// Whether an instance is down that the file wants up. A job is down between its runs.
fn is_down(known: &App, spec: &AppSpec) -> bool {
    let down = |slot: &nexus_core::Slot| matches!(slot.phase, Phase::Idle | Phase::Errored);
    spec.schedule.cron.is_none() && known.build().is_none() && known.slots().iter().any(down)
}

/// Settings, and the number of instances where it was scaled by hand.
fn differences(known: &App, spec: &AppSpec, instances: u16) -> Vec<SettingDiff> {
    const INSTANCES: &str = "instances";
    let told = |one| {
        let Difference { setting, old, new } = one;
        SettingDiff { setting, old, new }
    };
    let settings = known.spec().differences(spec).into_iter();
    let mut settings: Vec<SettingDiff> = settings.map(told).collect();
    if known.instances() != instances && !settings.iter().any(|one| one.setting == INSTANCES) {
        let written = |number: u16| Some(number.to_string());
        let (old, new) = (written(known.instances()), written(instances));
        settings.push(SettingDiff { setting: INSTANCES.into(), old, new });
    }
    settings
}

fn ask(differing: Differing) -> Option<Ask> {
    let Differing { diff, wanted } = differing;
    let app = diff.app;
    match (diff.action, diff.change, wanted) {
        (Remedy::Nothing, ..) => None,
        (Remedy::Delete, ..) => Some(Ask::Delete { app }),
        (Remedy::Start, Change::Down, _) => Some(Ask::StartKnown { app, instance: None }),
        (Remedy::Start, _, Some((spec, instances))) => {
            Some(Ask::Start { spec: Box::new(spec), instances })
        }
        // One worker after another; what fails leaves the old ones serving.
        (Remedy::Reload, _, Some((spec, instances))) => {
            let spec = Some((Box::new(spec), instances));
            Some(Ask::Reload { app, instance: None, spec, parallel: 1, replace: false })
        }
        (Remedy::Start | Remedy::Reload, _, None) => None,
    }
}
