//! Either of the pair dies or hangs, or both die: no worker notices.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nexus_tests::{Machine, PROMPT, wait_for};

use super::{UNIT, counted, daemon_pid, fetch, kill, main_pid, moved, pid, with_apps};

/// Let more than WatchdogSec pass with the same nexusd: it gives signs of life.
fn outlive_the_watchdog(machine: &Machine) {
    wait_for(PROMPT, "a nexusd that is six seconds old", || {
        let status = machine.try_run(&["nexusctl", "daemon", "status", "-o", "json"]);
        (status.code == 0 && status.json()["uptime_ms"].as_u64()? > 6_000).then_some(())
    });
}

#[test]
fn the_unit_serves_and_workers_have_nothing_of_systemds() {
    let Some(machine) = with_apps() else { return };
    let (main, worker) = (main_pid(&machine), pid(&machine, "web"));
    assert_eq!(machine.show(UNIT, "SubState"), "running");
    assert_eq!(machine.sh(&format!("cat /proc/{main}/comm")), "nexus-keeper");
    machine.wait_show(UNIT, "StatusText", |text| text == "2 of 2 instances online, 2 apps");
    // The socket is where sockets belong, and the home's name leads there.
    assert_eq!(machine.sh("readlink /var/lib/nexus/nexus.sock"), "/run/nexus/nexus.sock");
    assert_eq!(
        machine.sh("stat -c %a /run/nexus /run/nexus/nexus.sock /var/lib/nexus"),
        "700\n600\n700"
    );
    assert!(machine.run(&["nexusctl", "daemon", "status"]).contains("systemd unit nexusd.service"));
    // A worker is as killable as anybody, and speaks to us, not to systemd.
    assert_eq!(machine.sh(&format!("cat /proc/{worker}/oom_score_adj")), "0");
    let environ = machine.sh(&format!("tr '\\0' '\\n' </proc/{worker}/environ"));
    let of = |name: &str| environ.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    assert!(of("NOTIFY_SOCKET=").unwrap().starts_with("NOTIFY_SOCKET=@nexus/"), "{environ}");
    for name in ["WATCHDOG_", "INVOCATION_ID", "RUNTIME_DIRECTORY", "JOURNAL_STREAM"] {
        assert_eq!(of(name), None, "{environ}");
    }
    assert_eq!(of("LISTEN_FDS="), Some("LISTEN_FDS=1".to_owned()));
    // Its control group is its own, below the unit's.
    let group = machine.sh(&format!("grep 0:: /proc/{worker}/cgroup"));
    assert!(group.starts_with("0::/system.slice/nexusd.service/nexus-"), "{group}");
}

#[test]
fn a_dead_keeper_or_nexusd_is_replaced_without_a_restart_of_the_unit() {
    let Some(machine) = with_apps() else { return };
    let workers = [pid(&machine, "web"), pid(&machine, "count")];
    for _ in 0..3 {
        let main = main_pid(&machine);
        kill(&machine, "KILL", &[main]);
        let now = moved(&machine, main);
        assert_eq!(machine.sh(&format!("cat /proc/{now}/comm")), "nexus-keeper");
        let daemon = daemon_pid(&machine);
        kill(&machine, "KILL", &[daemon]);
        wait_for(PROMPT, "another nexusd", || (daemon_pid(&machine) != daemon).then_some(()));
        assert_eq!(main_pid(&machine), now);
    }
    outlive_the_watchdog(&machine);
    assert_eq!(machine.show(UNIT, "NRestarts"), "0");
    assert_eq!(machine.show(UNIT, "SubState"), "running");
    assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    counted(&machine, 200);
}

#[test]
fn after_the_death_of_both_systemd_gives_everything_back() {
    let Some(machine) = with_apps() else { return };
    let (web, count) = (pid(&machine, "web"), pid(&machine, "count"));
    let (main, daemon) = (main_pid(&machine), daemon_pid(&machine));
    // Stopped first: killing one of two only makes the other one take its place.
    kill(&machine, "STOP", &[main, daemon]);
    kill(&machine, "KILL", &[main, daemon]);
    // A worker dies meanwhile, too: who comes to its socket waits, and is answered.
    kill(&machine, "KILL", &[web]);
    let waiting = machine
        .command(&["curl", "-sS", "-m", "20", "http://127.0.0.1:7070/"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    moved(&machine, main);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let answered = waiting.wait_with_output().unwrap();
    assert!(answered.status.success() && !answered.stdout.is_empty(), "{answered:?}");
    assert_eq!(pid(&machine, "count"), count);
    counted(&machine, 150);
    // How it ended is known, though nobody of us was there.
    let why = machine.run(&["nexusctl", "why", "web"]);
    assert!(why.contains("SIGKILL"), "{why}");
    assert_eq!(
        machine.run(&["nexusctl", "list", "-o", "json"]).matches("\"restarts\":1").count(),
        2
    );
    // Again: what was stored once is stored for the next time.
    let (main, daemon, web) = (main_pid(&machine), daemon_pid(&machine), pid(&machine, "web"));
    // Stopped first: killing one of two only makes the other one take its place.
    kill(&machine, "STOP", &[main, daemon]);
    kill(&machine, "KILL", &[main, daemon]);
    moved(&machine, main);
    assert_eq!((pid(&machine, "web"), pid(&machine, "count")), (web, count));
    assert!(!fetch(&machine).is_empty());
    counted(&machine, 300);
    let journal = machine.run(&["journalctl", "-u", UNIT, "-o", "cat"]);
    assert_eq!(journal.matches("it goes on with what systemd kept").count(), 2, "{journal}");
}

/// More than systemd is given to keep: what it has no place for is found through `/proc`.
#[test]
fn a_large_fleet_is_given_back_whole_too() {
    const MANY: usize = 400;
    let Some(machine) = with_apps() else { return };
    let line = "trap 'echo here' USR1; while :; do sleep 100000 & wait $!; done";
    let start = ["nexusctl", "start", "--name", "many", "-i", "400", "--ready", "delay:0s", "--"];
    machine.run(&[&start[..], &["sh", "-c", line]].concat());
    let log = machine.disk("var/lib/nexus/nexusd.log");
    wait_for(PROMPT, "systemd's store to be full", || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains("systemd keeps no more descriptors").then_some(())
    });
    let workers = || machine.run(&["nexusctl", "pid", "many"]);
    let before = workers();
    assert_eq!(before.lines().count(), MANY);
    let (main, daemon) = (main_pid(&machine), daemon_pid(&machine));
    // Stopped first: killing one of two only makes the other one take its place.
    kill(&machine, "STOP", &[main, daemon]);
    kill(&machine, "KILL", &[main, daemon]);
    moved(&machine, main);
    assert_eq!(workers(), before);
    // One of the first and one of the last still write into their logs.
    for instance in [0, MANY - 1] {
        machine.run(&["nexusctl", "signal", "USR1", &format!("many/{instance}")]);
        let out = machine.disk(&format!("var/lib/nexus/logs/many-out-{instance}.log"));
        wait_for(PROMPT, "the line of a worker", || {
            (std::fs::read_to_string(&out).unwrap_or_default() == "here\n").then_some(())
        });
    }
    machine.run(&["systemctl", "stop", UNIT]);
    assert!(!machine.run(&["ps", "-eo", "args"]).contains("sleep 100000"));
}

#[test]
fn what_hangs_is_replaced_and_no_worker_notices() {
    let Some(machine) = with_apps() else { return };
    let workers = [pid(&machine, "web"), pid(&machine, "count")];
    for hangs in [daemon_pid, main_pid] {
        let hung = hangs(&machine);
        kill(&machine, "STOP", &[hung]);
        // By the other one, or by systemd's watchdog, which then ends the other one, too.
        wait_for(3 * PROMPT, "the end of who hangs", || {
            let said = machine.sh(&format!("kill -0 {hung} 2>/dev/null || echo gone"));
            (said == "gone").then_some(())
        });
        machine.wait_show(UNIT, "MainPID", |pid| pid != "0" && pid != hung.to_string());
        machine.wait_show(UNIT, "SubState", |state| state == "running");
        wait_for(PROMPT, "the next one's answer", || {
            (machine.try_run(&["nexusctl", "daemon", "status"]).code == 0).then_some(())
        });
        assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    }
    counted(&machine, 300);
}

#[test]
fn a_command_meanwhile_has_the_unit_started_and_founds_no_daemon_of_its_own() {
    let Some(machine) = with_apps() else { return };
    let (main, daemon) = (main_pid(&machine), daemon_pid(&machine));
    // Stopped first: killing one of two only makes the other one take its place.
    kill(&machine, "STOP", &[main, daemon]);
    kill(&machine, "KILL", &[main, daemon]);
    machine.run(&["nexusctl", "restart", "count"]);
    assert!(machine.run(&["nexusctl", "daemon", "status"]).contains("systemd unit nexusd.service"));
    let group = machine.sh(&format!("grep 0:: /proc/{}/cgroup", main_pid(&machine)));
    assert_eq!(group, "0::/system.slice/nexusd.service");
}

/// systemd before 250 knows no `ExitType=cgroup`.
#[test]
fn without_exit_type_the_new_main_process_hands_over_to_the_living_pair() {
    let Some(machine) = with_apps() else { return };
    let drop_in = machine.disk("etc/systemd/system/nexusd.service.d");
    std::fs::create_dir(&drop_in).unwrap();
    std::fs::write(drop_in.join("old.conf"), "[Service]\nExitType=main\n").unwrap();
    machine.run(&["systemctl", "daemon-reload"]);
    let workers = [pid(&machine, "web"), pid(&machine, "count")];
    for _ in 0..2 {
        let main = main_pid(&machine);
        kill(&machine, "KILL", &[main]);
        machine.wait_show(UNIT, "SubState", |state| state == "running");
        let now = moved(&machine, main);
        wait_for(PROMPT, "the keeper to be the main process", || {
            let main = main_pid(&machine);
            (main != 0 && machine.sh(&format!("cat /proc/{main}/comm")) == "nexus-keeper")
                .then_some(())
        });
        assert_ne!(now, main);
    }
    outlive_the_watchdog(&machine);
    assert_eq!(machine.show(UNIT, "SubState"), "running");
    assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    // Both: at once, since the death of the main process is seen.
    let (main, daemon) = (main_pid(&machine), daemon_pid(&machine));
    // Stopped first: killing one of two only makes the other one take its place.
    kill(&machine, "STOP", &[main, daemon]);
    kill(&machine, "KILL", &[main, daemon]);
    moved(&machine, main);
    assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    counted(&machine, 200);
}
