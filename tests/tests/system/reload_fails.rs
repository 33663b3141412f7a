//! A reload that fails leaves the old workers serving, and says why.

use nexus_tests::http::get;
use nexus_tests::{App, Home, Load, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::reload::passed;
use crate::worker;

/// Each complains at its start, which is not the new worker's complaint.
const GOOD: [&str; 6] = ["--drain", "--err", "5", "--serve", "--ready-after", "50"];

/// Two good workers, under load, and a project file that says something else.
fn begin(bad: &[&str], timeout: &str) -> (Home, u16, App) {
    let home = Home::new();
    let port = free_port();
    home.write("ecosystem.toml", &worker("api", &GOOD, &passed(port, 2)));
    home.ctl(&["start"]).ok();
    // So that the time of a line tells whose it is.
    home.until("api", "an age", |app| app.0["uptime_ms"].as_u64().is_some_and(|age| age > 400));
    let before = home.known("api");
    let more = passed(port, 2).replace("20s", timeout);
    home.write("ecosystem.toml", &worker("api", bad, &more));
    (home, port, before)
}

/// The same workers serve as before, with the same spec.
#[track_caller]
fn untouched(home: &Home, before: &App) {
    let after = home.known("api");
    assert_eq!((after.pids(), after.status()), (before.pids(), "online"));
    assert_eq!(after.restarts(), vec![0, 0]);
    let command = home.api("/v1/apps/api")["command"].to_string();
    assert!(command.contains("50"), "not the old spec: {command}");
    assert_eq!(home.events_of("api", "rolled_back").len(), 1);
}

#[test]
fn a_build_that_exits_changes_nothing_and_is_shown() {
    let (home, port, before) = begin(&["--err", "3", "--exit-after", "50", "--code", "5"], "20s");
    let load = Load::start(port, 2, 2);
    let said = home.ctl(&["reload", "ecosystem.toml"]).expect_code(9).stderr;
    load.end().flawless();
    assert!(said.contains("NX0305") && said.contains("code 5"), "{said}");
    assert!(said.contains("complaint 2") && !said.contains("complaint 4"), "{said}");
    untouched(&home, &before);
    // A restart has the old spec, too.
    home.ctl(&["restart", "api", "-q"]).ok();
}

#[test]
fn a_build_that_is_never_ready_changes_nothing() {
    let (home, port, before) = begin(&["--drain", "--serve"], "1s");
    let load = Load::start(port, 2, 2);
    let said = home.ctl(&["reload", "ecosystem.toml"]).expect_code(9).stderr;
    load.end().flawless();
    assert!(said.contains("not ready"), "{said}");
    untouched(&home, &before);
}

#[test]
fn a_program_that_is_missing_changes_nothing() {
    let (home, port, before) = begin(&["--drain", "--serve"], "1s");
    let text = passed(port, 2);
    let text = format!("[[apps]]\nname = \"api\"\nscript = \"/no/such/program\"\n{text}\n");
    home.write("ecosystem.toml", &text);
    home.ctl(&["reload", "ecosystem.toml"]).expect_code(9);
    untouched(&home, &before);
}

#[test]
fn a_kill_of_nexusd_changes_nothing_about_that() {
    // It takes no connection: one that it had taken would end with it.
    let new = ["--await", "go", "--exit-after", "0", "--code", "5"];
    let (home, port, before) = begin(&new, "60s");
    let load = Load::start(port, 2, 2);
    let command = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "its successor", || (home.events_of("api", "start").len() == 3).then_some(()));
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.write("go-0", "");
    let said = command.end().expect_code(9).stderr;
    load.end().flawless();
    assert!(said.contains("code 5"), "{said}");
    untouched(&home, &before);
}

#[test]
fn a_second_one_is_refused_and_an_abort_goes_back() {
    // The first gets ready; the second is waited for until all is called off.
    let new = ["--await", "go", "--drain", "--serve", "--ready-after", "0"];
    let (home, port, before) = begin(&new, "60s");
    let load = Load::start(port, 2, 2);
    let command = home.begin(&["reload", "ecosystem.toml"]);
    home.write("go-0", "");
    wait_for(PROMPT, "the first replacement", || {
        (home.events_of("api", "replaced").len() == 1).then_some(())
    });
    let said = home.ctl(&["reload", "api"]).expect_code(5).stderr;
    assert!(said.contains("is being reloaded") && said.contains("--replace"), "{said}");
    home.ctl(&["scale", "api", "3"]).expect_code(5);
    home.ctl(&["abort", "api", "-q"]).ok();
    assert!(command.end().expect_code(9).stderr.contains("abort"));
    load.end().flawless();
    let after = home.known("api");
    assert_eq!((after.status(), after.ids()), ("online", before.ids()));
    let old = before.pids();
    assert_eq!(after.pids().get(1), old.get(1), "the second was never replaced");
    let args = Process(after.pids()[0]).args().unwrap().join(" ");
    assert!(args.contains("--ready-after 50"), "the first is not back: {args}");
    assert_eq!(home.events_of("api", "rolled_back").len(), 1);
    home.ctl(&["abort", "api"]).expect_code(5);
}

#[test]
fn a_successor_that_was_not_ready_when_both_died_is_not_taken_as_ready() {
    let home = Home::new();
    let port = free_port();
    let more =
        format!("ready = \"notify\"\nready_timeout = \"3s\"\nlisten = \"tcp://127.0.0.1:{port}\"");
    home.write("ecosystem.toml", &worker("web", &["--serve", "--ready-after", "0"], &more));
    home.ctl(&["start"]).ok();
    let good = home.known("web").main();
    home.write("ecosystem.toml", &worker("web", &["--serve"], &more));
    let reload = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "its successor", || (home.events_of("web", "start").len() == 2).then_some(()));
    crate::daemon::kill_both(&home);
    home.ctl(&["list"]).ok();
    wait_for(PROMPT, "the end of the reload", || {
        (!home.events_of("web", "rolled_back").is_empty()).then_some(())
    });
    let web = home.known("web");
    assert_eq!((web.main().0, web.status()), (good.0, "online"));
    assert_eq!(get(port, "/").unwrap().status, 200);
    drop(reload);
}
