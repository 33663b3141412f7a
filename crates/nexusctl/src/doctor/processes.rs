//! Processes that carry the mark of a home.

use std::fs;
use std::path::Path;

/// A process that a pair of this home has started, or one that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) pid: i32,
    /// `api/0`.
    pub(crate) place: String,
    /// Its spawn's number.
    pub(crate) child: u64,
}

/// How many there are on the machine.
pub(super) fn count() -> u64 {
    pids().count() as u64
}

/// Main processes of this home's workers: whose parent is not one of them, too, is not told apart.
pub(super) fn of_home(home: &Path) -> Vec<Worker> {
    let mark = [b"NEXUS_HOME=", home.as_os_str().as_encoded_bytes()].concat();
    pids().filter_map(|pid| worker(pid, &mark)).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn worker(pid: i32, mark: &[u8]) -> Option<Worker> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environ.split(|byte| *byte == 0);
    if !variables.clone().any(|variable| variable == mark) {
        return None;
    }
    let tag = variables.find_map(|variable| variable.strip_prefix(b"NEXUS_WORKER="))?;
    let mut parts = std::str::from_utf8(tag).ok()?.rsplit(':');
    let child = parts.next()?.parse().ok()?;
    let (instance, app) = (parts.next()?, parts.next()?);
    Some(Worker { pid, place: format!("{app}/{instance}"), child })
}
