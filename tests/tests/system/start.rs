//! `start` of a project file: built, forked, ready, listed, answering.

use std::path::Path;

use nexus_tests::http::get;
use nexus_tests::{Home, PROMPT, Process, free_port, program, run};

use crate::{AT_ONCE, app, shell, worker};

/// Variables of an outer cargo that a build must not see: they would make it another build.
const OUTER: &[(&str, &str)] = &[
    ("CARGO_MANIFEST_DIR", "/nowhere"),
    ("CARGO_PKG_NAME", "outer"),
    ("CARGO_TARGET_DIR", "/nowhere"),
    ("RUSTC", "/nowhere/rustc"),
    ("RUSTFLAGS", "--cfg outer"),
    ("RUST_BACKTRACE", "1"),
];

fn trading(port: u16, more: &str) -> String {
    let more = format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"\n{more}");
    app("trading-api", &program("trading-api").display().to_string(), &[], &more)
}

#[test]
fn the_trading_api_is_built_started_listed_and_the_line_that_is_printed_answers() {
    let home = Home::new();
    let port = free_port();
    home.write("build.sh", "env > build-env.txt\necho once >> build-count.txt\n");
    home.write("ecosystem.toml", &trading(port, "instances = 2\nbuild = \"sh build.sh\""));
    let mut command = home.command(&program("nexusctl"));
    let output = run(command.arg("start").envs(OUTER.iter().copied()), PROMPT).ok();

    let row = output.stdout.lines().find(|line| line.contains("trading-api"));
    let row = row.unwrap_or_else(|| panic!("no list on stdout: {output:?}"));
    assert!(row.contains("online") && row.contains("2/2"), "{row}");
    let line = output.stderr.lines().find_map(|line| Some(line.split_once("curl ")?.1));
    let line = line.unwrap_or_else(|| panic!("no curl line on stderr: {output:?}"));
    assert!(!output.stdout.contains("curl"), "{output:?}");
    let mut curl = home.command(Path::new("sh"));
    let answer = run(curl.args(["-c", &format!("curl -fsS {line}")]), PROMPT).ok();
    assert_eq!(answer.json()["success"], true, "{answer:?}");

    let env = std::fs::read_to_string(home.project().join("build-env.txt")).unwrap();
    let of_cargo = |line: &&str| line.starts_with("CARGO") || line.starts_with("RUST");
    let where_rust_is = ["CARGO_HOME=", "RUSTUP_HOME="];
    let inherited: Vec<&str> = env
        .lines()
        .filter(of_cargo)
        .filter(|line| !where_rust_is.iter().any(|name| line.starts_with(name)))
        .collect();
    assert!(inherited.is_empty(), "the build saw {inherited:?}");
    let count = std::fs::read_to_string(home.project().join("build-count.txt")).unwrap();
    assert_eq!(count, "once\n");
    assert_eq!(get(port, "/live").unwrap().status, 200);
}

#[test]
fn all_workers_and_both_of_the_pair_hold_one_listening_socket() {
    let home = Home::new();
    let port = free_port();
    home.write("ecosystem.toml", &trading(port, "instances = 2"));
    home.ctl(&["start"]).ok();
    let pids = home.known("trading-api").pids();
    assert!(pids.len() == 2 && pids[0] != pids[1] && !pids.contains(&0), "{pids:?}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X} ");
    let listening: Vec<&str> = table
        .lines()
        .filter(|line| line.contains(&local) && line.contains(" 0A "))
        .filter_map(|line| line.split_whitespace().nth(9))
        .collect();
    assert_eq!(listening.len(), 1, "{table}");
    let socket = format!("socket:[{}]", listening[0]);
    let pair = [home.keeper().unwrap(), home.daemon().unwrap()];
    for process in pids.into_iter().map(Process).chain(pair) {
        assert!(process.open().contains(&socket), "{process:?}: {:?}", process.open());
    }
}

#[test]
fn a_second_start_changes_nothing() {
    let home = Home::new();
    home.write("build.sh", "echo once >> build-count.txt\n");
    let more = "build = \"sh build.sh\"\nready = \"notify\"";
    home.write("ecosystem.toml", &worker("one", &["--ready-after", "0"], more));
    home.ctl(&["start"]).ok();
    let before = home.known("one").identity();
    home.ctl(&["start"]).ok();
    home.ctl(&["start", "one"]).ok();
    assert_eq!(home.known("one").identity(), before);
    let count = std::fs::read_to_string(home.project().join("build-count.txt")).unwrap();
    assert_eq!(count, "once\n");
}

#[test]
fn a_build_that_fails_starts_nothing_and_is_told() {
    let home = Home::new();
    let more = "build = \"echo compiling; echo no such crate >&2; exit 101\"";
    home.write("ecosystem.toml", &shell("broken", "exec sleep 1000", more));
    let output = home.ctl(&["start"]).expect_code(1);
    assert!(output.stderr.contains("no such crate"), "{output:?}");
    assert!(output.stderr.contains("code 101"), "{output:?}");
    let running = home.app("broken").is_some_and(|app| app.pids().iter().any(|&pid| pid > 0));
    assert!(!running, "{:?}", home.app("broken"));
}

#[test]
fn a_command_after_two_dashes_is_an_app() {
    let home = Home::new();
    home.ctl(&["start", "--name", "tick", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    let args = home.known("tick").main().args().unwrap();
    assert_eq!(args, ["sleep", "1000"]);
}

#[test]
fn a_worker_is_ready_when_it_says_so_and_not_before() {
    let home = Home::new();
    let text = worker("slow", &["--ready-after", "700"], "ready = \"notify\"");
    home.write("ecosystem.toml", &text);
    let begin = std::time::Instant::now();
    home.ctl(&["start"]).ok();
    assert!(begin.elapsed().as_millis() >= 700, "ready after {:?}", begin.elapsed());
    assert_eq!(home.known("slow").status(), "online");
    assert_eq!(home.events_of("slow", "ready").len(), 1);
}

#[test]
fn a_worker_that_never_says_so_has_failed_to_start() {
    let home = Home::new();
    let more = "ready = \"notify\"\nready_timeout = \"300ms\"\nmax_restarts = 1\n\
                backoff = { min = \"10ms\", max = \"10ms\" }";
    home.write("ecosystem.toml", &shell("mute", "echo still here >&2; exec sleep 1000", more));
    let output = home.ctl(&["start"]).expect_code(1);
    assert!(output.stderr.contains("not ready"), "{output:?}");
    assert!(output.stderr.contains("still here"), "{output:?}");
    home.until("mute", "its being given up", |app| app.status() == "errored");
}

#[test]
fn no_wait_returns_at_once_and_the_start_goes_on() {
    let home = Home::new();
    let late = worker("late", &["--ready-after", "1000"], "ready = \"notify\"");
    home.write("ecosystem.toml", &(late + &shell("now", "exec sleep 1000", AT_ONCE)));
    let output = home.ctl(&["start", "--no-wait"]).ok();
    assert!(home.known("late").status() != "online", "{output:?}");
    home.until("late", "its readiness", |app| app.status() == "online");
    home.ctl(&["restart", "late", "--timeout", "100ms"]).expect_code(124);
    home.until("late", "its second readiness", |app| app.status() == "online");
}
