//! Words that must not be in the repository.

use crate::source::{File, code, files};
use crate::{except, settle};

/// Marks of unfinished work; in two halves, since this file is searched too.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Homes of machines that things are built on.
const PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Files that may name such a place, with the reason.
const PLACED: &[(&str, &str)] = &[];

/// Tests that may sleep, with the reason.
const SLEEPERS: &[(&str, &str)] = &[
    ("crates/nexus-keeper/tests/pair/soak.rs", "the moment of a kill is drawn at random"),
    ("crates/nexus-keeper/tests/pair/workers.rs", "a worker that writes at random moments"),
    ("crates/nexus-log/tests/kill.rs", "the moment of a kill is drawn at random"),
    ("crates/nexus-log/tests/moving.rs", "looks whether an idle thread sleeps, and lets time pass"),
    ("crates/trading-api/tests/worker/drain.rs", "clients that think between two requests"),
    ("tests/src/bin/nexus-test-worker.rs", "an app under test that takes the time it is told to"),
    ("tests/src/wait.rs", "the one place that waits: it polls with a deadline"),
    ("tests/tests/faults/random.rs", "a kill comes after a time that the seed draws"),
    ("tests/tests/faults/threads.rs", "looks at threads again and again, until all have ended"),
    ("tests/tests/faults/trap.rs", "looks at a process again and again, until it has ended"),
];

#[test]
fn nothing_is_left_for_later() {
    let mut faults = Vec::new();
    for file in files() {
        for (number, line) in numbered(&file) {
            let word = |c: char| !(c.is_alphanumeric() || c == '_');
            for mark in line.split(word).filter(|word| MARKS.contains(word)) {
                let path = &file.path;
                faults.push(format!("{path}:{number}: {mark}: do it now, or leave it out"));
            }
        }
    }
    settle("unfinished work", &faults);
}

#[test]
fn no_path_of_a_build_machine_is_written_down() {
    let mut found = Vec::new();
    for file in files() {
        for (number, line) in numbered(&file) {
            if PLACES.iter().any(|place| begins_path(line, place)) {
                let advice = format!("line {number}: a path of one machine; make it relative");
                found.push((file.path.clone(), advice));
            }
        }
    }
    settle("paths of a machine", &except(found, PLACED));
}

#[test]
fn no_test_is_ignored() {
    let attribute = concat!("#[ig", "nore");
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.is("rs")) {
        for (number, line) in numbered(file) {
            if line.trim_start().starts_with(attribute) {
                faults.push(format!("{}:{number}: make it pass, or delete it", file.path));
            }
        }
    }
    settle("ignored tests", &faults);
}

#[test]
fn no_test_sleeps_and_hopes() {
    let mut found = Vec::new();
    for file in files().iter().filter(|file| file.is("rs")) {
        let code = code(&file.text);
        // In a program's file, everything below the test module's attribute is a test.
        let start = if file.is_test() { Some(0) } else { code.find("#[cfg(test)]") };
        if start.is_some_and(|start| code[start..].contains(concat!("thread::sl", "eep"))) {
            let advice = "wait for an event with a deadline: `nexus_tests::wait_for`".to_owned();
            found.push((file.path.clone(), advice));
        }
    }
    settle("sleeping tests", &except(found, SLEEPERS));
}

fn numbered(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// `place` is there as the beginning of a path, not in the middle of one.
fn begins_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back().unwrap_or(' ');
        !(before.is_alphanumeric() || "._-}~*/".contains(before))
    })
}

#[test]
fn a_path_in_the_middle_of_another_is_not_of_the_machine() {
    let place = PLACES[0];
    assert!(begins_path(&format!("see {place}x"), place));
    assert!(begins_path(&format!("\"{place}x\""), place));
    assert!(!begins_path(&format!("/var{place}x"), place));
    assert!(!begins_path(&format!("$dir}}{place}x"), place));
}
