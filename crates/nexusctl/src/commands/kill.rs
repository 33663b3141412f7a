//! `kill`: stop all apps, then the daemon, and wait until both are gone.

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use nexus_proto::{OpState, Target, client};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{fleet, named};
use crate::cli::{Format, Kill};
use crate::confirm::confirm;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::count;
use crate::operate::{Ask, operate};
use crate::settled;

/// How long either of the pair may take to go after the last app has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Do it.
pub(super) fn run(context: &Context, args: &Kill) -> Result<ExitCode, Failure> {
    let version = match context.client.version() {
        Ok(version) => version,
        Err(client::Failure::NoDaemon { stale: false, .. }) => return nothing(context),
        // A socket without a daemon: both were killed, and apps may run on that only a new
        // daemon can find.
        Err(failure) => return Err(failure.into()),
    };
    let apps = fleet(context)?.map(|snapshot| snapshot.apps).unwrap_or_default();
    if args.change.dry_run {
        let whole = |app: &nexus_proto::AppView| Target { app: app.name.clone(), instance: None };
        return named::plan(context, "stop", &apps.iter().map(whole).collect::<Vec<_>>());
    }
    if !args.yes && !apps.is_empty() {
        let apps = count(apps.len() as u64, "app");
        confirm(&format!("stop {apps} and the daemon?"), "nexusctl kill --yes")?;
    }
    // Opened while they are alive, so that their numbers cannot be others' by then.
    let pair = [("keeper", version.keeper_pid), ("nexusd", version.pid)].map(|(who, number)| {
        let pid = Pid::from_raw(number);
        (who, number, pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    });
    let mut outcome = operate(context, Ask::Kill, &args.change)?;
    // The table of a fleet that is gone says nothing.
    outcome.snapshot = None;
    let operation = &outcome.operation;
    let unfinished = args.change.timeout.is_some() && operation.state == OpState::Running;
    if args.change.no_wait || unfinished || Exit::of_operation(operation) != Exit::Done {
        return settled::show(context, &outcome, &args.change);
    }
    let wait = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    for (who, number, pidfd) in &pair {
        // One without a descriptor had ended before.
        let Some(pidfd) = pidfd else { continue };
        let gone = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], wait);
        if gone != Ok(1) {
            let title = format!("{who} (pid {number}) did not end");
            return Err(Failure::new(Exit::Failed, title).help("nexusctl daemon status"));
        }
    }
    let done = done(context, apps.len() as u64);
    super::note_service(context, version.service.as_deref());
    done
}

fn done(context: &Context, apps: u64) -> Result<ExitCode, Failure> {
    match context.format {
        Format::Json | Format::Jsonl => {
            context.document(&serde_json::json!({"schema": "nexus.kill/1", "apps": apps}))?;
        }
        Format::Name => {}
        Format::Table | Format::Wide => {
            context.note(&format!("stopped {} and the daemon", count(apps, "app")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing(context: &Context) -> Result<ExitCode, Failure> {
    context.note("no daemon runs");
    match context.format {
        Format::Json | Format::Jsonl => {
            context.document(&serde_json::json!({"schema": "nexus.kill/1", "apps": 0}))?;
        }
        Format::Name | Format::Table | Format::Wide => {}
    }
    Ok(ExitCode::SUCCESS)
}
