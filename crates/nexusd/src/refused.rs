//! Attempts at what somebody may not do: each is told, but nobody can fill the journal with them.

use std::collections::BTreeMap;

use nexus_core::Time;
use nexus_proto::Actor;

use crate::clock;
use crate::daemon::Daemon;
use crate::facts::Line;

/// After so long one's attempts are counted anew, in milliseconds.
const WINDOW_MS: u64 = 60_000;
/// So many are told one by one; then each tenth, hundredth … as they grow.
const TOLD: u64 = 5;
/// Users that are counted; all others are counted as one.
const USERS_MAX: usize = 64;

/// How often each user was refused lately.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<Option<u32>, (Time, u64)>);

impl Refusals {
    /// One more of a user's. Which it is within its minute, if it is to be told.
    pub(crate) fn count(&mut self, uid: u32, now: Time) -> Option<u64> {
        let old = |since: Time| now.0.saturating_sub(since.0) >= WINDOW_MS;
        let known = self.0.contains_key(&Some(uid));
        if !known && self.0.len() >= USERS_MAX {
            self.0.retain(|_, (since, _)| !old(*since));
        }
        let key = Some(uid).filter(|_| known || self.0.len() < USERS_MAX);
        let (since, count) = self.0.entry(key).or_insert((now, 0));
        if old(*since) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        let power = |n: u64| (1..).map_while(|e| 10_u64.checked_pow(e)).any(|p| p == n);
        (*count <= TOLD || power(*count)).then_some(*count)
    }
}

impl Daemon {
    /// Somebody asked for what they may not do.
    pub(crate) fn forbidden(&mut self, actor: &Actor, what: String) {
        let Some(count) = self.gate.refusals.count(actor.uid, clock::now()) else { return };
        let detail = match count {
            1..=TOLD => what,
            more => format!("{what} ({more} attempts within a minute)"),
        };
        tracing::warn!(by = %actor, pid = actor.pid, "refused: {detail}");
        self.log_of(actor, Line::new("refused", detail, &actor.to_string()));
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_by_its_size_and_hides_nobody_elses_attempt() {
        let mut refusals = Refusals::default();
        let told: Vec<u64> =
            (0..20_000).filter_map(|at| refusals.count(7, Time(at % 50_000))).collect();
        assert_eq!(told, [1, 2, 3, 4, 5, 10, 100, 1_000, 10_000]);
        assert_eq!(refusals.count(8, Time(100)), Some(1));
        // A minute later it begins anew.
        assert_eq!(refusals.count(7, Time(60_000)), Some(1));
    }

    #[test]
    fn users_without_number_are_counted_together() {
        let mut refusals = Refusals::default();
        let told = (0..10_000).filter_map(|uid| refusals.count(uid, Time(0))).count();
        assert!(told < USERS_MAX + 10, "{told}");
        assert!(refusals.0.len() <= USERS_MAX + 1);
        assert_eq!(refusals.count(20_000, Time(WINDOW_MS)), Some(1));
    }
}
