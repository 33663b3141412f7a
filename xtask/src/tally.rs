//! How many tests passed and failed, read from what the runners print.

/// Who runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    CargoTest,
    Nextest,
}

/// A count of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// The runner gave numbers, be they 0.
    counted: bool,
}

impl Tally {
    /// One failure, of something that runs no tests.
    pub(crate) const FAILURE: Tally = Tally { passed: 0, failed: 1, counted: true };

    /// Add what a line of a runner says; lines that say nothing about numbers add nothing, nor do
    /// those of the other runner: nextest shows what a failed test printed, numbers and all.
    ///
    /// cargo test: `test result: ok. 3 passed; 1 failed; 0 ignored; …`.
    /// nextest: `Summary [   0.2s] 13 tests run: 11 passed (1 leaky), 1 failed, 1 timed out, …`.
    pub(crate) fn read(&mut self, runner: Runner, line: &str) {
        let line = plain(line);
        let counts = match runner {
            Runner::CargoTest => {
                line.strip_prefix("test result: ").and_then(|l| l.split_once(". "))
            }
            Runner::Nextest => {
                let summary = line.trim_start().starts_with("Summary [");
                line.split_once("run: ").filter(|_| summary)
            }
        };
        let Some((_, counts)) = counts else { return };
        self.counted = true;
        for part in counts.split([',', ';']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.collect::<Vec<&str>>().as_slice() {
                ["passed", ..] => self.passed += number,
                ["failed", ..] | ["timed", "out", ..] | ["exec", "failed", ..] => {
                    self.failed += number;
                }
                _ => {}
            }
        }
    }

    /// A suite that failed without naming a failed test (it did not compile, or crashed) counts
    /// as one; so does one with its own `main` that gave no numbers when it passed.
    pub(crate) fn close(&mut self, success: bool) {
        if !success && self.failed == 0 {
            self.failed = 1;
        } else if success && !self.counted {
            self.passed = 1;
        }
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.counted |= other.counted;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// A line without colours (`ESC [ … m`).
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(runner: Runner, lines: &[&str]) -> (u64, u64) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(runner, line));
        (tally.passed, tally.failed)
    }

    #[test]
    fn cargo_test_is_read() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; in 1s",
            "test result: FAILED. 18 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out",
            "    Summary [ 1s] 9 tests run: 9 passed, 0 skipped",
        ];
        assert_eq!(tally(Runner::CargoTest, &lines), (21, 5));
    }

    #[test]
    fn nextest_is_read() {
        let all = "     Summary [   0.242s] 13 tests run: 13 passed, 0 skipped";
        assert_eq!(tally(Runner::Nextest, &[all]), (13, 0));
        let mixed =
            "Summary [ 9s] 5/9 tests run: 2 passed (1 slow), 1 failed, 2 timed out, 4 skipped";
        let shown = "    test result: FAILED. 0 passed; 1 failed; 0 ignored";
        assert_eq!(tally(Runner::Nextest, &[shown, mixed]), (2, 3));
        let colours = "\u{1b}[31;1m Summary\u{1b}[0m [ 1s] \u{1b}[1m2\u{1b}[0m tests run: \
                       \u{1b}[1m1\u{1b}[0m \u{1b}[32mpassed\u{1b}[0m, 1 \u{1b}[31mfailed\u{1b}[0m";
        assert_eq!(tally(Runner::Nextest, &[colours]), (1, 1));
    }

    #[test]
    fn a_suite_that_names_no_test_counts_once() {
        let close = |line: &str, success| {
            let mut tally = Tally::default();
            tally.read(Runner::CargoTest, line);
            tally.close(success);
            tally.to_string()
        };
        assert_eq!(close("", true), "1 passed, 0 failed");
        assert_eq!(close("", false), "0 passed, 1 failed");
        assert_eq!(close("test result: ok. 0 passed; 0 failed", true), "0 passed, 0 failed");
        assert_eq!(close("test result: ok. 2 passed; 0 failed", false), "2 passed, 1 failed");
    }
}
