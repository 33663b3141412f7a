//! How busy the host is.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The first line of `/proc/stat` (proc(5)) is at most ten numbers.
const LINE_MAX: usize = 256;

/// What was seen last.
#[derive(Default)]
pub(super) struct Host {
    file: Option<File>,
    before: Option<Times>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    busy: u64,
    all: u64,
}

impl Host {
    /// The busy part of all CPUs since the last look: 100 = all of them; `None` at the first.
    pub(super) fn cpu_percent(&mut self) -> Option<f64> {
        if self.file.is_none() {
            self.file = File::open("/proc/stat").ok();
        }
        let mut line = [0; LINE_MAX];
        let length = self.file.as_ref()?.read_at(&mut line, 0).ok()?;
        let now = parse(line.get(..length)?)?;
        let before = self.before.replace(now)?;
        let all = now.all.saturating_sub(before.all);
        let busy = now.busy.saturating_sub(before.busy);
        (all > 0).then(|| (busy as f64 / all as f64 * 1_000.0).round() / 10.0)
    }
}

/// `cpu  user nice system idle iowait irq softirq steal …`: waiting is not work. What follows is
/// counted in `user` and `nice` already.
fn parse(text: &[u8]) -> Option<Times> {
    let line = text.split(|&byte| byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> =
        line.split_ascii_whitespace().take(8).filter_map(|word| word.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    let all: u64 = ticks.iter().sum();
    Some(Times { busy: all - idle, all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_work_and_guests_are_counted_once() {
        let times = parse(b"cpu  10 1 5 100 20 2 3 4 9 9\ncpu0 1 2 3\n");
        assert_eq!(times, Some(Times { busy: 25, all: 145 }));
        assert_eq!(parse(b"intr 1"), None);
    }

    #[test]
    fn a_busy_part_is_known_from_the_second_look_on() {
        let mut host = Host::default();
        assert_eq!(host.cpu_percent(), None);
        let percent = loop {
            if let Some(percent) = host.cpu_percent() {
                break percent;
            }
        };
        assert!((0.0..=100.0).contains(&percent), "{percent}");
    }
}
