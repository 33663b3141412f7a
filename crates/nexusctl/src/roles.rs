//! The doors to the other roles of this program: the keeper, nexusd, and the daemon's start.
//!
//! The pair re-executes this program as `nexusctl __keeper …` and `nexusctl __nexusd …`; that is
//! seen before the command line is parsed, so that no flag of ours can get in their way.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::report::{self, Report};

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

/// WIRE: the keeper's role; `args[0]` is the handoff's number: `nexus_keeper::adopt(fd)`.
fn keeper(args: Vec<OsString>) -> ExitCode {
    unwired("keeper", &args)
}

/// WIRE: nexusd's role; `args[0]` is the handoff's number: `nexusd::run(fd)`.
fn nexusd(args: Vec<OsString>) -> ExitCode {
    unwired("nexusd", &args)
}

/// WIRE: found the home, then become its keeper. `report` says [`report::READY`] once the control
/// socket is bound, [`report::TAKEN`] when another pair has the home (exit 5), or
/// [`report::ERROR`] and why (exit 7).
pub(crate) fn daemon_run(home: &Path, report: Report) -> ExitCode {
    report.say(&format!("{}this build cannot be a daemon", report::ERROR));
    unwired("daemon", &[home.into()])
}

fn unwired(role: &str, args: &[OsString]) -> ExitCode {
    crate::out::note(&format!("error: this build cannot be a {role} ({args:?})"));
    ExitCode::from(crate::exit::Exit::Internal.code())
}
