//! Files followed while they grow, are replaced, or are truncated.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nexus_log::{Follow, LineId, LogFile, Mover, Query, Record, Source, Stream, printable};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const DEADLINE: Duration = Duration::from_secs(10);

fn log(path: &Path) -> LogFile {
    LogFile { path: path.to_owned(), label: "app".into(), stream: Stream::Out }
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| printable(&record.bytes, false)).collect()
}

/// Wait for so many lines.
fn expect(follow: &mut Follow, lines: &[&str]) -> Vec<Record> {
    let until = Instant::now() + DEADLINE;
    let mut got = Vec::new();
    while got.len() < lines.len() && Instant::now() < until {
        got.extend(follow.wait(Some(DEADLINE)).unwrap());
    }
    assert_eq!(texts(&got), lines);
    got
}

fn append(path: &Path, text: &str) {
    let mut file = File::options().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn reading_and_following_meet_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    append(&a, "one\ntwo\nthr");
    let query = Query { files: vec![log(&a), log(&b)], follow: true, ..Query::default() };
    let mut reader = query.read().unwrap();
    let first: Vec<Record> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(texts(&first), ["one", "two"]);
    append(&a, "ee\n");
    let mut follow = reader.follow().unwrap();
    expect(&mut follow, &["three"]);
    append(&b, "born later\n");
    assert_eq!(expect(&mut follow, &["born later"])[0].file, 1);
    append(&a, "four\n");
    assert_eq!(expect(&mut follow, &["four"])[0].file, 0);
    assert_eq!(follow.wait(Some(Duration::from_millis(20))).unwrap(), []);
}

#[test]
fn a_line_without_its_end_is_held_back_for_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let mut follow = Follow::new(&[log(&path)]).unwrap();
    append(&path, "half");
    let before = Instant::now();
    let half = expect(&mut follow, &["half"]);
    assert!(!half[0].complete && before.elapsed() >= Duration::from_secs(2));
    assert_eq!(follow.due(), None);
    append(&path, " and half\nnext\n");
    let rest = expect(&mut follow, &[" and half", "next"]);
    assert!(rest[0].complete && rest[0].offset == 4);
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    append(&path, "old\nolder\n");
    let mut follow = Follow::new(&[log(&path)]).unwrap();
    File::create(&path).unwrap();
    append(&path, "new\n");
    expect(&mut follow, &["new"]);
}

#[test]
fn the_old_file_is_read_to_its_end_before_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("a"), dir.path().join("a.1"));
    append(&path, "");
    let mut follow = Follow::new(&[log(&path)]).unwrap();
    append(&path, "1\n");
    std::fs::rename(&path, &old).unwrap();
    File::create(&path).unwrap();
    // The writer has not heard of it yet.
    append(&old, "2\n");
    expect(&mut follow, &["1", "2"]);
    append(&old, "3\n");
    expect(&mut follow, &["3"]);
    append(&old, "4\n");
    append(&path, "5\n");
    expect(&mut follow, &["4", "5"]);
    std::fs::remove_file(&path).unwrap();
    append(&path, "6\n");
    expect(&mut follow, &["6"]);
}

#[test]
fn a_directory_that_was_deleted_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (logs, path) = (dir.path().join("logs"), dir.path().join("logs/a"));
    std::fs::create_dir(&logs).unwrap();
    append(&path, "");
    let mut follow = Follow::new(&[log(&path)]).unwrap();
    std::fs::remove_dir_all(&logs).unwrap();
    assert_eq!(follow.take().unwrap(), []);
    std::fs::create_dir(&logs).unwrap();
    append(&path, "back\n");
    expect(&mut follow, &["back"]);
}

#[test]
fn a_flood_hides_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let (flood, calm) = (dir.path().join("a"), dir.path().join("b"));
    let mut follow = Follow::new(&[log(&flood), log(&calm)]).unwrap();
    append(&flood, &"x\n".repeat(100_000));
    append(&calm, "here\n");
    let mut batches = 0;
    loop {
        let records = follow.wait(Some(DEADLINE)).unwrap();
        assert!(records.len() <= 2_048, "a batch has bounds");
        if records.iter().any(|record| record.file == 1) {
            break;
        }
        append(&flood, &"x\n".repeat(10_000));
        batches += 1;
        assert!(batches < 10);
    }
}

#[test]
fn another_poll_may_wait_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let mut follow = Follow::new(&[log(&path)]).unwrap();
    assert_eq!(follow.take().unwrap(), []);
    append(&path, "line\n");
    let mut polled = [PollFd::new(follow.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, PollTimeout::MAX), Ok(1));
    let mut got = Vec::new();
    while got.is_empty() {
        got = follow.take().unwrap();
    }
    assert_eq!(texts(&got), ["line"]);
    assert_eq!(follow.due(), None);
}

fn rotate(mover: &Mover) {
    let (tell, rotated) = mpsc::channel();
    mover.rotate(LineId(1), Box::new(move || tell.send(()).unwrap())).unwrap();
    rotated.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn a_hundred_rotations_under_load_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let (pipe, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mover = Mover::start().unwrap();
    let file = File::create(&path).unwrap().into();
    mover.add(LineId(1), Source::new(pipe, file, path.clone())).unwrap();
    let mut follow = Follow::new(&[log(&path)]).unwrap();
    let (rotated, done) = mpsc::channel();
    let writing = std::thread::spawn(move || {
        let mut writer = File::from(writer);
        let mut number = 0;
        while done.try_recv() == Err(mpsc::TryRecvError::Empty) {
            writer.write_all(format!("line {number}\n").as_bytes()).unwrap();
            number += 1;
        }
        writer.write_all(b"the end\n").unwrap();
        number
    });
    let rotating = std::thread::spawn(move || {
        for _ in 0..100 {
            rotate(&mover);
        }
        rotated.send(()).unwrap();
        mover
    });
    let mut number = 0;
    let mut untimed = 0;
    'follow: loop {
        for record in follow.wait(Some(DEADLINE)).unwrap() {
            if record.bytes == b"the end" {
                break 'follow;
            }
            assert_eq!(record.bytes, format!("line {number}").as_bytes());
            untimed += u32::from(record.time.is_none());
            number += 1;
        }
    }
    let written: u64 = writing.join().unwrap();
    drop(rotating.join().unwrap());
    assert_eq!(number, written);
    println!("100 rotations, {number} lines, {untimed} of them without a time");
}
