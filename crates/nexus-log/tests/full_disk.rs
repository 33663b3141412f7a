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

use nexus_log::{LineId, Mover, Note, Source};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

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
}

fn line(mover: &Mover, id: LineId, path: &Path) -> File {
    let (pipe, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
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
