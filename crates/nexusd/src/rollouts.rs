//! Requests that change the workers of an app one after another: reload, scale, and to call either
//! off.

use nexus_core::{App, Ask, Event, OpId};
use nexus_proto::{AppVerb, Code, OpState, Problem, Start, Target};
use nexus_spec::{Autoscale, Instances, Name};

use crate::daemon::{Course, Daemon};
use crate::facts::NOBODY;
use crate::origin::Origin;
use crate::requests::{INSTANCES_MAX, Plan, Specs, checked};

impl Daemon {
    /// With new specs, or as it is. What is not there is started.
    pub(crate) fn reload(&self, verb: AppVerb) -> Result<Plan, Problem> {
        let AppVerb { targets, specs, parallel, replace, .. } = verb;
        let parallel = parallel.unwrap_or(1);
        if parallel == 0 {
            return Err(bad("`parallel` is at least 1".into()));
        }
        if let Some(start) = specs {
            return self.of_specs("reload", start, |app, spec| Ask::Reload {
                app,
                instance: None,
                spec: Some(spec),
                parallel,
                replace,
            });
        }
        let asks = self.targets(&targets)?.into_iter().map(|Target { app, instance }| {
            Ask::Reload { app, instance, spec: None, parallel, replace }
        });
        Ok(Plan::new("reload", asks.collect()))
    }

    /// A reload to a spec that the app has had.
    pub(crate) fn rollback(&self, verb: &AppVerb) -> Result<Plan, Problem> {
        let mut plan = Plan::new("rollback", Vec::new());
        let (parallel, replace) = (verb.parallel.unwrap_or(1).max(1), verb.replace);
        for Target { app, instance } in self.targets(&verb.targets)? {
            if let Some(instance) = instance {
                let title = format!("`{app}/{instance}` is one instance: an app is rolled back");
                return Err(bad(title).help(format!("nexusctl rollback {app}")));
            }
            let Some(known) = self.state.app(app.as_str()) else { continue };
            let Some(version) = known.version_at(verb.to) else {
                return Err(no_version(&app, known, verb.to));
            };
            let generation = version.generation;
            plan.origins.insert(app.clone(), self.origin_of_version(&app, generation));
            plan.asks.push(Ask::Rollback { app, to: Some(generation), parallel, replace });
        }
        Ok(plan)
    }

    /// Where the spec of a reload comes from is the app's own once that has succeeded.
    pub(crate) fn expect_origin(&mut self, name: &Name, origin: Origin) {
        let Some(known) = self.origins.get_mut(name) else {
            self.origins.insert(name.clone(), origin);
            return;
        };
        let under_way = self.state.app(name.as_str()).is_some_and(|app| app.rollout().is_some());
        if !under_way {
            known.arriving = Some(Box::new(origin));
        }
    }

    /// Checked; where the number of instances follows their load, it is the present one as far as that
    /// is allowed.
    pub(crate) fn checked(&self, start: Start) -> Result<Specs, Problem> {
        let (mut specs, origins) = checked(start)?;
        for (spec, instances) in &mut specs {
            let known = self.state.app(spec.name.as_str());
            if let (Instances::Auto(rule), Some(known)) = (spec.instances, known) {
                *instances = rule.allowed(known.instances());
            }
        }
        Ok((specs, origins))
    }

    /// The load of an app asks for another number of instances; without room for them nothing is
    /// done, and it is asked again.
    pub(crate) fn loaded(&mut self, app: Name, (from, to): (u16, u16), used: u64) {
        if self.course != Course::Serve || self.shutdown.is_some() {
            return;
        }
        let plan = Plan::new("scale", vec![Ask::Scale { app: app.clone(), to }]);
        match self.must_have_room(&plan) {
            Ok(()) => self.turn(Event::Loaded { app, from, to, used }, NOBODY),
            Err(problem) => tracing::warn!(%app, from, to, "not scaled: {}", problem.title),
        }
    }

    /// `6`, `+2`, `-1`.
    pub(crate) fn scale(&self, verb: &AppVerb) -> Result<Plan, Problem> {
        let count = verb.count.as_deref().unwrap_or_default();
        let asks = self.targets(&verb.targets)?.into_iter().map(|target| {
            let Target { app, instance } = target;
            if let Some(instance) = instance {
                let title = format!("`{app}/{instance}` is one instance: an app is scaled");
                return Err(Problem::new(Code::BadRequest, title)
                    .help(format!("nexusctl scale {app} {count}")));
            }
            let known = self.state.app(app.as_str());
            let now = known.map_or(0, |app| match app.counts().wanted {
                0 => 0,
                _ => app.instances(),
            });
            let to = counted(&app, count, now)?;
            if let Some(Instances::Auto(rule)) = known.map(|app| app.spec().instances)
                && rule.allowed(to) != to
            {
                return Err(out_of_bounds(&app, &rule, to));
            }
            Ok(Ask::Scale { app, to })
        });
        Ok(Plan::new("scale", asks.collect::<Result<_, _>>()?))
    }

    /// Operations by their keys, or those that are under way on the apps that were named.
    pub(crate) fn abort(&self, verb: &AppVerb) -> Result<Plan, Problem> {
        let mut asks = Vec::new();
        for word in &verb.targets {
            if let Some(op) = self.ops.by_key(word) {
                if op.view.state == OpState::Ended {
                    let title = format!("operation {word} has ended");
                    return Err(Problem::new(Code::Refused, title)
                        .help(format!("nexusctl wait --op {word}     shows how")));
                }
                let of = OpId(op.id);
                asks.extend(op.view.waiting.iter().map(|app| Ask::Abort { app: app.clone(), of }));
                continue;
            }
            for Target { app, .. } in self.targets(std::slice::from_ref(word))? {
                match self.under_way(&app) {
                    Some(of) => asks.push(Ask::Abort { app, of }),
                    None => return Err(nothing_to_abort(&app)),
                }
            }
        }
        Ok(Plan::new("abort", asks))
    }

    /// The newest operation on an app that waits for its answer.
    fn under_way(&self, app: &Name) -> Option<OpId> {
        let of_app = |op: &&crate::ops::Op| op.view.waiting.contains(app);
        self.ops.all().filter(of_app).last().map(|op| OpId(op.id))
    }
}

/// What an ask is about, for the journal.
pub(crate) fn about(ask: &Ask) -> String {
    if let Ask::Rollback { app, to: Some(generation), .. } = ask {
        return format!("{app} to generation {generation}");
    }
    ask.app().to_string()
}

fn out_of_bounds(app: &Name, rule: &Autoscale, to: u16) -> Problem {
    let (min, max) = (rule.min, rule.max);
    let title = format!("`{app}` has {min} to {max} instances, as its load asks for, and not {to}");
    Problem::new(Code::Refused, title)
        .help(format!(
            "nexusctl scale {app} {}        within its bounds, until its load changes",
            rule.allowed(to)
        ))
        .help(format!("nexusctl stop {app}        none"))
        .help("or change `instances` in its project file, and `nexusctl apply`".to_owned())
}

fn no_version(app: &Name, known: &App, to: Option<u64>) -> Problem {
    let title = match to {
        None => format!("`{app}` has had no earlier configuration"),
        Some(to) if to == known.version() => {
            format!("`{app}` has the configuration of generation {to} already")
        }
        Some(to) => format!("`{app}` has had no configuration of generation {to}"),
    };
    let problem = Problem::new(Code::Refused, title);
    let others = known.versions().iter().rev().map(|version| version.generation);
    let lines: Vec<String> =
        others.map(|to| format!("nexusctl rollback {app} --to {to}")).take(3).collect();
    match lines.is_empty() {
        true => problem.help(format!("nexusctl describe {app}")),
        false => lines.into_iter().fold(problem, Problem::help),
    }
}

fn counted(app: &Name, count: &str, now: u16) -> Result<u16, Problem> {
    let wrong = || {
        bad(format!("`{count}` is no number of instances"))
            .help(format!("nexusctl scale {app} 4        four instances"))
            .help(format!("nexusctl scale {app} +2       two more"))
    };
    let number = |text: &str| match text.parse::<u16>() {
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(i64::from(number)),
        Ok(_) | Err(_) => Err(wrong()),
    };
    let to = match (count.strip_prefix('+'), count.strip_prefix('-')) {
        (Some(more), _) => i64::from(now) + number(more)?,
        (None, Some(fewer)) => i64::from(now) - number(fewer)?,
        (None, None) => number(count)?,
    };
    match u16::try_from(to) {
        Ok(to) if to <= INSTANCES_MAX => Ok(to),
        Ok(_) => Err(bad(format!("`{app}`: at most {INSTANCES_MAX} instances"))),
        Err(_) => Err(bad(format!("`{app}` has {now} instances, not enough for `{count}`"))),
    }
}

fn bad(title: String) -> Problem {
    Problem::new(Code::BadRequest, title)
}

fn nothing_to_abort(app: &Name) -> Problem {
    Problem::new(Code::Refused, format!("no operation on `{app}` is under way"))
        .help(format!("nexusctl events --app {app}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_absolute_or_relative() {
        let app = Name::new("api").unwrap();
        let to = |count, now| counted(&app, count, now).map_err(|problem| problem.title);
        assert_eq!(to("6", 4), Ok(6));
        assert_eq!(to("+2", 4), Ok(6));
        assert_eq!(to("-1", 4), Ok(3));
        assert_eq!(to("-4", 4), Ok(0));
        assert_eq!(to("0", 4), Ok(0));
        for wrong in ["", "x", "+", "--1", "+-1", "1.5", "99999"] {
            assert!(to(wrong, 4).is_err(), "{wrong}");
        }
        assert!(to("-5", 4).unwrap_err().contains("not enough"));
        assert!(to("16385", 4).unwrap_err().contains("at most"));
    }
}
