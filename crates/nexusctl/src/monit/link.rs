//! The connection to the daemon, as the screen tells it.

use std::collections::HashMap;

use nexus_proto::Snapshot;

use super::model::NoAnswer;
use crate::human::waited;

/// The connection to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing has been heard yet.
    Connecting,
    /// It answers.
    Live {
        /// When the last answer came, in milliseconds of Unix time.
        heard: i64,
    },
    /// It does not.
    Lost(Lost),
}

/// What is known of a daemon that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// When that was noticed.
    pub(super) since: i64,
    /// When the last answer came; `None` = never.
    pub(super) heard: Option<i64>,
    /// In words.
    pub(super) why: String,
    /// The pair was killed, and nobody brings it back by himself.
    pub(super) killed: bool,
    /// How often it was tried since.
    pub(super) tries: u32,
    /// When it is tried again.
    pub(super) again_at: i64,
    /// Of the processes last known, how many the kernel still has.
    pub(super) alive: Option<(usize, usize)>,
}

/// An answer that is older than this is slow.
const SLOW_MS: i64 = 4_000;

impl Link {
    /// Whether the figures on the screen are old.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Link::Lost(_))
    }

    /// When the last answer came.
    pub(super) fn heard(&self) -> Option<i64> {
        match self {
            Link::Connecting => None,
            Link::Live { heard } => Some(*heard),
            Link::Lost(lost) => lost.heard,
        }
    }

    /// Whether both of the pair were killed.
    pub(super) fn was_killed(&self) -> bool {
        matches!(self, Link::Lost(lost) if lost.killed)
    }

    /// It does not answer, once more.
    pub(super) fn lose(&mut self, now: i64, answer: NoAnswer) {
        let NoAnswer { why, killed, tries, again_in_ms } = answer;
        let again_at = now.saturating_add(i64::try_from(again_in_ms).unwrap_or(i64::MAX));
        let (since, alive) = match self {
            Link::Lost(lost) => (lost.since, lost.alive),
            Link::Connecting | Link::Live { .. } => (now, None),
        };
        let heard = self.heard();
        *self = Link::Lost(Lost { since, heard, why, killed, tries, again_at, alive });
    }

    /// How many seconds the answer is overdue, when it is.
    pub(super) fn slow(&self, now: i64) -> Option<i64> {
        match self {
            Link::Live { heard } if now - heard > SLOW_MS => Some((now - heard) / 1000),
            Link::Live { .. } | Link::Connecting | Link::Lost(_) => None,
        }
    }
}

/// How long to wait before the next try, in milliseconds.
pub(super) const fn pause_ms(tries: u32) -> u64 {
    match tries {
        0 | 1 => 200,
        2 => 500,
        3 => 1_000,
        _ => 2_000,
    }
}

/// What became of the processes while nobody told us: `nexusd is back (pid 811 to 1290, away
/// 13.2s): 10 run on, 0 restarted, 1 gone`. `None` = the same nexusd, never lost.
pub(super) fn back(old: &Snapshot, new: &Snapshot, away_ms: Option<u64>) -> Option<String> {
    let (before, after) = (old.daemon.pid, new.daemon.pid);
    if before == after && away_ms.is_none() {
        return None;
    }
    let away = away_ms.map(|ms| format!("away {}", waited(ms)));
    let pids = (before != after).then(|| format!("pid {before} to {after}"));
    let brackets: Vec<String> = pids.into_iter().chain(away).collect();
    let (run_on, restarted, gone) = fates(old, new);
    Some(format!(
        "nexusd is back ({}): {run_on} run on, {restarted} restarted, {gone} gone",
        brackets.join(", "),
    ))
}

/// Of the processes that were there: how many are there still, were replaced, have ended.
fn fates(old: &Snapshot, new: &Snapshot) -> (u64, u64, u64) {
    let now: HashMap<u32, Option<u64>> = children(new).collect();
    let (mut run_on, mut restarted, mut gone) = (0, 0, 0);
    for (id, child) in children(old).filter(|(_, child)| child.is_some()) {
        match now.get(&id).copied().flatten() {
            same if same == child => run_on += 1,
            Some(_) => restarted += 1,
            None => gone += 1,
        }
    }
    (run_on, restarted, gone)
}

fn children(snapshot: &Snapshot) -> impl Iterator<Item = (u32, Option<u64>)> {
    let instances = snapshot.apps.iter().flat_map(|app| &app.instances);
    instances.map(|one| (one.id, one.pid.and(one.child)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture::snapshot;

    #[test]
    fn what_happened_meanwhile_is_counted() {
        let old = snapshot();
        let mut new = snapshot();
        assert_eq!(back(&old, &new, None), None);
        new.daemon.pid = 1290;
        new.apps[0].instances[1].child = Some(9_999);
        new.apps[0].instances[2].pid = None;
        assert_eq!(
            back(&old, &new, Some(13_200)).as_deref(),
            Some("nexusd is back (pid 811 to 1290, away 13.2s): 4 run on, 1 restarted, 1 gone")
        );
        let text = back(&old, &old, Some(400));
        assert!(text.is_some_and(|text| text.starts_with("nexusd is back (away 0.4s): 6 ")));
    }

    #[test]
    fn a_loss_keeps_its_beginning() {
        let mut link = Link::Live { heard: 1_000 };
        let answer =
            |tries, killed| NoAnswer { why: "gone".into(), killed, tries, again_in_ms: 500 };
        link.lose(2_000, answer(1, false));
        assert!(!link.was_killed());
        link.lose(2_200, answer(2, true));
        assert!(link.was_killed());
        let Link::Lost(lost) = &link else { panic!("not lost") };
        assert_eq!((lost.since, lost.heard, lost.again_at), (2_000, Some(1_000), 2_700));
        assert_eq!(Link::Live { heard: 0 }.slow(5_000), Some(5));
        assert_eq!([0, 1, 2, 3, 4, 9].map(pause_ms), [200, 200, 500, 1_000, 2_000, 2_000]);
    }
}
