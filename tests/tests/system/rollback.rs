//! `rollback`: to what an app was before; and what a reload says of itself while it takes its time.

use nexus_tests::{Home, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::reload::passed;
use crate::{AT_ONCE, shell, worker};

/// An app of this version, with a secret of its own.
fn version(home: &Home, number: u32) {
    let more = format!("{AT_ONCE}\nenv = {{ API_KEY = \"hunter2-{number}\" }}");
    home.write("ecosystem.toml", &shell("web", &format!("exec sleep 100{number}"), &more));
}

/// It runs, with its secret.
fn is_version(home: &Home, number: u32) {
    let web = home.until("web", "a worker", |app| app.status() == "online");
    let main = Process(web.main().0);
    let wanted = ["sleep".to_owned(), format!("100{number}")];
    wait_for(PROMPT, "its program", || (main.args()? == wanted).then_some(()));
    assert_eq!(main.env("API_KEY").unwrap(), format!("hunter2-{number}"));
}

/// The one that it has, and those that it has had, the newest first.
fn versions(home: &Home) -> (u64, Vec<u64>) {
    let web = home.api("/v1/apps/web");
    let had = web["versions"].as_array().unwrap().iter();
    let had = had.map(|version| version["generation"].as_u64().unwrap());
    (web["version"].as_u64().unwrap(), had.collect())
}

/// Three versions, one after another.
fn three(home: &Home) {
    version(home, 1);
    home.ctl(&["start"]).ok();
    for number in 2..=3 {
        version(home, number);
        home.ctl(&["reload", "ecosystem.toml"]).ok();
    }
}

#[test]
fn a_rollback_leads_a_step_back_each_time_and_by_name_to_any() {
    let home = Home::new();
    version(&home, 1);
    home.ctl(&["start"]).ok();
    let said = home.ctl(&["rollback", "web"]).expect_code(5).stderr;
    assert!(said.contains("no earlier configuration"), "{said}");
    for number in 2..=3 {
        version(&home, number);
        home.ctl(&["reload", "ecosystem.toml"]).ok();
    }
    assert_eq!(versions(&home), (3, vec![2, 1]));
    let plan = home.ctl(&["rollback", "web", "--dry-run"]).ok().stdout;
    assert!(plan.contains("to generation 2") && plan.contains("env.API_KEY"), "{plan}");
    let said = home.ctl(&["rollback", "web"]).ok().stderr;
    assert!(said.contains("rolled back web: ready 1 of 1"), "{said}");
    is_version(&home, 2);
    assert_eq!(versions(&home), (2, vec![3, 1]));
    home.ctl(&["rollback", "web", "-q"]).ok();
    is_version(&home, 1);
    let shown = home.ctl(&["describe", "web"]).ok().stdout;
    assert!(shown.contains("generation 5, configured as with 1"), "{shown}");
    assert!(shown.contains("to 3 (args, env.API_KEY), to 2 (args, env.API_KEY)"), "{shown}");
    let said = home.ctl(&["rollback", "web"]).expect_code(5).stderr;
    assert!(said.contains("nexusctl rollback web --to 3"), "{said}");
    home.ctl(&["rollback", "web", "--to", "9"]).expect_code(5);
    home.ctl(&["rollback", "web", "--to", "3", "-q"]).ok();
    is_version(&home, 3);
    assert_eq!(home.events_of("web", "reloaded").len(), 5);
}

#[test]
fn what_an_app_was_outlives_both_and_has_no_secret_in_clear() {
    let home = Home::new();
    three(&home);
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.ctl(&["rollback", "web", "-q"]).ok();
    is_version(&home, 2);
    crate::daemon::kill_both(&home);
    home.ctl(&["list"]).ok();
    assert_eq!(versions(&home), (2, vec![3, 1]));
    home.ctl(&["rollback", "web", "-q"]).ok();
    is_version(&home, 1);
    for file in std::fs::read_dir(home.path().join("state")).unwrap().flatten() {
        let text = std::fs::read(file.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains("hunter2"), "in {:?}", file.path());
    }
    home.ctl(&["delete", "web", "-q"]).ok();
    version(&home, 1);
    home.ctl(&["start"]).ok();
    home.ctl(&["rollback", "web"]).expect_code(5);
}

#[test]
fn a_rollback_that_fails_keeps_the_present_one() {
    let home = Home::new();
    let port = free_port();
    let more = format!("{AT_ONCE}\nlisten = \"tcp://127.0.0.1:{port}\"");
    let more = more.replace("delay:0s", "delay:200ms");
    home.write("ecosystem.toml", &shell("web", "test -e broken && exit 5; exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    home.write("ecosystem.toml", &shell("web", "exec sleep 1001", &more));
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    let before = home.known("web").main();
    home.write("broken", "");
    let said = home.ctl(&["rollback", "web"]).expect_code(9).stderr;
    assert!(said.contains("code 5"), "{said}");
    assert_eq!(home.known("web").main().0, before.0);
    assert_eq!(versions(&home), (2, vec![1]));
}

#[test]
fn a_pause_is_told_with_its_length_and_left_running_by_ctrl_c() {
    let home = Home::new();
    let old = ["--drain", "--serve", "--ready-after", "0"];
    let more = format!("{}\ncanary = 1\nsoak = \"60s\"", passed(free_port(), 2));
    home.write("ecosystem.toml", &worker("api", &old, &more));
    home.ctl(&["start"]).ok();
    let mut command = home.foreground(&["reload", "api"], "said");
    wait_for(PROMPT, "its being watched", || home.events_of("api", "soak").pop());
    let said = || std::fs::read_to_string(home.project().join("said")).unwrap();
    wait_for(PROMPT, "a word about it", || said().contains("1 of 2 replaced").then_some(()));
    assert!(said().contains("watched for"), "{}", said());
    let shown = home.ctl(&["describe", "api"]).ok().stdout;
    assert!(shown.contains("to 2: 1 of 2 replaced, watched for"), "{shown}");
    assert_eq!(command.end_by(Signal::SIGINT), Some(130));
    let rollout = home.api("/v1/apps/api")["rollout"].clone();
    assert!(rollout["watched_for_ms"].as_u64().is_some_and(|left| left > 30_000), "{rollout}");
    let key = rollout["operation"].as_str().unwrap();
    for line in [format!("nexusctl wait --op {key}"), format!("nexusctl abort {key}")] {
        assert!(said().contains(&line), "{}", said());
    }
    home.ctl(&["abort", key, "-q"]).ok();
    assert!(home.api("/v1/apps/api")["rollout"].is_null());
    home.until("api", "two workers", |app| app.statuses() == ["online"; 2]);
}
