//! What `/proc` says of a process.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

use crate::sys::process;
use crate::wire::Ended;

/// The fields of `/proc/PID/stat` that we use; proc(5) numbers them from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(super) pid: i32,
    /// Field 3.
    pub(crate) state: u8,
    /// Field 4.
    pub(super) ppid: i32,
    /// Field 5.
    pub(super) group: i32,
    /// Field 6.
    pub(super) session: i32,
    /// Field 22: ticks since boot. With the pid it names one process of this boot.
    pub(super) start: u64,
    /// The last field: a wait status, once it is a zombie.
    pub(super) exit_code: i32,
}

impl Stat {
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// A process's stat; `None` = there is none.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let mut bytes = [0; 1024];
    let got = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut bytes).ok()?;
    parse(pid, bytes.get(..got)?)
}

fn parse(pid: i32, bytes: &[u8]) -> Option<Stat> {
    // The name may hold blanks and parentheses: the last one ends it.
    let end = bytes.iter().rposition(|b| *b == b')')?;
    let text = std::str::from_utf8(bytes.get(end + 2..)?).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let mut number = |skip: usize| fields.nth(skip).and_then(|f| f.parse::<i64>().ok());
    let (ppid, group, session) = (number(0)?, number(0)?, number(0)?);
    let start = number(15)?;
    let exit_code = fields.last().and_then(|f| f.parse::<i64>().ok()).unwrap_or(0);
    Some(Stat {
        pid,
        state,
        ppid: ppid as i32,
        group: group as i32,
        session: session as i32,
        start: start as u64,
        exit_code: exit_code as i32,
    })
}

/// How a process that is not our child ended, where the kernel tells us; of one that runs it does
/// not. Of a process whose first thread alone has ended, `/proc` says what it says of a zombie.
pub(crate) fn foreign_end(pid: i32, pidfd: BorrowedFd<'_>) -> Option<Ended> {
    let has_ended = super::is_readable(pidfd);
    has_ended.then(|| process::exit_info(pidfd).or_else(|| zombie(pid))).flatten()
}

/// How a zombie that is not our child ended, where the kernel tells us: it says 0 to whom it does
/// not trust, so only where we may trace it.
pub(super) fn zombie(pid: i32) -> Option<Ended> {
    let stat = stat(pid)?;
    if !stat.is_dead() {
        return None;
    }
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let may = uid == nix::unistd::geteuid().as_raw() || has_ptrace();
    may.then(|| process::ended_from_status(stat.exit_code))
}

/// CAP_SYS_PTRACE, by its bit in `CapEff`.
fn has_ptrace() -> bool {
    const CAP_SYS_PTRACE: u64 = 1 << 19;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_some_and(|bits| bits & CAP_SYS_PTRACE != 0)
}

/// Whether a process has been stopped by a signal.
pub(super) fn is_stopped(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.state == b'T')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_stat_is_read() {
        let pid = std::process::id().cast_signed();
        let stat = stat(pid).unwrap();
        assert_eq!(stat.ppid, std::os::unix::process::parent_id().cast_signed());
        assert!(stat.start > 0 && !stat.is_dead());
    }

    #[test]
    fn a_name_cannot_forge_fields() {
        let line = b"7 (a) R 1 1) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 999 0 0 0 0 0 0 0 0 0 0 \
            0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 256\n";
        let stat = parse(7, line).unwrap();
        assert_eq!((stat.state, stat.ppid, stat.group, stat.session), (b'S', 3, 4, 5));
        assert_eq!((stat.start, stat.exit_code), (999, 256));
    }
}
