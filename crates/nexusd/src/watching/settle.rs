//! Changes that come together are one: told when it has been quiet for a while, and at the latest
//! when it will not become quiet.

use std::time::{Duration, Instant};

/// Who never becomes quiet is waited for so many delays, and so long at the least.
const DELAYS: u32 = 10;
const PATIENCE_MIN: Duration = Duration::from_secs(2);

/// When a change is told.
#[derive(Debug)]
pub(super) struct Settle {
    delay: Duration,
    /// The first change that has not been told, and the last.
    span: Option<(Instant, Instant)>,
}

impl Settle {
    pub(super) fn new(delay: Duration) -> Settle {
        Settle { delay, span: None }
    }

    /// Something has changed.
    pub(super) fn changed(&mut self, now: Instant) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
    }

    /// When it is to be told.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.span?;
        let patience = (self.delay * DELAYS).max(PATIENCE_MIN);
        Some((last + self.delay).min(first + patience))
    }

    /// Whether it is to be told now; then it is.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.span = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_has_been_quiet() {
        let (begin, delay) = (Instant::now(), Duration::from_millis(200));
        let at = |ms| begin + Duration::from_millis(ms);
        let mut settle = Settle::new(delay);
        assert_eq!(settle.due(), None);
        settle.changed(at(0));
        settle.changed(at(150));
        assert_eq!(settle.due(), Some(at(350)));
        assert!(!settle.is_due(at(349)) && settle.is_due(at(350)));
        assert_eq!(settle.due(), None);
    }

    #[test]
    fn what_never_becomes_quiet_is_told_all_the_same() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut settle = Settle::new(Duration::from_millis(300));
        (0..100).for_each(|n| settle.changed(at(n * 100)));
        assert_eq!(settle.due(), Some(at(3_000)));
    }
}
