//! `startup` and `unstartup` on a machine of their own; and the boot that brings all back.

use nexus_tests::{Home, Machine, can_boot};

use super::{UNIT, main_pid, pid, start_apps};

const FILE: &str = "etc/systemd/system/nexusd.service";

#[test]
fn startup_takes_the_running_daemon_over_and_a_boot_brings_its_apps_back() {
    if !can_boot() {
        return;
    }
    let mut machine = Machine::boot();
    // As PM2's users do it: first the apps, then startup. The home is root's under systemd.
    start_apps(&machine);
    let workers = [pid(&machine, "web"), pid(&machine, "count")];
    assert!(machine.disk("var/lib/nexus/state").is_dir());

    let plan = machine.try_run(&["nexusctl", "startup", "--dry-run"]).ok();
    assert!(plan.stderr.contains("end the daemon that runs now"), "{}", plan.stderr);
    assert!(plan.stdout.is_empty() && !machine.disk(FILE).exists());

    // On a terminal it asks; anything but yes changes nothing.
    let line = "echo n | script -qec 'nexusctl startup' /dev/null";
    let asked = machine.try_run(&["sh", "-c", line]).expect_code(5);
    assert!(asked.stdout.contains("go on? [y/N]"), "{}", asked.stdout);
    assert!(!machine.disk(FILE).exists());

    let done = machine.run(&["nexusctl", "startup", "--yes"]);
    assert!(done.starts_with("nexusd.service is enabled and runs"), "{done}");
    assert!(
        done.contains("with 2 apps") && done.contains("undo: sudo nexusctl unstartup"),
        "{done}"
    );
    assert_eq!(machine.show(UNIT, "UnitFileState"), "enabled");
    assert_eq!([pid(&machine, "web"), pid(&machine, "count")], workers);
    assert_eq!(
        machine.run(&["systemd-analyze", "verify", "/etc/systemd/system/nexusd.service"]),
        ""
    );

    // Once more: nothing to do.
    let main = main_pid(&machine);
    let again = machine.try_run(&["nexusctl", "startup", "-o", "json"]).ok();
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert_eq!(again.json()["apps"], 2);
    assert_eq!(main_pid(&machine), main);

    machine.run(&["nexusctl", "stop", "web"]);
    machine.reboot();
    machine.run(&["nexusctl", "wait", "count", "--for", "ready"]);
    assert_eq!(machine.try_run(&["nexusctl", "status", "web"]).code, 3);
    assert_eq!(machine.show(UNIT, "SubState"), "running");

    // The undo: what runs, runs on; after a boot nothing does.
    let count = pid(&machine, "count");
    let undone = machine.run(&["nexusctl", "unstartup", "--yes"]);
    assert!(undone.contains("undo: sudo nexusctl startup"), "{undone}");
    assert!(!machine.disk(FILE).exists());
    assert_eq!(pid(&machine, "count"), count);
    let nothing = machine.try_run(&["nexusctl", "unstartup"]).ok();
    assert!(nothing.stderr.contains("nothing to do"), "{}", nothing.stderr);
    machine.reboot();
    assert_eq!(machine.try_run(&["nexusctl", "daemon", "status"]).code, 3);
}

#[test]
fn a_users_daemon_runs_with_her_rights_from_boot_on() {
    if !can_boot() {
        return;
    }
    let mut machine = Machine::boot();
    let alice = |machine: &Machine, line: &str| {
        let words = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", "env"];
        let home = ["HOME=/home/alice", "sh", "-c", line];
        machine.try_run(&[&words[..], &home[..]].concat())
    };
    // Without the right she is told the command for it.
    let refused = alice(&machine, "nexusctl startup").expect_code(8);
    let line = "sudo /usr/local/bin/nexusctl startup --user alice";
    assert!(refused.stderr.contains(line), "{}", refused.stderr);
    alice(&machine, "nexusctl startup --user root").expect_code(8);
    assert!(!machine.disk("etc/systemd/system/nexusd-alice.service").exists());

    machine.run(&["nexusctl", "startup", "--user", "alice", "--yes"]);
    alice(&machine, "nexusctl start --name hers -- sleep 1000").ok();
    machine.reboot();
    alice(&machine, "nexusctl wait hers --for ready").ok();
    let pid = alice(&machine, "nexusctl pid hers").ok().stdout;
    let owner = machine.sh(&format!("stat -c %U /proc/{}", pid.trim()));
    assert_eq!(owner, "alice");
    assert_eq!(machine.sh("stat -c '%U %a' /home/alice/.nexus"), "alice 700");
    machine.run(&["nexusctl", "unstartup", "--user", "alice", "--yes"]);
    let unknown = machine.try_run(&["nexusctl", "startup", "--user", "nobody-at-all"]);
    assert!(unknown.expect_code(2).stderr.contains("there is no user"));
}

#[test]
fn what_somebody_else_wrote_or_what_cannot_run_is_left_as_it_was() {
    if !can_boot() {
        return;
    }
    let machine = Machine::boot();
    std::fs::write(machine.disk(FILE), "[Service]\nExecStart=/bin/true\n").unwrap();
    for verb in ["startup", "unstartup"] {
        let refused = machine.try_run(&["nexusctl", verb, "--yes"]).expect_code(5);
        assert!(refused.stderr.contains("was not written by nexusctl"), "{}", refused.stderr);
    }
    assert!(std::fs::read_to_string(machine.disk(FILE)).unwrap().contains("/bin/true"));
    std::fs::remove_file(machine.disk(FILE)).unwrap();
    // A home that cannot serve: the unit cannot start, and is not left behind.
    machine.sh("touch /var/lib/blocked; chmod 777 /var/lib/blocked");
    let line = "NEXUS_HOME=/var/lib/blocked nexusctl startup --yes";
    let failed = machine.try_run(&["sh", "-c", line]).expect_code(1);
    assert!(failed.stderr.contains("journalctl -u nexusd.service"), "{}", failed.stderr);
    assert!(!machine.disk(FILE).exists());
    assert_eq!(machine.show(UNIT, "LoadState"), "not-found");
    // A program that the user may not run.
    machine.sh("mkdir /srv/closed; cp /usr/local/bin/nexusctl /srv/closed; chmod 700 /srv/closed");
    let closed = machine.try_run(&["/srv/closed/nexusctl", "startup", "--user", "alice", "--yes"]);
    assert!(closed.expect_code(5).stderr.contains("alice may not run /srv/closed/nexusctl"));
}

#[test]
fn another_init_is_named_and_the_unit_can_be_printed_everywhere() {
    let home = Home::new();
    let printed = home.ctl(&["startup", "--print"]).ok().stdout;
    let line = format!("Environment=NEXUS_HOME={}", home.path().display());
    assert!(printed.lines().any(|l| l == line), "{printed}");
    if std::path::Path::new("/run/systemd/system").is_dir() {
        return;
    }
    let refused = home.ctl(&["startup", "--yes"]).expect_code(1);
    assert!(refused.stderr.contains("systemd does not run this machine"), "{}", refused.stderr);
    assert!(refused.stderr.contains("its process 1 is `"), "{}", refused.stderr);
    assert!(refused.stderr.contains("nexusctl daemon run"), "{}", refused.stderr);
}
