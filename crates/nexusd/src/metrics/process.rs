//! What one of the pair uses.

use std::os::unix::fs::MetadataExt;

use crate::sampling;

/// One of the pair, at one moment.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: &'static str,
    pub(super) cpu_seconds: f64,
    pub(super) memory_bytes: u64,
    /// Unknown before Linux 6.2.
    pub(super) open_files: Option<u64>,
}

impl Process {
    /// `None` = it is gone.
    pub(super) fn read(name: &'static str, pid: i32) -> Option<Process> {
        let (cpu_seconds, memory_bytes) = sampling::process(pid)?;
        // From Linux 6.2 on the size of that directory is the number of descriptors (proc(5)).
        let open = std::fs::metadata(format!("/proc/{pid}/fd")).map(|fd| fd.size());
        let open_files = open.ok().filter(|&files| files > 0);
        Some(Process { name, cpu_seconds, memory_bytes, open_files })
    }
}
