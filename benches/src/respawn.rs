//! A killed worker's successor, and two hundred workers at once.

use std::path::Path;

use nexus_tests::Process;
use nix::sys::signal::Signal;

use crate::Fault;
use crate::limit::Bare;
use crate::managed::Managed;
use crate::report::{Goal, Report};
use crate::stamps::{Stamps, now};
use crate::table::{median, quantile};

/// Kills on each side.
const KILLS: usize = 200;
/// Workers started at once.
const MANY: usize = 200;
/// How often.
const ROUNDS: usize = 5;

/// From the SIGKILL of a worker to its successor's first instruction.
pub(crate) fn restart(
    ours: Option<&Managed>,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Fault> {
    let bare_stamps = Stamps::new(dir.join("restart-limit"))?;
    let our_stamps = Stamps::new(dir.join("restart-nexus"))?;
    let mut bare = Bare::worker(&bare_stamps)?;
    bare_stamps.wait(1)?;
    if let Some(ours) = ours {
        ours.start("restart", &["worker", &our_stamps.path.to_string_lossy()], 1, "")?;
        our_stamps.wait(1)?;
    }
    let (mut limit, mut nexus) = (Vec::new(), Vec::new());
    for kill in 1..=KILLS {
        let begin = now()?;
        bare.replace(&bare_stamps)?;
        limit.push(bare_stamps.since(begin, kill + 1)?);
        if ours.is_some() {
            let Some(worker) = our_stamps.read().pop() else { continue };
            let begin = now()?;
            Process(worker.pid).signal(Signal::SIGKILL);
            nexus.push(our_stamps.since(begin, kill + 1)?);
        }
    }
    if let Some(ours) = ours {
        ours.delete("restart")?;
    }
    let p50 = Goal::AtMostTimes(1.15);
    report.add("killed → successor, p50", "ms", quantile(&limit, 50), quantile(&nexus, 50), p50);
    let p99 = Goal::AtMostTimes(2.0);
    report.add("killed → successor, p99", "ms", quantile(&limit, 99), quantile(&nexus, 99), p99);
    Ok(())
}

/// From the first step to the last worker's first instruction.
pub(crate) fn many(ours: Option<&Managed>, dir: &Path, report: &mut Report) -> Result<(), Fault> {
    let (mut limit, mut nexus) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let stamps = Stamps::new(dir.join("many-limit"))?;
        let begin = now()?;
        let workers: Result<Vec<Bare>, Fault> = (0..MANY).map(|_| Bare::worker(&stamps)).collect();
        limit.push(stamps.since(begin, MANY)?);
        drop(workers?);
        if let Some(ours) = ours {
            let stamps = Stamps::new(dir.join("many-nexus"))?;
            let begin = now()?;
            ours.start("many", &["worker", &stamps.path.to_string_lossy()], MANY, "")?;
            nexus.push(stamps.since(begin, MANY)?);
            ours.delete("many")?;
        }
    }
    let goal = Goal::AtMostTimes(1.2);
    report.add("200 workers up", "ms", median(&limit), median(&nexus), goal);
    Ok(())
}
