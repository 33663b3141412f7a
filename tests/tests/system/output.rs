//! What scripts read: `jlist`, `list -o json`, names.

use std::collections::BTreeSet;

use nexus_tests::Home;
use serde_json::Value;

use crate::{AT_ONCE, shell, worker};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Every key of `wanted` is there.
#[track_caller]
fn has(value: &Value, wanted: &str) {
    let there = keys(value);
    let missing: Vec<&str> = wanted.split(' ').filter(|key| !there.contains(key)).collect();
    assert!(missing.is_empty(), "no {missing:?} in {value}");
}

#[test]
fn jlist_is_valid_in_every_state() {
    let home = Home::new();
    assert_eq!(home.ctl(&["jlist"]).ok().json(), serde_json::json!([]));
    let text = shell("calm", "exec sleep 1000", AT_ONCE)
        + &shell("doomed", "exit 1", "max_restarts = 0")
        + &shell("later", "exit 1", "restart_delay = \"60s\"")
        + &shell("idle", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).expect_code(10);
    home.ctl(&["stop", "idle"]).ok();
    home.until("doomed", "its being given up", |app| app.status() == "errored");
    let rows = home.ctl(&["jlist"]).ok().json();
    let state = |name: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        has(row, "pid name pm_id monit pm2_env");
        has(
            &row["pm2_env"],
            "status pm_exec_path pm_cwd exec_mode instances restart_time pm_uptime created_at \
             pm_out_log_path pm_err_log_path NODE_APP_INSTANCE",
        );
        has(&row["monit"], "memory cpu");
        row["pm2_env"]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(state("calm"), "online");
    assert_eq!(state("doomed"), "errored");
    assert_eq!(state("later"), "waiting restart");
    assert_eq!(state("idle"), "stopped");
    home.ctl(&["kill"]).ok();
    assert_eq!(home.ctl(&["jlist"]).ok().json(), serde_json::json!([]));
}

#[test]
fn jlist_is_valid_while_a_worker_starts_and_stops() {
    let home = Home::new();
    let more = "ready = \"notify\"\nkill_timeout = \"5s\"";
    let args = ["--await", "go", "--ready-after", "0", "--deaf"];
    home.write("ecosystem.toml", &worker("slow", &args, more));
    let start = home.begin(&["start"]);
    home.until("slow", "its start", |app| app.status() == "starting");
    assert_eq!(home.ctl(&["jlist"]).ok().json()[0]["pm2_env"]["status"], "launching");
    home.write("go-0", "");
    start.end().ok();
    let stop = home.begin(&["stop", "slow"]);
    home.until("slow", "its stop", |app| app.status() == "stopping");
    assert_eq!(home.ctl(&["jlist"]).ok().json()[0]["pm2_env"]["status"], "stopping");
    stop.end().ok();
}

#[test]
fn the_list_in_json_has_its_schema_and_no_environment() {
    let home = Home::new();
    let more =
        format!("{AT_ONCE}\nenv = {{ DATABASE_URL = \"postgres://hush\", PLAIN = \"quiet\" }}");
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    let output = home.ctl(&["list", "-o", "json"]).ok();
    let list = output.json();
    assert_eq!(list["schema"], "nexus.list/1");
    has(&list, "schema generation generated_at daemon host apps");
    has(&list["daemon"], "version home pid keeper_pid uptime_ms nexusd_restarts keeper_restarts");
    has(&list["host"], "name cpus load_1m memory_used_bytes memory_total_bytes");
    let app = &list["apps"][0];
    has(
        app,
        "name namespace status ready wanted restarts cpu_percent memory_bytes uptime_ms generation listen \
         command cwd ready_when stop_signal kill_timeout_ms restart_policy env_names user source \
         trouble instances",
    );
    let one = &app["instances"][0];
    has(
        one,
        "id instance status explain pid child generation restarts uptime_ms started_at_unix_ms \
         again_in_ms last_exit last_exit_code cpu_percent memory_bytes logs tree",
    );
    assert!(one["memory_bytes"].as_u64() > Some(0), "{one}");
    assert_eq!(app["env_names"], serde_json::json!(["DATABASE_URL", "PLAIN"]));
    for args in [["list", "-o", "json"].as_slice(), &["jlist"], &["describe", "calm"], &["events"]]
    {
        let said = home.ctl(args).ok();
        assert!(!said.stdout.contains("hush") && !said.stdout.contains("quiet"), "{args:?}");
    }
}

#[test]
fn names_and_lines_of_json_are_for_pipes() {
    let home = Home::new();
    let text = shell("a", "exec sleep 1000", AT_ONCE) + &shell("b", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start", "-q"]).ok();
    assert_eq!(home.ctl(&["list", "-o", "name"]).ok().stdout, "a\nb\n");
    let lines = home.ctl(&["list", "-o", "jsonl"]).ok().stdout;
    let names: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(home.ctl(&["stop", "all", "-o", "name"]).ok().stdout, "a\nb\n");
}

#[test]
fn the_shape_of_an_error_in_json_is_stable() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let output = home.ctl(&["stop", "clam", "-o", "json"]).expect_code(4);
    let error: Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!(error["schema"], "nexus.error/1");
    assert_eq!((&error["code"], &error["exit"]), (&"NX0404".into(), &4.into()));
}

#[test]
fn a_follower_of_events_sees_a_crash_and_survives_the_daemon() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let _follower =
        home.foreground(&["events", "-f", "-o", "jsonl", "--app", "calm"], "events.txt");
    let file = home.project().join("events.txt");
    let kinds = || -> Vec<String> {
        let text = std::fs::read_to_string(&file).unwrap();
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        whole.map(|event| event["kind"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let see = |kind: &str, times: usize| {
        nexus_tests::wait_for(nexus_tests::PROMPT, &format!("{times} × {kind}"), || {
            (kinds().iter().filter(|seen| *seen == kind).count() == times).then_some(())
        });
    };
    see("ready", 1);
    home.daemon().unwrap().signal(nix::sys::signal::Signal::SIGKILL);
    home.known("calm").main().signal(nix::sys::signal::Signal::SIGKILL);
    see("exit", 1);
    see("ready", 2);
    assert_eq!(kinds().iter().filter(|kind| *kind == "exit").count(), 1);
}
