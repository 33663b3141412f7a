//! The time of a whole `nexusctl list`, beside that of a program that does nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Fault;
use crate::managed::Managed;
use crate::report::{Goal, Report};
use crate::stamps::Stamps;
use crate::table::median;

/// Workers in the list.
pub(crate) const WORKERS: usize = 50;
/// Runs of each program.
const RUNS: usize = 50;

/// Median of whole runs, turn about.
pub(crate) fn wall_time(
    ours: Option<&Managed>,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Fault> {
    let stamps = Stamps::new(dir.join("list"))?;
    if let Some(ours) = ours {
        ours.start("list", &["worker", &stamps.path.to_string_lossy()], WORKERS, "")?;
        stamps.wait(WORKERS)?;
    }
    let (mut bare, mut list) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        bare.push(timed(&mut Command::new("/bin/true"))?);
        if let Some(ours) = ours {
            list.push(timed(ours.home.command(&ours.nexusctl).arg("list"))?);
        }
    }
    if let Some(ours) = ours {
        ours.delete("list")?;
    }
    report.add("`list`, 50 workers", "ms", median(&bare), median(&list), Goal::AtMost(2.0));
    report.note("The limit of `list` is a run of `/bin/true`.".to_owned());
    Ok(())
}

pub(crate) fn timed(command: &mut Command) -> Result<f64, Fault> {
    let shown = format!("{:?}", command.get_program());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    let took = begin.elapsed();
    if status.success() { Ok(took.as_secs_f64() * 1e3) } else { Err(format!("{shown}: {status}")) }
}
