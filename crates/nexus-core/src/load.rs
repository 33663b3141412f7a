//! When an app needs more workers, or fewer: judged from how much CPU they use.
//!
//! More come soon (after `up_after`) and several at once, fewer come late (after `down_after`) and one
//! at a time. Between the two lies a band in which nothing changes: more than a tenth above the
//! target is too much, and so little that one fewer would stay a fifth below it is too little; so
//! what one change brings about does not call for the other. Each change begins both times anew, and
//! so does a worker that comes or goes for any other reason.

use nexus_spec::Autoscale;

use crate::event::Time;

/// How long an app has needed another number of workers: kept from one measurement to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many there were at the last measurement.
    workers: u16,
    busy_since: Option<Time>,
    idle_since: Option<Time>,
}

/// What is too much, in percent of the target.
const TOO_MUCH: u64 = 110;
/// What is little enough for one fewer, in percent of the target.
const LITTLE: u64 = 80;

impl Load {
    /// Judge a measurement: so many workers use so much CPU together, in percent of one. The answer
    /// is how many there are to be, if that is another number.
    pub fn judge(&mut self, rule: &Autoscale, now: Time, workers: u16, used: u64) -> Option<u16> {
        if self.workers != workers {
            *self = Load { workers, ..Load::default() };
        }
        if workers == 0 {
            return None;
        }
        let (target, many) = (u64::from(rule.target_cpu), u64::from(workers));
        let busy = used * 100 > many * target * TOO_MUCH && workers < rule.max;
        let idle = workers > rule.min && used * 100 < (many - 1) * target * LITTLE;
        self.busy_since = busy.then(|| self.busy_since.unwrap_or(now));
        self.idle_since = idle.then(|| self.idle_since.unwrap_or(now));
        let up = self.busy_since.is_some_and(|since| now - since >= rule.up_after);
        let down = self.idle_since.is_some_and(|since| now - since >= rule.down_after);
        if !up && !down {
            return None;
        }
        (self.busy_since, self.idle_since) = (None, None);
        if down {
            return Some(workers - 1);
        }
        let needed = u16::try_from(used.div_ceil(target)).unwrap_or(u16::MAX);
        let most = workers.saturating_mul(2).min(rule.max);
        Some(needed.clamp(workers + 1, most.max(workers + 1)))
    }
}
