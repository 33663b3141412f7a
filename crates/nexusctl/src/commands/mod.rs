//! One file a verb: what it asks, and what it shows.

mod abort;
mod apply;
mod check;
mod completion;
mod daemon;
mod delete;
mod describe;
mod doctor;
mod env;
mod events;
mod flush;
mod init;
mod jlist;
mod kill;
mod list;
mod logs;
mod man;
mod named;
mod pid;
mod reload;
mod reset;
mod restart;
mod resurrect;
mod rollback;
mod save;
mod scale;
mod send;
mod signal;
mod start;
mod startup;
mod status;
mod stop;
mod upgrade;
mod wait;
mod why;

use std::process::ExitCode;

use nexus_proto::{AppView, Snapshot, Target, client};

use crate::cli::Verb;
use crate::context::Context;
use crate::failure::Failure;

/// Do what the verb says.
///
/// # Errors
/// Whatever stopped it; it has not been told yet.
pub(crate) fn run(context: &Context, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Start(args) => start::run(context, &args),
        Verb::Stop(args) => stop::run(context, &args),
        Verb::Restart(args) => restart::run(context, &args),
        Verb::Reload(args) => reload::run(context, &args),
        Verb::Rollback(args) => rollback::run(context, &args),
        Verb::Scale(args) => scale::run(context, &args),
        Verb::Abort(args) => abort::run(context, &args),
        Verb::Reset(args) => reset::run(context, &args),
        Verb::Delete(args) => delete::run(context, &args),
        Verb::Apply(args) => apply::run(context, &args),
        Verb::Diff(args) => apply::diff(context, &args),
        Verb::Send(args) => send::run(context, &args),
        Verb::Signal(args) => signal::run(context, &args),
        Verb::Wait(args) => wait::run(context, &args),
        Verb::Monit => crate::monit::run(context),
        Verb::Status(args) => status::run(context, &args),
        Verb::Env(args) => env::run(context, &args),
        Verb::Pid(args) => pid::run(context, &args),
        Verb::Id(args) => pid::ids(context, &args),
        Verb::List(args) => list::run(context, &args),
        Verb::Describe(args) => describe::run(context, &args),
        Verb::Logs(args) => logs::run(context, &args),
        Verb::Flush(args) => flush::run(context, &args),
        Verb::Why(args) => why::run(context, &args),
        Verb::Events(args) => events::run(context, &args),
        Verb::Jlist => jlist::run(context),
        Verb::Save => save::run(context),
        Verb::Resurrect(args) => resurrect::run(context, &args),
        Verb::Startup(args) => startup::run(context, &args),
        Verb::Unstartup(args) => startup::undo(context, &args),
        Verb::Kill(args) => kill::run(context, &args),
        Verb::Check(args) => check::run(context, &args),
        Verb::Init(args) => init::run(context, &args),
        Verb::Completion(args) => completion::run(&args),
        Verb::Man(args) => man::run(context, &args),
        Verb::Daemon(args) => daemon::run(context, &args),
        Verb::Doctor => doctor::run(&context.as_it_is()),
        Verb::Update(args) => upgrade::run(context, &args),
    }
}

/// Where a unit of systemd runs the daemon, an end of it is not the last word.
fn note_service(context: &Context, unit: Option<&str>) {
    if let Some(unit) = unit {
        let unit = crate::text::plain(unit);
        context.note(&format!("systemd starts it again; to stop it: systemctl stop {unit}"));
    }
}

/// The fleet; `None` when no daemon runs, which is an answer and no error.
fn fleet(context: &Context) -> Result<Option<Snapshot>, Failure> {
    match context.client.apps() {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(client::Failure::NoDaemon { .. }) if !context.guest => Ok(None),
        Err(failure) => Err(context.failure(failure)),
    }
}

/// What was typed, as apps of the fleet, each with the instance that is meant.
fn resolve<'a>(
    context: &Context,
    typed: &[String],
    snapshot: &'a Snapshot,
) -> Result<Vec<(&'a AppView, Target)>, Failure> {
    let targets = context.client.targets(typed)?.targets;
    let app = |target: &Target| snapshot.apps.iter().find(|app| app.name == target.app);
    // One that came after the snapshot was taken is not in it: then it is as if unknown.
    Ok(targets.into_iter().filter_map(|target| Some((app(&target)?, target))).collect())
}

/// The last events of an app, oldest first.
fn last_events(
    context: &Context,
    app: &AppView,
    last: usize,
) -> Result<Vec<nexus_proto::EventView>, Failure> {
    let name = client::quote(app.name.as_str());
    Ok(context.client.events(&format!("app={name}&last={last}"))?.events)
}
