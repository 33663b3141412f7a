//! Stops that are not easy: a deaf worker, a stopped one, another signal.

use nexus_tests::http::request;
use nexus_tests::{Home, PROMPT, wait_for};
use nix::sys::signal::Signal;
use std::io::Write;

use crate::{AT_ONCE, shell, worker};

#[test]
fn a_worker_that_ignores_the_signal_is_killed_after_kill_timeout() {
    let home = Home::new();
    let more = "ready = \"notify\"\nkill_timeout = \"600ms\"";
    home.write("ecosystem.toml", &worker("deaf", &["--deaf", "--ready-after", "0"], more));
    home.ctl(&["start"]).ok();
    let process = home.known("deaf").main();
    let begin = std::time::Instant::now();
    home.ctl(&["stop", "deaf"]).ok();
    assert!(begin.elapsed().as_millis() >= 600, "stopped after {:?}", begin.elapsed());
    assert!(!process.alive());
    let killed = home.events_of("deaf", "killed");
    assert_eq!(killed.len(), 1, "{killed:?}");
    assert_eq!(killed[0]["pid"], process.0);
    let exits = home.events_of("deaf", "exit");
    assert_eq!((exits.len(), &exits[0]["exit"]), (1, &"SIGKILL".into()));
    let app = home.known("deaf");
    assert_eq!((app.status(), app.restarts()), ("stopped", vec![0]));
}

#[test]
fn a_worker_that_ends_by_itself_is_not_killed() {
    let home = Home::new();
    home.write("ecosystem.toml", &worker("meek", &["--ready-after", "0"], "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    home.ctl(&["stop", "meek"]).ok();
    assert!(home.events_of("meek", "killed").is_empty());
    let exits = home.events_of("meek", "exit");
    assert_eq!((exits.len(), &exits[0]["exit"]), (1, &"code 0".into()));
}

#[test]
fn a_worker_that_sigstop_holds_can_be_stopped() {
    let home = Home::new();
    let more = format!("{AT_ONCE}\nkill_timeout = \"800ms\"");
    home.write("ecosystem.toml", &shell("held", "exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    let process = home.known("held").main();
    process.signal(Signal::SIGSTOP);
    wait_for(PROMPT, "the stop by job control", || (process.state() == Some('T')).then_some(()));
    home.ctl(&["stop", "held"]).ok();
    assert!(!process.alive());
    assert_eq!(home.known("held").status(), "stopped");
}

#[test]
fn the_stop_signal_is_the_apps_own() {
    let home = Home::new();
    let line = "trap 'echo asked politely; exit 0' INT; echo set; while :; do sleep 0.05; done";
    let more = format!("{AT_ONCE}\nstop_signal = \"SIGINT\"");
    home.write("ecosystem.toml", &shell("polite", line, &more));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/polite-out.log");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_for(PROMPT, "the trap", || read().contains("set").then_some(()));
    home.ctl(&["stop", "polite"]).ok();
    wait_for(PROMPT, "its last word", || read().contains("asked politely").then_some(()));
    assert!(home.events_of("polite", "killed").is_empty());
}

#[test]
fn a_stop_of_what_is_down_and_a_start_of_what_is_up_are_no_errors() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    home.ctl(&["stop", "calm"]).ok();
    home.ctl(&["stop", "calm"]).ok();
    home.ctl(&["start", "calm"]).ok();
    home.ctl(&["start", "calm"]).ok();
    assert_eq!(home.events_of("calm", "start").len(), 2);
}

#[test]
fn one_that_waits_for_its_next_try_can_be_stopped() {
    let home = Home::new();
    let more = "restart_delay = \"60s\"\nready = \"delay:0s\"";
    home.write("ecosystem.toml", &shell("later", "exit 1", more));
    home.ctl(&["start"]);
    home.until("later", "its wait", |app| app.status() == "backoff");
    home.ctl(&["stop", "later"]).ok();
    assert_eq!(home.known("later").status(), "stopped");
}

#[test]
fn a_start_that_a_stop_overtakes_is_told_so() {
    let home = Home::new();
    home.write(
        "ecosystem.toml",
        &worker("slow", &["--ready-after", "60000"], "ready = \"notify\""),
    );
    let start = home.begin(&["start"]);
    home.until("slow", "its process", |app| app.pids().iter().any(|&pid| pid > 0));
    home.ctl(&["stop", "slow"]).ok();
    start.end().expect_code(1);
    assert_eq!(home.known("slow").status(), "stopped");
}

#[test]
fn a_repeated_request_with_one_key_is_one_operation() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let body = r#"{"targets":["calm"],"specs":null}"#;
    let text = request("POST", "/v1/apps/restart", "Idempotency-Key: the-same\r\n", body);
    for _ in 0..3 {
        let mut stream = home.connect().unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut reader = std::io::BufReader::new(stream);
        let answer = nexus_tests::http::Answer::read(&mut reader).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let end = home.api("/v1/operations/the-same?wait_ms=20000");
    assert_eq!(end["state"], "ended", "{end}");
    assert_eq!(home.events_of("calm", "start").len(), 2);
}
