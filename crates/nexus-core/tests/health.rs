//! A check's answers, and what they come to.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use nexus_core::{Beat, Pulse, Time};
use nexus_spec::{Check, Health, Span};

fn rule() -> Health {
    let check = Check::Exec("true".into());
    Health { failures: 3, successes: 2, start_period: Span(1_000), ..Health::new(check) }
}

/// `+` well, `-` not, one each 100 ms from so many ms after readiness on; what each comes to.
fn told(rule: &Health, first: u64, answers: &str) -> String {
    let mut pulse = Pulse::default();
    let beat = |(number, answer): (usize, char)| {
        let now = Time(10_000 + first + 100 * u64::try_from(number).unwrap());
        match pulse.judge(rule, Time(10_000), now, answer == '+') {
            Beat::Same => '.',
            Beat::Well => 'W',
            Beat::Ill(_) => 'I',
        }
    };
    answers.chars().enumerate().map(beat).collect()
}

#[test]
fn so_many_in_a_row_make_it_ill_and_so_many_well_again() {
    assert_eq!(told(&rule(), 0, "++--+---+-++---"), ".W.....I...W..I");
    assert_eq!(told(&rule(), 0, "++-----+++"), ".W..III.W.");
    let one = Health { failures: 1, successes: 1, ..rule() };
    assert_eq!(told(&one, 2_000, "+-+-"), "WIWI");
}

#[test]
fn failures_before_it_was_ever_well_count_after_the_start_period() {
    assert_eq!(told(&rule(), 0, "-------------"), "............I");
    assert_eq!(told(&rule(), 1_000, "---"), "..I");
    assert_eq!(told(&rule(), 0, "++---"), ".W..I", "it was well: the period is over");
}

#[test]
fn the_evidence_says_how_often_and_for_how_long() {
    let mut pulse = Pulse::default();
    let rule = Health { start_period: Span(0), ..rule() };
    let times = [0, 5_000, 12_000];
    let beats = times.map(|at| pulse.judge(&rule, Time(0), Time(at), false));
    let Beat::Ill(breach) = beats[2] else { panic!("{beats:?}") };
    assert_eq!((breach.measured, breach.allowed, breach.lasted), (3, 2, Span(12_000)));
}
