//! The pair itself: found, asked, ended, adopted, in the foreground.

use std::time::{Duration, Instant};

use nexus_tests::http::get;
use nexus_tests::{Home, PROMPT, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell, worker};

fn calm(home: &Home) {
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
}

#[test]
fn an_idle_home_has_two_processes_of_the_names_that_operators_see() {
    let home = Home::new();
    calm(&home);
    home.ctl(&["delete", "calm"]).ok();
    let (keeper, daemon) = (home.keeper().unwrap(), home.daemon().unwrap());
    assert_eq!(home.processes().len(), 2);
    assert_eq!(daemon.ppid(), Some(keeper.0));
    let status = home.ctl(&["daemon", "status", "-o", "json"]).ok().json();
    assert_eq!(status["pid"], daemon.0);
    assert_eq!(status["keeper_pid"], keeper.0);
    assert!(status["version"].is_string() && status["uptime_ms"].is_u64(), "{status}");
    let home_path = home.path().display().to_string();
    for process in [keeper, daemon] {
        assert_eq!(process.env("NEXUS_HOME").as_deref(), Some(home_path.as_str()));
    }
}

#[test]
fn questions_start_no_daemon() {
    let home = Home::new();
    for args in [["list"].as_slice(), &["jlist"], &["logs"], &["daemon", "status"], &["kill"]] {
        home.ctl(args);
    }
    assert_eq!(home.processes(), []);
}

#[test]
fn kill_stops_all_and_leaves_no_process() {
    let home = Home::new();
    calm(&home);
    home.ctl(&[
        "start", "--name", "other", "-i", "3", "--ready", "delay:0s", "--", "sleep", "1000",
    ])
    .ok();
    assert_eq!(home.processes().len(), 6);
    home.ctl(&["kill"]).ok();
    assert_eq!(home.processes(), []);
    assert!(home.connect().is_err());
    home.ctl(&["kill"]).ok();
    home.ctl(&["daemon", "status"]).expect_code(3);
}

#[test]
fn after_a_kill_a_new_pair_does_not_bring_the_apps_back_by_itself() {
    let home = Home::new();
    calm(&home);
    home.ctl(&["kill"]).ok();
    home.ctl(&["start", "--name", "other", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    assert!(home.app("calm").is_none_or(|app| app.status() == "stopped"));
}

#[test]
fn workers_outlive_daemon_stop_and_the_next_start_adopts_them() {
    let home = Home::new();
    let port = free_port();
    let more = format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"\ninstances = 2");
    let text = worker("api", &["--serve", "--ready-after", "0"], &more);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let before = home.known("api");
    let (keeper, daemon) = (home.keeper().unwrap(), home.daemon().unwrap());
    home.ctl(&["daemon", "stop"]).ok();
    wait_for(PROMPT, "the end of the pair", || (!keeper.alive() && !daemon.alive()).then_some(()));
    assert_eq!(home.processes().len(), 2, "the workers run on");
    assert_eq!(get(port, "/alone").unwrap().status, 200);
    home.ctl(&["resurrect"]).ok();
    let after = home.until("api", "the adoption", |app| app.status() == "online");
    assert_eq!(after.identity(), before.identity());
    assert_eq!(get(port, "/adopted").unwrap().status, 200);
    // Adopted for good: a death is mended.
    after.main().signal(Signal::SIGKILL);
    home.until("api", "a replacement", |app| {
        app.status() == "online" && app.pids()[0] != before.pids()[0] && app.restarts() == [1, 0]
    });
}

#[test]
fn after_sigkill_of_both_the_next_start_adopts_the_workers() {
    let home = Home::new();
    calm(&home);
    let before = home.known("calm");
    kill_both(&home);
    assert!(before.main().alive());
    home.ctl(&["start"]).ok();
    assert_eq!(home.known("calm").identity(), before.identity());
    assert_eq!(home.processes().len(), 3);
}

/// Its status is told where the kernel still can (it is a zombie yet), else it is unknown; it is never
/// guessed.
#[test]
fn an_exit_while_both_are_dead_is_told_once_and_mended() {
    let home = Home::new();
    let line = "trap 'exit 7' USR1; echo set; while :; do sleep 1000 & wait; done";
    home.write("ecosystem.toml", &shell("mortal", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/mortal-out.log");
    wait_for(PROMPT, "its trap", || std::fs::read(&log).ok().filter(|text| !text.is_empty()));
    let mortal = home.known("mortal");
    kill_both(&home);
    mortal.main().signal(Signal::SIGUSR1);
    wait_for(PROMPT, "its end", || (!mortal.main().alive()).then_some(()));
    home.ctl(&["list"]).ok();
    let after = home
        .until("mortal", "its successor", |app| app.status() == "online" && app.restarts() == [1]);
    assert_eq!(after.ids(), mortal.ids());
    assert_ne!(after.pids(), mortal.pids());
    let told = home.events_of("mortal", "exit");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["exit"] == "code 7" || told[0]["exit"] == "unknown", "{told:?}");
}

#[test]
fn an_exit_of_which_nobody_was_told_follows_the_run_that_it_ended() {
    let home = Home::new();
    // Given up after an exit that is not that of a stable run.
    let more = format!("{AT_ONCE}\nmin_uptime = 0\nmax_restarts = 0");
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    let calm = home.until("calm", "calm is up", |app| app.status() == "online");
    kill_both(&home);
    calm.main().signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end, reaped", || calm.main().state().is_none().then_some(()));
    home.ctl(&["list"]).ok();
    home.until("calm", "its successor", |app| app.status() == "online" && app.restarts() == [1]);
    assert_eq!(home.events_of("calm", "exit")[0]["exit"], "unknown");
}

/// Both at once: killing one of two only makes the other one take its place.
pub(crate) fn kill_both(home: &Home) {
    // One that has just been replaced is about to be there.
    let pair = wait_for(PROMPT, "the pair", || Some([home.keeper()?, home.daemon()?]));
    pair.iter().for_each(|process| process.signal(Signal::SIGSTOP));
    pair.iter().for_each(|process| process.signal(Signal::SIGKILL));
    wait_for(PROMPT, "the end of the pair", || {
        pair.iter().all(|process| !process.alive()).then_some(())
    });
}

#[test]
fn after_sigkill_of_both_during_a_start_each_instance_runs_once() {
    for born in [0, 1, 10, 25, 40] {
        let home = Home::new();
        // So that the moment is counted from the order on, not from the birth of the pair.
        home.ctl(&["start", "--name", "calm", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
        let many = ["start", "--name", "many", "-i", "40", "--ready", "delay:0s", "--no-wait"];
        home.ctl(&[many.as_slice(), &["--", "sleep", "1000"]].concat()).ok();
        // Beside the pair and its one worker.
        wait_for(PROMPT, "some of them", || (home.processes().len() >= 3 + born).then_some(()));
        kill_both(&home);
        home.ctl(&["list"]).ok();
        let many = home
            .until("many", "all of them", |app| app.status() == "online" && app.pids().len() == 40);
        let mut known = many.pids();
        known.extend(home.known("calm").pids());
        known.sort_unstable();
        let pair = [home.keeper().unwrap(), home.daemon().unwrap()];
        let running = home.processes().into_iter().filter(|process| !pair.contains(process));
        let mut running: Vec<_> = running.map(|process| process.0).collect();
        running.sort_unstable();
        assert_eq!(running, known, "both killed when {born} were born");
        home.ctl(&["kill"]).ok();
        // nexusd ends an instant after the keeper.
        wait_for(PROMPT, "the end of all", || home.processes().is_empty().then_some(()));
    }
}

#[test]
fn what_a_worker_of_a_dead_pair_has_left_behind_is_ended() {
    let home = Home::new();
    let line = "setsid sleep 1001 & exec sleep 1000";
    home.write("ecosystem.toml", &shell("parent", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let main = home.known("parent").main();
    wait_for(PROMPT, "its child", || (home.processes().len() == 4).then_some(()));
    kill_both(&home);
    main.signal(Signal::SIGKILL);
    home.ctl(&["list"]).ok();
    home.until("parent", "a successor", |app| app.status() == "online" && app.main() != main);
    wait_for(PROMPT, "one family", || (home.processes().len() == 4).then_some(()));
}

#[test]
fn too_low_a_limit_of_descriptors_is_said() {
    let home = Home::new();
    let limited = |limit: &str| {
        // Without the right to raise it, as any user but root.
        let mut command = home.command(std::path::Path::new("setpriv"));
        command.args(["--bounding-set=-sys_resource", "prlimit", &format!("--nofile={limit}")]);
        command.arg(nexus_tests::program("nexusctl"));
        command.args(["start", "--name", "calm", "--ready", "delay:0s", "--", "sleep", "1000"]);
        nexus_tests::run(&mut command, Duration::from_secs(30))
    };
    let said = limited("64:64").expect_code(7);
    assert!(said.stderr.contains("nexus needs 128 descriptors, the hard limit is 64"), "{said:?}");
    assert_eq!(home.processes(), []);
    // What may be raised is raised.
    limited("40:1024").ok();
}

#[test]
fn after_sigkill_of_both_any_question_brings_them_back() {
    let home = Home::new();
    calm(&home);
    for question in [["list"].as_slice(), &["jlist"], &["why", "calm"], &["logs", "calm"]] {
        let before = home.known("calm");
        kill_both(&home);
        home.ctl(&["daemon", "status"]).expect_code(3);
        let said = home.ctl(question).ok();
        assert!(said.stderr.contains("were killed; started them anew"), "{said:?}");
        assert_eq!(home.known("calm").identity(), before.identity());
    }
    kill_both(&home);
    home.ctl(&["kill"]).ok();
    assert_eq!(home.processes(), []);
}

#[test]
fn the_list_tells_what_is_known_while_nobody_looks_after_it() {
    let home = Home::new();
    calm(&home);
    home.ctl(&["start", "--name", "other", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    home.ctl(&["stop", "other"]).ok();
    home.ctl(&["daemon", "stop"]).ok();
    let said = home.ctl(&["list"]).ok().stdout;
    assert!(said.contains("2 apps known"), "{said}");
    assert!(said.contains("calm  1 instance wanted") && said.contains("other  stopped"), "{said}");
    home.ctl(&["resurrect"]).ok();
    home.until("calm", "its adoption", |app| app.status() == "online");
}

#[test]
fn a_daemon_in_the_foreground_stops_the_workers_and_ends_by_sigterm() {
    let home = Home::new();
    let mut daemon = home.foreground(&["daemon", "run"], "daemon.txt");
    wait_for(PROMPT, "the daemon", || home.ask("GET", "/v1/version", "", "").ok());
    let version = home.api("/v1/version");
    assert_eq!(version["keeper_pid"], daemon.process().0, "the foreground is the keeper");
    calm(&home);
    let worker = home.known("calm").main();
    assert_eq!(daemon.end_by(Signal::SIGTERM), Some(0));
    assert!(!worker.alive());
    wait_for(PROMPT, "the end of all", || home.processes().is_empty().then_some(()));
}

#[test]
fn a_second_daemon_of_a_home_is_refused() {
    let home = Home::new();
    calm(&home);
    let output = home.ctl(&["daemon", "run"]);
    assert!(output.code != 0, "{output:?}");
    assert!(!output.stderr.is_empty());
    assert_eq!(home.processes().len(), 3);
}

#[test]
fn the_pair_comes_back_within_a_second_when_each_is_killed_once() {
    let home = Home::new();
    calm(&home);
    let before = home.known("calm").identity();
    for (kill, key) in [(Home::daemon as fn(&Home) -> _, "pid"), (Home::keeper, "keeper_pid")] {
        let doomed = kill(&home).unwrap();
        doomed.signal(Signal::SIGKILL);
        let begin = Instant::now();
        wait_for(PROMPT, "a successor", || {
            let answer = home.ask("GET", "/v1/version", "", "").ok()?;
            (answer.status == 200 && answer.json()[key] != doomed.0).then_some(())
        });
        assert!(begin.elapsed() < Duration::from_secs(1), "back after {:?}", begin.elapsed());
        assert_eq!(home.known("calm").identity(), before);
    }
    wait_for(PROMPT, "two of the pair", || {
        (home.processes().len() == 3 && home.keeper().is_some() && home.daemon().is_some())
            .then_some(())
    });
}
