//! Log bytes a second, from four writers to files, with nothing lost.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::Fault;
use crate::limit::{Bare, Copy, copy_all};
use crate::managed::Managed;
use crate::manager::log_bytes;
use crate::report::{Goal, Report};
use crate::stamps::{Stamps, now, until};
use crate::table::median;
use crate::worker::LINE;

pub(crate) const WRITERS: usize = 4;
/// Lines of each writer.
pub(crate) const LINES: usize = 100_000;
/// How often.
const ROUNDS: usize = 5;
/// How long one round may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const TOTAL: u64 = (WRITERS * LINES * LINE) as u64;

/// How lines are kept: its name, further settings of the app, bytes added to each line, the goal.
const WAYS: [(&str, &str, usize, Goal); 4] = [
    ("as they come", "log = { max_size = \"none\" }", 0, Goal::AtLeastTimes(0.9)),
    ("rotated at 10 MiB", "log = { compress = false, total = \"none\" }", 0, Goal::None),
    ("with a time", "time = true\nlog = { max_size = \"none\" }", 21, Goal::AtLeastTimes(0.5)),
    ("within a rate", "log = { max_size = \"none\", rate = 100000000 }", 0, Goal::None),
];

/// Bytes a second, and the limit's in two ways.
pub(crate) fn throughput(
    ours: Option<&Managed>,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Fault> {
    let (mut spliced, mut copied) = (Vec::new(), Vec::new());
    let mut nexus = [const { Vec::new() }; WAYS.len()];
    for round in 0..ROUNDS {
        spliced.push(bare(Copy::Splice, dir)?);
        copied.push(bare(Copy::ReadWrite, dir)?);
        for (way, (rates, (_, settings, added, _))) in nexus.iter_mut().zip(WAYS).enumerate() {
            if let Some(ours) = ours {
                rates.push(managed(ours, &format!("lines{way}x{round}"), settings, added, dir)?);
            }
        }
    }
    let (splice, copy) = (median(&spliced), median(&copied));
    let best = if splice > copy { splice } else { copy };
    for (rates, (way, _, _, goal)) in nexus.iter().zip(WAYS) {
        report.add(&format!("log bytes, 4 writers, {way}"), "MB/s", best, median(rates), goal);
    }
    report.note(format!(
        "Log limit: splice {:.0} MB/s, read and write {:.0} MB/s; the better one is the limit.",
        splice.unwrap_or(0.0),
        copy.unwrap_or(0.0)
    ));
    Ok(())
}

pub(crate) fn bare(how: Copy, dir: &Path) -> Result<f64, Fault> {
    let stamps = Stamps::new(dir.join("lines-limit"))?;
    let path = stamps.path.to_string_lossy();
    let lines = LINES.to_string();
    let mut writers = Vec::new();
    let mut pipes = Vec::new();
    for _ in 0..WRITERS {
        let mut writer = Bare::spawn(&["writer", &path, &lines], Stdio::piped())?;
        pipes.push(writer.output()?);
        writers.push(writer);
    }
    let moved = copy_all(how, pipes, dir)?;
    if moved != TOTAL {
        return Err(format!("the limit copied {moved} bytes of {TOTAL}"));
    }
    rate(&stamps)
}

fn managed(
    ours: &Managed,
    name: &str,
    settings: &str,
    added: usize,
    dir: &Path,
) -> Result<f64, Fault> {
    let stamps = Stamps::new(dir.join("lines-nexus"))?;
    let args = ["writer", &stamps.path.to_string_lossy(), &LINES.to_string()];
    ours.start(name, &args, WRITERS, &format!("autorestart = false\n{settings}"))?;
    let logs = ours.home.path().join("logs");
    let total = TOTAL + (WRITERS * LINES * added) as u64;
    until(PATIENCE, &format!("{total} bytes in {}", logs.display()), || {
        (log_bytes(&logs, name) >= total).then_some(())
    })?;
    let rate = rate(&stamps);
    let size = log_bytes(&logs, name);
    ours.delete(name)?;
    if size == total { rate } else { Err(format!("{size} bytes in the logs, not {total}")) }
}

/// Megabytes a second from the first writer's first instruction until now.
pub(crate) fn rate(stamps: &Stamps) -> Result<f64, Fault> {
    let end = now()?;
    let begin = stamps.read().iter().map(|stamp| stamp.at_ns).min().unwrap_or(end);
    Ok(TOTAL as f64 / 1e6 / (end.saturating_sub(begin).max(1) as f64 / 1e9))
}
