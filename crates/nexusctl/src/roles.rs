//! The doors to the other roles of this program: the keeper, nexusd, and the daemon's start.
//!
//! The pair re-executes this program as `nexusctl __keeper …` and `nexusctl __nexusd …`; that is
//! seen before the command line is parsed, so that no flag of ours can get in their way.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::Path;
use std::process::ExitCode;

/// The role that `argv[1]` names, played to its end; `None` = this is the command line.
pub(crate) fn route() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let role = args.next()?;
    match role.to_str()? {
        "__keeper" => Some(keeper(args.collect())),
        "__nexusd" => Some(nexusd(args.collect())),
        _ => None,
    }
}

/// WIRE: the keeper's role, `nexus_keeper::run(args)`.
fn keeper(args: Vec<OsString>) -> ExitCode {
    unwired("keeper", &args)
}

/// WIRE: nexusd's role, `nexusd::run(args)`.
fn nexusd(args: Vec<OsString>) -> ExitCode {
    unwired("nexusd", &args)
}

/// WIRE: take the home's lock, become its keeper, say `ready` on `ready_fd`:
/// `nexusd::daemon_run(home, ready_fd)`.
pub(crate) fn daemon_run(home: &Path, ready_fd: Option<RawFd>) -> ExitCode {
    unwired("daemon", &[home.into(), format!("{ready_fd:?}").into()])
}

fn unwired(role: &str, args: &[OsString]) -> ExitCode {
    crate::out::note(&format!("error: this build cannot be a {role} ({args:?})"));
    ExitCode::from(crate::exit::Exit::Internal.code())
}
