//! `doctor` on a real machine: what it says is so, and its remedies mend it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nexus_tests::{Home, PROMPT, program, run, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{AT_ONCE, shell};

/// What it says of one thing: its level, and its remedy.
fn says(home: &Home, check: &str) -> (String, String) {
    let document = home.ctl(&["doctor", "-o", "json"]).json();
    let all = document["checks"].as_array().unwrap();
    let one = all.iter().find(|one| one["check"] == check);
    let one = one.unwrap_or_else(|| panic!("nothing of {check}: {document}"));
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (text("level"), text("fix"))
}

#[test]
fn it_starts_nothing_and_has_nothing_to_say_against_a_home_in_order() {
    let home = Home::new();
    let before = home.ctl(&["doctor"]);
    assert!(before.stdout.contains("none runs"), "{before:?}");
    assert_eq!(home.processes(), []);
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    for check in ["daemon", "program", "home", "state", "files", "kernel", "apps"] {
        assert_eq!(says(&home, check), ("ok".into(), String::new()), "{check}");
    }
    let document = home.ctl(&["doctor", "-o", "json"]).json();
    let count = |level: &str| {
        let all = document["checks"].as_array().unwrap();
        all.iter().filter(|one| one["level"] == level).count()
    };
    assert_eq!(document["schema"], "nexus.doctor/1");
    for (key, level) in [("ok", "ok"), ("warnings", "warning"), ("failures", "failure")] {
        assert_eq!(document[key], count(level), "{document}");
    }
    assert_eq!(home.ctl(&["doctor"]).code == 0, document["failures"] == 0);
    let lines = home.ctl(&["doctor", "-o", "jsonl"]).stdout;
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
}

#[test]
fn a_home_that_is_open_to_others_is_a_failure_until_its_remedy_is_taken() {
    let home = Home::new();
    home.ctl(&["start", "--name", "calm", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    let key = home.path().join("state/key");
    let named = || {
        let names = home.ctl(&["doctor", "-o", "name"]).stdout;
        names.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // What is to be said of this machine, such as that it has few inotify watches, was said before.
    // How full its disk is may be worth a word at any moment.
    let before = named();
    assert!(!before.iter().any(|name| name == "home" || name == "state"), "{before:?}");
    let new = || {
        let known = |name: &String| name == "disk" || before.contains(name);
        named().into_iter().filter(|name| !known(name)).collect::<Vec<_>>()
    };
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    home.ctl(&["doctor"]).expect_code(1);
    assert_eq!(new(), ["home", "state"]);
    for check in ["home", "state"] {
        let (level, fix) = says(&home, check);
        assert_eq!(level, "failure");
        run(home.command(Path::new("sh")).args(["-c", &fix]), PROMPT).ok();
        assert_eq!(says(&home, check).0, "ok");
    }
    assert_eq!(new(), Vec::<String>::new());
}

#[test]
fn the_death_of_both_is_a_failure_and_who_runs_on_is_named() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let pair = [home.keeper().unwrap(), home.daemon().unwrap()];
    pair.iter().for_each(|process| process.signal(Signal::SIGSTOP));
    pair.iter().for_each(|process| process.signal(Signal::SIGKILL));
    wait_for(PROMPT, "their end", || pair.iter().all(|one| !one.alive()).then_some(()));
    let said = home.ctl(&["doctor"]).expect_code(1).stdout;
    assert!(said.contains("were killed") && said.contains("calm/0"), "{said}");
    // It has started nobody, and its remedy does.
    assert!(home.daemon().is_none());
    let (_, fix) = says(&home, "daemon");
    let words: Vec<&str> = fix.split_whitespace().skip(1).take(1).collect();
    home.ctl(&words).ok();
    assert_eq!(says(&home, "daemon").0, "ok");
}

#[test]
fn a_program_that_was_replaced_under_the_daemon_is_told_and_the_upgrade_mends_it() {
    let home = Home::new();
    let own = home.project().join("nexusctl");
    std::fs::copy(program("nexusctl"), &own).unwrap();
    let ctl = |args: &[&str]| run(home.command(&own).args(args), PROMPT);
    ctl(&["start", "--name", "calm", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    assert_eq!(says(&home, "program").0, "ok");
    std::fs::remove_file(&own).unwrap();
    std::fs::copy(program("nexusctl"), &own).unwrap();
    let (level, fix) = says(&home, "program");
    assert_eq!(level, "warning");
    assert!(fix.starts_with("nexusctl daemon upgrade"), "{fix}");
    ctl(&["daemon", "upgrade"]).ok();
    assert_eq!(says(&home, "program").0, "ok");
}
