//! Set times: jobs, and restarts, on the real clock.

use std::fs;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use nexus_tests::{Home, PROMPT, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{AT_ONCE, app, shell};

/// A job that writes a line at the beginning of each run and one at its end.
fn job(home: &Home, rest: &str, more: &str) {
    let line = format!(
        "trap 'echo stopped >> runs; exit 0' TERM; echo begins >> runs; {rest}; echo ends >> runs"
    );
    home.write("ecosystem.toml", &shell("job", &line, more));
}

/// What its runs have written.
fn runs(home: &Home) -> Vec<String> {
    let text = fs::read_to_string(home.project().join("runs")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn details(home: &Home, app: &str, kind: &str) -> Vec<String> {
    let events = home.events_of(app, kind);
    events.iter().map(|event| event["detail"].as_str().unwrap().to_owned()).collect()
}

/// A cron expression of one time a day, in UTC.
fn daily_at(at: Timestamp) -> String {
    at.strftime("%S %M %H * * *").to_string()
}

#[test]
fn a_job_runs_at_its_times_and_is_done() {
    let home = Home::new();
    job(&home, "true", "schedule = \"* * * * * *\"\ntimezone = \"Europe/Berlin\"");
    let started = home.ctl(&["start"]).ok();
    assert!(started.stdout.contains("scheduled"), "{started:?}");
    wait_for(PROMPT, "three runs", || (runs(&home).len() >= 6).then_some(()));
    let between = home.until("job", "the time between two runs", |app| app.status() == "scheduled");
    assert_eq!(between.restarts(), [0]);
    let times = &between.0["times"][0];
    assert!(times["next_in_ms"].as_u64().unwrap() <= 1_000, "{times}");
    assert!(times["next_at"].as_str().unwrap().contains(" CE"), "{times}");
    assert_eq!(between.0["instances"][0]["last_exit"], "code 0");
    assert!(details(&home, "job", "run")[0].ends_with("; it begins"));
    home.ctl(&["status", "job"]).ok();
    home.ctl(&["wait", "job", "--for", "ready"]).ok();
    assert!(home.ctl(&["list"]).ok().stdout.contains("NEXT"));
    let described = home.ctl(&["describe", "job"]).ok().stdout;
    assert!(described.contains("* * * * * *, next 20"), "{described}");
    // A stop is respected, and what was running is stopped with it.
    home.ctl(&["stop", "job"]).ok();
    let before = runs(&home).len();
    assert!(home.known("job").0["times"][0]["next_in_ms"].is_null());
    home.write("other.toml", &shell("other", "true", "schedule = \"* * * * * *\""));
    home.ctl(&["start", "other.toml"]).ok();
    wait_for(PROMPT, "runs of another", || {
        (home.events_of("other", "run").len() > 2).then_some(())
    });
    assert_eq!(runs(&home).len(), before);
}

#[test]
fn a_run_that_is_due_too_early_is_left_out_or_waits_or_takes_over() {
    let home = Home::new();
    let every = "schedule = \"* * * * * *\"";
    job(&home, "sleep 2.5 & wait", every);
    home.ctl(&["start"]).ok();
    wait_for(PROMPT, "a second run", || (runs(&home).len() >= 3).then_some(()));
    let told = details(&home, "job", "run_skipped");
    assert!(
        told.len() >= 2 && told[0].ends_with("the one before has not ended: left out"),
        "{told:?}"
    );
    assert_eq!(runs(&home)[..3], ["begins", "ends", "begins"]);

    let home = Home::new();
    job(&home, "sleep 1.5 & wait", &format!("{every}\noverlap = \"queue\""));
    home.ctl(&["start"]).ok();
    home.until("job", "a run to wait", |app| app.0["times"][0]["queued"] == true);
    wait_for(PROMPT, "a second run", || (runs(&home).len() >= 3).then_some(()));
    assert_eq!(runs(&home)[..3], ["begins", "ends", "begins"]);

    let home = Home::new();
    job(&home, "sleep 60 & wait", &format!("{every}\noverlap = \"replace\""));
    home.ctl(&["start"]).ok();
    wait_for(PROMPT, "a second run", || (runs(&home).len() >= 3).then_some(()));
    assert_eq!(runs(&home)[..3], ["begins", "stopped", "begins"]);
}

#[test]
fn an_app_is_restarted_at_set_times_while_it_is_wanted() {
    let home = Home::new();
    let more = format!("{AT_ONCE}\ninstances = 2\ncron_restart = \"* * * * * *\"");
    home.write("ecosystem.toml", &app("api", "sleep", &["1000"], &more));
    home.ctl(&["start"]).ok();
    let before = home.known("api");
    home.until("api", "other workers", |app| {
        app.status() == "online" && app.pids().iter().all(|pid| !before.pids().contains(pid))
    });
    assert_eq!(home.known("api").restarts(), [0, 0]);
    assert_eq!(details(&home, "api", "cron")[0], "cron_restart: * * * * * *");
    assert_eq!(home.ctl(&["jlist"]).ok().json()[0]["pm2_env"]["cron_restart"], "* * * * * *");
    assert!(home.ctl(&["why", "api"]).ok().stdout.contains("cron_restart: "));
    home.ctl(&["stop", "api"]).ok();
    let told = home.events_of("api", "cron").len();
    home.ctl(&[
        "start",
        "sh",
        "--name",
        "other",
        "--ready",
        "delay:1500ms",
        "--",
        "-c",
        "sleep 100",
    ])
    .ok();
    assert_eq!(
        (home.events_of("api", "cron").len(), home.known("api").status()),
        (told, "stopped")
    );
}

#[test]
fn a_restart_of_a_job_runs_it_now_and_tells_how_it_ended() {
    let home = Home::new();
    home.write(
        "ecosystem.toml",
        &shell(
            "job",
            "[ -e bad ] && { echo no >&2; exit 3; }; echo ran >> runs",
            "schedule = \"@yearly\"",
        ),
    );
    home.ctl(&["start"]).ok();
    assert_eq!(home.known("job").status(), "scheduled");
    home.ctl(&["restart", "job", "-q"]).ok();
    assert_eq!(runs(&home), ["ran"]);
    home.write("bad", "");
    let failed = home.ctl(&["restart", "job"]).expect_code(1);
    assert!(
        failed.stderr.contains("exited with code 3") && failed.stderr.contains("no"),
        "{failed:?}"
    );
    assert_eq!(home.known("job").0["instances"][0]["last_exit"], "code 3");
    home.until("job", "its next run", |app| app.status() == "scheduled");
    // A new version is taken, and not run.
    fs::remove_file(home.project().join("bad")).unwrap();
    home.write("ecosystem.toml", &shell("job", "echo new >> runs", "schedule = \"@monthly\""));
    home.ctl(&["apply"]).ok();
    assert_eq!((runs(&home).len(), home.known("job").status()), (1, "scheduled"));
    assert_eq!(home.known("job").0["times"][0]["cron"], "@monthly");
}

#[test]
fn the_death_of_the_daemon_costs_no_run_and_doubles_none() {
    let home = Home::new();
    // Begins in a moment, which is enough for a start on a loaded machine: due while nobody can see
    // it.
    let due = Timestamp::now() + 8.seconds();
    let more = format!("schedule = \"{}\"\ntimezone = \"UTC\"", daily_at(due));
    job(&home, "sleep 2 & wait", &more);
    home.ctl(&["start"]).ok();
    let daemon = home.daemon().unwrap();
    daemon.signal(Signal::SIGSTOP);
    assert!(Timestamp::now() < due, "this machine is too slow for the test");
    wait_for(PROMPT, "its time", || (Timestamp::now() > due + 300.milliseconds()).then_some(()));
    daemon.signal(Signal::SIGKILL);
    wait_for(PROMPT, "the run", || (runs(&home).len() == 1).then_some(()));
    let running = home.until("job", "the run", |app| app.pids() != [0]);
    home.daemon().unwrap().signal(Signal::SIGKILL);
    let after = home.until("job", "another daemon", |app| app.pids() == running.pids());
    assert_eq!(after.identity(), running.identity());
    home.until("job", "its end", |app| app.status() == "scheduled");
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.until("job", "another daemon", |app| app.status() == "scheduled");
    assert_eq!(runs(&home), ["begins", "ends"]);
    assert_eq!(home.events_of("job", "run").len(), 1);
    assert_eq!(home.events_of("job", "missed").len(), 0);
}

#[test]
fn runs_that_nobody_saw_are_left_out_or_made_up_for() {
    let home = Home::new();
    let due = Timestamp::now() + 8.seconds();
    let line = |name: &str| format!("echo {name} >> runs");
    let times = format!("schedule = \"{}\"\ntimezone = \"UTC\"", daily_at(due));
    let once = shell("once", &line("once"), &format!("{times}\nmissed = \"once\""));
    home.write("ecosystem.toml", &format!("{once}{}", shell("skip", &line("skip"), &times)));
    home.ctl(&["start"]).ok();
    home.ctl(&["daemon", "stop"]).ok();
    assert!(Timestamp::now() < due, "this machine is too slow for the test");
    wait_for(Duration::from_secs(30), "nobody to see it", || {
        (Timestamp::now() > due + 7.seconds()).then_some(())
    });
    home.ctl(&["start", "once"]).ok();
    wait_for(PROMPT, "the run that makes up for it", || (runs(&home) == ["once"]).then_some(()));
    let told: Vec<Value> = home.events_of("skip", "missed");
    assert!(told[0]["detail"].as_str().unwrap().ends_with("; left out"), "{told:?}");
    assert!(details(&home, "once", "missed")[0].ends_with("; one makes up for them"));
    assert_eq!(home.events_of("skip", "run").len(), 0);
}

#[test]
fn what_can_never_be_is_refused_whole() {
    let home = Home::new();
    for (more, said) in [
        ("schedule = \"0 0 30 2 *\"", "never comes true"),
        ("schedule = \"@daily\"\ntimezone = \"Mars/Base\"", "knows no `Mars/Base`"),
        ("schedule = \"@daily\"\ncron_restart = \"@daily\"", "`cron_restart` is set for a job"),
        ("schedule = \"@daily\"\nwatch = true", "`watch` is set for a job"),
        ("cron_restart = \"61 * * * *\"", "`61` as its minute"),
    ] {
        home.write("ecosystem.toml", &shell("job", "true", more));
        let refused = home.ctl(&["start"]).expect_code(6);
        assert!(refused.stderr.contains(said), "{more}: {refused:?}");
    }
}
