//! Torn records, and what is read back.

use super::*;
use crate::wire::Ended;

fn sample() -> Changing {
    Changing {
        pid: 77,
        started_ms: 5,
        at_ms: 6,
        due_ms: 7,
        ended: Ended::Signal(64),
        failed: Some((Stage::Cwd, 2)),
        tree_gone: true,
        asked: true,
        signal: 15,
        settled: true,
        taken: true,
        ..Changing::new(9, Phase::Exited)
    }
}

#[test]
fn what_was_committed_is_read_back() {
    let arena = Arena::create(1).unwrap();
    assert_eq!(arena.changing(3), None);
    for ended in [Ended::Code(0), Ended::Code(255), Ended::Signal(9), Ended::Unknown] {
        arena.commit(3, Changing { ended, ..sample() });
        let read = arena.changing(3).unwrap();
        assert_eq!(read, Changing { ended, generation: read.generation, ..sample() });
    }
}

#[test]
fn a_torn_commit_is_the_record_before() {
    let arena = Arena::create(1).unwrap();
    arena.commit(0, Changing::new(1, Phase::Ordered));
    arena.commit(0, Changing { generation: 0, ..sample() });
    let before = arena.changing(0).unwrap();
    let next = Changing { generation: before.generation + 1, pid: 1234, ..before }.to_bytes();
    let place = at(0) + AT_CHANGING[((before.generation + 1) & 1) as usize];
    for len in 0..CHANGING_LEN {
        arena.map.store(place, &next[..len]);
        if len < CHANGING_LEN - 8 {
            assert_eq!(arena.changing(0), Some(before), "{len} bytes written");
        }
    }
    arena.map.store(place, &next);
    assert_eq!(arena.changing(0).unwrap().pid, 1234);
}

#[test]
fn a_note_replaces_the_one_before_only_when_committed() {
    let arena = Arena::create(1).unwrap();
    let mut changing = Changing::new(1, Phase::Ordered);
    arena.set_note(0, &mut changing, b"first");
    arena.commit(0, changing);
    let committed = arena.changing(0).unwrap();
    arena.set_note(0, &mut changing, b"second");
    assert_eq!(arena.note(0, &committed), b"first");
    arena.commit(0, changing);
    assert_eq!(arena.note(0, &arena.changing(0).unwrap()), b"second");
}

#[test]
fn a_successor_has_the_order_of_its_predecessor() {
    let arena = Arena::create(1).unwrap();
    let fixed =
        Fixed { template: 1, stdout: 2, stderr: 3, next: 5, delay_ms: 9, ..Fixed::default() };
    arena.set_fixed(0, &fixed, &Strings { codes: &[3, 4], env: b"A=1\0", tag: b"api/0" });
    assert!(arena.stays_after(0, 3) && !arena.stays_after(0, 5));
    let successor = Fixed { next: 0, respawn_of: 2, ..fixed };
    arena.inherit_fixed(0, 1, &successor);
    assert_eq!(arena.fixed(1), successor);
    assert_eq!(arena.env(1), b"A=1\0");
    assert_eq!(arena.tag(1, &mut [0; TAG_MAX]), b"api/0");
}

#[test]
fn what_a_child_says_is_cleared_for_the_next() {
    let arena = Arena::create(1).unwrap();
    let none = Strings { codes: &[], env: &[], tag: &[] };
    arena.say_passed(2);
    arena.say_failed(2, Stage::Exec, 8);
    assert_eq!(arena.said(2), (true, Some((Stage::Exec, 8))));
    arena.set_fixed(2, &Fixed::default(), &none);
    assert_eq!(arena.said(2), (false, None));
}
