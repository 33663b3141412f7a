//! One tree and its limits of memory: the exact figure, and what the core says of it.

use std::time::{Duration, Instant};

use nexus_core::{Allowed, Breach, Excess, is_near};

use super::{PERIOD_MAX, SHARE};
use crate::clock;

/// Where one tree stands.
#[derive(Default)]
pub(super) struct Limits {
    allowed: Allowed,
    excess: Excess,
    near: bool,
    /// The exact figure may be dear, by the number of pages: it takes its share of a CPU.
    due: Option<Instant>,
}

impl Limits {
    pub(super) fn new(allowed: Allowed) -> Limits {
        Limits { allowed, ..Limits::default() }
    }

    /// They have been changed while the worker runs.
    pub(super) fn allow(&mut self, allowed: Allowed) {
        if self.allowed != allowed {
            *self = Limits::new(allowed);
        }
    }

    /// Whether this tree's turn comes before others'.
    pub(super) fn is_near(&self) -> bool {
        self.near
    }

    /// Judge what has just been measured.
    pub(super) fn judge(&mut self, resident: u64, members: &[i32]) -> Option<Breach> {
        self.near = is_near(&self.allowed, resident);
        let used = if self.near { self.exact(resident, members)? } else { resident };
        self.excess.judge(&self.allowed, used, clock::now())
    }

    /// What the tree would free if it ended; `None` = measured a moment ago.
    fn exact(&mut self, resident: u64, members: &[i32]) -> Option<u64> {
        let begin = Instant::now();
        if self.due.is_some_and(|due| begin < due) {
            return None;
        }
        let sum = proportional(members);
        let pause = begin.elapsed().mul_f64(1.0 / SHARE).clamp(Duration::ZERO, PERIOD_MAX);
        self.due = Some(begin + pause);
        // Where we may not look closer, the quick figure is all that there is.
        Some(sum.unwrap_or(resident))
    }
}

/// The sum of all members' proportional set sizes (proc_pid_smaps(5)): each page that is shared
/// counts in parts. `None` = the kernel refuses one of them.
fn proportional(members: &[i32]) -> Option<u64> {
    let mut sum = 0;
    for pid in members {
        match std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(text) => sum += pss(&text)?,
            Err(error) if has_ended(&error) => {}
            Err(_) => return None,
        }
    }
    Some(sum)
}

fn has_ended(error: &std::io::Error) -> bool {
    const ESRCH: i32 = nix::errno::Errno::ESRCH as i32;
    error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

fn pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use nexus_spec::{Memory, Size, Span};

    use super::*;

    #[test]
    fn our_own_proportional_size_is_not_above_the_resident_one() {
        let own = std::process::id().cast_signed();
        let file = crate::stat::open(own).unwrap();
        let sum = proportional(&[own]).unwrap();
        let resident = crate::stat::read(&file).unwrap().pages * 4_096;
        // The quick figure may be a batch of pages behind on each CPU.
        assert!(sum > 0 && sum < resident + (64 << 20), "{sum} {resident}");
    }

    #[test]
    fn a_process_that_has_ended_uses_nothing() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pid = child.id().cast_signed();
        child.wait().unwrap();
        assert_eq!(proportional(&[pid]), Some(0));
    }

    #[test]
    fn what_is_shared_is_no_excess() {
        let max = |size| Allowed {
            limits: Memory { high: None, max: Some(Size(size)), hold: Span(0) },
            trial: None,
        };
        let allowed = max(1 << 40);
        let mut limits = Limits::new(allowed);
        // Said to be resident far beyond the limit; in truth it is this test's own memory.
        let breach = limits.judge(1 << 41, &[std::process::id().cast_signed()]);
        assert_eq!((breach, limits.is_near()), (None, true));
        limits.allow(max(1));
        let breach = limits.judge(1 << 20, &[std::process::id().cast_signed()]).unwrap();
        assert!(breach.measured > 1 && breach.allowed == 1);
    }
}
