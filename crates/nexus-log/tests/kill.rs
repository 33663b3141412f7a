//! A process that moves log bytes, rotates and compresses is killed at any instant, again and again,
//! while another holds duplicates of the pipe and of the first file: no line is lost, doubled or
//! torn.
//!
//! The program is its own child: called with a path, it moves from its standard input to its
//! standard output, whose path that is.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nexus_log::{LineId, LogFile, Mover, Note, Query, Rules, Source, Stream};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Deaths, and the longest life before each.
const KILLS: u32 = 80;
const LIFE_MAX_MICROS: u64 = 25_000;

fn main() -> ExitCode {
    match std::env::args().nth(1) {
        Some(path) if path.starts_with('/') => move_to_the_end(Path::new(&path)),
        // As a test runner asks for the names of tests.
        Some(list) if list == "--list" => {
            if !std::env::args().any(|arg| arg == "--ignored") {
                println!("kill_often: test");
            }
        }
        _ => kill_often(),
    }
    ExitCode::SUCCESS
}

/// Some hundred rotations in all.
fn rules() -> Rules {
    Rules { max_size: Some(100_000), keep: usize::MAX, total: None, ..Rules::default() }
}

/// The child: moves until nobody writes any more.
fn move_to_the_end(path: &Path) {
    let (ended, end) = mpsc::channel();
    let mover = Mover::with_notes(move |_, note| {
        if note == Note::Ended {
            ended.send(()).unwrap();
        }
    });
    let mover = mover.unwrap();
    let source = Source {
        pipe: std::io::stdin().as_fd().try_clone_to_owned().unwrap(),
        file: std::io::stdout().as_fd().try_clone_to_owned().unwrap(),
        path: path.to_owned(),
        rules: rules(),
    };
    mover.add(LineId(1), source).unwrap();
    end.recv().unwrap();
}

fn kill_often() {
    let seed = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    println!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let file = File::create(&path).unwrap();
    let (pipe, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();

    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_numbers(writer, &stop));
        let mut random = seed | 1;
        for _ in 0..KILLS {
            let mut child = start(&pipe, &file, &path);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Not a wait for something: the instant of death is what is tried out.
            std::thread::sleep(Duration::from_micros((random >> 33) % LIFE_MAX_MICROS));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        // The writer may be waiting for room: the last child makes it, and ends after it.
        let mut last = start(&pipe, &file, &path);
        let written = writer.join().unwrap();
        assert!(last.wait().unwrap().success());
        written
    });
    check(&path, written);
    check_files(dir.path(), &file, &path);
    println!("{KILLS} kills, {written} lines: none lost, none doubled, none torn");
}

fn start(pipe: &OwnedFd, file: &File, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg(path)
        .stdin(Stdio::from(pipe.try_clone().unwrap()))
        .stdout(Stdio::from(file.try_clone().unwrap()))
        .spawn()
        .unwrap()
}

/// Write numbered lines until told to stop; gives their number. Closes the pipe.
fn write_numbers(writer: OwnedFd, stop: &AtomicBool) -> u64 {
    let mut writer = File::from(writer);
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        writer.write_all(format!("line {number:010}\n").as_bytes()).unwrap();
        number += 1;
    }
    number
}

fn check(path: &Path, written: u64) {
    let log = LogFile { path: path.to_owned(), label: "app".into(), stream: Stream::Out };
    let query = Query { files: vec![log], ..Query::default() };
    let began = Instant::now();
    let mut number = 0;
    let mut before = UNIX_EPOCH;
    for record in query.read().unwrap() {
        let record = record.unwrap();
        assert_eq!(record.bytes, format!("line {number:010}").as_bytes(), "line {number}");
        assert!(record.complete);
        let time = record.time.unwrap();
        assert!(before <= time, "time goes back at line {number}");
        before = time;
        number += 1;
    }
    assert_eq!(number, written);
    println!("read back in {:?}", began.elapsed());
}

/// Each file is whole lines; the next mover finishes what kills have left of the compressing, and
/// what is read is the same.
fn check_files(dir: &Path, file: &File, path: &Path) {
    for name in names(dir).filter(|name| name.ends_with('Z') || name.ends_with("log")) {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "{name} ends within a line");
    }
    let lines = |path: &Path| {
        let log = LogFile { path: path.to_owned(), label: "app".into(), stream: Stream::Out };
        Query { files: vec![log], ..Query::default() }.read().unwrap().count()
    };
    let before = lines(path);
    let mover = Mover::start().unwrap();
    let (pipe, _writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let file = file.try_clone().unwrap().into();
    mover.add(LineId(1), Source { pipe, file, path: path.to_owned(), rules: rules() }).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while names(dir).any(|name| name.ends_with('Z') || name.ends_with("tmp")) {
        assert!(Instant::now() < until, "{:?}", names(dir).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(20));
    }
    let packed = names(dir).filter(|name| name.ends_with("Z.gz")).count();
    assert!(packed > 20, "hardly anything was rotated: {packed}");
    assert_eq!(lines(path), before);
    println!("{packed} files rotated and compressed");
}

fn names(dir: &Path) -> impl Iterator<Item = String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}
