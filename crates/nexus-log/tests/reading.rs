//! Lines read back: the last ones, those of a time, several files merged; without any daemon.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_log::{
    LINE_MAX, LineId, LogFile, Mover, Query, Record, Rules, Source, Stream, index_path, tail_lines,
};
use proptest::prelude::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A log whose lines arrived at the given seconds.
fn write_log(path: &Path, lines: &[(u64, &str)]) {
    let (mut text, mut index) = (String::new(), Vec::new());
    for (seconds, line) in lines {
        index.extend((seconds * 1_000_000_000).to_le_bytes());
        index.extend((text.len() as u64).to_le_bytes());
        text += line;
        text += "\n";
    }
    std::fs::write(path, text).unwrap();
    std::fs::write(index_path(path), index).unwrap();
}

fn query(paths: &[&Path]) -> Query {
    let file = |path: &&Path| LogFile {
        path: path.to_path_buf(),
        label: "app".into(),
        stream: Stream::Out,
    };
    Query { files: paths.iter().map(file).collect(), ..Query::default() }
}

fn records(query: &Query) -> Vec<Record> {
    query.read().unwrap().map(Result::unwrap).collect()
}

fn texts(query: &Query) -> Vec<String> {
    let text = |record: Record| String::from_utf8(record.bytes).unwrap();
    records(query).into_iter().map(text).collect()
}

#[test]
fn files_are_merged_by_time_and_keep_their_own_order() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    write_log(&a, &[(1, "a1"), (3, "a3"), (3, "a3 again"), (9, "a9")]);
    write_log(&b, &[(2, "b2"), (3, "b3"), (8, "b8")]);
    let mut both = query(&[&a, &b]);
    let all = ["a1", "b2", "a3", "a3 again", "b3", "b8", "a9"];
    assert_eq!(texts(&both), all);
    assert_eq!(records(&both)[1].time, Some(at(2)));

    for last in 0..9 {
        both.last = Some(last);
        assert_eq!(texts(&both), all[7_usize.saturating_sub(last)..], "last {last}");
    }
    both.last = Some(2);
    both.until = Some(at(3));
    assert_eq!(texts(&both), ["a3 again", "b3"]);
    both.last = None;
    both.since = Some(at(2));
    assert_eq!(texts(&both), ["b2", "a3", "a3 again", "b3"]);
    both.until = None;
    both.since = Some(at(9));
    assert_eq!(texts(&both), ["a9"]);
    both.since = Some(at(10));
    assert_eq!(texts(&both), [""; 0]);
}

#[test]
fn a_stamp_within_a_line_is_of_the_next_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    write_log(&path, &[(1, "first"), (5, "second")]);
    // The second half of "first" came at 3 s.
    let stamp = |seconds: u64, offset: u64| {
        [(seconds * 1_000_000_000).to_le_bytes(), offset.to_le_bytes()].concat()
    };
    let index = [stamp(1, 0), stamp(3, 3), stamp(5, 6)].concat();
    std::fs::write(index_path(&path), index).unwrap();
    let mut query = query(&[&path]);
    let times: Vec<_> = records(&query).iter().map(|record| record.time).collect();
    assert_eq!(times, [Some(at(1)), Some(at(5))]);
    query.since = Some(at(2));
    assert_eq!(texts(&query), ["second"]);
    query.until = Some(at(2));
    query.since = None;
    assert_eq!(texts(&query), ["first"]);
}

#[test]
fn lines_without_a_time_are_shown_and_left_out_knowingly() {
    let dir = tempfile::tempdir().unwrap();
    let (timed, bare, old) =
        (dir.path().join("t"), dir.path().join("bare"), dir.path().join("old"));
    write_log(&timed, &[(1, "long ago"), (4_000_000_000, "to come")]);
    std::fs::write(&bare, "no index\n").unwrap();
    std::fs::write(&old, "before\nafter\n").unwrap();
    let stamp = [5_000_000_000_u64.to_le_bytes(), 7_u64.to_le_bytes()].concat();
    std::fs::write(index_path(&old), stamp).unwrap();

    // "bare" stands at its last change: now. What lies before an index is older than all.
    let mut all = query(&[&timed, &bare, &old]);
    assert_eq!(texts(&all), ["before", "long ago", "after", "no index", "to come"]);
    assert_eq!(records(&all)[3].time, None);
    all.since = Some(at(2));
    assert_eq!(texts(&all), ["after", "to come"]);
    assert_eq!(all.read().unwrap().untimed(), [1, 2]);
    // Nothing in them can be so young: nothing is left out that should be there.
    all.since = Some(at(3_900_000_000));
    assert_eq!(texts(&all), ["to come"]);
    assert_eq!(all.read().unwrap().untimed(), [0; 0]);
}

#[test]
fn a_senseless_index_loses_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let text: String = (0..3_000).map(|n| format!("line {n}\n")).collect();
    std::fs::write(&path, &text).unwrap();
    let mut seed = 1_u64;
    let garbage: Vec<u8> = (0..10_007)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed.to_le_bytes()[7]
        })
        .collect();
    std::fs::write(index_path(&path), garbage).unwrap();
    let mut query = query(&[&path]);
    assert_eq!(texts(&query), text.lines().collect::<Vec<_>>());
    query.last = Some(10);
    assert_eq!(texts(&query).last().unwrap(), "line 2999");
    query.since = Some(at(1));
    query.until = Some(at(2_000_000_000));
    let _ = texts(&query);
}

#[test]
fn a_line_of_ten_megabytes_is_cut_and_the_next_one_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let text = ["short\n".into(), vec![b'x'; 10_000_000], b"\nafter\nno end".to_vec()].concat();
    std::fs::write(&path, text).unwrap();
    let mut query = query(&[&path]);
    for last in [None, Some(3)] {
        query.last = last;
        let all = records(&query);
        let long = &all[all.len() - 3];
        assert_eq!((long.bytes.len(), long.truncated, long.complete), (LINE_MAX, true, true));
        let after = &all[all.len() - 2];
        assert_eq!(
            (&*after.bytes, after.offset, after.truncated),
            (&b"after"[..], 10_000_007, false)
        );
        let end = &all[all.len() - 1];
        assert_eq!((&*end.bytes, end.complete), (&b"no end"[..], false));
    }
}

#[test]
fn a_missing_file_is_empty_and_an_unreadable_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(texts(&query(&[&dir.path().join("none"), Path::new("/dev/null")])), [""; 0]);
    std::fs::write(dir.path().join("file"), "").unwrap();
    let below = dir.path().join("file/below");
    let error = query(&[&below]).read().err().unwrap();
    assert!(error.to_string().contains("file/below"), "{error}");
}

#[test]
fn the_last_lines_for_an_error_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("err");
    let tail = |n, max| -> Vec<String> {
        let lines = tail_lines(&path, n, max).unwrap();
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    };
    assert_eq!(tail(3, 100), [""; 0]);
    std::fs::write(&path, "").unwrap();
    assert_eq!(tail(3, 100), [""; 0]);
    std::fs::write(&path, "one\n\nthree\nfour").unwrap();
    assert_eq!(tail(3, 100), ["", "three", "four"]);
    assert_eq!(tail(9, 100), ["one", "", "three", "four"]);
    assert_eq!(tail(9, 7), ["ee", "four"].map(|s| s), "cut at its beginning");
}

#[test]
fn the_last_lines_of_a_large_file_cost_no_more_than_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big");
    // A hole of 64 GiB: reading it all would take minutes.
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(64 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"\none\ntwo\nthree\n", (64 << 30) - 15)
        .unwrap();
    let mut query = query(&[&path]);
    query.last = Some(2);
    assert_eq!(texts(&query), ["two", "three"]);
}

/// The last `n` lines as simply as can be.
fn naive(text: &[u8], n: usize) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines.split_off(lines.len().saturating_sub(n))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]
    #[test]
    fn the_last_lines_are_those_of_a_naive_reader(
        lines in prop::collection::vec(
            prop_oneof![4 => 0..40_usize, 1 => 60_000..70_000_usize, 1 => 131_000..131_200_usize],
            0..40,
        ),
        ends in any::<bool>(),
        last in 0..50_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut text = Vec::new();
        for (at, len) in lines.iter().enumerate() {
            text.extend(std::iter::repeat_n(b'a' + (at % 26) as u8, *len));
            text.push(b'\n');
        }
        if !ends {
            text.pop();
        }
        std::fs::write(&path, &text).unwrap();
        let mut query = query(&[&path]);
        query.last = Some(last);
        let got: Vec<_> = records(&query).into_iter().map(|record| record.bytes).collect();
        prop_assert_eq!(got, naive(&text, last));
    }
}

/// Rotate a log so often, a line a file.
fn rotated_often(dir: &Path, files: usize) -> PathBuf {
    let path = dir.join("app.log");
    let mover = Mover::start().unwrap();
    let (pipe, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    nix::fcntl::fcntl(&pipe, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    let rules = Rules { keep: usize::MAX, ..Rules::default() };
    let file = File::create(&path).unwrap().into();
    mover.add(LineId(1), Source { rules, ..Source::new(pipe, file, path.clone()) }).unwrap();
    let mut writer = File::from(writer);
    for number in 0..files {
        writer.write_all(format!("line {number}\n").as_bytes()).unwrap();
        let (tell, done) = std::sync::mpsc::channel();
        let settled = tell.clone();
        mover.settle(LineId(1), Box::new(move || settled.send(()).unwrap())).unwrap();
        done.recv().unwrap();
        mover.rotate(LineId(1), Box::new(move || tell.send(()).unwrap())).unwrap();
        done.recv().unwrap();
    }
    path
}

#[test]
fn the_last_lines_are_found_however_many_files_they_are_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = rotated_often(dir.path(), 40);
    let file = LogFile { path, label: "app".into(), stream: Stream::Out };
    for last in [1, 2, 9, 39, 40, 100] {
        let query = Query { files: vec![file.clone()], last: Some(last), ..Query::default() };
        let lines: Vec<String> = query
            .read()
            .unwrap()
            .map(|record| String::from_utf8(record.unwrap().bytes).unwrap())
            .collect();
        let first = 40_usize.saturating_sub(last);
        let wanted: Vec<String> = (first..40).map(|number| format!("line {number}")).collect();
        assert_eq!(lines, wanted, "last {last}");
    }
}
