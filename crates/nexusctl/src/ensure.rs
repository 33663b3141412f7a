//! A daemon for commands that need one: found, or started.

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nexus_proto::{Code, client};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::{ERROR, READY, TAKEN};
use crate::service;

/// How long a daemon may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a unit's may take, which systemd may have to find dead first (WatchdogSec).
const UNIT_PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries to connect while another command starts the daemon.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How much of the daemon's log is looked at for its last line.
const LAST_WORDS_MAX: usize = 4096;
/// What tells a process that a service manager started it.
const OF_A_SERVICE: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "RUNTIME_DIRECTORY",
];
/// The longest report of a new daemon.
const REPORT_MAX: u64 = 4096;

/// What is said when a daemon had to be started.
pub(crate) const STARTED: &str = "nexusd is not running; started it";

/// See to it that a daemon answers; says `started` when one had to be started.
///
/// # Errors
/// Nobody answers and none could be started (exit 7), or the socket is not ours (exit 8).
pub(crate) fn ensure(context: &Context, started: &str) -> Result<(), Failure> {
    // One that was killed is brought back here, and not by the client.
    let client = context.client.clone().without_reviver();
    match client.version() {
        Ok(_) => return Ok(()),
        Err(client::Failure::NoDaemon { .. }) if !context.guest => {}
        Err(failure) => return Err(context.failure(failure)),
    }
    if start_unit(context) {
        return await_unit(context, &client);
    }
    let (mut child, report) =
        spawn(context).map_err(|error| failed(context, &error.to_string()))?;
    let report = read_report(report).map_err(|error| failed(context, &error.to_string()))?;
    if report == READY {
        context.note(started);
        return Ok(());
    }
    // A clear complaint: nobody is on the way.
    if report.starts_with(ERROR) {
        return Err(failed(context, &report));
    }
    // Of several first commands one wins the home's lock; the others come here, and soon find
    // the winner's daemon.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.version() {
            Ok(_) => return Ok(()),
            Err(client::Failure::NoDaemon { .. }) if Instant::now() < deadline => {
                // Reaped here, or it would stay a zombie of ours while we wait.
                let _ = child.try_wait();
                std::thread::sleep(RETRY_PAUSE);
            }
            Err(client::Failure::NoDaemon { cause, .. }) => {
                let why = if report == TAKEN { cause } else { last_words(context) };
                return Err(failed(context, &why));
            }
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// Where a unit of systemd runs this home's daemon, have it started by that one: a daemon of this
/// shell's would be outside of it. False = there is none, or it cannot be started.
fn start_unit(context: &Context) -> bool {
    let Some(unit) = service::unit_of(&context.home) else { return false };
    match service::systemctl(&["start", &unit]) {
        Ok(_) => {
            context.note(&format!("nexusd is not running; started {unit}"));
            true
        }
        Err(error) => {
            context.note(&format!("{error}; started without systemd"));
            false
        }
    }
}

/// The unit runs: it may be about to come back from the death of both of the pair.
fn await_unit(context: &Context, client: &client::Client) -> Result<(), Failure> {
    let deadline = Instant::now() + UNIT_PATIENCE;
    loop {
        match client.version() {
            Ok(_) => return Ok(()),
            Err(client::Failure::NoDaemon { .. }) if Instant::now() < deadline => {
                std::thread::sleep(RETRY_PAUSE);
            }
            Err(client::Failure::NoDaemon { cause, .. }) => return Err(failed(context, &cause)),
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// Start `daemon run` away from the terminal. The new process leads no group, so that it can make
/// a session of its own.
fn spawn(context: &Context) -> std::io::Result<(Child, PipeReader)> {
    let home = &context.home;
    home.create()?;
    let (reader, writer) = std::io::pipe()?;
    fcntl(writer.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    let log = daemon_log(&home.daemon_log())?;
    // Not by its path: that may be another build by now.
    let mut command = Command::new("/proc/self/exe");
    // What a service manager said to us, or we to a worker that runs this, is not for the daemon.
    for variable in OF_A_SERVICE {
        command.env_remove(variable);
    }
    let child = command
        .arg0("nexusctl")
        .args(["daemon", "run", "--detached", "--ready-fd"])
        .arg(writer.as_raw_fd().to_string())
        .env("NEXUS_HOME", home.path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok((child, reader))
}

/// Where the daemon's first and last words go. Never into what a link names: whoever planted it.
fn daemon_log(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    options
        .open(path)
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// One line, or what came until the other end closed or the patience was over.
fn read_report(mut reader: PipeReader) -> std::io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut report = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let ready = poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], wait);
        match ready {
            Ok(0) => break,
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let mut piece = [0; 512];
        let count = reader.read(&mut piece)?;
        report.extend_from_slice(piece.get(..count).unwrap_or_default());
        if count == 0 || report.contains(&b'\n') || report.len() as u64 > REPORT_MAX {
            break;
        }
    }
    let text = String::from_utf8_lossy(&report);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The last line of the daemon's own log: it ended without a report.
fn last_words(context: &Context) -> String {
    let lines = nexus_log::tail_lines(&context.home.daemon_log(), 1, LAST_WORDS_MAX);
    let line = lines.ok().and_then(|lines| lines.into_iter().next_back());
    line.map(|line| nexus_log::printable(&line, false)).unwrap_or_default()
}

fn failed(context: &Context, cause: &str) -> Failure {
    let cause = cause.strip_prefix(ERROR).unwrap_or(cause);
    Failure::new(Exit::NoDaemon, "no daemon runs and none could be started")
        .code(Code::NoDaemon)
        .cause(if cause.is_empty() { "it ended without a word" } else { cause })
        .help(format!("less {}", context.home.daemon_log().display()))
}
