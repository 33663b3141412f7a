//! Limits of memory, told as measurements: when, how much, and what is said of it.

#![allow(clippy::unwrap_used, reason = "test code: a panic is its report")]

use nexus_core::{Allowed, Breach, Excess, Limit, Time, is_near};
use nexus_spec::{Memory, Size, Span};

fn limits(high: u64, max: u64) -> Memory {
    let size = |bytes: u64| (bytes > 0).then_some(Size(bytes));
    Memory { high: size(high), max: size(max), hold: Span(5_000) }
}

fn of(limits: Memory) -> Allowed {
    Allowed { limits, trial: None }
}

/// Lines of `time used | allowed after time`, or nothing where all is well.
fn tell(limits: Memory, story: &str) {
    let mut excess = Excess::default();
    for line in story.lines().filter(|line| !line.trim().is_empty()) {
        let (told, expected) = line.split_once('|').unwrap();
        let words: Vec<u64> = told.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let breach = excess.judge(&of(limits), words[1], Time(words[0]));
        let said = breach.map_or(String::new(), |Breach { measured, allowed, lasted, .. }| {
            assert_eq!(measured, words[1]);
            format!("{allowed} after {}", lasted.0)
        });
        assert_eq!(said, expected.trim(), "{line}");
    }
}

#[test]
fn above_max_is_too_much_at_once() {
    tell(
        limits(0, 200),
        "
        0      200 |
        1000   201 | 200 after 0
        2000   500 | 200 after 0
        3000   10  |
        ",
    );
}

#[test]
fn above_high_is_too_much_when_it_stays_so() {
    tell(
        limits(100, 200),
        "
        0      99  |
        1000   150 |
        5999   150 |
        6000   120 | 100 after 5000
        7000   120 | 100 after 6000
        8000   201 | 200 after 0
        ",
    );
}

#[test]
fn a_pause_below_high_begins_the_time_anew() {
    tell(
        limits(100, 0),
        "
        0      101 |
        4000   101 |
        5000   100 |
        6000   101 |
        10999  101 |
        11000  101 | 100 after 5000
        ",
    );
}

#[test]
fn without_a_hold_high_acts_as_max() {
    tell(Memory { hold: Span(0), ..limits(100, 0) }, "7 101 | 100 after 0");
}

#[test]
fn without_limits_nothing_is_too_much() {
    tell(limits(0, 0), "0 18446744073709551615 |");
    assert!(!is_near(&of(limits(0, 0)), u64::MAX));
}

#[test]
fn near_is_four_fifths_of_the_lowest_limit() {
    for (limits, resident, near) in [
        (limits(100, 200), 79, false),
        (limits(100, 200), 80, true),
        (limits(0, 200), 159, false),
        (limits(0, 200), 1_000, true),
        (limits(0, 1 << 53), 1 << 53, true),
    ] {
        assert_eq!(is_near(&of(limits), resident), near, "{limits:?} {resident}");
    }
}

#[test]
fn a_trial_may_use_less_and_is_told_apart() {
    let allowed = Allowed { trial: Some(Size(50)), ..of(limits(100, 200)) };
    let mut excess = Excess::default();
    let mut limit = |used| excess.judge(&allowed, used, Time(0)).map(|breach| breach.limit);
    assert_eq!(limit(50), None);
    assert_eq!(limit(51), Some(Limit::TrialMemory));
    assert_eq!(limit(201), Some(Limit::Memory));
    assert!(is_near(&Allowed { trial: Some(Size(500)), ..Allowed::default() }, 400));
}
