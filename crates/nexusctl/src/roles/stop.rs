//! `daemon stop --apps`: what a service manager's stop does. All workers are stopped, each by its
//! own signal and time-out, and stay wanted; then the pair ends. Also where both of the pair have
//! died and their workers live: they are taken back to be stopped.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nexus_keeper::FoundError;
use rustix::process::{Pid, Signal};

use super::living::{daemons, end, keeper};
use crate::exit::Exit;
use crate::failure::Failure;

/// How long a keeper may take to stop all its workers, before it is taken for hung.
const PATIENCE: Duration = Duration::from_secs(80);
/// How long a nexusd may take to become the keeper.
const PROMOTION: Duration = Duration::from_secs(3);
/// How long a process may take to end by SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks: a living pair tells no event to strangers.
const PAUSE: Duration = Duration::from_millis(10);
/// How often a keeper that hung, or died over it, is followed by another that is told again.
const ROUNDS: usize = 3;

/// Do it; returns when nothing of the home runs any more.
pub(crate) fn with_apps(home: &Path) -> Result<ExitCode, Failure> {
    for _ in 0..ROUNDS {
        if let Some(keeper) = await_keeper(home) {
            if !end(keeper, Signal::TERM, PATIENCE) {
                // Its nexusd takes its place, and is told in the next round.
                end(keeper, Signal::KILL, KILL_PATIENCE);
            }
            continue;
        }
        // A socket's name is left behind only by a death: then workers may run.
        if std::fs::symlink_metadata(home.join("nexus.sock")).is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        match nexus_keeper::found(home) {
            Ok(founding) => return Ok(super::keep(founding.only_to_stop())),
            // Somebody was faster.
            Err(FoundError::AlreadyRunning { .. }) => {}
            Err(error) => {
                let title = "what the last daemon left running cannot be stopped";
                return Err(Failure::new(Exit::Failed, title).cause(error.to_string()));
            }
        }
    }
    if keeper(home).is_none() && daemons(home).is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(Exit::Failed, "the daemon does not end").help("nexusctl daemon status"))
}

/// The keeper; where there is only a nexusd, it is about to be the keeper, or hangs and is ended.
fn await_keeper(home: &Path) -> Option<Pid> {
    let deadline = Instant::now() + PROMOTION;
    loop {
        if let Some(keeper) = keeper(home) {
            return Some(keeper);
        }
        let daemons = daemons(home);
        if daemons.is_empty() {
            return None;
        }
        if Instant::now() >= deadline {
            for nexusd in daemons {
                end(nexusd, Signal::KILL, KILL_PATIENCE);
            }
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
