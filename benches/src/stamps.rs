//! A file into which workers write the moment of their first instruction.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::Fault;

/// How long a worker may take to write its stamp.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at the file. What is measured is in the stamps, so it adds nothing.
const STEP: Duration = Duration::from_micros(500);

/// Nanoseconds of CLOCK_MONOTONIC, which all processes share.
pub(crate) fn now() -> Result<u64, Fault> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|errno| errno.to_string())?;
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    Ok(seconds * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0))
}

/// One worker's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) pid: i32,
    pub(crate) at_ns: u64,
}

/// The file.
pub(crate) struct Stamps {
    pub(crate) path: PathBuf,
}

impl Stamps {
    /// An empty file.
    pub(crate) fn new(path: PathBuf) -> Result<Stamps, Fault> {
        File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Stamps { path })
    }

    pub(crate) fn read(&self) -> Vec<Stamp> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let stamp = |line: &str| {
            let (pid, at) = line.split_once(' ')?;
            Some(Stamp { pid: pid.parse().ok()?, at_ns: at.parse().ok()? })
        };
        // A line without its end is still being written.
        text.split_inclusive('\n').filter_map(|line| stamp(line.strip_suffix('\n')?)).collect()
    }

    /// Milliseconds from a moment to the latest of `count` stamps.
    pub(crate) fn since(&self, begin_ns: u64, count: usize) -> Result<f64, Fault> {
        let last = self.wait(count)?.iter().map(|stamp| stamp.at_ns).max().unwrap_or(begin_ns);
        Ok(last.saturating_sub(begin_ns) as f64 / 1e6)
    }

    /// Wait until there are `count` stamps.
    pub(crate) fn wait(&self, count: usize) -> Result<Vec<Stamp>, Fault> {
        until(PATIENCE, &format!("{count} workers to begin"), || {
            let stamps = self.read();
            (stamps.len() >= count).then_some(stamps)
        })
    }
}

/// Write our own stamp: one `write(2)`, so that stamps of several workers do not mix.
pub(crate) fn stamp(path: &Path) -> Result<(), Fault> {
    let at = now()?;
    let line = format!("{} {at}\n", std::process::id());
    let file = OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

/// Ask `probe` until it answers.
pub(crate) fn until<T>(
    patience: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T, Fault> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return Ok(answer);
        }
        if begin.elapsed() > patience {
            return Err(format!("waited {patience:?} for {what}, in vain"));
        }
        std::thread::sleep(STEP);
    }
}
