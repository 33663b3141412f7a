//! What a process manager must do to be measured beside others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nexus_tests::{Home, Process};

use crate::Fault;

/// Workers of one app, all running this program with the same arguments.
pub(crate) struct Job<'a> {
    /// Its name; its logs begin with it.
    pub(crate) name: &'a str,
    pub(crate) args: &'a [&'a str],
    pub(crate) instances: usize,
}

/// A process manager with a home of its own. Dropping the home ends all that it runs.
pub(crate) trait Manager {
    /// Its name, as a heading.
    fn name(&self) -> &'static str;

    /// Its version, as it says itself.
    fn version(&self) -> Result<String, Fault>;

    /// Everything that it runs carries this home in its environment.
    fn home(&self) -> &Home;

    /// Bring its daemon up, where it has one that outlives commands.
    fn warm(&self) -> Result<(), Fault>;

    /// Start the workers as its users would; it may return before they run. One that ends is
    /// started again.
    fn start(&self, job: &Job<'_>) -> Result<(), Fault>;

    /// The command by which a user sees the workers of the one app that was started.
    fn list(&self) -> Command;

    /// The directory in which it keeps the workers' output.
    fn logs(&self) -> PathBuf {
        self.home().project().join("logs")
    }
}

/// This program.
pub(crate) fn me() -> Result<String, Fault> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(me.to_string_lossy().into_owned())
}

/// The manager's processes: everything of its home but the workers and their shells.
pub(crate) fn processes(manager: &dyn Manager) -> Result<Vec<Process>, Fault> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let of_a_worker = |process: &Process| {
        fs::read_link(format!("/proc/{}/exe", process.0)).is_ok_and(|exe| exe == me)
    };
    Ok(manager.home().processes().into_iter().filter(|process| !of_a_worker(process)).collect())
}

/// Bytes of standard output in files: `NAME-out…`, or what is in a directory of such a name.
pub(crate) fn log_bytes(logs: &Path, name: &str) -> u64 {
    let prefix = format!("{name}-out");
    let entries = fs::read_dir(logs).into_iter().flatten().flatten();
    let mine = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(&prefix) && !name.ends_with(".idx")
    });
    mine.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => log_bytes_within(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    })
    .sum()
}

/// svlogd and s6-log keep a directory for each worker: `current`, and rotated files `@TIME.?`.
fn log_bytes_within(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mine = entries.filter(|entry| {
        let name = entry.file_name();
        name == "current" || name.to_string_lossy().starts_with('@')
    });
    mine.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Run a command to its end; a sentence about it if it fails.
pub(crate) fn run(command: &mut Command) -> Result<String, Fault> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{shown}: {}: {}", output.status, said.lines().next().unwrap_or("")))
}
