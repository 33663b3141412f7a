//! `signal` and `wait`.

use std::io::Write;

use nexus_tests::http::{Answer, request};
use nexus_tests::{Home, PROMPT, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell, worker};

/// Counts USR1, and says so.
const COUNTS: &str = "n=0; trap 'n=$((n+1)); echo got $n' USR1; echo set; \
                      while :; do sleep 0.05; done";

fn counting(instances: u16) -> Home {
    let home = Home::new();
    let more = format!("{AT_ONCE}\ninstances = {instances}\nmerge_logs = true");
    home.write("ecosystem.toml", &shell("api", COUNTS, &more));
    home.ctl(&["start"]).ok();
    until_said(&home, "set", usize::from(instances));
    home
}

fn said(home: &Home, word: &str) -> usize {
    let text = std::fs::read_to_string(home.path().join("logs/api-out.log")).unwrap_or_default();
    text.lines().filter(|line| *line == word).count()
}

fn until_said(home: &Home, word: &str, times: usize) {
    wait_for(PROMPT, word, || (said(home, word) >= times).then_some(()));
}

#[test]
fn a_signal_reaches_main_processes_and_changes_nothing_else() {
    let home = counting(2);
    let before = home.known("api").identity();
    let output = home.ctl(&["signal", "SIGUSR1", "api/1"]).ok();
    assert!(output.stdout.contains("SIGUSR1 to api/1 (pid "), "{output:?}");
    until_said(&home, "got 1", 1);
    home.ctl(&["sendSignal", "usr1", "api"]).ok();
    until_said(&home, "got 2", 1);
    until_said(&home, "got 1", 2);
    let dry = home.ctl(&["signal", "USR1", "api", "--dry-run"]).ok();
    assert!(dry.stdout.contains("would send SIGUSR1 to api"), "{dry:?}");
    let json = home.ctl(&["signal", "CONT", "api", "-o", "json"]).ok().json();
    assert_eq!((&json["verb"], &json["state"]), (&"signal".into(), &"ended".into()));
    assert_eq!(home.known("api").identity(), before);
    let told = home.api("/v1/events?last=100").to_string();
    assert!(told.contains("signal SIGUSR1 api"), "{told}");
}

#[test]
fn one_that_a_signal_ends_is_a_crash_and_comes_back() {
    let home = counting(1);
    let before = home.known("api").main();
    home.ctl(&["signal", "KILL", "api"]).ok();
    let app = home
        .until("api", "its successor", |app| app.status() == "online" && app.pids() != [before.0]);
    assert_eq!(app.restarts(), [1]);
    let exits = home.events_of("api", "exit");
    assert_eq!(exits[0]["exit"], "SIGKILL");
}

#[test]
fn a_signal_for_nobody_is_refused_whole() {
    let home = counting(1);
    home.ctl(&["start", "--name", "down", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    home.ctl(&["stop", "down"]).ok();
    let output = home.ctl(&["signal", "USR1", "api", "down"]).expect_code(5);
    assert!(output.stderr.contains("`down` does not run"), "{output:?}");
    // Whoever runs gets it when the word stands for several.
    home.ctl(&["signal", "USR1", "all"]).ok();
    until_said(&home, "got 1", 1);
    assert_eq!(said(&home, "got 2"), 0, "the refused one was sent to somebody");
    home.ctl(&["signal", "NOSUCH", "api"]).expect_code(2);
    home.ctl(&["signal", "HUP"]).expect_code(2);
}

#[test]
fn a_signal_that_is_asked_for_again_by_its_key_is_sent_once() {
    let home = counting(1);
    let body = r#"{"targets":["api"],"signal":"USR1"}"#;
    let text = request("POST", "/v1/apps/signal", "Idempotency-Key: once\r\n", body);
    for _ in 0..3 {
        let mut stream = home.connect().unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let answer = Answer::read(&mut std::io::BufReader::new(stream)).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        until_said(&home, "got 1", 1);
    }
    // Also by another daemon.
    home.daemon().unwrap().signal(Signal::SIGKILL);
    let again = wait_for(PROMPT, "another daemon", || {
        let mut stream = home.connect().ok()?;
        stream.write_all(text.as_bytes()).ok()?;
        Answer::read(&mut std::io::BufReader::new(stream)).ok()
    });
    assert_eq!(again.status, 202);
    home.ctl(&["signal", "USR1", "api"]).ok();
    until_said(&home, "got 2", 1);
    assert_eq!(said(&home, "got 3"), 0);
}

#[test]
fn readiness_is_waited_for_through_a_death_of_the_daemon() {
    let home = Home::new();
    let ready = "ready = \"notify\"";
    let args = ["--await", "go", "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("slow", &args, ready));
    home.ctl(&["start", "--no-wait"]).ok();
    let waiting = home.begin(&["wait", "slow", "--for", "ready", "--timeout", "40s"]);
    wait_for(PROMPT, "its process", || {
        home.known("slow").pids().first().filter(|&&pid| pid > 0).copied()
    });
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.write("go-0", "");
    let output = waiting.end().ok();
    assert_eq!(output.stdout, "slow is ready\n");
    assert_eq!(home.known("slow").status(), "online");
}

#[test]
fn waiting_ends_with_0_3_4_or_124() {
    let home = Home::new();
    let more = "ready = \"notify\"\nkill_timeout = \"300ms\"";
    let text = worker("slow", &["--ready-after", "60000"], more)
        + &shell("bad", "exit 3", "max_restarts = 1");
    home.write("ecosystem.toml", &text);
    let started = home.ctl(&["start", "--no-wait", "-o", "name"]).ok();
    let key = started.stdout.trim().to_owned();
    let output = home.ctl(&["wait", "slow", "--timeout", "100ms"]).expect_code(124);
    assert!(output.stderr.contains("not ready after 100ms: slow"), "{output:?}");
    let output = home.ctl(&["wait", "bad"]).expect_code(3);
    assert!(output.stderr.contains("code 3"), "{output:?}");
    home.ctl(&["wait", "--op", &key, "--timeout", "100ms"]).expect_code(124);
    let stopped = home.begin(&["wait", "slow", "--for", "stopped"]);
    let gone = home.begin(&["wait", "slow", "--for", "gone"]);
    home.ctl(&["stop", "slow"]).ok();
    stopped.end().ok();
    assert!(!gone.ended());
    let output = home.ctl(&["wait", "slow"]).expect_code(3);
    assert!(output.stderr.contains("stopped, as asked"), "{output:?}");
    home.ctl(&["delete", "slow"]).ok();
    assert_eq!(gone.end().ok().stdout, "slow is gone\n");
    home.ctl(&["wait", "slow", "--for", "gone"]).ok();
    home.ctl(&["wait", "slow"]).expect_code(4);
    // The stop overtook the start: its true end, not that of the stop.
    home.ctl(&["wait", "--op", &key]).expect_code(1);
    home.ctl(&["wait", "--op", "nobody-began-this"]).expect_code(4);
    home.ctl(&["wait"]).expect_code(2);
}
