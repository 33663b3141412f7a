//! SIGKILL of either of the pair under load, again and again: nobody notices.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nexus_tests::{App, Home, Load, PROMPT, Process, free_port, truth, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{shell, worker};

/// Kills of a test.
const KILLS: u64 = 20;
/// From a kill to the first answer of the successor.
const BACK_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Daemon,
    Keeper,
}

impl Target {
    fn key(self) -> &'static str {
        match self {
            Target::Daemon => "pid",
            Target::Keeper => "keeper_pid",
        }
    }

    fn pid(self, version: &Value) -> i32 {
        version[self.key()].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap()
    }
}

/// Two workers that serve and write, one that exits with 7 when it is asked to.
fn begin(home: &Home, port: u16) -> PathBuf {
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let args = [
        "--lines",
        "300",
        "--truth",
        &truth.display().to_string(),
        "--serve",
        "--ready-after",
        "0",
    ];
    let listen = format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"\ninstances = 2");
    let mortal = shell(
        "mortal",
        "trap 'exit 7' USR1; echo set; while :; do sleep 1000 & wait; done",
        "ready = \"delay:0s\"\nmin_uptime = 0",
    );
    home.write("ecosystem.toml", &(worker("api", &args, &listen) + &mortal));
    home.ctl(&["start"]).ok();
    truth
}

/// Kill it, and wait until its successor answers.
fn kill(home: &Home, target: Target) -> Duration {
    let before = target.pid(&home.api("/v1/version"));
    Process(before).signal(Signal::SIGKILL);
    let begin = Instant::now();
    wait_for(PROMPT, &format!("a successor of the {target:?}"), || {
        let answer = home.ask("GET", "/v1/version", "", "").ok().filter(|one| one.status == 200)?;
        (target.pid(&answer.json()) != before).then_some(())
    });
    begin.elapsed()
}

/// The app as the two commands see it that people and scripts use.
fn seen_by_commands(home: &Home, name: &str) -> Vec<(i32, u64, u64)> {
    let list = home.ctl(&["list", "-o", "json"]).ok().json();
    let app = list["apps"].as_array().unwrap().iter().find(|app| app["name"] == name).cloned();
    let listed = App(app.unwrap_or_else(|| panic!("no {name} in {list}"))).identity();
    let jlist = home.ctl(&["jlist"]).ok().json();
    let rows = jlist.as_array().unwrap().iter().filter(|row| row["name"] == name);
    let number = |value: &Value| value.as_u64().unwrap();
    let rows: Vec<(i32, u64, u64)> = rows
        .map(|row| {
            let pid = i32::try_from(number(&row["pid"])).unwrap();
            (pid, number(&row["pm_id"]), number(&row["pm2_env"]["restart_time"]))
        })
        .collect();
    assert_eq!(rows, listed, "jlist and list differ");
    listed
}

/// The mortal exits around the kill of one of the pair.
fn kill_with_an_exit(home: &Home, target: Target, exit_first: bool) -> Duration {
    let mortal = home.known("mortal");
    let worker = mortal.main();
    if exit_first {
        worker.signal(Signal::SIGUSR1);
    }
    let doomed = Process(target.pid(&home.api("/v1/version")));
    let begin = Instant::now();
    if !exit_first {
        // Both at the same time: the exit is nobody's to see.
        doomed.signal(Signal::SIGSTOP);
        worker.signal(Signal::SIGUSR1);
    }
    doomed.signal(Signal::SIGKILL);
    wait_for(PROMPT, &format!("a successor of the {target:?}"), || {
        let answer = home.ask("GET", "/v1/version", "", "").ok().filter(|one| one.status == 200)?;
        (target.pid(&answer.json()) != doomed.0).then_some(())
    });
    let back = begin.elapsed();
    let restarts = mortal.restarts()[0] + 1;
    let after = home.until("mortal", "its successor", |app| {
        app.status() == "online" && app.pids() != mortal.pids() && app.restarts() == [restarts]
    });
    assert_eq!(after.ids(), mortal.ids());
    back
}

/// Whether the kernel still tells how a process ended when its parent is gone (6.15).
fn exits_outlive_a_parent() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

fn soak(target: Target) {
    let home = Home::new();
    let port = free_port();
    let truth = begin(&home, port);
    let api = home.known("api").identity();
    let load = Load::start(port, 2, 1);
    let (mut exits, mut slowest) = (0, Duration::ZERO);
    for round in 0..KILLS {
        // What has the trap set can be told to exit.
        set(&home, exits + 1);
        let back = match round % 4 {
            0 => kill_with_an_exit(&home, target, false),
            2 => kill_with_an_exit(&home, target, true),
            _ => kill(&home, target),
        };
        exits += u64::from(round % 2 == 0);
        slowest = slowest.max(back);
        assert_eq!(seen_by_commands(&home, "api"), api, "round {round}");
        let mortal = seen_by_commands(&home, "mortal");
        assert_eq!(mortal[0].2, exits, "round {round}: {mortal:?}");
    }
    load.end().flawless();
    told_once(&home, target, exits);
    home.ctl(&["stop", "api"]).ok();
    let logs = [0, 1].map(|n| home.path().join(format!("logs/api-out-{n}.log")));
    let lines = truth::compare(&logs, &truth).unwrap_or_else(|flaw| panic!("{flaw}"));
    assert!(lines > 1_000, "{lines} lines");
    assert!(slowest <= BACK_MAX, "control was back after {slowest:?}");
}

/// Wait until the mortal has set its trap `times` times in all.
fn set(home: &Home, times: u64) {
    let log = home.path().join("logs/mortal-out.log");
    wait_for(PROMPT, "the mortal's trap", || {
        let text = std::fs::read_to_string(&log).ok()?;
        (text.lines().count() as u64 >= times).then_some(())
    });
}

fn told_once(home: &Home, target: Target, exits: u64) {
    let told = home.events_of("mortal", "exit");
    assert_eq!(told.len() as u64, exits, "{told:?}");
    let known = |event: &Value| {
        event["exit"] == "code 7"
            || target == Target::Keeper && !exits_outlive_a_parent() && event["exit"] == "unknown"
    };
    assert!(told.iter().all(known), "{told:?}");
    let started = home.events_of("mortal", "start");
    assert_eq!(started.len() as u64, exits + 1, "{started:?}");
    let version = home.api("/v1/version");
    let key = if target == Target::Daemon { "nexusd_restarts" } else { "keeper_restarts" };
    assert!(version[key].as_u64().unwrap() >= KILLS, "{version}");
}

#[test]
fn twenty_kills_of_nexusd_under_load() {
    soak(Target::Daemon);
}

#[test]
fn twenty_kills_of_the_keeper_under_load() {
    soak(Target::Keeper);
}
