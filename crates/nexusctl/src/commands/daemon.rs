//! `daemon run|stop|upgrade|status`.

use std::process::ExitCode;

use nexus_proto::{Version, client};
use serde_json::json;

use crate::cli::{Daemon, DaemonRun, DaemonVerb, Format};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::span;
use crate::report::Report;
use crate::{out, roles, text};

/// Do it.
pub(super) fn run(context: &Context, args: &Daemon) -> Result<ExitCode, Failure> {
    // To ask who serves is no reason to start anyone.
    let as_it_is = &context.as_it_is();
    match &args.verb {
        DaemonVerb::Run(args) => foreground(as_it_is, args),
        DaemonVerb::Stop(args) if args.apps => stop_with_apps(as_it_is),
        DaemonVerb::Stop(_) => stop(as_it_is),
        DaemonVerb::Status => status(as_it_is),
        DaemonVerb::Upgrade(args) => super::upgrade::run(context, args),
    }
}

fn foreground(context: &Context, args: &DaemonRun) -> Result<ExitCode, Failure> {
    if args.detached {
        // Fails only for a group's leader, which then has a session of its own already.
        let _ = nix::unistd::setsid();
    }
    Ok(roles::daemon_run(context.home.path(), Report::take(args.ready_fd)))
}

fn stop_with_apps(context: &Context) -> Result<ExitCode, Failure> {
    if context.guest {
        return Err(Failure::new(
            Exit::Usage,
            "this daemon is another user's: its home is not known",
        )
        .help("nexusctl kill             stops its apps and ends it"));
    }
    let code = roles::stop_with_apps(context.home.path())?;
    context.note("the daemon and its apps are stopped; the next daemon starts them again");
    Ok(code)
}

fn stop(context: &Context) -> Result<ExitCode, Failure> {
    let key = client::fresh_key()
        .map_err(|error| Failure::new(Exit::Failed, "no random number").cause(error.to_string()))?;
    let service = context.client.version().ok().and_then(|version| version.service);
    match context.client.stop_daemon(&key) {
        Ok(()) => {
            context.note("the daemon ends; the apps run on");
            super::note_service(context, service.as_deref());
        }
        Err(client::Failure::NoDaemon { .. }) => context.note("no daemon runs"),
        Err(failure) => return Err(failure.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn status(context: &Context) -> Result<ExitCode, Failure> {
    let version = match context.client.version() {
        Ok(version) => Some(version),
        Err(client::Failure::NoDaemon { .. }) => None,
        Err(failure) => return Err(failure.into()),
    };
    let Some(version) = version else {
        context.note("no daemon runs");
        if context.is_json() {
            context.document(&json!({
                "schema": "nexus.version/1",
                "version": null,
                "keeper_version": null,
                "pid": null,
                "keeper_pid": null,
                "uptime_ms": null,
                "home": context.home.path(),
                "service": null,
            }))?;
        }
        return Ok(ExitCode::from(Exit::NotRunning.code()));
    };
    match context.format {
        Format::Json | Format::Jsonl => context.document(&version)?,
        Format::Name => out::result(&format!("{}\n", version.pid))?,
        Format::Table | Format::Wide => out::result(&page(&version))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn page(version: &Version) -> String {
    let service = version.service.as_deref().map(text::plain);
    let group = |socket| format!("for a group  {}\n", text::plain(socket));
    let role = match version.role.as_str() {
        "" | "admin" => String::new(),
        role => format!("you are      {}\n", text::plain(role)),
    };
    let other = Some(version.keeper_version.as_str());
    let other = other.filter(|keeper| !keeper.is_empty() && *keeper != version.version);
    let other = other.map(|keeper| format!(", keeper {}", text::plain(keeper)));
    format!(
        "nexusd       pid {}, up {}, replaced {}\nnexus-keeper pid {}, pair up {}, replaced {}\n\
         version      {}{} (API {})\nhome         {}\n{}{}{}",
        version.pid,
        span(version.uptime_ms),
        times(version.nexusd_restarts),
        version.keeper_pid,
        span(version.pair_uptime_ms),
        times(version.keeper_restarts),
        text::plain(&version.version),
        other.unwrap_or_default(),
        text::plain(&version.api),
        text::plain(&version.home),
        service.map(|unit| format!("systemd unit {unit}\n")).unwrap_or_default(),
        version.group_socket.as_deref().map(group).unwrap_or_default(),
        role,
    )
}

fn times(number: u64) -> String {
    match number {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        more => format!("{more} times"),
    }
}
