//! Apps that depend on others: in which order they come and go, and what is refused.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nexus_tests::{Home, PROMPT, Process, console, program, repository, wait_for};
use nix::sys::signal::Signal;

use crate::daemon::kill_both;
use crate::{AT_ONCE, shell};

/// Is ready when it says so.
const SAYS: &str = "ready = \"log:/says up/\"\nready_timeout = \"60s\"";

/// `web` on `api` on `db`, which begins once there is a file `up`; each writes when it begins, then
/// says that it is ready, and writes when it ends.
fn chain(home: &Home) {
    let life = |name: &str, first: &str| {
        format!(
            "trap 'sleep 0.1; echo -{name} >> order; exit 0' TERM; {first}\
             echo +{name} >> order; echo says up; while :; do sleep 0.05; done"
        )
    };
    let on = |name: &str| format!("{SAYS}\ndepends_on = [\"{name}\"]");
    let file = [
        shell("web", &life("web", ""), &on("api")),
        shell("api", &life("api", ""), &on("db")),
        shell("db", &life("db", "until test -e up; do sleep 0.05; done; "), SAYS),
    ];
    home.write("ecosystem.toml", &file.join("\n"));
}

fn order(home: &Home) -> String {
    let text = std::fs::read_to_string(home.project().join("order")).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn status(home: &Home, app: &str) -> String {
    home.known(app).statuses().join(" ")
}

/// All of the chain up, from the beginning.
fn up(home: &Home) {
    chain(home);
    home.write("up", "");
    home.ctl(&["start"]).ok();
    wait_for(PROMPT, "all began", || (order(home) == "+db +api +web").then_some(()));
}

#[test]
fn they_start_in_order_and_stop_in_the_reverse() {
    let home = Home::new();
    chain(&home);
    let command = home.begin(&["start"]);
    home.until("web", "web waits", |app| app.statuses() == ["waiting"]);
    assert_eq!(status(&home, "api"), "waiting");
    let why = home.ctl(&["why", "api"]).ok().stdout;
    assert!(why.contains("waits until `db` is ready"), "{why}");
    home.write("up", "");
    let said = command.end().ok();
    assert!(said.stderr.contains("waits until `db` is ready"), "{said:?}");
    wait_for(PROMPT, "all began", || (order(&home) == "+db +api +web").then_some(()));
    home.ctl(&["stop", "all"]).ok();
    assert_eq!(order(&home), "+db +api +web -web -api -db");
}

#[test]
fn they_wait_and_stop_in_order_across_the_death_of_nexusd() {
    let home = Home::new();
    chain(&home);
    let command = home.begin(&["start"]);
    home.until("web", "web waits", |app| app.statuses() == ["waiting"]);
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.until("api", "api waits", |app| app.statuses() == ["waiting"]);
    home.write("up", "");
    command.end().ok();
    wait_for(PROMPT, "all began", || (order(&home) == "+db +api +web").then_some(()));
    let command = home.begin(&["stop", "all"]);
    home.until("web", "web is stopped", |app| app.statuses() != ["online"]);
    home.daemon().unwrap().signal(Signal::SIGKILL);
    command.end().ok();
    assert_eq!(order(&home), "+db +api +web -web -api -db");
}

#[test]
fn a_start_of_one_brings_up_what_it_depends_on_and_a_stop_of_one_nothing_else() {
    let home = Home::new();
    up(&home);
    home.ctl(&["stop", "all"]).ok();
    let said = home.ctl(&["start", "api", "-o", "json"]).ok().json();
    let apps: Vec<&str> = said["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["app"].as_str().unwrap())
        .collect();
    assert_eq!(apps, ["api", "db"]);
    assert_eq!(status(&home, "web"), "stopped");
    home.ctl(&["stop", "db"]).ok();
    assert_eq!(status(&home, "api"), "online");
}

#[test]
fn who_waits_is_told_of_a_failure_and_starts_by_itself_later() {
    let home = Home::new();
    let file = [
        shell(
            "api",
            "exec sleep 1000",
            &format!("{AT_ONCE}\ndepends_on = {{ job = \"completed\" }}"),
        ),
        shell("job", "test -e done", "autorestart = false"),
    ];
    home.write("ecosystem.toml", &file.join("\n"));
    let said = home.ctl(&["start"]).expect_code(1);
    assert!(said.stderr.contains("`api` waits until `job` is completed"), "{said:?}");
    assert!(said.stderr.contains("job/0 exited with code 1"), "{said:?}");
    assert_eq!(status(&home, "api"), "waiting");
    let why = home.ctl(&["why", "api"]).ok().stdout;
    assert!(why.contains("nexusctl why job") && why.contains("code 1"), "{why}");
    home.write("done", "");
    home.ctl(&["start", "job"]).ok();
    home.until("api", "api runs", |app| app.statuses() == ["online"]);
}

#[test]
fn restarts_of_several_go_in_order_and_one_that_fails_spares_the_others() {
    let home = Home::new();
    up(&home);
    home.ctl(&["restart", "all"]).ok();
    wait_for(PROMPT, "all began", || order(&home).ends_with("+web").then_some(()));
    assert_eq!(order(&home), "+db +api +web -db +db -api +api -web +web");
    let before = home.known("api").pids();
    home.write("ecosystem.toml", &shell("db", "exit 3", AT_ONCE));
    let said = home.ctl(&["restart", "ecosystem.toml", "-o", "json"]);
    assert_eq!(home.known("api").pids(), before, "{said:?}");
}

#[test]
fn what_can_never_be_is_refused_whole_and_shown_at_its_place() {
    let home = Home::new();
    up(&home);
    let app = |name: &str, on: &str| {
        shell(name, "exec sleep 1000", &format!("{AT_ONCE}\ndepends_on = {on}"))
    };
    let refused = |file: &str, told: &str| {
        home.write("other.toml", file);
        let said = home.ctl(&["start", "other.toml"]).expect_code(6).stderr;
        assert!(said.contains(told) && said.contains("other.toml:"), "{said}");
        home.ctl(&["describe", "one"]).expect_code(4);
    };
    let both = app("one", "[\"two\"]") + &app("two", "[\"one\"]");
    refused(&both, "one -> two -> one");
    refused(&app("one", "[\"dbb\"]"), "there is no app of that name");
    refused(&app("one", "{ db = \"healthy\" }"), "it has no `health`");
    refused(&app("one", "{ db = \"completed\" }"), "it is started again whenever it ends");
    // Across what is there already.
    refused(&(app("db", "[\"one\"]") + &app("one", "[\"web\"]")), "these wait for each other");
    let said = home.ctl(&["delete", "db"]).expect_code(5).stderr;
    assert!(said.contains("`api` depends on it"), "{said}");
    home.ctl(&["delete", "web", "db", "api"]).ok();
    assert!(order(&home).ends_with("-web -api -db"), "{}", order(&home));
}

#[test]
fn what_an_app_is_about_to_depend_on_counts_as_well() {
    let home = Home::new();
    let app =
        |name: &str, more: &str| shell(name, "exec sleep 1000", &format!("{AT_ONCE}\n{more}\n"));
    home.write("ecosystem.toml", &(app("api", "") + &app("db", "")));
    home.ctl(&["start"]).ok();
    let builds = "touch began; until test -e built; do sleep 0.05; done";
    let soon = app("api", &format!("depends_on = [\"db\"]\nbuild = \"{builds}\""));
    home.write("ecosystem.toml", &soon);
    let command = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "the build", || home.project().join("began").exists().then_some(()));
    let said = home.ctl(&["delete", "db"]).expect_code(5).stderr;
    assert!(said.contains("`api` depends on it"), "{said}");
    home.write("round.toml", &app("db", "depends_on = [\"api\"]"));
    let said = home.ctl(&["restart", "round.toml"]).expect_code(6).stderr;
    assert!(said.contains("db -> api -> db"), "{said}");
    home.write("built", "");
    command.end().ok();
    assert_eq!(status(&home, "db"), "online");
}

#[test]
fn the_end_of_the_machine_ends_them_in_order() {
    let home = Home::new();
    up(&home);
    home.keeper().unwrap().signal(Signal::SIGTERM);
    wait_for(PROMPT, "the end of all", || home.processes().is_empty().then_some(()));
    assert_eq!(order(&home), "+db +api +web -web -api -db");
}

/// The pair and all workers at once, as a machine does that loses its power.
fn lose_power(home: &Home) -> Vec<Process> {
    let workers: Vec<_> = ["db", "api", "web"].iter().map(|app| home.known(app).main()).collect();
    workers.iter().for_each(|worker| worker.signal(Signal::SIGSTOP));
    kill_both(home);
    workers.iter().for_each(|worker| worker.signal(Signal::SIGKILL));
    let ended = || workers.iter().all(|one| !one.alive()).then_some(());
    wait_for(PROMPT, "the end of all", ended);
    workers
}

/// All that was up has ended, and the file `up` is there no more: they come back in order, and wait.
fn come_back_in_order(home: &Home) {
    home.write("order", "");
    std::fs::remove_file(home.project().join("up")).unwrap();
    home.ctl(&["list"]).ok();
    home.until("web", "web waits", |app| app.statuses() == ["waiting"]);
    assert_eq!(status(home, "api"), "waiting");
    // Another nexusd knows it, too.
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.write("up", "");
    home.until("web", "web runs", |app| app.statuses() == ["online"]);
    assert_eq!(order(home), "+db +api +web");
}

#[test]
fn after_a_loss_of_power_they_come_back_in_order_and_wait_for_what_is_not_there() {
    let home = Home::new();
    up(&home);
    // What `db` said in its first life is not to be taken for the word of the second one, which the
    // second nexusd knows by the time of the line only.
    home.ctl(&["flush"]).ok();
    lose_power(&home);
    come_back_in_order(&home);
    let restarts: Vec<u64> = ["db", "api", "web"].map(|app| home.known(app).restarts()[0]).into();
    assert_eq!(restarts, [1, 1, 1]);
}

#[test]
fn who_has_ended_and_is_not_reaped_yet_is_waited_for_like_one_that_is_gone() {
    let home = Home::new();
    chain(&home);
    home.write("up", "");
    let worker = program("nexus-test-worker");
    let mut init = home.command(&worker);
    init.arg("--slow-init").arg(program("nexusctl")).arg("start");
    let mut init = init.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(init.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "exit status: 0\n");
    wait_for(PROMPT, "all began", || (order(&home) == "+db +api +web").then_some(()));
    // The last one to be looked at at a cold start: the others are judged before it.
    home.ctl(&["restart", "db"]).ok();
    home.ctl(&["flush"]).ok();
    let zombies = lose_power(&home);
    come_back_in_order(&home);
    assert!(zombies.iter().all(|one| one.state() == Some('Z')), "they are not reaped");
    for app in ["db", "api", "web"] {
        let told = home.events_of(app, "exit");
        let [.., last] = &told[..] else { panic!("no exit of {app} is told") };
        assert_eq!(last["exit"], "SIGKILL", "{told:?}");
    }
    drop(init.stdin.take());
    init.wait().unwrap();
}

#[test]
fn one_that_waits_does_so_through_the_death_of_the_keeper_and_of_both() {
    let home = Home::new();
    chain(&home);
    let command = home.begin(&["start"]);
    home.until("web", "web waits", |app| app.statuses() == ["waiting"]);
    let keeper = home.keeper().unwrap();
    keeper.signal(Signal::SIGKILL);
    wait_for(PROMPT, "the end of the keeper", || (!keeper.alive()).then_some(()));
    home.until("api", "api waits", |app| app.statuses() == ["waiting"]);
    kill_both(&home);
    home.write("up", "");
    // The client that waits is what brings them back.
    command.end().ok();
    home.until("web", "web runs", |app| app.statuses() == ["online"]);
    assert_eq!(order(&home), "+db +api +web");
}

#[test]
fn what_happens_to_a_dependency_leaves_those_above_it_alone() {
    let home = Home::new();
    up(&home);
    let above = || (home.known("api").pids(), home.known("web").pids());
    let before = above();
    let db = home.known("db").pids();
    home.ctl(&["restart", "db"]).ok();
    home.ctl(&["reload", "db"]).ok();
    home.known("db").main().signal(Signal::SIGKILL);
    home.until("db", "db is back", |app| app.restarts() == [1] && app.statuses() == ["online"]);
    assert_ne!(home.known("db").pids(), db);
    home.ctl(&["stop", "db"]).ok();
    // Nor does one that comes back by itself wait for it.
    home.known("web").main().signal(Signal::SIGKILL);
    home.until("web", "web is back", |app| app.restarts() == [1] && app.statuses() == ["online"]);
    assert_eq!(above().0, before.0);
    // One that is asked for does, and starts it.
    home.ctl(&["restart", "web"]).ok();
    assert_eq!((status(&home, "db"), status(&home, "web")), ("online".into(), "online".into()));
}

#[test]
fn other_dependencies_come_with_apply_and_what_cannot_be_gone_back_to_is_refused() {
    let home = Home::new();
    let app =
        |name: &str, more: &str| shell(name, "exec sleep 1000", &format!("{AT_ONCE}\n{more}"));
    let web = |on: &str| app("web", &format!("depends_on = [\"{on}\"]"));
    let (old, new) = (app("old", ""), app("new", ""));
    home.write("ecosystem.toml", &(web("old") + &old + &new));
    home.ctl(&["start"]).ok();
    home.write("ecosystem.toml", &(web("new") + &old + &new));
    home.ctl(&["apply"]).ok();
    let on = || home.api("/v1/apps/web")["depends_on"].clone();
    assert_eq!((&on()[0]["app"], &on()[0]["met"]), (&"new".into(), &true.into()), "{}", on());
    home.ctl(&["delete", "new"]).expect_code(5);
    home.ctl(&["delete", "old"]).ok();
    let said = home.ctl(&["rollback", "web"]).expect_code(6).stderr;
    assert!(said.contains("`web` depends on `old`, and there is no app of that name"), "{said}");
    assert_eq!(on()[0]["app"], "new");
}

/// `docs/DEPENDENCIES.md`, played.
#[test]
fn the_page_about_dependencies_does_what_it_says() {
    let page = repository().join("docs/DEPENDENCIES.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let project = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let home = Home::new();
    home.write("ecosystem.toml", project.expect("the page's project file"));
    let db = "touch db.socket; echo accepts connections; exec sleep 1000000";
    for (name, line) in [("db.sh", db), ("migrate.sh", "test -e migrated || exit 3")] {
        let script = home.write(name, &format!("#!/bin/sh\n{line}\n"));
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let commands = console::play(&page, &home, &home.project());
    assert!(commands.unwrap_or_else(|flaw| panic!("{flaw}")) >= 12);
}

#[test]
fn what_was_saved_comes_back_with_what_it_depends_on() {
    let home = Home::new();
    up(&home);
    home.write("calm.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start", "calm.toml"]).ok();
    home.ctl(&["stop", "db", "calm"]).ok();
    home.ctl(&["save"]).ok();
    // It does not run because somebody has stopped it, and is in nobody's way.
    home.ctl(&["resurrect"]).ok();
    assert_eq!(status(&home, "db"), "stopped");
    home.ctl(&["delete", "all"]).ok();
    home.write("order", "");
    home.ctl(&["resurrect"]).ok();
    assert_eq!(order(&home), "+db +api +web");
    assert!(home.app("calm").is_none());
}
