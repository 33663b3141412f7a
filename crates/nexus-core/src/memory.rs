//! When the tree of a worker uses more memory than its spec allows.

use nexus_spec::{Memory, Size, Span};

use crate::event::{Breach, Limit, Time};

/// From this part of the lowest limit on, in percent, a tree is watched closely and measured
/// exactly: its resident memory counts pages that its processes share once for each, and the
/// kernel's quick figure may be some megabytes beside the truth.
const NEAR_PERCENT: u64 = 80;

/// What a tree may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The app's limits.
    pub limits: Memory,
    /// What it may use while a reload watches it (`rollback_on.memory`).
    pub trial: Option<Size>,
}

/// How long a tree has been above `memory.high`: kept from one measurement to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excess {
    high_since: Option<Time>,
}

/// Whether a tree with so much resident memory may be beyond a limit soon, or be so already: the
/// next figure is to be the exact one.
pub fn is_near(allowed: &Allowed, resident: u64) -> bool {
    lowest(allowed).is_some_and(|Size(limit)| resident >= limit / 100 * NEAR_PERCENT)
}

fn lowest(allowed: &Allowed) -> Option<Size> {
    [allowed.limits.high, allowed.limits.max, allowed.trial].into_iter().flatten().min()
}

impl Excess {
    /// Judge a measurement. Above `max` is too much at once, above `high` when it stays so for
    /// `hold`; falling to it or below, be it in one measurement only, begins that time anew.
    pub fn judge(&mut self, allowed: &Allowed, used: u64, now: Time) -> Option<Breach> {
        let Allowed { limits, trial } = allowed;
        let above = |limit: Option<Size>| limit.filter(|&Size(limit)| used > limit);
        let breach = |Size(allowed), lasted| {
            Some(Breach { limit: Limit::Memory, measured: used, allowed, lasted })
        };
        let high = above(limits.high);
        self.high_since = high.map(|_| self.high_since.unwrap_or(now));
        if let Some(max) = above(limits.max) {
            return breach(max, Span(0));
        }
        if let Some(Size(allowed)) = above(*trial) {
            let (limit, lasted) = (Limit::TrialMemory, Span(0));
            return Some(Breach { limit, measured: used, allowed, lasted });
        }
        let lasted = Span((now - self.high_since?).0);
        if lasted >= limits.hold { breach(high?, lasted) } else { None }
    }
}
