//! systemd has started us, and a pair lives already: it is named as the unit's main process, and we
//! end. So it goes after a keeper's death where systemd knows no `ExitType=cgroup`, and after one
//! that hung. A nexusd that does not take its dead keeper's place hangs, and is ended: its workers
//! are not touched.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nexus_keeper::{FoundError, Given};
use rustix::process::Signal;

use super::living::{daemons, end, keeper};
use crate::exit::Exit;
use crate::out;

/// How long a nexusd may take to become the keeper: fifty times what ten thousand workers cost it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks: a living pair tells no event to strangers.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a process may take to end by SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Hand the unit over to the pair that serves this home, or serve it.
pub(super) fn to_the_living(home: &Path, given: &mut Given) -> ExitCode {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(keeper) = keeper(home) {
            let pid = keeper.as_raw_nonzero().get();
            out::note(&format!("the pair of this home lives; its keeper (pid {pid}) goes on"));
            return match nexusd::hand_over(pid) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&format!("systemd cannot be told who serves: {error}")),
            };
        }
        match nexus_keeper::found_with(home, given) {
            // It has ended meanwhile.
            Ok(founding) => return super::begin(founding),
            Err(FoundError::AlreadyRunning { .. }) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(FoundError::AlreadyRunning { .. }) => return after_the_hung(home, given),
            Err(error) => return failed(&error.to_string()),
        }
    }
}

fn after_the_hung(home: &Path, given: &mut Given) -> ExitCode {
    out::note("nexusd does not take its keeper's place: it is ended, its workers run on");
    for nexusd in daemons(home) {
        end(nexusd, Signal::KILL, KILL_PATIENCE);
    }
    match nexus_keeper::found_with(home, given) {
        Ok(founding) => super::begin(founding),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(why: &str) -> ExitCode {
    out::note(&format!("error[NX0701]: {why}"));
    ExitCode::from(Exit::NoDaemon.code())
}
