//! The doors to the other roles of this program: the keeper, nexusd, and the daemon's start.
//!
//! The pair re-executes this program as `nexusctl __keeper …` and `nexusctl __nexusd …`, and before
//! an upgrade the new one is asked who it is (`nexusctl __identity`). A worker whose secrets are what
//! commands print is this program first (`nexusctl __credentials …`). All of that is
//! seen before the command line is parsed, so that no flag of ours can get in their way.

mod handover;
mod living;
mod stop;

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nexus_keeper::{ARG_KEEPER, ARG_NEXUSD, FoundError, Founding, Given};
use nexusd::credentials::{self, ARG_CREDENTIALS};

use crate::exit::Exit;
use crate::out;
use crate::report::{self, Report};

pub(crate) use stop::with_apps as stop_with_apps;

/// The role that `argv[1]` names, played to its end; `None` = this is the command line.
pub(crate) fn route() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let role = args.next()?;
    let mut handoff = || args.next().and_then(|number| number.to_str()?.parse().ok());
    match role.to_str()? {
        ARG_KEEPER => Some(keeper(handoff())),
        ARG_NEXUSD => Some(nexusd(handoff())),
        crate::identity::ARG => Some(crate::identity::say()),
        ARG_CREDENTIALS => Some(with_credentials(&args.collect::<Vec<_>>())),
        _ => None,
    }
}

fn keeper(handoff: Option<RawFd>) -> ExitCode {
    match handoff {
        Some(handoff) => nexus_keeper::adopt(handoff),
        None => not_for_people(),
    }
}

fn nexusd(handoff: Option<RawFd>) -> ExitCode {
    let Some(handoff) = handoff else { return not_for_people() };
    // As `ps -o comm` shows it; a refusal would change nothing else.
    let _ = nix::sys::prctl::set_name(c"nexusd");
    match nexusd::run(handoff) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::note(&format!("nexusd: {error}"));
            ExitCode::from(Exit::Internal.code())
        }
    }
}

/// A worker on its way to its own program.
fn with_credentials(words: &[OsString]) -> ExitCode {
    out::note(&format!("nexus: not started: {}", credentials::become_program(words)));
    ExitCode::from(credentials::EXIT)
}

fn not_for_people() -> ExitCode {
    out::note("error: this word is for nexusctl itself; see `nexusctl --help`");
    ExitCode::from(Exit::Usage.code())
}

/// Take the home's lock, bind its control socket, say so, and be its keeper to the end.
pub(crate) fn daemon_run(home: &Path, report: Report) -> ExitCode {
    if std::env::var_os("NEXUS_HOME").is_none() {
        return again_with_home(home);
    }
    let mut given = Given::take();
    match nexus_keeper::found_with(home, &mut given) {
        Ok(founding) => {
            report.say(report::READY);
            begin(founding)
        }
        Err(FoundError::AlreadyRunning { .. }) if given.service => {
            handover::to_the_living(home, &mut given)
        }
        Err(error @ FoundError::AlreadyRunning { .. }) => {
            report.say(report::TAKEN);
            out::note(&format!("error[NX0501]: {error}"));
            ExitCode::from(Exit::Refused.code())
        }
        Err(
            error @ (FoundError::Descriptors { .. }
            | FoundError::Unsafe { .. }
            | FoundError::Io { .. }),
        ) => {
            report.say(&format!("{}{error}", report::ERROR));
            out::note(&format!("error[NX0701]: {error}"));
            ExitCode::from(Exit::NoDaemon.code())
        }
    }
}

/// Be the keeper of a pair that begins, or goes on with what systemd kept.
fn begin(founding: Founding) -> ExitCode {
    if founding.is_restored() {
        out::note("both of the pair had died; it goes on with what systemd kept");
    } else if !founding.useless().is_empty() {
        out::note("what systemd kept is of another version; workers are found through /proc");
        if let Err(error) = nexusd::let_go(founding.useless()) {
            out::note(&format!("systemd cannot be told to let it go: {error}"));
        }
    }
    keep(founding)
}

/// Be the keeper of a pair to its end.
pub(crate) fn keep(founding: Founding) -> ExitCode {
    let Err(error) = nexus_keeper::run(founding);
    out::note(&format!("error[NX0701]: the keeper cannot run: {error}"));
    ExitCode::from(Exit::NoDaemon.code())
}

/// Execute ourselves with NEXUS_HOME in the environment, so that `/proc/PID/environ` shows which
/// home a keeper serves.
fn again_with_home(home: &Path) -> ExitCode {
    let error = Command::new("/proc/self/exe")
        .arg0("nexusctl")
        .args(std::env::args_os().skip(1))
        .env("NEXUS_HOME", home)
        .exec();
    out::note(&format!("error[NX0701]: cannot execute nexusctl again: {error}"));
    ExitCode::from(Exit::NoDaemon.code())
}
