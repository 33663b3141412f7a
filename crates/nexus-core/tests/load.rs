//! How many workers an app needs, told as measurements.

#![allow(clippy::unwrap_used, reason = "test code: a panic is its report")]

use nexus_core::{Load, Time};
use nexus_spec::{Autoscale, Span};

fn rule(min: u16, max: u16) -> Autoscale {
    Autoscale { min, max, target_cpu: 70, up_after: Span(5_000), down_after: Span(60_000) }
}

/// An app whose work, in percent of one CPU, is done by as many workers as there are, each at most
/// 100; looked at each second. Its changes as `second: number`.
fn live(rule: &Autoscale, seconds: u64, work: impl Fn(u64) -> u64) -> String {
    let (mut load, mut workers, mut told) = (Load::default(), rule.min, Vec::new());
    for second in 0..seconds {
        let used = work(second).min(u64::from(workers) * 100);
        if let Some(to) = load.judge(rule, Time(second * 1_000), workers, used) {
            assert!((rule.min..=rule.max).contains(&to) && to != workers);
            told.push(format!("{second}: {to}"));
            workers = to;
        }
    }
    told.join(", ")
}

#[test]
fn a_step_of_load_brings_more_soon_and_fewer_late_one_at_a_time() {
    let work = |second| if (10..200).contains(&second) { 300 } else { 10 };
    assert_eq!(live(&rule(2, 8), 500, work), "15: 3, 21: 5, 260: 4, 321: 3, 382: 2");
}

#[test]
fn a_steady_load_is_answered_once() {
    for work in [60, 75, 140, 155, 210, 300] {
        let changes = live(&rule(2, 8), 10_000, |_| work);
        assert!(changes.matches(':').count() <= 2, "{work}: {changes}");
    }
}

#[test]
fn a_load_that_goes_up_and_down_is_not_followed() {
    // Quicker than either time: nothing happens, or it stays at what the peaks need.
    let work = |second: u64| if second % 6 < 3 { 190 } else { 60 };
    assert_eq!(live(&rule(2, 8), 3_000, work), "");
    let work = |second: u64| if second % 60 < 30 { 300 } else { 20 };
    assert_eq!(live(&rule(2, 8), 3_000, work), "5: 3, 11: 5");
}

#[test]
fn a_worker_that_comes_or_goes_begins_both_times_anew() {
    let (mut load, rule) = (Load::default(), rule(1, 8));
    let mut judge = |second: u64, workers| load.judge(&rule, Time(second * 1_000), workers, 400);
    assert_eq!(judge(0, 2), None);
    assert_eq!(judge(4, 2), None);
    // A slow start: one more is there, and busy with that alone.
    assert_eq!(judge(5, 3), None);
    assert_eq!(judge(9, 3), None);
    assert_eq!(judge(10, 3), Some(6));
}

#[test]
fn the_bounds_hold_and_one_is_enough_for_nothing() {
    assert_eq!(live(&rule(1, 2), 1_000, |_| 10_000), "5: 2");
    assert_eq!(live(&rule(1, 1), 1_000, |_| 10_000), "");
    assert_eq!(live(&rule(3, 8), 1_000, |_| 0), "");
    let (mut load, rule) = (Load::default(), rule(1, 4));
    assert_eq!(load.judge(&rule, Time(0), 0, 0), None);
    assert_eq!(load.judge(&rule, Time(100_000), 0, u64::from(u32::MAX)), None);
}
