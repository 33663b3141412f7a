//! One of the pair hangs: the other replaces it, whether somebody waits for it or not.

use std::time::Duration;

use nexus_tests::{Home, Process, truth, wait_for};
use nix::sys::signal::Signal;

use crate::hung_disk::some_more;
use crate::{AT_ONCE, shell, worker};

/// How long it may take until one that hangs is replaced.
const HUNG_MAX: Duration = Duration::from_secs(20);

fn with_a_worker() -> Home {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    home
}

fn ended(hung: Process) {
    wait_for(HUNG_MAX, "the end of who hangs", || (!hung.alive()).then_some(()));
}

#[test]
fn a_hung_nexusd_is_replaced_when_a_client_waits() {
    let home = with_a_worker();
    let before = home.known("calm").identity();
    let hung = home.daemon().unwrap();
    hung.signal(Signal::SIGSTOP);
    home.ctl_within(HUNG_MAX, &["list"]).ok();
    assert!(!hung.alive());
    assert_eq!(home.known("calm").identity(), before);
}

#[test]
fn a_hung_nexusd_is_replaced_when_a_worker_dies() {
    let home = with_a_worker();
    let main = home.known("calm").main();
    let hung = home.daemon().unwrap();
    hung.signal(Signal::SIGSTOP);
    main.signal(Signal::SIGKILL);
    ended(hung);
    home.until("calm", "a replacement", |app| app.status() == "online" && app.main() != main);
}

#[test]
fn a_hung_keeper_is_replaced_when_somebody_asks() {
    let home = with_a_worker();
    let before = home.known("calm").identity();
    let hung = home.keeper().unwrap();
    hung.signal(Signal::SIGSTOP);
    home.ctl(&["list"]).ok();
    ended(hung);
    home.ctl(&["list"]).ok();
    assert_eq!(home.known("calm").identity(), before);
    home.ctl(&["restart", "calm"]).ok();
}

#[test]
fn a_hung_nexusd_is_replaced_though_nobody_asks_and_no_line_is_lost() {
    let home = Home::new();
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let dir = truth.display().to_string();
    // Its pipe is full long before it is noticed.
    let args = ["--lines", "50", "--truth", &dir, "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("talk", &args, "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    let before = home.known("talk").identity();
    let log = home.path().join("logs/talk-out.log");
    some_more(&log);
    let hung = home.daemon().unwrap();
    hung.signal(Signal::SIGSTOP);
    ended(hung);
    some_more(&log);
    assert_eq!(home.known("talk").identity(), before);
    home.ctl(&["stop", "talk"]).ok();
    wait_for(HUNG_MAX, "all lines, once each", || {
        truth::compare(std::slice::from_ref(&log), &truth).ok().map(drop)
    });
}

#[test]
fn a_hung_keeper_is_replaced_though_nobody_asks() {
    let home = Home::new();
    let lives = home.project().join("lives");
    let line = format!("echo $$ >> {}; exec sleep 1000", lives.display());
    home.write("ecosystem.toml", &shell("mortal", &line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let (hung, main) = (home.keeper().unwrap(), home.known("mortal").main());
    hung.signal(Signal::SIGSTOP);
    main.signal(Signal::SIGKILL);
    ended(hung);
    wait_for(HUNG_MAX, "a successor", || {
        let lives = std::fs::read_to_string(&lives).ok()?;
        (lives.lines().count() == 2).then_some(())
    });
    home.until("mortal", "its successor", |app| app.status() == "online");
}
