//! After an exit that nobody asked for: again, and when, or never.

use nexus_spec::{Backoff, Restart, Span};

use crate::action::OnExit;
use crate::event::{ChildId, Exit, SpawnError, Time};

/// The most unstable exits that are remembered; a `max_restarts` beyond is never reached.
pub const EXITS_MAX: usize = 4_096;
/// The most `stay_codes` that the keeper can carry. A worker with more is left to a daemon.
pub const STAY_CODES_MAX: usize = 16;
/// Growth steps that are computed; no sensible backoff is still growing then.
const GROWTH_MAX: u32 = 10_000;

/// What a slot's earlier exits have cost it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Unstable exits inside the window, oldest first; at most `max + 1` and [`EXITS_MAX`].
    pub exits: Vec<Time>,
    /// Unstable exits in a row: what backoff grows by.
    pub streak: u32,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Spawn it again so long after the exit.
    Again {
        /// From the exit to the spawn.
        after: Span,
    },
    /// Too many unstable exits, or it can not be run at all.
    GiveUp,
    /// The spec says that it stays down.
    Stay,
}

impl Past {
    /// Record an exit that nobody asked for, and judge it. `online_for` is how long the worker had
    /// been ready, if it ever was; `child` seeds the jitter.
    pub fn judge(
        &mut self,
        rule: &Restart,
        at: Time,
        exit: Exit,
        online_for: Option<Span>,
        child: ChildId,
    ) -> Verdict {
        match exit {
            Exit::NotSpawned(SpawnError::Permanent(_)) => return Verdict::GiveUp,
            Exit::Code(code) if rule.stop_exit_codes.contains(&code) => return Verdict::Stay,
            Exit::Code(_)
            | Exit::Core(_)
            | Exit::NeverReady
            | Exit::NotSpawned(SpawnError::Resources(_))
            | Exit::OverLimit(_)
            | Exit::Signal(_)
            | Exit::Unknown => {}
        }
        // A limit in the spec is a wish that it be replaced, whatever follows its own exits.
        if !rule.auto && !matches!(exit, Exit::OverLimit(_)) {
            return Verdict::Stay;
        }
        if online_for.is_some_and(|online| online >= rule.backoff.reset_after) {
            self.streak = 0;
        }
        if online_for.is_some_and(|online| online >= rule.min_uptime) {
            return Verdict::Again { after: rule.delay };
        }
        let short_of_resources = matches!(exit, Exit::NotSpawned(SpawnError::Resources(_)));
        if !short_of_resources && self.spend(rule, at) > rule.max {
            return Verdict::GiveUp;
        }
        self.streak = self.streak.saturating_add(1);
        // A machine without room is never asked again at once.
        let steps = if short_of_resources { self.streak.saturating_add(1) } else { self.streak };
        Verdict::Again { after: sum(rule.delay, wait(&rule.backoff, steps, child)) }
    }

    /// What the keeper is to do if `child` exits unstably while no daemon is there.
    pub fn on_exit(&self, rule: &Restart, now: Time, child: ChildId, next: ChildId) -> OnExit {
        let recent = self.exits.iter().filter(|&&at| now - at < rule.window).count();
        let spent = u32::try_from(recent).unwrap_or(u32::MAX) >= rule.max;
        if !rule.auto || spent || rule.stop_exit_codes.len() > STAY_CODES_MAX {
            return OnExit { next: None, delay: Span(0), stay_codes: Vec::new() };
        }
        let steps = self.streak.saturating_add(1);
        OnExit {
            next: Some(next),
            delay: sum(rule.delay, wait(&rule.backoff, steps, child)),
            stay_codes: rule.stop_exit_codes.clone(),
        }
    }

    /// One more unstable exit; how many there are in the window now.
    fn spend(&mut self, rule: &Restart, at: Time) -> u32 {
        self.exits.retain(|&earlier| at - earlier < rule.window);
        let most = usize::try_from(rule.max).unwrap_or(EXITS_MAX).saturating_add(1).min(EXITS_MAX);
        let surplus = (self.exits.len() + 1).saturating_sub(most);
        self.exits.drain(..surplus);
        self.exits.push(at);
        u32::try_from(self.exits.len()).unwrap_or(u32::MAX)
    }
}

/// The longest that an exit can be followed by waiting, jitter included.
pub(crate) fn longest(rule: &Restart) -> Span {
    sum(rule.delay, rule.backoff.max)
}

/// 0 after the first unstable exit in a row, then `min × factor^(n−2)`, spread, at most `max`.
fn wait(backoff: &Backoff, unstable: u32, child: ChildId) -> Span {
    let Some(steps) = unstable.checked_sub(2) else { return Span(0) };
    let max = backoff.max.0;
    let mut wait = backoff.min.0.min(max);
    for _ in 0..steps.min(GROWTH_MAX) {
        let longer = wait.saturating_mul(u64::from(backoff.factor_percent)) / 100;
        if longer <= wait || wait == max {
            break;
        }
        wait = longer.min(max);
    }
    let spread = wait.saturating_mul(u64::from(backoff.jitter_percent)) / 100;
    // The spread lies above the wait, except where that would be longer than the longest: there it
    // lies below, so that workers at the end of their backoff do not return together either.
    let least = wait.min(max.saturating_sub(spread)).max(backoff.min.0.min(max));
    let room = max.saturating_sub(least).min(spread);
    Span(least + mix(child.0) % (room + 1))
}

/// SplitMix64's finaliser: neighbours come out far apart, and the same child always the same.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn sum(a: Span, b: Span) -> Span {
    Span(a.0.saturating_add(b.0))
}
