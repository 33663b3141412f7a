//! `start`: a project file, a script, a command, or apps that are known.

use std::path::Path;
use std::process::ExitCode;

use nexus_proto::{AppVerb, Snapshot, Target, client};
use nexus_spec::AppSpec;

use super::named::plan;
use crate::base_env;
use crate::cli::{App, Start};
use crate::context::Context;
use crate::ensure::{STARTED, ensure};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operate::{Ask, Outcome, operate};
use crate::project::{self, Part};
use crate::settled;

/// Where apps without a file come from.
const COMMAND_LINE: &str = "command line";
/// The flagship workload: its root has no page, this path has.
const FLAGSHIP: (&str, &str) = ("trading-api", "api/trading/market/AAPL");

/// What is to be started.
enum What {
    /// Apps with these specs.
    Specs(nexus_proto::Start),
    /// Apps that are known.
    Known(Vec<String>),
}

/// Do it.
pub(super) fn run(context: &Context, args: &Start) -> Result<ExitCode, Failure> {
    let what = what(context, args)?;
    if args.change.dry_run {
        return dry_run(context, &what);
    }
    ensure(context, STARTED)?;
    let outcome = match &what {
        What::Specs(start) => operate(context, Ask::Start(start), &args.change)?,
        What::Known(targets) => {
            let body = AppVerb { targets: targets.clone(), ..AppVerb::default() };
            operate(context, Ask::Verb("start", &body), &args.change)?
        }
    };
    let code = settled::show(context, &outcome, &args.change)?;
    if !args.change.no_wait && !context.is_json() {
        hints(context, &outcome);
    }
    Ok(code)
}

/// A command after `--`, a project file, or each target: an app that is known, else a script.
fn what(context: &Context, args: &Start) -> Result<What, Failure> {
    // A profile describes no app: it chooses among what a file says.
    let chosen = matches!(args.app.env.as_slice(), [one] if !one.contains('='));
    let env = if chosen { args.app.env.clone() } else { Vec::new() };
    let described = args.app != (App { env, ..App::default() });
    match (args.targets.as_slice(), args.args.as_slice()) {
        ([], [command, rest @ ..]) => {
            let app = project::app(command, rest, &args.app, true)?;
            Ok(specs(vec![app], COMMAND_LINE.to_owned()))
        }
        ([], []) if described => Err(Failure::new(Exit::Usage, "nothing to start is named")
            .help("nexusctl start server.js --name api")
            .help("nexusctl start --name tick -- sh -c 'date'")),
        ([], []) => from_file(context, &project::default(), args),
        ([file], _) if project::is_project(file) => from_file(context, Path::new(file), args),
        ([script], _) if described || !args.args.is_empty() => script_of(script, args),
        (targets, _) if targets.len() > 1 && targets.iter().any(|one| project::is_project(one)) => {
            Err(Failure::new(Exit::Usage, "one project file at a time"))
        }
        (targets, _) => known_or_script(context, targets, args),
    }
}

fn specs(apps: Vec<AppSpec>, source: String) -> What {
    What::Specs(base_env::start(apps, source))
}

fn from_file(context: &Context, file: &Path, args: &Start) -> Result<What, Failure> {
    let profile = profile(&args.app)?;
    if args.app != (App { env: args.app.env.clone(), ..App::default() }) || !args.args.is_empty() {
        return Err(Failure::new(Exit::Usage, "a project file has its apps' settings itself")
            .help(format!("write them into {}", file.display())));
    }
    let project = project::load(context, file, Part { only: &args.only, profile })?;
    let start = base_env::start(project.apps, project.file.display().to_string());
    Ok(What::Specs(nexus_proto::Start { daemon: project.daemon, ..start }))
}

/// For a project file `--env` names a profile.
fn profile(flags: &App) -> Result<Option<&str>, Failure> {
    match flags.env.as_slice() {
        [] => Ok(None),
        [profile] if !profile.contains('=') => Ok(Some(profile)),
        _ => Err(Failure::new(Exit::Usage, "a project file has its apps' variables itself")
            .help("--env PROFILE    takes what it has under env_PROFILE")),
    }
}

fn script_of(script: &str, args: &Start) -> Result<What, Failure> {
    let app = project::app(script, &args.args, &args.app, false)?;
    Ok(specs(vec![app], COMMAND_LINE.to_owned()))
}

/// A name that is known comes before a file of the same name, as in PM2.
fn known_or_script(context: &Context, targets: &[String], args: &Start) -> Result<What, Failure> {
    let resolved = match context.client.targets(targets) {
        // Without a daemon nothing is known but what a new one would find.
        Err(client::Failure::NoDaemon { .. }) if !is_script(targets) => {
            ensure(context, STARTED)?;
            context.client.targets(targets)
        }
        resolved => resolved,
    };
    match (resolved, targets) {
        (Ok(_), _) => Ok(What::Known(targets.to_vec())),
        (Err(_), [script]) if is_script(targets) => script_of(script, args),
        (Err(failure), _) => Err(failure.into()),
    }
}

fn is_script(targets: &[String]) -> bool {
    matches!(targets, [script] if Path::new(script).is_file())
}

fn dry_run(context: &Context, what: &What) -> Result<ExitCode, Failure> {
    let targets = match what {
        What::Specs(start) => {
            let whole = |app: &AppSpec| Target { app: app.name.clone(), instance: None };
            start.apps.iter().map(whole).collect()
        }
        What::Known(targets) => context.client.targets(targets)?.targets,
    };
    plan(context, "start", &targets)
}

/// For each app that was started and listens: a command that asks it something.
fn hints(context: &Context, outcome: &Outcome) {
    let Some(snapshot) = &outcome.snapshot else { return };
    for hint in hint_lines(snapshot, outcome) {
        context.note(&format!("try:  {}", context.err.paint(crate::look::Role::Note, &hint)));
    }
}

fn hint_lines(snapshot: &Snapshot, outcome: &Outcome) -> Vec<String> {
    let results = &outcome.operation.results;
    let done = |result: &&nexus_proto::AppResult| Exit::of_verdict(result.verdict) == Exit::Done;
    results
        .iter()
        .filter(done)
        .filter_map(|result| {
            let app = snapshot.apps.iter().find(|app| app.name == result.app)?;
            let address = app.listen.iter().find_map(|listen| listen.strip_prefix("tcp://"))?;
            let path = if app.name.as_str() == FLAGSHIP.0 { FLAGSHIP.1 } else { "" };
            Some(format!("curl http://{}/{path}", reachable(address)))
        })
        .collect()
}

/// An address to connect to, for one that is bound: `0.0.0.0` is every address of the machine.
fn reachable(address: &str) -> String {
    let address = crate::text::plain(address);
    if let Some(port) = address.strip_prefix("0.0.0.0:") {
        return format!("127.0.0.1:{port}");
    }
    match address.strip_prefix("[::]:") {
        Some(port) => format!("[::1]:{port}"),
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_can_be_pasted() {
        assert_eq!(reachable("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80"), "[::1]:80");
        assert_eq!(reachable("127.0.0.1:3001"), "127.0.0.1:3001");
    }
}
