//! Set times: which of them are due, which were missed, and what becomes of them when somebody sets
//! the clock. The clock, and the calendar with its time zones, are arguments.
//!
//! - A time is due once, however the clock is set back over it; unless it is set back by as much as
//!   the time between it and the next one: then that would be long overdue.
//! - A time that the clock is set forward over is due at once, unless that is a correction of hours.
//! - A time that nobody was there to see is late for a moment, and missed after that.

use std::collections::{BTreeMap, BTreeSet};

use nexus_spec::{Missed, Name, Span};

use crate::event::Time;
use crate::restart::mix;

/// So late a time is due all the same: the next daemon comes in a moment.
pub const LATE_MAX: Span = Span(5_000);
/// A clock that is set forward by as much was wrong before: what lies in between is left out.
const STEP_MAX: u64 = 3 * 60 * 60 * 1_000;
/// Missed times that are counted.
const COUNT_MAX: u32 = 1_000;

/// A moment of the wall clock, in milliseconds of Unix time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the one that nobody sets.
    pub boot: Time,
    /// On the one for people.
    pub wall: Wall,
}

/// What happens at a set time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chime {
    /// `cron_restart`.
    Restart,
    /// `schedule`.
    Run,
}

/// Tells set times: the first one after a moment, if there is any.
pub trait Calendar {
    /// Strictly after `after`.
    fn next(&self, app: &Name, chime: Chime, after: Wall) -> Option<Wall>;
}

/// How an app's set times are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Each is taken up to this much later.
    pub jitter: Span,
    /// What becomes of those that nobody saw.
    pub missed: Missed,
}

/// A set time has come, or has been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Whose.
    pub app: Name,
    /// For what.
    pub chime: Chime,
    /// The set time, without jitter; the last one, if several were missed.
    pub due: Wall,
    /// It is to be acted upon.
    pub acts: bool,
    /// Others (or this one, if it is not acted upon) that were missed.
    pub missed: u32,
}

/// All set times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timetable {
    entries: BTreeMap<(Name, Chime), Entry>,
    order: BTreeSet<(Wall, Name, Chime)>,
    seen: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    rule: Rule,
    /// All set times up to this one are dealt with.
    last: Wall,
    due: Option<Wall>,
}

impl Timetable {
    /// From now on an app's set times count; those up to `last` are dealt with.
    pub fn arm(
        &mut self,
        (app, chime): (&Name, Chime),
        rule: Rule,
        last: Wall,
        now: Moment,
        calendar: &dyn Calendar,
    ) {
        self.disarm(app, chime);
        self.seen.get_or_insert(now);
        let mut entry = Entry { rule, last, due: calendar.next(app, chime, last) };
        // The clock was set back since.
        if entry.last > now.wall && entry.is_overdue(entry.last.0 - now.wall.0) {
            entry.last = now.wall;
            entry.due = calendar.next(app, chime, now.wall);
        }
        self.insert(app, chime, entry);
    }

    /// They do not count any more.
    pub fn disarm(&mut self, app: &Name, chime: Chime) {
        let key = (app.clone(), chime);
        let Some(entry) = self.entries.remove(&key) else { return };
        if let Some(due) = entry.due {
            self.order.remove(&(entry.at(app, due), key.0, chime));
        }
    }

    fn insert(&mut self, app: &Name, chime: Chime, entry: Entry) {
        if let Some(due) = entry.due {
            self.order.insert((entry.at(app, due), app.clone(), chime));
        }
        self.entries.insert((app.clone(), chime), entry);
    }

    /// When to look next.
    pub fn next_look(&self) -> Option<Wall> {
        self.order.first().map(|(at, ..)| *at)
    }

    /// When an app's next time is due, jitter included.
    pub fn next_of(&self, app: &Name, chime: Chime) -> Option<Wall> {
        let entry = self.entries.get(&(app.clone(), chime))?;
        entry.due.map(|due| entry.at(app, due))
    }

    /// What is due at this moment. To be asked at [`Timetable::next_look`], and whenever the clock
    /// was set.
    pub fn look(&mut self, now: Moment, calendar: &dyn Calendar) -> Vec<Strike> {
        let step = self.step(now);
        self.seen = Some(now);
        if step < 0 {
            self.set_back(step.unsigned_abs(), now, calendar);
        }
        let forward = u64::try_from(step).unwrap_or(0);
        let mut strikes = Vec::new();
        while let Some((at, app, chime)) = self.order.first().cloned()
            && at <= now.wall
        {
            let Some(entry) = self.entries.get(&(app.clone(), chime)).copied() else { break };
            let (due, count) = entry.latest((&app, chime), now.wall, calendar);
            let late = now.wall.0.saturating_sub(entry.at(&app, due).0).saturating_sub(forward);
            let in_time = late <= LATE_MAX.0 && forward < STEP_MAX;
            let acts = in_time || (entry.rule.missed == Missed::Once && forward < STEP_MAX);
            let missed = if in_time { count.saturating_sub(1) } else { count };
            strikes.push(Strike { app: app.clone(), chime, due, acts, missed });
            self.disarm(&app, chime);
            let next = calendar.next(&app, chime, due);
            self.insert(&app, chime, Entry { last: due, due: next, ..entry });
        }
        strikes
    }

    /// By how much the clock was set since the last look.
    fn step(&self, now: Moment) -> i64 {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        self.seen.map_or(0, |seen| {
            let wall = signed(now.wall.0).saturating_sub(signed(seen.wall.0));
            wall.saturating_sub(signed((now.boot - seen.boot).0))
        })
    }

    fn set_back(&mut self, by: u64, now: Moment, calendar: &dyn Calendar) {
        let overdue = |(_, entry): &(&(Name, Chime), &Entry)| entry.is_overdue(by);
        let keys: Vec<_> =
            self.entries.iter().filter(overdue).map(|(key, _)| key.clone()).collect();
        for (app, chime) in keys {
            let Some(entry) = self.entries.get(&(app.clone(), chime)).copied() else { continue };
            self.disarm(&app, chime);
            let due = calendar.next(&app, chime, now.wall);
            self.insert(&app, chime, Entry { last: now.wall, due, ..entry });
        }
    }
}

impl Entry {
    /// When a set time is acted upon: the same for the same time, whoever asks.
    fn at(&self, app: &Name, due: Wall) -> Wall {
        let seed = app.as_str().bytes().fold(due.0, |seed, byte| mix(seed ^ u64::from(byte)));
        Wall(due.0.saturating_add(seed % (self.rule.jitter.0 + 1)))
    }

    /// If the clock is set back by so much, its next time would come too late.
    fn is_overdue(&self, by: u64) -> bool {
        self.due.is_some_and(|due| due.0.saturating_sub(self.last.0) <= by)
    }

    /// The latest of its times that is to be acted upon by now, and how many there were.
    fn latest(
        &self,
        (app, chime): (&Name, Chime),
        now: Wall,
        calendar: &dyn Calendar,
    ) -> (Wall, u32) {
        let mut latest = self.due.unwrap_or(self.last);
        let mut count = 1;
        let mut from = latest;
        while let Some(next) = calendar.next(app, chime, from) {
            if self.at(app, next) > now {
                break;
            }
            (latest, from) = (next, next);
            count += 1;
            if count == COUNT_MAX {
                // A whole age of them: only the last ones matter.
                let near = now.0.saturating_sub(LATE_MAX.0 + self.rule.jitter.0);
                from = Wall(near.max(latest.0));
            }
            if count > 2 * COUNT_MAX {
                break;
            }
        }
        (latest, count.min(COUNT_MAX))
    }
}
