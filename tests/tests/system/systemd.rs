//! The unit under the installed systemd, booted as process 1 of a machine of its own.

mod deaths;
mod installing;
mod stopping;

use nexus_tests::{Machine, PROMPT, can_boot, wait_for};

/// An app that writes a number every 20 ms, beginning where its file says.
const COUNTER: &str = "i=0; while :; do i=$((i+1)); echo $i; sleep .02; done";
const UNIT: &str = "nexusd.service";

/// A machine on which the example unit runs an app that counts and one that serves; `None` = not
/// possible here, and said so.
fn with_apps() -> Option<Machine> {
    if !can_boot() {
        return None;
    }
    let machine = Machine::boot();
    machine.install_example();
    machine.run(&["systemctl", "start", UNIT]);
    start_apps(&machine);
    Some(machine)
}

fn start_apps(machine: &Machine) {
    let project = format!(
        "[[apps]]\nname = \"count\"\nscript = \"/bin/sh\"\nargs = [\"-c\", \"{COUNTER}\"]\n\
         ready = \"delay:0s\"\n\n\
         [[apps]]\nname = \"web\"\nscript = \"/usr/local/bin/nexus-test-worker\"\n\
         args = [\"--serve\", \"--ready-after\", \"0\"]\nlisten = \"tcp://127.0.0.1:7070\"\n\
         ready = \"notify\"\n"
    );
    std::fs::write(machine.disk("home/ecosystem.toml"), project).unwrap();
    machine.run(&["nexusctl", "start", "/home/ecosystem.toml"]);
}

fn main_pid(machine: &Machine) -> i32 {
    machine.wait_show(UNIT, "MainPID", |pid| pid != "0").parse().unwrap()
}

fn daemon_pid(machine: &Machine) -> i32 {
    machine.number(&["nexusctl", "daemon", "status", "-o", "name"])
}

fn pid(machine: &Machine, app: &str) -> i32 {
    machine.number(&["nexusctl", "pid", app])
}

fn kill(machine: &Machine, signal: &str, pids: &[i32]) {
    // 0 would be the process group, and so this test.
    assert!(pids.iter().all(|pid| *pid > 1), "{pids:?}");
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    machine.sh(&format!("kill -{signal} {}", pids.join(" ")));
}

/// Wait until another main process is named and a daemon answers.
fn moved(machine: &Machine, from: i32) -> i32 {
    let main = machine.wait_show(UNIT, "MainPID", |pid| pid != "0" && pid != from.to_string());
    wait_for(PROMPT, "the daemon's answer", || {
        (machine.try_run(&["nexusctl", "daemon", "status"]).code == 0).then_some(())
    });
    main.parse().unwrap()
}

/// The counter's log has every number once, in order; at least `at_least` of them.
fn counted(machine: &Machine, at_least: usize) {
    let log = machine.disk("var/lib/nexus/logs/count-out.log");
    let numbers = || -> Vec<u64> {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap_or(0)).collect()
    };
    wait_for(PROMPT, "more numbers", || (numbers().len() >= at_least).then_some(()));
    let numbers = numbers();
    let gap = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]);
    assert_eq!(gap, None, "of {} lines", numbers.len());
}

/// What `curl` gets from the app that serves, inside.
fn fetch(machine: &Machine) -> String {
    machine.run(&["curl", "-sS", "-m", "20", "http://127.0.0.1:7070/"])
}
