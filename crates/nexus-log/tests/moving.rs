//! Bytes from real pipes into real files.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use nexus_log::{LineId, LogFile, Mover, Note, Query, Source, Stream, index_path};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

const DEADLINE: Duration = Duration::from_secs(10);
const LINE: LineId = LineId(7);

/// One mover with a directory for its files.
struct Stage {
    dir: tempfile::TempDir,
    mover: Mover,
    notes: Receiver<(LineId, Note)>,
}

impl Stage {
    fn new() -> Stage {
        let (tell, notes) = mpsc::channel();
        let mover = Mover::with_notes(move |line, note| tell.send((line, note)).unwrap()).unwrap();
        Stage { dir: tempfile::tempdir().unwrap(), mover, notes }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.log")
    }

    fn add(&self, line: LineId, file: File) -> File {
        let (pipe, writer) = pipe();
        self.mover.add(line, Source::new(pipe, file.into(), self.path())).unwrap();
        writer
    }

    fn settle(&self, line: LineId) {
        let (tell, settled) = mpsc::channel();
        self.mover.settle(line, Box::new(move || tell.send(()).unwrap())).unwrap();
        settled.recv_timeout(DEADLINE).unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8(std::fs::read(self.path()).unwrap()).unwrap()
    }
}

fn pipe() -> (OwnedFd, File) {
    let (pipe, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    (pipe, File::from(writer))
}

fn index_len(path: &Path) -> u64 {
    std::fs::metadata(index_path(path)).unwrap().len()
}

#[test]
fn what_was_written_before_a_settle_is_in_the_file_after_it() {
    let stage = Stage::new();
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    let mut wanted = String::new();
    for n in 0..200 {
        let line = format!("line {n}\n");
        writer.write_all(line.as_bytes()).unwrap();
        wanted += &line;
        stage.settle(LINE);
        assert_eq!(stage.text(), wanted);
    }
    let stamps = index_len(&stage.path());
    assert!(stamps >= 16 && stamps.is_multiple_of(16), "{stamps}");
}

#[test]
fn a_settle_ends_though_the_writer_never_does() {
    let stage = Stage::new();
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    let writing = std::thread::spawn(move || {
        let lines = "x".repeat(99) + "\n";
        // Ends when the mover has gone, and the pipe's read end with it.
        while writer.write_all(lines.as_bytes()).is_ok() {}
    });
    for _ in 0..20 {
        stage.settle(LINE);
    }
    stage.mover.remove(LINE).unwrap();
    writing.join().unwrap();
}

#[test]
fn a_truncated_file_goes_on_at_its_end_without_a_hole() {
    let stage = Stage::new();
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    writer.write_all(b"old line\n").unwrap();
    stage.settle(LINE);
    File::options().write(true).open(stage.path()).unwrap().set_len(0).unwrap();
    writer.write_all(b"new line\n").unwrap();
    stage.settle(LINE);
    assert_eq!(stage.text(), "new line\n");
    assert_eq!(
        stage.notes.try_iter().collect::<Vec<_>>(),
        [(LINE, Note::Truncated { from: 9, to: 0 })]
    );
    assert_eq!(index_len(&stage.path()), 16, "times of the old lines say nothing of the new");
}

#[test]
fn a_deleted_file_is_noted_once_and_made_anew() {
    let stage = Stage::new();
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    writer.write_all(b"to the old one\n").unwrap();
    stage.settle(LINE);
    std::fs::remove_file(stage.path()).unwrap();
    for text in ["to the new one\n", "and this\n"] {
        writer.write_all(text.as_bytes()).unwrap();
        stage.settle(LINE);
    }
    assert_eq!(stage.text(), "to the new one\nand this\n");
    let notes: Vec<_> = stage.notes.try_iter().collect();
    assert_eq!(notes, [(LINE, Note::Lost), (LINE, Note::Renewed)]);
    let renewed = File::from(stage.mover.take_renewed(LINE).unwrap());
    let inode = |meta: std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(&meta);
    assert_eq!(inode(renewed.metadata().unwrap()), inode(std::fs::metadata(stage.path()).unwrap()));
    assert!(stage.mover.take_renewed(LINE).is_none());
}

#[test]
fn a_directory_that_was_deleted_is_made_anew() {
    let stage = Stage::new();
    let path = stage.dir.path().join("logs/app.log");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let (pipe, mut writer) = pipe();
    let file = File::create(&path).unwrap().into();
    stage.mover.add(LINE, Source::new(pipe, file, path.clone())).unwrap();
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    writer.write_all(b"here again\n").unwrap();
    stage.settle(LINE);
    assert_eq!(std::fs::read(&path).unwrap(), b"here again\n");
}

#[test]
fn a_file_that_somebody_renamed_is_made_anew() {
    let stage = Stage::new();
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    writer.write_all(b"old\n").unwrap();
    stage.settle(LINE);
    std::fs::rename(stage.path(), stage.dir.path().join("app.log.1")).unwrap();
    let begin = Instant::now();
    while !stage.path().exists() {
        assert!(begin.elapsed() < DEADLINE);
        writer.write_all(b"new\n").unwrap();
        stage.settle(LINE);
    }
    // The line that was written last may have gone to the old file still.
    writer.write_all(b"new\n").unwrap();
    stage.settle(LINE);
    assert!(stage.text().lines().all(|line| line == "new") && !stage.text().is_empty());
}

#[test]
fn what_others_append_is_not_written_over() {
    let stage = Stage::new();
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    writer.write_all(b"ours\n").unwrap();
    stage.settle(LINE);
    let mut other = File::options().append(true).open(stage.path()).unwrap();
    other.write_all(b"theirs\n").unwrap();
    writer.write_all(b"ours again\n").unwrap();
    stage.settle(LINE);
    assert_eq!(stage.text(), "ours\ntheirs\nours again\n");
}

#[test]
fn a_file_that_refuses_splice_is_written_all_the_same_and_it_is_said() {
    let stage = Stage::new();
    let appending = File::options().append(true).create(true).open(stage.path()).unwrap();
    let mut writer = stage.add(LINE, appending);
    let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    writer.write_all(text.as_bytes()).unwrap();
    stage.settle(LINE);
    assert!(stage.text() == text);
    assert_eq!(stage.notes.try_iter().collect::<Vec<_>>(), [(LINE, Note::NoSplice)]);
}

#[test]
fn two_lines_share_one_file() {
    let stage = Stage::new();
    let file = File::create(stage.path()).unwrap();
    let mut writers = [LineId(1), LineId(2)].map(|line| stage.add(line, file.try_clone().unwrap()));
    for n in 0..500 {
        for (at, writer) in writers.iter_mut().enumerate() {
            writer.write_all(format!("{at}:{n}\n").as_bytes()).unwrap();
        }
    }
    stage.settle(LineId(1));
    stage.settle(LineId(2));
    let text = stage.text();
    for at in 0..2 {
        let prefix = format!("{at}:");
        let numbers = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        assert!(numbers.eq((0..500).map(|n| n.to_string())), "line {at}");
    }
}

#[test]
fn a_pipe_without_writers_ends_and_its_mover_sleeps() {
    let stage = Stage::new();
    drop(stage.add(LINE, File::create(stage.path()).unwrap()));
    assert_eq!(stage.notes.recv_timeout(DEADLINE).unwrap(), (LINE, Note::Ended));
    stage.settle(LINE);
    let turns = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let switches = tasks.filter_map(|task| {
            let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            let ours = status.starts_with("Name:\tnexus-log");
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt"))?.to_owned();
            ours.then_some(line)
        });
        switches.collect::<Vec<_>>()
    };
    // Other tests' movers run beside this one, so look until a moment shows all of them asleep.
    let before = Instant::now();
    while before.elapsed() < DEADLINE {
        let first = turns();
        std::thread::sleep(Duration::from_millis(150));
        if first.iter().any(|line| turns().contains(line)) {
            assert_eq!(stage.notes.try_iter().count(), 0, "the end is said once");
            return;
        }
    }
    panic!("the mover turns though there is nothing to do");
}

#[test]
fn a_pipe_that_ended_lives_again_with_a_new_writer() {
    let stage = Stage::new();
    let (pipe, writer) = pipe();
    let twin = pipe.try_clone().unwrap();
    let file = File::create(stage.path()).unwrap().into();
    stage.mover.add(LINE, Source::new(pipe, file, stage.path())).unwrap();
    drop(writer);
    for text in ["again\n", "and again\n"] {
        assert_eq!(stage.notes.recv_timeout(DEADLINE).unwrap(), (LINE, Note::Ended));
        let path = format!("/proc/self/fd/{}", twin.as_raw_fd());
        File::options().write(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }
    assert_eq!(stage.notes.recv_timeout(DEADLINE).unwrap(), (LINE, Note::Ended));
    assert_eq!(stage.text(), "again\nand again\n");
}

#[test]
fn a_line_is_found_by_the_instant_before_it_came() {
    let stage = Stage::new();
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    writer.write_all(b"before\n").unwrap();
    stage.settle(LINE);
    // A line's time is exact to 100 ms: let them pass.
    std::thread::sleep(Duration::from_millis(110));
    let since = SystemTime::now();
    writer.write_all(b"after\n").unwrap();
    stage.settle(LINE);
    let file = LogFile { path: stage.path(), label: "app".into(), stream: Stream::Out };
    let mut query = Query { files: vec![file], since: Some(since), ..Query::default() };
    let texts = |query: &Query| -> Vec<Vec<u8>> {
        query.read().unwrap().map(|record| record.unwrap().bytes).collect()
    };
    assert_eq!(texts(&query), [b"after"]);
    (query.since, query.until) = (None, Some(since));
    assert_eq!(texts(&query), [b"before"]);
}

#[test]
fn a_parked_mover_never_moves_again() {
    let stage = Stage::new();
    let (pipe, mut writer) = pipe();
    let twin = pipe.try_clone().unwrap();
    let file = File::create(stage.path()).unwrap().into();
    stage.mover.add(LINE, Source::new(pipe, file, stage.path())).unwrap();
    writer.write_all(b"moved\n").unwrap();
    stage.settle(LINE);
    assert!(stage.mover.park(DEADLINE));
    writer.write_all(b"kept\n").unwrap();
    drop(stage.mover);
    let mut kept = [0; 16];
    let len = nix::unistd::read(&twin, &mut kept).unwrap();
    assert_eq!(&kept[..len], b"kept\n");
    assert_eq!(std::fs::read(stage.dir.path().join("app.log")).unwrap(), b"moved\n");
}

#[test]
fn a_flood_delays_no_other_line() {
    let stage = Stage::new();
    let (pipe, mut flood) = pipe();
    let null = File::options().write(true).open("/dev/null").unwrap().into();
    stage.mover.add(LineId(1), Source::new(pipe, null, "/dev/null".into())).unwrap();
    let flooding = std::thread::spawn(move || {
        let began = Instant::now();
        let block = vec![b'y'; 64 * 1024];
        let mut bytes = 0;
        while flood.write_all(&block).is_ok() {
            bytes += block.len();
        }
        bytes as f64 / began.elapsed().as_secs_f64() / 1e6
    });
    let mut writer = stage.add(LINE, File::create(stage.path()).unwrap());
    let mut worst = Duration::ZERO;
    for _ in 0..100 {
        let before = Instant::now();
        writer.write_all(b"tick\n").unwrap();
        stage.settle(LINE);
        worst = worst.max(before.elapsed());
    }
    stage.mover.remove(LineId(1)).unwrap();
    let rate = flooding.join().unwrap();
    println!("flood: {rate:.0} MB/s; slowest of 100 other lines: {worst:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
}

#[test]
fn how_fast_bytes_are_moved() {
    const TOTAL: usize = 256 << 20;
    let stage = Stage::new();
    let (pipe, mut writer) = pipe();
    // Where a pipe may not be so large, it is slower, which is no failure.
    let _ = fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(1 << 20));
    let file = File::create(stage.path()).unwrap().into();
    stage.mover.add(LINE, Source::new(pipe, file, stage.path())).unwrap();
    let began = Instant::now();
    let block = vec![b'y'; 64 * 1024];
    for _ in 0..TOTAL / block.len() {
        writer.write_all(&block).unwrap();
    }
    stage.settle(LINE);
    let rate = TOTAL as f64 / began.elapsed().as_secs_f64() / 1e6;
    assert_eq!(std::fs::metadata(stage.path()).unwrap().len(), TOTAL as u64);
    println!("{rate:.0} MB/s in blocks of 64 KiB into a file");
}

#[test]
fn who_hears_a_line_hears_each_byte_of_it_once_and_of_no_other() {
    let stage = Stage::new();
    let mut heard_one = stage.add(LINE, File::create(stage.path()).unwrap());
    let mut other =
        stage.add(LineId(8), File::options().append(false).write(true).open(stage.path()).unwrap());
    let (tell, heard) = mpsc::channel();
    let hear = Box::new(move |bytes: &[u8]| {
        tell.send(bytes.to_vec()).unwrap();
        !bytes.ends_with(b"enough\n")
    });
    stage.mover.hear(LINE, hear).unwrap();
    let mut written = Vec::new();
    for n in 0..2_000 {
        let line = format!("line {n} {}\n", "x".repeat(100));
        heard_one.write_all(line.as_bytes()).unwrap();
        written.extend(line.into_bytes());
        other.write_all(b"another's\n").unwrap();
    }
    stage.settle(LINE);
    heard_one.write_all(b"enough\n").unwrap();
    written.extend(b"enough\n");
    stage.settle(LINE);
    heard_one.write_all(b"unheard\n").unwrap();
    stage.settle(LINE);
    stage.settle(LineId(8));
    assert_eq!(heard.iter().flatten().collect::<Vec<u8>>(), written);
    let text = stage.text();
    assert_eq!(text.lines().filter(|line| *line == "another's").count(), 2_000);
    assert!(text.contains("unheard") && text.contains("line 1999"));
}
