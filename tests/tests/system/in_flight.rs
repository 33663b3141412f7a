//! Commands that wait while one of the pair is killed end with what is true.

use nexus_tests::{Home, Process};
use nix::sys::signal::Signal;

use crate::worker;

#[derive(Clone, Copy)]
enum Target {
    Daemon,
    Keeper,
}

fn kill(home: &Home, target: Target) {
    let version = home.api("/v1/version");
    let key = match target {
        Target::Daemon => "pid",
        Target::Keeper => "keeper_pid",
    };
    Process(i32::try_from(version[key].as_i64().unwrap()).unwrap()).signal(Signal::SIGKILL);
}

/// `start` of a worker with these arguments; one of the pair is killed once the worker is there.
/// `--await go` lets it wait for that.
fn start(target: Target, args: &[&str], code: i32) -> (Home, String) {
    let home = Home::new();
    let more = "ready = \"notify\"\nmax_restarts = 0";
    home.write("ecosystem.toml", &worker("slow", args, more));
    // So that the kill does not hit the start of the pair itself.
    home.ctl(&["start", "--name", "other", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    let command = home.begin(&["start"]);
    home.until("slow", "its process", |app| app.pids().first().is_some_and(|&pid| pid > 0));
    kill(&home, target);
    assert!(!command.ended(), "the start has ended before the kill");
    home.write("go-0", "");
    let output = command.end().expect_code(code);
    (home, output.stderr)
}

#[test]
fn a_start_is_true_across_a_kill_of_nexusd() {
    let (home, _) = start(Target::Daemon, &["--await", "go", "--ready-after", "0"], 0);
    let app = home.known("slow");
    assert_eq!((app.status(), app.restarts()), ("online", vec![0]));
}

#[test]
fn a_start_is_true_across_a_kill_of_the_keeper() {
    let (home, _) = start(Target::Keeper, &["--await", "go", "--ready-after", "0"], 0);
    let app = home.known("slow");
    assert_eq!((app.status(), app.restarts()), ("online", vec![0]));
}

#[test]
fn a_start_that_fails_is_told_across_a_kill_of_nexusd() {
    let (_home, said) = start(
        Target::Daemon,
        &["--err", "3", "--await", "go", "--exit-after", "0", "--code", "5"],
        1,
    );
    assert!(said.contains("complaint 2") && said.contains("code 5"), "{said}");
}

#[test]
fn a_start_that_fails_is_told_across_a_kill_of_the_keeper() {
    let (_home, said) = start(
        Target::Keeper,
        &["--err", "3", "--await", "go", "--exit-after", "0", "--code", "5"],
        1,
    );
    assert!(said.contains("complaint 2"), "{said}");
}

/// An app that ignores the stop signal for 3 s; one of the pair is killed while the verb waits.
fn ending(verb: &str, target: Target) -> (Home, Process) {
    let home = Home::new();
    let more = "ready = \"notify\"\nkill_timeout = \"3s\"";
    home.write("ecosystem.toml", &worker("deaf", &["--deaf", "--ready-after", "0"], more));
    home.ctl(&["start"]).ok();
    let old = home.known("deaf").main();
    let command = home.begin(&[verb, "deaf"]);
    home.until("deaf", "its being told to stop", |app| app.statuses() == ["stopping"]);
    kill(&home, target);
    command.end().ok();
    assert!(!old.alive(), "{verb} has ended and the worker lives");
    assert_eq!(home.events_of("deaf", "killed").len(), 1);
    (home, old)
}

#[test]
fn a_stop_ends_across_a_kill_of_nexusd() {
    let (home, _) = ending("stop", Target::Daemon);
    let app = home.known("deaf");
    assert_eq!((app.status(), app.restarts()), ("stopped", vec![0]));
}

#[test]
fn a_stop_ends_across_a_kill_of_the_keeper() {
    let (home, _) = ending("stop", Target::Keeper);
    let app = home.known("deaf");
    assert_eq!((app.status(), app.restarts()), ("stopped", vec![0]));
}

#[test]
fn a_delete_ends_across_a_kill_of_nexusd() {
    let (home, _) = ending("delete", Target::Daemon);
    assert!(home.app("deaf").is_none());
    assert_eq!(home.processes().len(), 2, "only the pair is left");
}

#[test]
fn a_restart_ends_across_a_kill_of_nexusd() {
    let (home, old) = ending("restart", Target::Daemon);
    let app = home.known("deaf");
    assert_eq!((app.status(), app.restarts()), ("online", vec![0]));
    assert!(app.main() != old && app.main().alive());
}

#[test]
fn a_restart_ends_across_a_kill_of_the_keeper() {
    let (home, old) = ending("restart", Target::Keeper);
    let app = home.known("deaf");
    assert_eq!((app.status(), app.restarts()), ("online", vec![0]));
    assert!(app.main() != old && app.main().alive());
}
