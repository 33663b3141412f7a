//! What the kernel counts for a user and not for a process: descriptors on their way through sockets,
//! and pages of pipes. Another process of the same user uses them up.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nexus_tests::{Home, PROMPT, run, truth, wait_for};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;

use crate::refused::Plain;
use crate::{AT_ONCE, app};

/// Open files that each of the pair may have; `ETOOMANYREFS` comes where its user has more of them on
/// their way than that (unix(7)).
const FILES: u64 = 512;

/// Sends twice as many descriptors as that, and leaves them unread until its input ends.
const IN_FLIGHT: &str = "
kept = []
for _ in range(8):
    pair = socket.socketpair()
    for _ in range(32):
        fds = array.array('i', [0] * 4)
        pair[0].sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    kept.append(pair)
print('full', flush=True)
sys.stdin.read()
";

/// Makes pipes of 1 MiB until one is refused: the user has no more pages, and the next pipes have two
/// (pipe(7), pipe-user-pages-soft).
const PIPES: &str = "
kept = []
while True:
    kept.append(os.pipe())
    try:
        fcntl.fcntl(kept[-1][0], 1031, 1 << 20)
    except PermissionError:
        break
while fcntl.fcntl(kept[-1][0], 1032) > 8192:
    kept.append(os.pipe())
print('full', flush=True)
sys.stdin.read()
";

/// A process of the user's that has used up what there is. Dropping it gives it back.
struct Hoarder(Child);

impl Hoarder {
    fn of(plain: &Plain, program: &str) -> Hoarder {
        // Where Python is, only root may be able to read.
        let first = "import array, fcntl, os, socket, sys\nos.setgroups([])\nids = [int(sys.argv[1])] * 3\n\
                     os.setresgid(*ids)\nos.setresuid(*ids)\n";
        let user = plain.user.to_string();
        let mut command = plain.command("prlimit");
        command.args(["--nofile=4096", "python3", "-c", &format!("{first}{program}"), &user]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "full\n");
        Hoarder(child)
    }
}

impl Drop for Hoarder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn descriptors_that_may_not_travel_do_so_as_soon_as_they_may() {
    let Some(plain) = Plain::new(20_056) else { return };
    let home = &plain.home;
    home.write("ecosystem.toml", &app("first", "/bin/sleep", &["1000"], AT_ONCE));
    let words = plain.become_user();
    let mut start = plain.command("prlimit");
    start.arg(format!("--nofile={FILES}:{FILES}")).args(words).arg(&plain.ctl).arg("start");
    run(&mut start, PROMPT).ok();
    let first = home.known("first").main();
    let hoarder = Hoarder::of(&plain, IN_FLIGHT);
    // A new app has pipes that both of the pair hold, a new worker a pidfd that both know.
    home.write("second.toml", &app("second", "/bin/sleep", &["1000"], AT_ONCE));
    let starting = home.begin(&["start", "second.toml"]);
    wait_for(PROMPT, "the refusal", || said(home, "ETOOMANYREFS"));
    first.signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end", || home.events_of("first", "exit").pop());
    // It waits, and others are answered.
    home.ctl(&["list"]).ok();
    assert!(!starting.ended());
    drop(hoarder);
    starting.end().ok();
    home.until("first", "its successor", |app| app.statuses() == ["online"] && app.main() != first);
    wait_for(PROMPT, "the good news", || said(home, "descriptors travel again"));
}

/// The other way: what the keeper tells nexusd, and what it gives a child. Nobody is taken for hung.
#[test]
fn a_worker_whose_descriptors_may_not_travel_is_started_as_soon_as_they_may() {
    let Some(plain) = Plain::new(20_057) else { return };
    let home = &plain.home;
    let eager = format!("{AT_ONCE}\nmin_uptime = 0\nmax_restarts = 100000");
    home.write("ecosystem.toml", &app("first", "/bin/sleep", &["1000"], &eager));
    let words = plain.become_user();
    let mut start = plain.command("prlimit");
    start.arg(format!("--nofile={FILES}:{FILES}")).args(words).arg(&plain.ctl).arg("start");
    run(&mut start, PROMPT).ok();
    let (first, pair) = (home.known("first").main(), (home.keeper(), home.daemon()));
    let hoarder = Hoarder::of(&plain, IN_FLIGHT);
    first.signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end", || home.events_of("first", "exit").pop());
    // Longer than nexusd may leave reports unread.
    let until = Instant::now() + Duration::from_secs(7);
    wait_for(PROMPT, "some seconds", || {
        assert_eq!((home.keeper(), home.daemon()), pair);
        (Instant::now() > until).then_some(())
    });
    home.ctl(&["list"]).ok();
    drop(hoarder);
    home.until("first", "its successor", |app| app.statuses() == ["online"] && app.main() != first);
    assert_eq!((home.keeper(), home.daemon()), pair);
}

/// Whether the daemon's log has it.
fn said(home: &Home, words: &str) -> Option<()> {
    let log = std::fs::read_to_string(home.path().join("nexusd.log")).ok()?;
    log.contains(words).then_some(())
}

/// What the pipes of an app's workers hold, in bytes.
fn pipes(home: &Home, name: &str) -> Vec<i32> {
    let pids = home.known(name).pids().into_iter();
    let files = pids.flat_map(|pid| [1, 2].map(|fd| format!("/proc/{pid}/fd/{fd}")));
    files.map(|file| fcntl(File::open(file).unwrap(), FcntlArg::F_GETPIPE_SZ).unwrap()).collect()
}

#[test]
fn many_workers_of_a_plain_user_leave_pipes_for_all_of_them_and_for_others() {
    let limit = std::fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft").unwrap();
    let pages: usize = limit.trim().parse().unwrap();
    if pages == 0 || pages > 65_536 {
        println!("LEFT OUT: here a user may have more pipes than a test has workers");
        return;
    }
    let Some(plain) = Plain::new(20_046) else { return };
    let home = &plain.home;
    // With a pipe of 1 MiB for each stream of each, the last of them would get two pages.
    let more = format!("{AT_ONCE}\ninstances = {}", pages / 512 + 8);
    home.write("ecosystem.toml", &app("many", "/bin/sleep", &["1000"], &more));
    plain.ctl(&["start", "-q"]).ok();
    let sizes = pipes(home, "many");
    assert_eq!(sizes.first(), Some(&(1 << 20)), "{sizes:?}");
    assert!(sizes.iter().all(|&size| size >= 64 << 10), "{sizes:?}");
    let said = plain.ctl(&["doctor"]).stdout;
    assert!(!said.contains("pages"), "{said}");
    plain.ctl(&["kill", "--yes"]).ok();
}

#[test]
fn with_pipes_of_two_pages_every_line_is_there_once() {
    let Some(plain) = Plain::new(20_045) else { return };
    let home = &plain.home;
    let doctor = || plain.ctl(&["doctor"]).stdout;
    assert!(!doctor().contains("pipes"), "{}", doctor());
    let hoarder = Hoarder::of(&plain, PIPES);
    // Said beforehand, though it is another process of the user's that has them.
    let said = doctor();
    assert!(said.contains("new ones hold 8.00 KiB") && said.contains("pages-soft="), "{said}");
    let truth = plain.dir("truth");
    let args = ["--lines", "2000", "--truth", &truth.display().to_string(), "--ready-after", "0"];
    let script = plain.worker.display().to_string();
    home.write("ecosystem.toml", &app("talks", &script, &args, "ready = \"notify\""));
    plain.ctl(&["start"]).ok();
    let output = format!("/proc/{}/fd/1", home.known("talks").main().0);
    let pipe = std::fs::File::open(output).unwrap();
    assert_eq!(fcntl(&pipe, FcntlArg::F_GETPIPE_SZ), Ok(8_192));
    drop(pipe);
    let log = home.path().join("logs/talks-out.log");
    let some_more = || {
        let size = || std::fs::metadata(&log).map_or(0, |log| log.len());
        let now = size();
        wait_for(PROMPT, "more lines", || (size() > now + 20_000).then_some(()));
    };
    // Each of the pair, then both: what the pipe cannot hold meanwhile, the worker waits with.
    for process in [home.daemon().unwrap(), home.keeper().unwrap()] {
        some_more();
        process.signal(Signal::SIGKILL);
    }
    wait_for(PROMPT, "another pair", || home.keeper().and(home.daemon()));
    some_more();
    plain.kill_both();
    plain.ctl(&["list"]).ok();
    some_more();
    plain.ctl(&["restart", "talks"]).ok();
    some_more();
    plain.ctl(&["stop", "talks"]).ok();
    let lines = truth::compare(&[log], &truth).unwrap_or_else(|flaw| panic!("{flaw}"));
    assert!(lines > 300, "{lines} lines");
    drop(hoarder);
    assert!(!doctor().contains("new ones hold"), "{}", doctor());
    plain.ctl(&["kill", "--yes"]).ok();
}
