//! Whether a worker is well: how often its check fails, judged from one answer to the next.

use nexus_spec::{Health, Span};

use crate::event::{Breach, Limit, Time};

/// What the answers of one worker have come to, kept from one to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    healthy: Option<bool>,
    failures: u16,
    successes: u16,
    failing_since: Time,
}

/// What an answer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing.
    Same,
    /// The worker is well now, for the first time or again.
    Well,
    /// It is not: told again with each failure.
    Ill(Breach),
}

impl Pulse {
    /// Judge an answer: `well` = the check succeeded. `ready_at` is when the worker became ready:
    /// until it has been well once, failures within the start period after that do not count.
    pub fn judge(&mut self, rule: &Health, ready_at: Time, now: Time, well: bool) -> Beat {
        if well {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            if self.healthy == Some(true) || self.successes < rule.successes {
                return Beat::Same;
            }
            self.healthy = Some(true);
            return Beat::Well;
        }
        self.successes = 0;
        if self.healthy.is_none() && now - ready_at < rule.start_period {
            return Beat::Same;
        }
        if self.failures == 0 {
            self.failing_since = now;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < rule.failures {
            return Beat::Same;
        }
        self.healthy = Some(false);
        Beat::Ill(Breach {
            limit: Limit::Health,
            measured: self.failures.into(),
            allowed: u64::from(rule.failures.saturating_sub(1)),
            lasted: Span((now - self.failing_since).0),
        })
    }
}
