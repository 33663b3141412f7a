//! Disks that answer errors, are full, or keep a worker in the kernel: logs go on without a gap when
//! they are well again, and nothing takes the place of who cannot be ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_tests::{Home, PROMPT, Process, truth, wait_for};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::bad_state::Small;
use crate::hung_disk::Disk;
use crate::hung_fuse::{Served, written};
use crate::{AT_ONCE, shell, worker};

/// An app that writes numbered lines, and where it notes the last one.
fn talker(home: &Home, name: &str, more: &str) -> (String, PathBuf) {
    let truth = home.project().join(format!("truth-{name}"));
    std::fs::create_dir(&truth).unwrap();
    let dir = truth.display().to_string();
    let args = ["--lines", "200", "--truth", &dir, "--ready-after", "0"];
    (worker(name, &args, &format!("ready = \"notify\"\n{more}")), truth)
}

fn grows(what: &str, mut number: impl FnMut() -> u64) {
    let before = number();
    wait_for(PROMPT, what, || (number() > before + 100).then_some(()));
}

fn size(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |log| log.len())
}

/// How often the daemon's log says that.
fn said(home: &Home, words: &str) -> usize {
    let log = std::fs::read_to_string(home.path().join("nexusd.log")).unwrap();
    log.lines().filter(|line| line.contains(words)).count()
}

fn kill_and_replaced(home: &Home, process: Process) {
    process.signal(Signal::SIGKILL);
    wait_for(PROMPT, "another pair", || {
        let pair = [home.keeper()?, home.daemon()?];
        (!pair.contains(&process) && home.ctl(&["list"]).code == 0).then_some(())
    });
}

#[test]
fn a_log_whose_disk_answers_errors_ends_nobody_and_goes_on_without_a_gap() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        println!("LEFT OUT: mounting needs root");
        return;
    }
    let home = Home::new();
    let served = Served::new(home.project().join("far"));
    let log = served.at.join("bad.log");
    let (bad, truth) = talker(&home, "bad", &format!("out_file = {log:?}"));
    let (calm, calm_truth) = talker(&home, "calm", "");
    home.write("ecosystem.toml", &(bad + &calm));
    home.ctl(&["start"]).ok();
    let calm_log = home.path().join("logs/calm-out.log");
    let before = [home.known("bad").identity(), home.known("calm").identity()];
    for errno in [Errno::EIO, Errno::EROFS, Errno::EDQUOT] {
        grows("lines", || size(&log));
        let told = said(&home, errno.desc());
        served.fail(Some(errno));
        wait_for(PROMPT, "word of it", || (said(&home, errno.desc()) > told).then_some(()));
        grows("others' lines", || size(&calm_log));
        home.ctl(&["list"]).ok();
        // Whoever comes after either tries as well.
        let told = said(&home, errno.desc());
        kill_and_replaced(&home, home.daemon().unwrap());
        wait_for(PROMPT, "its word of it", || (said(&home, errno.desc()) > told).then_some(()));
        kill_and_replaced(&home, home.keeper().unwrap());
        assert_eq!([home.known("bad").identity(), home.known("calm").identity()], before);
        served.fail(None);
        grows("lines again", || size(&log));
        wait_for(PROMPT, "the good news", || (said(&home, "takes bytes again") > 0).then_some(()));
    }
    home.ctl(&["stop", "all"]).ok();
    for (log, truth) in [(log, truth), (calm_log, calm_truth)] {
        wait_for(PROMPT, &format!("all lines in {}", log.display()), || {
            truth::compare(std::slice::from_ref(&log), &truth).ok()
        });
    }
    home.ctl(&["kill"]).ok();
}

/// The pair, and an app whose log is on a disk of 256 KiB that is full.
fn full(more: &str) -> Option<(Home, Small, PathBuf, PathBuf)> {
    if !nix::unistd::geteuid().is_root() {
        println!("LEFT OUT: mounting needs root");
        return None;
    }
    let home = Home::new();
    let small = Small::mount(&home.project().join("small"), "size=256k");
    let log = small.0.join("app.log");
    let (app, truth) = talker(&home, "app", &format!("out_file = {log:?}\n{more}"));
    home.write("ecosystem.toml", &(app + &shell("calm", "exec sleep 1000", AT_ONCE)));
    home.ctl(&["start"]).ok();
    wait_for(2 * PROMPT, "a full disk", || (said(&home, "No space left") > 0).then_some(()));
    Some((home, small, log, truth))
}

#[test]
fn a_full_disk_under_a_log_lets_its_writer_wait_and_nothing_is_missing_afterwards() {
    let Some((home, small, log, truth)) = full("kill_timeout = \"1s\"") else { return };
    let before = [home.known("app").identity(), home.known("calm").identity()];
    // It waits in its write once the pipe is full, whoever of us is there.
    let stands_still = || {
        let mut last = (0, std::time::Instant::now());
        wait_for(PROMPT, "the writer to wait", || {
            let now = written(&truth);
            if now != last.0 {
                last = (now, std::time::Instant::now());
            }
            (last.1.elapsed() > Duration::from_millis(700)).then_some(())
        });
    };
    stands_still();
    for process in [home.daemon().unwrap(), home.keeper().unwrap()] {
        kill_and_replaced(&home, process);
    }
    stands_still();
    assert_eq!([home.known("app").identity(), home.known("calm").identity()], before);
    home.ctl(&["restart", "calm", "-q"]).ok();
    small.resize("size=64m");
    grows("more lines", || written(&truth));
    home.ctl(&["stop", "all"]).ok();
    wait_for(PROMPT, "all lines", || truth::compare(std::slice::from_ref(&log), &truth).ok());
    home.ctl(&["kill"]).ok();
}

#[test]
fn a_full_disk_under_a_log_costs_lines_that_are_counted_where_that_is_asked_for() {
    let more = "log = { on_full = \"drop\" }";
    let Some((home, small, log, truth)) = full(more) else { return };
    let before = home.known("app").identity();
    grows("lines that find no place", || written(&truth));
    for process in [home.daemon().unwrap(), home.keeper().unwrap()] {
        kill_and_replaced(&home, process);
        grows("lines that find no place", || written(&truth));
    }
    assert_eq!(home.known("app").identity(), before);
    small.resize("size=64m");
    let full = size(&log);
    wait_for(PROMPT, "lines in the file", || (size(&log) > full + 10_000).then_some(()));
    home.ctl(&["stop", "all"]).ok();
    let all = wait_for(PROMPT, "each line or its place", || {
        let (next, left_out) = counted(&std::fs::read_to_string(&log).unwrap());
        let wrote = written(&truth);
        // SIGKILL may come between a line and its note.
        (next == wrote || next == wrote + 1).then_some((next, left_out))
    });
    assert!(all.1 > 300, "{all:?}");
    home.ctl(&["kill"]).ok();
}

/// The number of the last line, those left out counted; and how many those are.
#[track_caller]
fn counted(text: &str) -> (u64, u64) {
    let (mut next, mut left_out) = (0, 0);
    for line in text.lines() {
        if let Some(mark) = line.strip_prefix("[nexus: ") {
            let count: u64 = mark.split(' ').next().unwrap().parse().unwrap();
            (next, left_out) = (next + count, left_out + count);
        } else {
            let number: u64 = line.split(' ').nth(2).unwrap().parse().unwrap();
            assert_eq!(number, next + 1, "{line}");
            next = number;
        }
    }
    (next, left_out)
}

#[test]
fn a_worker_that_the_kernel_holds_has_no_second_one_beside_it_and_ends_with_the_thaw() {
    if !nix::unistd::geteuid().is_root() {
        println!("LEFT OUT: mounting needs root");
        return;
    }
    let home = Home::new();
    let disk = Disk::new(&home.project());
    let line = format!("while :; do echo x; done >> {}", disk.path().join("file").display());
    let more = format!("{AT_ONCE}\nkill_timeout = \"300ms\"");
    let text = shell("held", &line, &more) + &shell("calm", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let held = home.known("held").main();
    let holds = |process: Process| {
        disk.hang();
        wait_for(PROMPT, "a write that waits", || (process.state()? == 'D').then_some(()));
    };
    holds(held);
    let starts = || home.events_of("held", "start").len();
    // Who waits for it is told whom they wait for.
    let late = |verb: &str| {
        let said = home.ctl(&[verb, "held", "--timeout", "1500ms"]).expect_code(124);
        assert!(said.stderr.contains("not done after") && said.stderr.contains("held"), "{said:?}");
    };
    late("restart");
    assert!(pending_kill(held), "SIGKILL was sent");
    let stays = || {
        let app = home.known("held");
        assert_eq!((app.pids(), app.status(), starts()), (vec![held.0], "stopping", 1));
        assert_eq!(held.state(), Some('D'));
        home.ctl(&["restart", "calm", "-q"]).ok();
    };
    stays();
    // The same for a keeper and a nexusd that come after.
    for process in [home.daemon().unwrap(), home.keeper().unwrap()] {
        kill_and_replaced(&home, process);
        stays();
    }
    late("stop");
    late("restart");
    stays();
    // What was wanted last happens with the thaw.
    disk.answer();
    let next = home
        .until("held", "its successor", |app| app.status() == "online" && app.pids() != [held.0]);
    assert!(!held.alive() && starts() == 2);
    let next = next.main();
    holds(next);
    late("stop");
    assert_eq!(home.known("held").pids(), [next.0]);
    disk.answer();
    home.until("held", "its end", |app| app.status() == "stopped");
    assert!(!next.alive() && starts() == 2);
    home.ctl(&["kill"]).ok();
}

/// SIGKILL waits for the process (`proc_pid_status(5)`).
fn pending_kill(process: Process) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0)).unwrap();
    let masks = ["SigPnd:", "ShdPnd:"].into_iter().filter_map(|key| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    masks.fold(0, |all, mask| all | mask) & 1 << (Signal::SIGKILL as i32 - 1) != 0
}
