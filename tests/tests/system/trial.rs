//! A reload that tries its new workers: canaries first, watched for a while.

use std::time::{Duration, Instant};

use nexus_tests::{Home, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::reload::passed;
use crate::worker;

const OLD: [&str; 4] = ["--drain", "--serve", "--ready-after", "0"];
const NEW: [&str; 6] = ["--drain", "--err", "1", "--serve", "--ready-after", "0"];
const TRIAL: &str = "canary = 1\nsoak = \"600ms\"";

/// Three that serve; the file says from here on that they are `args`.
fn begin(home: &Home, args: &[&str], more: &str) -> Vec<i32> {
    let settings = format!("{}\n{more}", passed(free_port(), 3));
    home.write("ecosystem.toml", &worker("api", &OLD, &settings));
    home.ctl(&["start"]).ok();
    home.write("ecosystem.toml", &worker("api", args, &settings));
    home.known("api").pids()
}

/// Those of before serve, or others of the same version in their places.
fn is_as_before(home: &Home, before: &[i32], same: usize) {
    let api = home.until("api", "three workers", |app| app.statuses() == ["online"; 3]);
    let kept = api.pids().iter().filter(|pid| before.contains(pid)).count();
    assert_eq!(kept, same, "{api:?}");
    for pid in api.pids() {
        let args = Process(pid).args().unwrap();
        assert!(!args.iter().any(|arg| arg == "--exit-after" || arg == "--err"), "{args:?}");
    }
    assert_eq!(home.events_of("api", "rolled_back").len(), 1);
}

#[test]
fn a_canary_is_watched_and_then_the_others_follow() {
    let home = Home::new();
    let before = begin(&home, &NEW, TRIAL);
    let began = Instant::now();
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    let api = home.known("api");
    assert!(api.pids().iter().all(|pid| !before.contains(pid)));
    let soak = home.events_of("api", "soak");
    assert_eq!(soak.len(), 1, "{soak:?}");
    assert!(soak[0]["detail"].as_str().unwrap().contains("1 new worker is watched for 600ms"));
}

#[test]
fn a_canary_that_ends_while_it_is_watched_takes_the_reload_back() {
    let home = Home::new();
    let args = ["--drain", "--serve", "--ready-after", "0", "--exit-after", "700", "--code", "5"];
    let before = begin(&home, &args, "canary = 1\nsoak = \"20s\"");
    let output = home.ctl(&["reload", "ecosystem.toml"]).expect_code(9);
    assert!(output.stderr.contains("code 5"), "{output:?}");
    is_as_before(&home, &before, 2);
}

#[test]
fn a_canary_that_is_ill_takes_the_reload_back() {
    let home = Home::new();
    let check = "health = { exec = \"test ! -e ill-$NEXUS_GENERATION\", interval = \"50ms\", \
                 failures = 2 }";
    let more = format!("canary = 1\nsoak = \"20s\"\n{check}");
    let before = begin(&home, &NEW, &more);
    let command = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "the canary's being watched", || home.events_of("api", "soak").pop());
    home.write("ill-2", "");
    let said = command.end().expect_code(9).stderr;
    assert!(said.contains("health check failed"), "{said}");
    assert!(said.contains("exited with code 1"), "{said}");
    is_as_before(&home, &before, 2);
}

#[test]
fn a_death_of_nexusd_meanwhile_changes_nothing_about_that() {
    let home = Home::new();
    let args = [
        "--drain",
        "--serve",
        "--ready-after",
        "0",
        "--await",
        "go",
        "--exit-after",
        "0",
        "--code",
        "5",
    ];
    let before = begin(&home, &args, "canary = 1\nsoak = \"20s\"");
    let command = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "the canary's being watched", || home.events_of("api", "soak").pop());
    home.daemon().unwrap().signal(Signal::SIGKILL);
    // The canary is the first instance.
    home.write("go-0", "");
    command.end().expect_code(9);
    is_as_before(&home, &before, 2);
}

#[test]
fn a_watched_reload_can_be_called_off() {
    let home = Home::new();
    let before = begin(&home, &NEW, "soak = \"60s\"");
    let command = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "the first's being watched", || home.events_of("api", "soak").pop());
    home.ctl(&["abort", "api"]).ok();
    command.end().expect_code(9);
    let api = home.until("api", "three workers", |app| app.statuses() == ["online"; 3]);
    assert_eq!(api.pids().iter().filter(|pid| before.contains(pid)).count(), 2);
}
