//! Limits of memory: over the whole tree, acted on within two seconds, and told.

use nexus_tests::{App, Home, Load, PROMPT, free_port, program, wait_for};
use serde_json::Value;

use crate::{AT_ONCE, app, shell, worker};

const MIB: u64 = 1024 * 1024;

/// When an event happened, in milliseconds.
fn at(event: &Value) -> i64 {
    let text = event["at"].as_str().unwrap();
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// An app that holds memory as `args` say in its first life, and nothing in its second.
fn once_greedy(home: &Home, args: &str, more: &str) {
    let line = format!(
        "[ -e seen ] && exec sleep 1000; touch seen; exec {} {args}",
        program("nexus-test-worker").display()
    );
    home.write("ecosystem.toml", &shell("hog", &line, &format!("{AT_ONCE}\n{more}")));
}

/// The one event of the limit; it came within two seconds after the worker was ready.
fn replaced(home: &Home) -> Value {
    home.until("hog", "its replacement", |app| app.restarts() == [1] && app.status() == "online");
    let limit = home.events_of("hog", "limit").remove(0);
    let ready = home.events_of("hog", "ready").remove(0);
    let took = at(&limit) - at(&ready);
    assert!((0..2_000).contains(&took), "after {took} ms");
    limit
}

#[test]
fn a_worker_above_its_limit_is_replaced_and_the_figures_are_told() {
    let home = Home::new();
    once_greedy(&home, &format!("--hold {}", 96 * MIB), "max_memory_restart = '64M'");
    home.ctl(&["start"]).ok();
    let limit = replaced(&home);
    let detail = limit["detail"].as_str().unwrap();
    assert!(detail.contains(" MiB, 64.0 MiB are allowed"), "{limit}");
    assert_eq!(limit["exit"], "over its limit");
    let why = home.ctl(&["why", "hog"]).ok().stdout;
    assert!(why.contains("over its limit") && why.contains("64.0 MiB are allowed"), "{why}");
    assert_eq!(home.ctl(&["jlist"]).ok().json()[0]["pm2_env"]["restart_time"], 1);
    let described = home.ctl(&["describe", "hog"]).ok().stdout;
    assert!(described.contains("replaced above 64 MiB"), "{described}");
    // It was asked to stop, and did: nobody had to kill it.
    assert_eq!(home.events_of("hog", "killed").len(), 0);
}

#[test]
fn memory_of_children_counts() {
    let home = Home::new();
    let args = format!("--child-holds {}", 96 * MIB);
    once_greedy(&home, &args, "memory = { max = '64M' }");
    home.ctl(&["start"]).ok();
    replaced(&home);
}

#[test]
fn above_high_for_a_while_is_too_much_and_for_a_moment_is_not() {
    let home = Home::new();
    let args = format!("--hold {}", 96 * MIB);
    once_greedy(&home, &args, "memory = { high = '64M', max = '1G', for = '2s' }");
    home.ctl(&["start"]).ok();
    home.until("hog", "its replacement", |app| app.restarts() == [1]);
    let limit = home.events_of("hog", "limit").remove(0);
    let ready = home.events_of("hog", "ready").remove(0);
    let took = at(&limit) - at(&ready);
    assert!((1_000..5_000).contains(&took), "after {took} ms");
    assert!(limit["detail"].as_str().unwrap().contains(" MiB, 64.0 MiB are allowed, for "));
}

/// Pages that processes share are counted once: four children of a fork, each with all of it.
#[test]
fn what_pre_forked_workers_share_is_not_counted_for_each() {
    let home = Home::new();
    let script = "my $x = 'x' x (64 << 20); for (1..4) { last unless fork } sleep 1000";
    let more = format!("{AT_ONCE}\nmax_memory_restart = '160M'");
    let shared = app("shared", "perl", &["-e", script], &more);
    home.write("shared.toml", &shared);
    home.ctl(&["start", "shared.toml"]).ok();
    let before = home.until("shared", "five times its memory", |app| {
        app.0["memory_bytes"].as_u64() > Some(5 * 64 * MIB)
    });
    // Somebody who is beyond a limit is found meanwhile: so the other was looked at, too.
    once_greedy(&home, &format!("--hold {}", 96 * MIB), "max_memory_restart = '64M'");
    home.ctl(&["start"]).ok();
    replaced(&home);
    assert_eq!(home.known("shared").identity(), before.identity());
    assert_eq!(home.events_of("shared", "limit").len(), 0);
}

#[test]
fn a_limit_that_is_changed_holds_for_those_who_run() {
    let home = Home::new();
    let hold = (96 * MIB).to_string();
    let args = ["--hold", hold.as_str()];
    let more = format!("{AT_ONCE}\ninstances = 2\nmax_memory_restart = '1G'\nmax_restarts = 2");
    home.write("ecosystem.toml", &worker("hog", &args, &more));
    home.ctl(&["start"]).ok();
    let before = home.known("hog");
    // Only the second is restarted; the first is found beyond the limit where it is.
    home.ctl(&["restart", "hog/1", "--max-memory-restart", "64M"]).ok();
    let limit = wait_for(PROMPT, "the first one's limit", || {
        home.events_of("hog", "limit").into_iter().find(|event| event["instance"] == 0)
    });
    assert_eq!(limit["pid"], before.pids()[0]);
    home.ctl(&["restart", "all", "--max-memory-restart", "2G"]).ok();
    let settled: App = home.until("hog", "peace", |app| {
        app.status() == "online" && app.0["memory_bytes"].as_u64() > Some(192 * MIB)
    });
    assert_eq!(settled.0["memory_max_bytes"], 2048 * MIB);
    let bad = home.ctl(&["restart", "all", "--max-memory-restart", "2X"]).expect_code(2);
    assert!(bad.stderr.contains("2X"), "{bad:?}");
    home.ctl(&["restart", "ecosystem.toml", "--max-memory-restart", "2G"]).expect_code(2);
    assert_eq!(home.known("hog").identity(), settled.identity());
}

#[test]
fn a_replacement_refuses_and_breaks_no_connection() {
    let home = Home::new();
    let port = free_port();
    let worker = program("nexus-test-worker").display().to_string();
    let line = format!(
        "[ -e seen ] && exec {worker} --serve --drain --ready-after 0; touch seen; \
         exec {worker} --hold {} --serve --drain --ready-after 0",
        96 * MIB
    );
    let more = format!(
        "ready = \"notify\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\nmax_memory_restart = '64M'"
    );
    home.write("ecosystem.toml", &shell("hog", &line, &more));
    home.ctl(&["start"]).ok();
    let load = Load::start(port, 2, 2);
    replaced(&home);
    load.end().flawless();
}
