//! The processes of a home's pair, as a process that is none of them finds them.

use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The keeper: the lock file names it, its own name and environment confirm it.
pub(super) fn keeper(home: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(home.join("keeper.lock")).ok()?;
    let pid: i32 = text.trim().parse().ok()?;
    (is_of(pid, "nexus-keeper", home)).then(|| Pid::from_raw(pid)).flatten()
}

/// Every nexusd.
pub(super) fn daemons(home: &Path) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| is_of(*pid, "nexusd", home)).filter_map(Pid::from_raw).collect()
}

fn is_of(pid: i32, name: &str, home: &Path) -> bool {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let mark = [b"NEXUS_HOME=", home.as_os_str().as_encoded_bytes()].concat();
    read("comm").trim_ascii_end() == name.as_bytes()
        && read("environ").split(|byte| *byte == 0).any(|variable| variable == mark)
}

/// Signal a process and wait for its end. Returns whether it has ended.
pub(super) fn end(pid: Pid, signal: Signal, patience: Duration) -> bool {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    if pidfd_send_signal(&pidfd, signal).is_err() {
        return true;
    }
    let wait = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    let mut asked = [PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), PollFlags::POLLIN)];
    poll(&mut asked, wait).is_ok_and(|ended| ended > 0)
}
