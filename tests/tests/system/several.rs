//! Several apps in one command: each has its own end.

use std::time::{Duration, Instant};

use nexus_tests::Home;

use crate::{AT_ONCE, shell, worker};

#[test]
fn when_some_of_several_fail_the_others_run_and_the_code_is_10() {
    let home = Home::new();
    let good = shell("good", "exec sleep 1000", AT_ONCE);
    let bad = shell("bad", "echo no licence >&2; exit 2", "max_restarts = 0");
    let gone = crate::app("gone", "/nowhere/at/all", &[], "");
    home.write("ecosystem.toml", &(good + &bad + &gone));
    let output = home.ctl(&["start"]).expect_code(10);
    for word in ["no licence", "code 2", "/nowhere/at/all"] {
        assert!(output.stderr.contains(word), "no {word:?}: {output:?}");
    }
    assert_eq!(home.known("good").status(), "online");
    home.until("bad", "its being given up", |app| app.status() == "errored");
    assert_eq!(home.known("gone").status(), "errored");
    let json = home.ctl(&["restart", "all", "-o", "json"]).expect_code(10).json();
    assert_eq!(json["schema"], "nexus.operation/1");
    let verdict = |name: &str| {
        let results = json["results"].as_array().unwrap();
        results.iter().find(|result| result["app"] == name).unwrap()["verdict"].clone()
    };
    assert_eq!(verdict("good"), "done");
    assert_eq!(verdict("bad"), "start_failed");
}

#[test]
fn all_that_fail_end_with_1() {
    let home = Home::new();
    let text = shell("a", "exit 2", "max_restarts = 0") + &shell("b", "exit 3", "max_restarts = 0");
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).expect_code(1);
}

#[test]
fn twenty_workers_start_side_by_side() {
    let home = Home::new();
    let more = "ready = \"notify\"\ninstances = 10";
    let args = ["--ready-after", "2000"];
    home.write("ecosystem.toml", &(worker("a", &args, more) + &worker("b", &args, more)));
    let begin = Instant::now();
    home.ctl(&["start"]).ok();
    // One after another they would take forty seconds; two by two still twenty.
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    for name in ["a", "b"] {
        let app = home.known(name);
        assert!(app.statuses().iter().all(|status| status == "online"), "{app:?}");
        assert_eq!(app.pids().len(), 10);
    }
    let mut ids = home.known("a").ids();
    ids.extend(home.known("b").ids());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20, "ids are unique");
    home.ctl(&["stop", "all"]).ok();
    assert_eq!(home.processes().len(), 2, "only the pair is left");
}

#[test]
fn only_some_apps_of_a_file_and_namespaces_and_patterns() {
    let home = Home::new();
    let more = format!("{AT_ONCE}\nnamespace = \"batch\"");
    let text = shell("one", "exec sleep 1000", &more)
        + &shell("two", "exec sleep 1000", &more)
        + &shell("web", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start", "--only", "one,web"]).ok();
    assert!(home.app("two").is_none());
    home.ctl(&["start"]).ok();
    home.ctl(&["stop", "batch"]).ok();
    let status = |name: &str| home.known(name).status().to_owned();
    assert_eq!([status("one"), status("two"), status("web")], ["stopped", "stopped", "online"]);
    home.ctl(&["start", "/^t/", "batch:one"]).ok();
    assert_eq!([status("one"), status("two")], ["online", "online"]);
    home.ctl(&["stop", "t*"]).ok();
    assert_eq!([status("one"), status("two")], ["online", "stopped"]);
    let id = home.known("web").ids()[0].to_string();
    home.ctl(&["stop", &id]).ok();
    assert_eq!(status("web"), "stopped");
}
