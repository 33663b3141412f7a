//! One of the pair hangs: the other replaces it as soon as somebody waits for it.

use std::time::Duration;

use nexus_tests::{Home, Process, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell};

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
