//! `/proc/PID/stat` (proc_pid_stat(5)): whose a process is, its CPU time and its memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use nix::unistd::{SysconfVar, sysconf};

/// A line is about 300 bytes; the name in it is at most 64.
const LINE_MAX: usize = 1_024;

/// What we use of it. CPU times are in clock ticks ([`ticks_a_second`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Field 3: `Z` or `X` = it has ended.
    pub(crate) state: u8,
    /// Field 4.
    pub(crate) parent: i32,
    /// Field 5.
    pub(crate) group: i32,
    /// Field 6.
    pub(crate) session: i32,
    /// Fields 14 and 15: its own time, in user and in kernel mode.
    pub(crate) own_ticks: u64,
    /// Fields 16 and 17: the time of children that it has waited for.
    pub(crate) reaped_ticks: u64,
    /// Field 22: when it began, in ticks since boot. With the pid it names one process.
    pub(crate) start_ticks: u64,
    /// Field 24: resident pages; up to 64 a CPU too few ([`Stat::resident_pages`]).
    pub(crate) pages: u64,
}

impl Stat {
    /// Nothing of it runs any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Resident pages of the process that this line is of. The kernel adds up lately counted pages
    /// of each CPU only now and then, so that a small process that has just begun seems to have
    /// none: then they are asked of `statm`, which sums them (since Linux 6.17).
    pub(crate) fn resident_pages(&self, pid: i32) -> u64 {
        if self.pages > 0 || self.has_ended() {
            return self.pages;
        }
        let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
    }
}

/// The file of a living process, kept open: of a process that has ended it can never be read
/// again, whoever has its number then.
pub(crate) fn open(pid: i32) -> Option<File> {
    File::open(format!("/proc/{pid}/stat")).ok()
}

/// Of a process by its number; `None` = there is none.
pub(crate) fn of(pid: i32) -> Option<Stat> {
    read(&open(pid)?)
}

/// When a process began; with the pid it names one process. `None` = there is none.
pub(crate) fn start_ticks(pid: i32) -> Option<u64> {
    of(pid).map(|stat| stat.start_ticks)
}

/// As it is now; `None` = the process has ended.
pub(crate) fn read(file: &File) -> Option<Stat> {
    let mut line = [0; LINE_MAX];
    let length = file.read_at(&mut line, 0).ok()?;
    parse(line.get(..length)?)
}

fn parse(line: &[u8]) -> Option<Stat> {
    // The name may hold blanks and parentheses: the last one ends it.
    let end = line.iter().rposition(|&byte| byte == b')')?;
    let text = std::str::from_utf8(line.get(end + 2..)?).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let mut number = |skip: usize| fields.nth(skip)?.parse::<i64>().ok();
    let (parent, group, session) = (number(0)?, number(0)?, number(0)?);
    let (user, system) = (number(7)?, number(0)?);
    let (reaped_user, reaped_system) = (number(0)?, number(0)?);
    let (start, pages) = (number(4)?, number(1)?);
    let ticks = |one: i64, other: i64| u64::try_from(one.saturating_add(other)).unwrap_or(0);
    Some(Stat {
        state,
        parent: parent as i32,
        group: group as i32,
        session: session as i32,
        own_ticks: ticks(user, system),
        reaped_ticks: ticks(reaped_user, reaped_system),
        start_ticks: ticks(start, 0),
        pages: ticks(pages, 0),
    })
}

/// Clock ticks a second, the unit of CPU times.
pub(crate) fn ticks_a_second() -> f64 {
    static TICKS: LazyLock<f64> = LazyLock::new(|| limit(SysconfVar::CLK_TCK, 100) as f64);
    *TICKS
}

/// Ticks as a length of time.
pub(crate) fn milliseconds(ticks: u64) -> u64 {
    (ticks as f64 * 1_000.0 / ticks_a_second()) as u64
}

/// Bytes of a page.
pub(crate) fn page_bytes() -> u64 {
    static PAGE: LazyLock<u64> = LazyLock::new(|| limit(SysconfVar::PAGE_SIZE, 4_096));
    *PAGE
}

fn limit(name: SysconfVar, usual: u64) -> u64 {
    sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok()).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_line_is_read_again_and_again() {
        let file = open(std::process::id().cast_signed()).unwrap();
        let first = read(&file).unwrap();
        assert_eq!(first.parent, std::os::unix::process::parent_id().cast_signed());
        assert!(first.pages > 0 && first.start_ticks > 0);
        while read(&file).unwrap().own_ticks == first.own_ticks {}
    }

    #[test]
    fn a_name_cannot_forge_fields() {
        let line =
            b"7 (a) R 1 1) S 3 4 5 0 -1 0 0 0 0 0 10 20 30 40 20 0 1 0 999 8888 77 18446744\n";
        let stat = parse(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.group, stat.session), (b'S', 3, 4, 5));
        assert_eq!((stat.own_ticks, stat.reaped_ticks), (30, 70));
        assert_eq!((stat.start_ticks, stat.pages), (999, 77));
        assert_eq!(parse(b"7 (cut) S 3 4"), None);
    }

    #[test]
    fn the_file_of_a_process_that_has_ended_says_nothing() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let file = open(child.id().cast_signed()).unwrap();
        child.wait().unwrap();
        assert_eq!(read(&file), None);
    }
}
