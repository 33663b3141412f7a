//! A stop leaves nothing, whatever has died before; a start brings back what was wanted.

use nexus_tests::{Machine, PROMPT, wait_for};

use super::{UNIT, counted, daemon_pid, fetch, kill, main_pid, pid, with_apps};

fn nothing_is_left(machine: &Machine) {
    // Not what has ended and was not reaped yet.
    let ours = |line: &str| {
        !line.contains("<defunct>")
            && ["nexus", "sleep", "echo $i"].iter().any(|part| line.contains(part))
    };
    let all = machine.run(&["ps", "-eo", "pid,args"]);
    let left: Vec<&str> = all.lines().filter(|line| ours(line)).collect();
    assert!(left.is_empty(), "{left:?}\n{}", machine.last_words());
    assert_eq!(machine.sh("ls /sys/fs/cgroup/system.slice | grep nexusd; true"), "");
}

#[test]
fn a_stop_leaves_nothing_and_a_start_brings_all_back() {
    let Some(machine) = with_apps() else { return };
    machine.run(&["nexusctl", "stop", "web"]);
    machine.run(&["systemctl", "stop", UNIT]);
    assert_eq!(machine.show(UNIT, "ActiveState"), "inactive");
    nothing_is_left(&machine);
    machine.run(&["systemctl", "start", UNIT]);
    machine.run(&["nexusctl", "wait", "count", "--for", "ready"]);
    // What was stopped by hand stays so.
    assert_eq!(machine.try_run(&["nexusctl", "status", "web"]).code, 3);
    let before = pid(&machine, "count");
    machine.run(&["systemctl", "restart", UNIT]);
    machine.run(&["nexusctl", "wait", "count", "--for", "ready"]);
    assert_ne!(pid(&machine, "count"), before);
}

#[test]
fn a_stop_leaves_nothing_right_after_the_death_of_one_or_both() {
    let Some(machine) = with_apps() else { return };
    for both in [false, true] {
        let (main, daemon) = (main_pid(&machine), daemon_pid(&machine));
        let dying = if both { vec![main, daemon] } else { vec![main] };
        kill(&machine, "KILL", &dying);
        machine.run(&["systemctl", "stop", UNIT]);
        nothing_is_left(&machine);
        machine.run(&["systemctl", "reset-failed", UNIT]);
        machine.run(&["systemctl", "start", UNIT]);
        machine.run(&["nexusctl", "wait", "all", "--for", "ready"]);
    }
    assert!(!fetch(&machine).is_empty());
}

#[test]
fn the_end_of_the_daemon_alone_is_an_upgrade_in_place() {
    let Some(machine) = with_apps() else { return };
    let workers = [pid(&machine, "web"), pid(&machine, "count")];
    let main = main_pid(&machine);
    let said = machine.try_run(&["nexusctl", "daemon", "stop"]).stderr;
    assert!(said.contains("systemctl stop nexusd.service"), "{said}");
    super::moved(&machine, main);
    assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    counted(&machine, 150);
}

#[test]
fn an_upgrade_is_nothing_that_systemd_notices() {
    let Some(machine) = with_apps() else { return };
    let workers = [pid(&machine, "web"), pid(&machine, "count")];
    let (main, daemon) = (main_pid(&machine), daemon_pid(&machine));
    machine.sh("cp /usr/local/bin/nexusctl /usr/local/bin/nexusctl-next");
    machine.run(&["nexusctl-next", "daemon", "upgrade"]);
    assert_eq!(main_pid(&machine), main);
    assert_ne!(daemon_pid(&machine), daemon);
    assert_eq!(machine.show(UNIT, "NRestarts"), "0");
    assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    let exe = machine.sh(&format!("readlink /proc/{main}/exe"));
    assert_eq!(exe.trim(), "/usr/local/bin/nexusctl-next");
    // What systemd keeps is kept for the new program, too.
    kill(&machine, "KILL", &[main, daemon_pid(&machine)]);
    super::moved(&machine, main);
    assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    assert!(!fetch(&machine).is_empty());
    counted(&machine, 100);
}

#[test]
fn kill_stops_the_apps_for_good_and_systemd_brings_back_the_daemon() {
    let Some(machine) = with_apps() else { return };
    let said = machine.try_run(&["nexusctl", "kill", "--yes"]).stderr;
    assert!(said.contains("systemd starts it again"), "{said}");
    wait_for(PROMPT, "the daemon", || {
        (machine.try_run(&["nexusctl", "daemon", "status"]).code == 0).then_some(())
    });
    assert_eq!(machine.try_run(&["nexusctl", "status"]).code, 3);
}
