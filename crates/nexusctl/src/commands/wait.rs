//! `wait`: until apps are ready, stopped or gone, or until an operation has ended.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nexus_proto::{AppView, Code, InstanceView, Snapshot, Status, Target, client};
use serde_json::json;

use crate::cli::{Awaited, Change, Format, Wait};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::span;
use crate::operate::{Outcome, PACE, WAIT};
use crate::{interrupt, out, settled};

/// Do it.
pub(super) fn run(context: &Context, args: &Wait) -> Result<ExitCode, Failure> {
    match &args.op {
        Some(key) => operation(context, key, args),
        None => apps(context, args),
    }
}

/// The end of an operation that was begun with `--no-wait`, or whose client has gone.
fn operation(context: &Context, key: &str, args: &Wait) -> Result<ExitCode, Failure> {
    interrupt::watch(key, false);
    let patience = args.timeout.map(|time| Duration::from_millis(time.0));
    let operation = context.client.settle(key, patience)?;
    let snapshot = context.client.apps().ok();
    let change = Change { timeout: args.timeout, ..Change::default() };
    settled::show(context, &Outcome { operation, snapshot, shown: BTreeSet::new() }, &change)
}

fn apps(context: &Context, args: &Wait) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let patience = args.timeout.map(|time| Duration::from_millis(time.0));
    let targets = targets(context, args)?;
    let mut snapshot = context.client.apps()?;
    loop {
        let waiting = waiting(args.state, &targets, &snapshot)?;
        if waiting.is_empty() {
            return reached(context, args.state, &targets);
        }
        let left = patience.map_or(WAIT, |patience| patience.saturating_sub(begun.elapsed()));
        if left.is_zero() {
            return Err(late(args, &waiting));
        }
        // A large fleet changes many times a second.
        std::thread::sleep(PACE.min(left));
        snapshot = context.client.apps_after(snapshot.generation, left.min(WAIT))?;
    }
}

/// What was typed. A name that nobody has is gone.
fn targets(context: &Context, args: &Wait) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for word in &args.targets {
        match context.client.targets(std::slice::from_ref(word)) {
            Ok(found) => targets.extend(found.targets),
            Err(client::Failure::Problem(problem))
                if problem.code == Code::NotFound && args.state == Awaited::Gone => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(targets)
}

/// Those for which it is not true yet.
///
/// # Errors
/// One for which it cannot become true by itself.
fn waiting(
    state: Awaited,
    targets: &[Target],
    snapshot: &Snapshot,
) -> Result<Vec<String>, Failure> {
    let mut waiting = Vec::new();
    for target in targets {
        let app = snapshot.apps.iter().find(|app| app.name == target.app);
        match judge(state, target, app) {
            Verdict::True => {}
            Verdict::NotYet => waiting.push(name(target)),
            Verdict::Never(exit, why) => {
                let title = format!("`{}` does not become {} by itself", name(target), word(state));
                let app = &target.app;
                return Err(Failure::new(exit, title)
                    .cause(why)
                    .help(format!("nexusctl why {app}"))
                    .help(format!("nexusctl start {app}")));
            }
        }
    }
    Ok(waiting)
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    True,
    NotYet,
    /// What to exit with, and why.
    Never(Exit, String),
}

/// Whether it is true of one target; `None` = there is no such app (any more).
fn judge(state: Awaited, target: &Target, app: Option<&AppView>) -> Verdict {
    let meant = |one: &&InstanceView| target.instance.is_none_or(|number| number == one.instance);
    let ones: Vec<&InstanceView> =
        app.iter().flat_map(|app| &app.instances).filter(meant).collect();
    let building = app.is_some_and(|app| app.status == Status::Building);
    let any = |status: Status| ones.iter().any(|one| one.status == status);
    let all = |list: &[Status]| ones.iter().all(|one| list.contains(&one.status));
    match (state, app) {
        (Awaited::Gone | Awaited::Stopped, None) => Verdict::True,
        (Awaited::Ready, None) => Verdict::Never(Exit::Unknown, "it is not there any more".into()),
        (Awaited::Gone, Some(_)) if ones.is_empty() => Verdict::True,
        (Awaited::Ready, Some(_)) if ones.is_empty() => {
            Verdict::Never(Exit::Unknown, "there is no such instance any more".into())
        }
        (Awaited::Gone, Some(_)) => Verdict::NotYet,
        (Awaited::Ready | Awaited::Stopped, Some(_)) if building => Verdict::NotYet,
        (Awaited::Ready, Some(_)) if all(&[Status::Online, Status::Scheduled]) => Verdict::True,
        (Awaited::Ready, Some(app)) if any(Status::Errored) => {
            let why = app.trouble.as_ref().map(|trouble| trouble.what.clone());
            Verdict::Never(Exit::NotRunning, why.unwrap_or_else(|| "it was given up".into()))
        }
        (Awaited::Ready, Some(_)) if any(Status::Stopped) => {
            Verdict::Never(Exit::NotRunning, "it is stopped, as asked".into())
        }
        (Awaited::Stopped, Some(_)) if all(&[Status::Stopped, Status::Errored]) => Verdict::True,
        (Awaited::Ready | Awaited::Stopped, Some(_)) => Verdict::NotYet,
    }
}

fn reached(context: &Context, state: Awaited, targets: &[Target]) -> Result<ExitCode, Failure> {
    match context.format {
        Format::Json | Format::Jsonl => context.document(&json!({
            "schema": "nexus.wait/1", "for": word(state), "targets": targets,
        }))?,
        Format::Table | Format::Wide if context.quiet => {}
        Format::Name => {
            out::result(&targets.iter().map(|one| name(one) + "\n").collect::<String>())?;
        }
        Format::Table | Format::Wide => {
            let line = |one: &Target| format!("{} is {}\n", name(one), word(state));
            out::result(&targets.iter().map(line).collect::<String>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn late(args: &Wait, waiting: &[String]) -> Failure {
    let time = args.timeout.map_or(0, |time| time.0);
    let title = format!("not {} after {}: {}", word(args.state), span(time), waiting.join(", "));
    Failure::new(Exit::TimedOut, title).help("nexusctl list")
}

const fn word(state: Awaited) -> &'static str {
    match state {
        Awaited::Ready => "ready",
        Awaited::Stopped => "stopped",
        Awaited::Gone => "gone",
    }
}

fn name(target: &Target) -> String {
    match target.instance {
        Some(number) => format!("{}/{number}", target.app),
        None => target.app.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture;

    fn app(statuses: &[Status]) -> AppView {
        let mut app = fixture::app("api", 0, 0, Status::Online);
        for (instance, &status) in (0..).zip(statuses) {
            app.instances.push(fixture::instance(u32::from(instance), instance, status));
        }
        app.status = Status::Partial;
        app
    }

    #[test]
    fn what_can_become_true_is_waited_for_and_the_rest_is_said_at_once() {
        use Awaited::{Gone, Ready, Stopped};
        use Status::{Backoff, Errored, Online, Starting, Stopping};
        let stopped = Status::Stopped;
        let table: [(Awaited, Option<u16>, &[Status], &str); 14] = [
            (Ready, None, &[Online, Online], "true"),
            (Ready, None, &[Online, Starting], "not yet"),
            (Ready, Some(0), &[Online, Starting], "true"),
            (Ready, None, &[Online, Backoff], "not yet"),
            (Ready, None, &[Stopping, Online], "not yet"),
            (Ready, None, &[Online, Errored], "3"),
            (Ready, None, &[stopped], "3"),
            (Ready, Some(4), &[Online], "4"),
            (Stopped, None, &[stopped, Errored], "true"),
            (Stopped, None, &[stopped, Stopping], "not yet"),
            (Stopped, None, &[Backoff], "not yet"),
            (Stopped, Some(1), &[Online, stopped], "true"),
            (Gone, None, &[stopped], "not yet"),
            (Gone, Some(3), &[Online], "true"),
        ];
        for (state, instance, statuses, expected) in table {
            let app = app(statuses);
            let target = Target { app: app.name.clone(), instance };
            let said = match judge(state, &target, Some(&app)) {
                Verdict::True => "true".to_owned(),
                Verdict::NotYet => "not yet".to_owned(),
                Verdict::Never(exit, _) => exit.code().to_string(),
            };
            assert_eq!(said, expected, "{state:?} {instance:?} {statuses:?}");
        }
        let target = Target { app: app(&[]).name, instance: None };
        assert_eq!(judge(Gone, &target, None), Verdict::True);
        assert_eq!(judge(Stopped, &target, None), Verdict::True);
        assert!(matches!(judge(Ready, &target, None), Verdict::Never(Exit::Unknown, _)));
    }

    #[test]
    fn a_build_is_waited_for() {
        let mut app = app(&[Status::Stopped]);
        app.status = Status::Building;
        let target = Target { app: app.name.clone(), instance: None };
        assert_eq!(judge(Awaited::Ready, &target, Some(&app)), Verdict::NotYet);
    }
}
