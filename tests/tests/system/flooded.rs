//! More than anybody can read: lines and logs without measure. The memory of the pair is bounded,
//! also at its peak, others are answered and heard meanwhile, and nothing is lost.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nexus_tests::{Home, PROMPT, truth, wait_for};

use crate::worker;

/// What each of the pair may take at its peak.
const MEMORY_MAX: u64 = 64 << 20;
/// The longest that an answer may take on a machine that is flooded.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A neighbour that writes a numbered line each millisecond, and what it wrote.
struct Neighbour {
    truth: PathBuf,
    log: PathBuf,
}

impl Neighbour {
    /// Its app, to be written into the project file.
    fn of(home: &Home) -> (Neighbour, String) {
        let truth = home.project().join("truth");
        std::fs::create_dir(&truth).unwrap();
        let dir = truth.display().to_string();
        let args = ["--lines", "1000", "--truth", &dir, "--ready-after", "0"];
        let log = home.path().join("logs/neighbour-out.log");
        (Neighbour { truth, log }, worker("neighbour", &args, "ready = \"notify\""))
    }

    fn lines(&self) -> usize {
        std::fs::read(&self.log).map_or(0, |log| ends(&log))
    }

    /// All that it wrote is in its log, once.
    fn is_whole(&self, home: &Home) {
        home.ctl(&["stop", "neighbour", "-q"]).ok();
        let log = std::slice::from_ref(&self.log);
        wait_for(PROMPT, "all lines", || truth::compare(log, &self.truth).ok());
    }
}

/// How many lines have an end.
fn ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// Ask again and again until `ended`; the slowest answer.
fn ask_until(home: &Home, ended: impl Fn() -> bool) -> Duration {
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    while !ended() {
        let asked = Instant::now();
        home.api("/v1/version");
        slowest = slowest.max(asked.elapsed());
        assert!(begun.elapsed() < 6 * PROMPT, "it does not end");
    }
    slowest
}

#[track_caller]
fn is_bounded(home: &Home) {
    for process in [home.daemon().unwrap(), home.keeper().unwrap()] {
        let peak = process.resident_peak().unwrap();
        assert!(peak < MEMORY_MAX, "{:?} took {} MiB", process.comm(), peak >> 20);
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_kept_whole_and_shown_bounded() {
    const LONG: u64 = 100_000_000;
    let home = Home::new();
    let log = home.path().join("logs/long-out.log");
    let (neighbour, app) = Neighbour::of(&home);
    let args = ["--long", &LONG.to_string(), "--err", "1", "--ready-after", "0"];
    let more = |format: &str| {
        format!("ready = \"notify\"\nlog = {{ max_size = \"none\", format = \"{format}\" }}")
    };
    home.write("ecosystem.toml", &(app.clone() + &worker("long", &args, &more("raw"))));
    home.ctl(&["start", "ecosystem.toml", "--only", "neighbour", "-q"]).ok();
    let before = neighbour.lines();
    let start = home.begin(&["start", "ecosystem.toml", "--only", "long", "-q"]);
    let written = || std::fs::metadata(&log).is_ok_and(|log| log.len() == LONG + 1);
    let slowest = ask_until(&home, written);
    start.end().ok();
    assert!(slowest < ANSWER_MAX, "an answer took {slowest:?}");
    assert!(neighbour.lines() > before, "the neighbour is not heard");
    let text = std::fs::read(&log).unwrap();
    assert!(text.iter().rev().skip(1).all(|byte| *byte == b'x'), "the line is not whole");
    drop(text);
    let shown = home.ctl(&["logs", "long", "--out"]).ok().stdout;
    assert_eq!(shown.lines().count(), 1);
    // 1 MiB of it, and the prefix.
    assert!(shown.len() < 1024 * 1024 + 256, "{} bytes are shown", shown.len());
    is_bounded(&home);
    // The same line in an envelope: in pieces, each of them whole.
    home.ctl(&["stop", "long", "-q"]).ok();
    std::fs::remove_file(&log).unwrap();
    home.write("ecosystem.toml", &(app + &worker("long", &args, &more("json"))));
    let start = home.begin(&["start", "ecosystem.toml", "--only", "long", "-q"]);
    let enveloped = || enveloped(&log) == LONG;
    let slowest = ask_until(&home, enveloped);
    start.end().ok();
    assert!(slowest < ANSWER_MAX, "an answer took {slowest:?}");
    is_bounded(&home);
    neighbour.is_whole(&home);
}

/// How many bytes of the long line are in envelopes.
fn enveloped(log: &Path) -> u64 {
    let Ok(file) = std::fs::File::open(log) else { return 0 };
    let count = |line: std::io::Result<Vec<u8>>| {
        line.unwrap().iter().filter(|byte| **byte == b'x').count() as u64
    };
    BufReader::new(file).split(b'\n').map(count).sum()
}

#[test]
fn a_flood_of_a_gigabyte_fills_no_memory_and_holds_nobody_up() {
    const MEBIBYTES: u64 = 512;
    const WORKERS: u64 = 2;
    let home = Home::new();
    let (neighbour, app) = Neighbour::of(&home);
    let args = ["--flood", &MEBIBYTES.to_string(), "--exit-after", "0", "--code", "0"];
    let more = format!(
        "autorestart = false\nready = \"delay:0s\"\ninstances = {WORKERS}\n\
         log = {{ max_size = \"32M\", total = \"200M\", compress = false }}"
    );
    home.write("ecosystem.toml", &(app + &worker("flood", &args, &more)));
    home.ctl(&["start", "ecosystem.toml", "--only", "neighbour", "-q"]).ok();
    let before = neighbour.lines();
    // One who follows and takes all that he is given, one who takes nothing.
    let greedy = home.foreground(&["logs", "-f"], "/dev/null");
    let fifo = home.project().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _never_read = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
    let stuck = home.foreground(&["logs", "-f"], "fifo");
    let begun = Instant::now();
    home.ctl(&["start", "ecosystem.toml", "--only", "flood", "--no-wait", "-q"]).ok();
    let ended = || home.known("flood").statuses().iter().all(|status| status == "stopped");
    let slowest = ask_until(&home, ended);
    let rate = WORKERS * MEBIBYTES * 1000 / begun.elapsed().as_millis() as u64;
    println!("{rate} MiB a second, the slowest answer after {slowest:?}");
    assert!(slowest < ANSWER_MAX, "an answer took {slowest:?}");
    assert!(neighbour.lines() > before, "the neighbour is not heard");
    is_bounded(&home);
    for follower in [greedy.process(), stuck.process()] {
        assert!(follower.alive());
        let peak = follower.resident_peak().unwrap();
        assert!(peak < MEMORY_MAX, "a follower took {} MiB", peak >> 20);
    }
    drop((greedy, stuck));
    // What is kept is bounded, and the newest, line by line.
    for worker in 0..WORKERS {
        let name = format!("flood-out-{worker}.log");
        let kept = numbers(&home.path().join("logs"), &name);
        assert_eq!(kept.last(), Some(&(MEBIBYTES * 1024 - 1)), "{name}");
        let gap = kept.windows(2).find(|two| two[1] != two[0] + 1);
        assert_eq!(gap, None, "{name}");
        // The first 32 MiB were rotated away; half of the total, and what is written now.
        assert!((1..=132 * 1024).contains(&kept.len()), "{} KiB are kept", kept.len());
    }
    neighbour.is_whole(&home);
}

/// The numbers of the lines of a log, those that were rotated first.
fn numbers(dir: &Path, name: &str) -> Vec<u64> {
    let files = std::fs::read_dir(dir).unwrap().flatten().map(|file| file.path());
    let file_name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut files: Vec<PathBuf> = files.filter(|path| file_name(path).starts_with(name)).collect();
    files.retain(|path| !file_name(path).contains("idx"));
    // The one that is written last has no time in its name.
    files.sort_by_key(|path| (file_name(path) == name, file_name(path)));
    let read = |path: PathBuf| {
        let lines = BufReader::new(std::fs::File::open(path).unwrap()).split(b'\n');
        lines.map(|line| {
            let line = line.unwrap();
            assert_eq!(line.len(), 1023, "a line is torn");
            std::str::from_utf8(&line[2..15]).unwrap().trim().parse().unwrap()
        })
    };
    files.into_iter().flat_map(read).collect()
}
