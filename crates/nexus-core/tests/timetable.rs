//! Set times on a clock that runs, stands still, and is set.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use nexus_core::{Calendar, Chime, LATE_MAX, Moment, Rule, Time, Timetable, Wall};
use nexus_spec::{Missed, Name, Span};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Every so often, from the beginning of time.
struct Every(u64);

impl Calendar for Every {
    fn next(&self, _: &Name, _: Chime, after: Wall) -> Option<Wall> {
        Some(Wall((after.0 / self.0 + 1) * self.0))
    }
}

/// A timetable of one app, and a world in which time passes.
struct World {
    table: Timetable,
    every: Every,
    boot: u64,
    wall: u64,
    told: Vec<String>,
}

fn name() -> Name {
    Name::new("api").unwrap()
}

impl World {
    fn new(every: u64, missed: Missed, wall: u64) -> World {
        World::with(every, Rule { jitter: Span(0), missed }, wall, wall)
    }

    fn with(every: u64, rule: Rule, last: u64, wall: u64) -> World {
        let mut table = Timetable::default();
        let now = Moment { boot: Time(1_000), wall: Wall(wall) };
        table.arm((&name(), Chime::Run), rule, Wall(last), now, &Every(every));
        World { table, every: Every(every), boot: 1_000, wall, told: Vec::new() }
    }

    /// Time passes while somebody looks when he should.
    fn pass(&mut self, span: u64) -> &mut World {
        let end = self.wall + span;
        while let Some(at) = self.table.next_look().filter(|at| at.0 <= end) {
            let wait = at.0.saturating_sub(self.wall);
            self.boot += wait;
            self.wall += wait;
            self.look();
        }
        self.boot += end - self.wall;
        self.wall = end;
        self
    }

    /// Nobody looks.
    fn away(&mut self, span: u64) -> &mut World {
        self.boot += span;
        self.wall += span;
        self.look();
        self
    }

    /// Somebody sets the clock.
    fn set(&mut self, wall: u64) -> &mut World {
        // The kernel tells it at once; until then it had been looked at.
        self.look();
        self.wall = wall;
        self.look();
        self
    }

    fn look(&mut self) {
        let now = Moment { boot: Time(self.boot), wall: Wall(self.wall) };
        for strike in self.table.look(now, &self.every) {
            let at =
                |ms: u64| format!("{}d{}:{:02}", ms / DAY, ms % DAY / HOUR, ms % HOUR / MINUTE);
            let what = if strike.acts { "runs" } else { "left out" };
            let missed = if strike.missed > 0 {
                format!(" {} missed", strike.missed)
            } else {
                String::new()
            };
            self.told.push(format!("{} {what} for {}{missed}", at(self.wall), at(strike.due.0)));
        }
        let next = self.table.next_look();
        assert!(next.is_none_or(|at| at.0 > self.wall), "a time that is due was left");
    }

    #[track_caller]
    fn tells(&self, told: &[&str]) {
        assert_eq!(self.told, told);
    }
}

#[test]
fn each_time_is_due_once() {
    World::new(DAY, Missed::Skip, 5 * DAY + 20 * HOUR)
        .pass(2 * DAY)
        .tells(&["6d0:00 runs for 6d0:00", "7d0:00 runs for 7d0:00"]);
}

#[test]
fn a_time_that_is_late_for_a_moment_is_due_and_one_that_is_later_is_missed() {
    let begin = 5 * DAY + 23 * HOUR;
    World::new(DAY, Missed::Skip, begin)
        .away(HOUR + LATE_MAX.0)
        .away(3 * DAY + HOUR)
        .pass(DAY)
        .tells(&[
            "6d0:00 runs for 6d0:00",
            "9d1:00 left out for 9d0:00 3 missed",
            "10d0:00 runs for 10d0:00",
        ]);
    World::new(DAY, Missed::Once, begin)
        .away(3 * DAY)
        .pass(DAY)
        .tells(&["8d23:00 runs for 8d0:00 3 missed", "9d0:00 runs for 9d0:00"]);
}

#[test]
fn what_is_due_at_the_return_is_due_whatever_was_missed() {
    World::new(MINUTE, Missed::Skip, 5 * DAY)
        .away(3 * HOUR + 2_000)
        .tells(&["5d3:00 runs for 5d3:00 179 missed"]);
}

#[test]
fn an_age_of_missed_times_is_not_counted_to_its_end() {
    let mut world = World::new(1_000, Missed::Skip, 5 * DAY);
    world.away(1_000 * DAY + 500);
    world.tells(&["1005d0:00 runs for 1005d0:00 999 missed"]);
}

#[test]
fn a_clock_that_is_set_back_repeats_nothing_that_is_rare() {
    World::new(DAY, Missed::Skip, 5 * DAY + 23 * HOUR)
        .pass(2 * HOUR)
        .set(5 * DAY + 23 * HOUR)
        .pass(3 * HOUR)
        .tells(&["6d0:00 runs for 6d0:00"]);
}

#[test]
fn what_is_frequent_goes_on_when_the_clock_is_set_back() {
    let mut world = World::new(10 * MINUTE, Missed::Skip, 5 * DAY);
    world.pass(15 * MINUTE).set(4 * DAY + 23 * HOUR + 35 * MINUTE).pass(20 * MINUTE);
    world.tells(&[
        "5d0:10 runs for 5d0:10",
        "4d23:40 runs for 4d23:40",
        "4d23:50 runs for 4d23:50",
    ]);
}

#[test]
fn a_clock_that_was_days_ahead_begins_anew() {
    World::new(DAY, Missed::Skip, 9 * DAY + HOUR)
        .set(5 * DAY + HOUR)
        .pass(DAY)
        .tells(&["6d0:00 runs for 6d0:00"]);
}

#[test]
fn what_the_clock_is_set_forward_over_is_due_at_once() {
    World::new(DAY, Missed::Skip, 5 * DAY + 23 * HOUR)
        .pass(10 * MINUTE)
        .set(6 * DAY + 10 * MINUTE)
        .pass(DAY)
        .tells(&["6d0:10 runs for 6d0:00", "7d0:00 runs for 7d0:00"]);
}

#[test]
fn a_correction_of_hours_makes_nothing_due() {
    World::new(DAY, Missed::Once, DAY)
        .set(900 * DAY + HOUR)
        .pass(DAY)
        .tells(&["900d1:00 left out for 900d0:00 899 missed", "901d0:00 runs for 901d0:00"]);
}

#[test]
fn who_comes_back_goes_on_from_what_was_dealt_with() {
    let skip = Rule { jitter: Span(0), missed: Missed::Skip };
    let dealt = 6 * DAY;
    let mut back = World::with(DAY, skip, dealt, 6 * DAY + 2_000);
    back.look();
    back.tells(&[]);
    let mut late = World::with(DAY, skip, dealt, 7 * DAY + 2_000);
    late.look();
    late.tells(&["7d0:00 runs for 7d0:00"]);
    let mut later = World::with(DAY, Rule { missed: Missed::Once, ..skip }, dealt, 8 * DAY + HOUR);
    later.look();
    later.tells(&["8d1:00 runs for 8d0:00 2 missed"]);
}

#[test]
fn jitter_is_within_its_bound_and_the_same_for_the_same_time() {
    let rule = Rule { jitter: Span(10 * MINUTE), missed: Missed::Skip };
    let offsets = |wall: u64| {
        let mut world = World::with(HOUR, rule, wall, wall);
        world.pass(DAY + 15 * MINUTE);
        world.told
    };
    let told = offsets(5 * DAY);
    assert_eq!((told.len(), &told), (24, &offsets(5 * DAY)));
    let minutes = told.iter().map(|line| line.split([':', ' ']).nth(1).unwrap());
    let minutes: std::collections::BTreeSet<u64> =
        minutes.map(|text| text.parse().unwrap()).collect();
    assert!(minutes.len() > 4 && minutes.last() < Some(&11), "{minutes:?}");
}

#[test]
fn who_is_not_armed_is_not_due() {
    let mut world = World::new(DAY, Missed::Once, 5 * DAY);
    world.table.disarm(&name(), Chime::Run);
    assert_eq!(world.table.next_look(), None);
    world.away(3 * DAY).tells(&[]);
}
