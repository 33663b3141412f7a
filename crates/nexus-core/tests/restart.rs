//! The restart rule, for every rule and every history.

use nexus_core::{ChildId, Exit, Past, SpawnError, Time, Verdict};
use nexus_spec::{Backoff, Restart, Span};
use proptest::prelude::*;

fn rules() -> impl Strategy<Value = Restart> {
    let backoff = (0..2_000u64, 0..20_000u64, 0..500u32, 0..120u32, 0..20_000u64).prop_map(
        |(min, max, factor_percent, jitter_percent, reset_after)| Backoff {
            min: Span(min),
            max: Span(max),
            factor_percent,
            jitter_percent,
            reset_after: Span(reset_after),
        },
    );
    let codes = prop::collection::vec(any::<u8>(), 0..4);
    (any::<bool>(), 0..5_000u64, backoff, 0..20u32, 1..60_000u64, 0..5_000u64, codes).prop_map(
        |(auto, delay, backoff, max, window, min_uptime, stop_exit_codes)| Restart {
            auto,
            delay: Span(delay),
            backoff,
            max,
            window: Span(window),
            min_uptime: Span(min_uptime),
            stop_exit_codes,
        },
    )
}

fn exits() -> impl Strategy<Value = Exit> {
    prop_oneof![
        any::<u8>().prop_map(Exit::Code),
        (1..64i32).prop_map(Exit::Signal),
        Just(Exit::NeverReady),
        Just(Exit::Unknown),
        Just(Exit::NotSpawned(SpawnError::Permanent(2))),
        Just(Exit::NotSpawned(SpawnError::Resources(11))),
    ]
}

/// When after the one before, how, and how long it had been online.
fn histories() -> impl Strategy<Value = Vec<(u64, Exit, Option<u64>)>> {
    prop::collection::vec((0..5_000u64, exits(), prop::option::of(0..30_000u64)), 1..40)
}

fn plain() -> Restart {
    Restart {
        auto: true,
        delay: Span(7),
        backoff: Backoff {
            min: Span(100),
            max: Span(15_000),
            factor_percent: 200,
            jitter_percent: 0,
            reset_after: Span(10_000),
        },
        max: 16,
        window: Span(900_000),
        min_uptime: Span(1_000),
        stop_exit_codes: Vec::new(),
    }
}

fn after(verdict: Verdict) -> u64 {
    match verdict {
        Verdict::Again { after } => after.0,
        Verdict::GiveUp | Verdict::Stay => panic!("it was to be tried again: {verdict:?}"),
    }
}

fn unstable(past: &mut Past, rule: &Restart, at: u64) -> Verdict {
    past.judge(rule, Time(at), Exit::Code(1), None, ChildId(at))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_wait_is_never_longer_than_the_delay_and_the_longest_backoff(
        rule in rules(),
        history in histories(),
    ) {
        let (mut past, mut now) = (Past::default(), 0);
        for (later, exit, online) in history {
            now += later;
            let verdict =
                past.judge(&rule, Time(now), exit, online.map(Span), ChildId(now));
            if let Verdict::Again { after } = verdict {
                prop_assert!(after >= rule.delay);
                prop_assert!(after.0 <= rule.delay.0 + rule.backoff.max.0);
                prop_assert!(rule.auto);
            }
            prop_assert!(past.exits.len() <= rule.max as usize + 1);
        }
    }

    #[test]
    fn nobody_is_given_up_for_less_than_the_rule_says(rule in rules(), history in histories()) {
        let (mut past, mut now) = (Past::default(), 0);
        let mut crashes: Vec<u64> = Vec::new();
        for (later, exit, online) in history {
            now += later;
            let verdict = past.judge(&rule, Time(now), exit, online.map(Span), ChildId(now));
            let stays = matches!(exit, Exit::Code(c) if rule.stop_exit_codes.contains(&c));
            let permanent = matches!(exit, Exit::NotSpawned(SpawnError::Permanent(_)));
            let room = matches!(exit, Exit::NotSpawned(SpawnError::Resources(_)));
            let stable = online.is_some_and(|online| online >= rule.min_uptime.0);
            if rule.auto && !stays && !permanent && !room && !stable {
                crashes.push(now);
            }
            let recent = crashes.iter().filter(|&&at| now - at < rule.window.0).count();
            let expected = if permanent {
                Some(Verdict::GiveUp)
            } else if stays || !rule.auto {
                Some(Verdict::Stay)
            } else if !stable && !room && recent > rule.max as usize {
                Some(Verdict::GiveUp)
            } else {
                None
            };
            match expected {
                Some(expected) => prop_assert_eq!(verdict, expected),
                None => prop_assert!(matches!(verdict, Verdict::Again { .. }), "{verdict:?}"),
            }
        }
    }

    #[test]
    fn what_is_decided_beforehand_is_what_would_be_decided(
        rule in rules(),
        history in histories(),
        child in any::<u32>(),
    ) {
        let (mut past, mut now) = (Past::default(), 0);
        for (later, exit, online) in history {
            now += later;
            past.judge(&rule, Time(now), exit, online.map(Span), ChildId(now));
        }
        let child = ChildId(child.into());
        let before = past.on_exit(&rule, Time(now), child, ChildId(child.0 + 1));
        let exit = Exit::Signal(11);
        match past.judge(&rule, Time(now), exit, None, child) {
            Verdict::Again { after } => {
                prop_assert_eq!(before.next, Some(ChildId(child.0 + 1)));
                prop_assert_eq!(before.delay, after);
                prop_assert_eq!(before.stay_codes, rule.stop_exit_codes);
            }
            Verdict::GiveUp | Verdict::Stay => prop_assert_eq!(before.next, None),
        }
    }

    #[test]
    fn workers_that_die_together_do_not_return_together(first in any::<u32>()) {
        let mut rule = plain();
        rule.backoff.jitter_percent = 10;
        let waits: std::collections::BTreeSet<u64> = (0..20u64)
            .map(|n| {
                let mut past = Past { exits: Vec::new(), streak: 9 };
                let child = ChildId(u64::from(first) + n);
                after(past.judge(&rule, Time(0), Exit::Code(1), None, child))
            })
            .collect();
        prop_assert!(waits.len() > 10, "{waits:?}");
        prop_assert!(waits.iter().all(|wait| (13_507..=15_007).contains(wait)), "{waits:?}");
    }
}

#[test]
fn waits_double_up_to_the_longest() {
    let mut past = Past::default();
    let waits: Vec<u64> = (0..11).map(|n| after(unstable(&mut past, &plain(), n))).collect();
    let backoff = [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000];
    assert_eq!(waits, backoff.map(|wait| wait + 7));
}

#[test]
fn the_seventeenth_unstable_exit_in_the_window_is_one_too_many() {
    let mut past = Past::default();
    for n in 0..16 {
        after(unstable(&mut past, &plain(), n));
    }
    assert_eq!(unstable(&mut past, &plain(), 16), Verdict::GiveUp);
}

#[test]
fn an_exit_that_has_left_the_window_is_forgotten() {
    let mut past = Past::default();
    for n in 0..16 {
        after(unstable(&mut past, &plain(), n));
    }
    after(unstable(&mut past, &plain(), 900_000));
    assert_eq!(past.exits.len(), 16, "the first is gone, the second is not");
}

#[test]
fn a_long_run_forgets_the_streak_and_a_stable_one_only_leaves_it_alone() {
    let mut past = Past::default();
    for n in 0..4 {
        after(unstable(&mut past, &plain(), n));
    }
    let run = |past: &mut Past, online| {
        after(past.judge(&plain(), Time(9), Exit::Code(1), Some(Span(online)), ChildId(9)))
    };
    assert_eq!(run(&mut past, 9_999), 7);
    assert_eq!(after(unstable(&mut past, &plain(), 10)), 807);
    assert_eq!(run(&mut past, 10_000), 7);
    assert_eq!(after(unstable(&mut past, &plain(), 11)), 7);
}

#[test]
fn a_worker_online_for_less_than_min_uptime_has_exited_unstably() {
    let mut past = Past::default();
    let mut run = |online| {
        past.judge(&plain(), Time(9), Exit::Unknown, Some(Span(online)), ChildId(9));
        past.exits.len()
    };
    assert_eq!([run(1_000), run(999), run(0)], [0, 1, 2]);
}
