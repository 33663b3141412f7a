//! A process that moves log bytes, rotates and compresses is killed at any instant, again and again,
//! while another holds duplicates of the pipe and of the first file: no line is lost, doubled or
//! torn.
//!
//! The same with a stamp before each line, or an object around it, by way of a journal: exact, too.
//!
//! The program is its own child: called with a path, it moves from its standard input to its
//! standard output, whose path that is; its journal is its standard error.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nexus_log::{
    Dress, Form, LineId, LogFile, Mover, Note, Origin, Pattern, Query, Rules, Source, Stream,
};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Deaths, and the longest life before each.
const KILLS: u32 = 80;
const LIFE_MAX_MICROS: u64 = 25_000;

fn main() -> ExitCode {
    match std::env::args().nth(1) {
        Some(path) if path.starts_with('/') => {
            let dress = std::env::args().nth(2).unwrap_or_default();
            move_to_the_end(Path::new(&path), dress_of(&dress));
        }
        // As a test runner asks for the names of tests.
        Some(list) if list == "--list" => {
            if !std::env::args().any(|arg| arg == "--ignored") {
                DRESSES.iter().for_each(|dress| println!("killed_while_{dress}: test"));
            }
        }
        _ => {
            let named = std::env::args()
                .find_map(|arg| arg.strip_prefix("killed_while_").map(ToOwned::to_owned));
            match named {
                Some(dress) => kill_often(&dress),
                None => DRESSES.iter().for_each(|dress| kill_often(dress)),
            }
        }
    }
    ExitCode::SUCCESS
}

/// What is done to the lines.
const DRESSES: [&str; 3] = ["raw", "stamped", "json"];

fn dress_of(name: &str) -> Dress {
    let form = match name {
        "stamped" => Form::Stamped(Pattern::new("YYYY-MM-DD HH:mm:ss.SSS")),
        "json" => Form::Json(Origin { app: "app".into(), id: 7, stream: Stream::Out, time: None }),
        _ => Form::Raw,
    };
    Dress { form, ..Dress::default() }
}

/// The text of a line of such a file.
fn text_of<'a>(dress: &str, line: &'a str) -> Option<&'a str> {
    match dress {
        "stamped" => line.split_once(": ").map(|(stamp, text)| {
            assert_eq!(stamp.len(), "2026-11-23 14:02:29.918".len(), "{line}");
            text
        }),
        "json" => {
            assert!(line.ends_with(r#","type":"out","process_id":7,"app_name":"app"}"#), "{line}");
            line.strip_prefix(r#"{"message":""#)?.split_once('"').map(|(text, _)| text)
        }
        _ => Some(line),
    }
}

/// Some hundred rotations in all.
fn rules() -> Rules {
    Rules { max_size: Some(100_000), keep: usize::MAX, total: None, ..Rules::default() }
}

/// The child: moves until nobody writes any more.
fn move_to_the_end(path: &Path, dress: Dress) {
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
        journal: Some(std::io::stderr().as_fd().try_clone_to_owned().unwrap()),
        dress,
        stage: None,
    };
    mover.add(LineId(1), source).unwrap();
    end.recv().unwrap();
}

fn kill_often(dress: &str) {
    let seed = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    println!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    let file = File::create(&path).unwrap();
    let journal: OwnedFd = memfd_create("journal", MFdFlags::MFD_CLOEXEC).unwrap();
    let start = |pipe: &OwnedFd| start(pipe, &file, &path, dress, &journal);
    let (pipe, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();

    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_numbers(writer, &stop));
        let mut random = seed | 1;
        for _ in 0..KILLS {
            let mut child = start(&pipe);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Not a wait for something: the instant of death is what is tried out.
            std::thread::sleep(Duration::from_micros((random >> 33) % LIFE_MAX_MICROS));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        // The writer may be waiting for room: the last child makes it, and ends after it.
        let mut last = start(&pipe);
        let written = writer.join().unwrap();
        assert!(last.wait().unwrap().success());
        written
    });
    check(&path, written, dress);
    check_files(dir.path(), &file, &path);
    println!("{KILLS} kills, {written} lines: none lost, none doubled, none torn");
}

fn start(pipe: &OwnedFd, file: &File, path: &Path, dress: &str, journal: &OwnedFd) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg(path)
        .arg(dress)
        .stderr(Stdio::from(journal.try_clone().unwrap()))
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

fn check(path: &Path, written: u64, dress: &str) {
    let log = LogFile { path: path.to_owned(), label: "app".into(), stream: Stream::Out };
    let query = Query { files: vec![log], ..Query::default() };
    let began = Instant::now();
    let mut number = 0;
    let mut before = UNIX_EPOCH;
    for record in query.read().unwrap() {
        let record = record.unwrap();
        let line = String::from_utf8(record.bytes).unwrap();
        assert_eq!(text_of(dress, &line), Some(&*format!("line {number:010}")), "{line}");
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
    let source = Source { rules: rules(), ..Source::new(pipe, file, path.to_owned()) };
    mover.add(LineId(1), source).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while names(dir).any(|name| name.ends_with('Z') || name.ends_with("tmp")) {
        assert!(Instant::now() < until, "{:?}", names(dir).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(20));
    }
    let packed = names(dir).filter(|name| name.ends_with("Z.gz")).count();
    assert!(packed > 5, "hardly anything was rotated: {packed}");
    assert_eq!(lines(path), before);
    println!("{packed} files rotated and compressed");
}

fn names(dir: &Path) -> impl Iterator<Item = String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap())
}
