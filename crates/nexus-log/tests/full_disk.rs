//! A file system that is full: the bytes stay in the pipe, other lines go on, and when there is room
//! again nothing is missing.
//!
//! The program runs itself again in a mount namespace of its own with a tiny file system, so it needs
//! root, as CI has.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::Duration;

use nexus_log::{Dress, Form, LineId, Mover, Note, OnFull, Pattern, Source};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

const DEADLINE: Duration = Duration::from_secs(10);
const FULL: LineId = LineId(1);
const OTHER: LineId = LineId(2);

fn main() -> ExitCode {
    // As a test runner asks for the names of tests.
    if std::env::args().any(|arg| arg == "--list") {
        if !std::env::args().any(|arg| arg == "--ignored") {
            println!("full_disk: test");
        }
        return ExitCode::SUCCESS;
    }
    let mut args = std::env::args().skip(1);
    if let (Some(full), Some(other)) = (args.next(), args.next())
        && full.starts_with('/')
    {
        fill(Path::new(&full), Path::new(&other));
        return ExitCode::SUCCESS;
    }
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: mounting a file system needs root");
        return ExitCode::SUCCESS;
    }
    let dir = tempfile::tempdir().unwrap();
    let (full, other) = (dir.path().join("full"), dir.path().join("other"));
    std::fs::create_dir(&full).unwrap();
    std::fs::create_dir(&other).unwrap();
    let script = r#"mount -t tmpfs -o size=64k tiny "$1" && exec "$0" "$1" "$2""#;
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([&full, &other])
        .status()
        .unwrap();
    assert!(status.success());
    ExitCode::SUCCESS
}

fn fill(full: &Path, other: &Path) {
    let (notes, noted) = mpsc::channel();
    let mover = Mover::with_notes(move |line, note| notes.send((line, note)).unwrap()).unwrap();
    let mut lines = line(&mover, FULL, &full.join("app.log"));
    let mut calm = line(&mover, OTHER, &other.join("app.log"));

    let text: String = (0..10_000).map(|n| format!("line {n:06}\n")).collect();
    let writer = {
        let text = text.clone();
        std::thread::spawn(move || lines.write_all(text.as_bytes()).unwrap())
    };
    let stalled = (FULL, Note::Stalled(Errno::ENOSPC as i32));
    while noted.recv_timeout(DEADLINE).unwrap() != stalled {}
    assert_eq!(mover.stalled(), [(FULL, Errno::ENOSPC as i32)]);

    // The other line's bytes arrive as ever.
    calm.write_all(b"still here\n").unwrap();
    settle(&mover, OTHER);
    assert_eq!(std::fs::read(other.join("app.log")).unwrap(), b"still here\n");

    remount(full, "size=1m");
    while noted.recv_timeout(DEADLINE).unwrap() != (FULL, Note::Healed) {}
    assert_eq!(mover.stalled(), []);
    writer.join().unwrap();
    settle(&mover, FULL);
    assert!(std::fs::read(full.join("app.log")).unwrap() == text.as_bytes(), "a gap or a double");
    println!("full disk healed without a gap");
    dressed(&mover, full, &noted);
}

/// The same by way of a journal: waiting, all is there; dropping, nobody waits and what is missing
/// is counted.
fn dressed(mover: &Mover, full: &Path, noted: &mpsc::Receiver<(LineId, Note)>) {
    let text: String = (0..50_000).map(|n| format!("line {n:06}\n")).collect();
    for (on_full, id) in [(OnFull::Wait, LineId(3)), (OnFull::Drop, LineId(4))] {
        std::fs::remove_file(full.join("app.log")).unwrap();
        mover.remove(FULL).unwrap();
        remount(full, "size=64k");
        let path = full.join("app.log");
        let (pipe, writer) = pipe();
        let source = Source {
            dress: Dress { form: Form::Stamped(Pattern::new("SSS")), on_full, ..Dress::default() },
            journal: Some(memfd_create("journal", MFdFlags::MFD_CLOEXEC).unwrap()),
            ..Source::new(pipe, File::create(&path).unwrap().into(), path.clone())
        };
        mover.add(id, source).unwrap();
        let lines = text.clone();
        let (tell, written) = mpsc::channel();
        std::thread::spawn(move || {
            let mut writer = File::from(writer);
            writer.write_all(lines.as_bytes()).unwrap();
            tell.send(writer).unwrap();
        });
        let full_disk = match on_full {
            OnFull::Wait => Note::Stalled(Errno::ENOSPC as i32),
            OnFull::Drop => Note::Dropping(Errno::ENOSPC as i32),
        };
        while noted.recv_timeout(DEADLINE).unwrap() != (id, full_disk) {}
        // Who drops lets the writer go on while the disk is still full.
        let early = match on_full {
            OnFull::Wait => None,
            OnFull::Drop => Some(written.recv_timeout(DEADLINE).unwrap()),
        };
        remount(full, "size=8m");
        while noted.recv_timeout(DEADLINE).unwrap() != (id, Note::Healed) {}
        let mut last = early.unwrap_or_else(|| written.recv_timeout(DEADLINE).unwrap());
        last.write_all(b"the end\n").unwrap();
        settle(mover, id);
        check_dressed(&std::fs::read_to_string(&path).unwrap(), on_full);
        mover.remove(id).unwrap();
    }
    println!("dressed lines wait for a full disk, or are left out and counted");
}

fn check_dressed(text: &str, on_full: OnFull) {
    let (mut next, mut left_out) = (0_u64, 0);
    for line in text.lines().map(|line| line.get(5..).unwrap_or_default()) {
        if let Some(mark) = line.strip_prefix("[nexus: ") {
            assert!(mark.ends_with(" lines left out: the file took none]"), "{line}");
            let count: u64 = mark.split(' ').next().unwrap().parse().unwrap();
            (next, left_out) = (next + count, left_out + count);
        } else if line != "the end" {
            assert_eq!(line, format!("line {next:06}"));
            next += 1;
        }
    }
    assert_eq!(next, 50_000);
    assert_eq!(left_out > 0, on_full == OnFull::Drop, "{left_out}");
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let (pipe, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    (pipe, writer)
}

fn line(mover: &Mover, id: LineId, path: &Path) -> File {
    let (pipe, writer) = pipe();
    let file = File::create(path).unwrap().into();
    mover.add(id, Source::new(pipe, file, path.to_owned())).unwrap();
    File::from(writer)
}

fn settle(mover: &Mover, id: LineId) {
    let (settled, settle) = mpsc::channel();
    mover.settle(id, Box::new(move || settled.send(()).unwrap())).unwrap();
    settle.recv_timeout(DEADLINE).unwrap();
}

fn remount(at: &Path, options: &str) {
    let options = format!("remount,{options}");
    let status = Command::new("mount").args(["-o", &options]).arg(at).status().unwrap();
    assert!(status.success());
}
