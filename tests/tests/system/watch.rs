//! Watched files: one reload for what changes together, its reason told; nothing for what does not
//! count; a loop noticed; and all of it again after a death of the daemon.

use std::fs;
use std::path::{Path, PathBuf};

use nexus_tests::{App, Home, Load, PROMPT, free_port, program, run, wait_for};
use nix::sys::signal::Signal;

use crate::reload::passed;
use crate::{AT_ONCE, app, shell, worker};

/// An app that does nothing, at once; with more settings.
fn idle(home: &Home, more: &str) {
    home.write("ecosystem.toml", &app("api", "sleep", &["1000"], &format!("{AT_ONCE}\n{more}")));
}

/// A file below the project; directories are made.
fn file(home: &Home, name: &str) -> PathBuf {
    let path = home.project().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

fn write(home: &Home, name: &str) {
    fs::write(file(home, name), format!("{:?}", std::time::Instant::now())).unwrap();
}

/// Wait until its files are watched.
fn watched(home: &Home, name: &str) -> App {
    home.until(name, "its watcher", |app| app.0["watch"]["directories"].as_u64() > Some(0))
}

/// The reasons of all reloads because of changes, once there are so many and the last has ended.
fn reasons(home: &Home, name: &str, number: usize) -> Vec<String> {
    wait_for(PROMPT, "reloads", || {
        let done = home.events_of(name, "reloaded").len();
        (done >= number).then_some(())
    });
    let told = home.events_of(name, "watch");
    let details = told.iter().map(|event| event["detail"].as_str().unwrap().to_owned());
    details.filter(|detail| detail.starts_with("changed")).collect()
}

#[test]
fn what_changes_together_is_one_reload_and_its_reason_is_told() {
    let home = Home::new();
    write(&home, "src/a.js");
    idle(&home, "watch = true\ninstances = 2");
    home.ctl(&["start"]).ok();
    let before = watched(&home, "api");
    // What does not count first: it would be told before the rest.
    for ignored in [".git/index", "node_modules/x/i.js", "target/debug/x", "src/.a.js.swp"] {
        write(&home, ignored);
    }
    for counted in ["src/a.js", "src/b.js", "lib/deep/er/c.js"] {
        write(&home, counted);
    }
    let told = reasons(&home, "api", 1).remove(0);
    let files = ["src/a.js", "src/b.js", "lib/deep/er/c.js"];
    let named = told.trim_start_matches("changed: ").split(", ").map(str::to_owned);
    let named: std::collections::BTreeSet<String> = named.collect();
    assert_eq!(named, files.map(str::to_owned).into());
    let after = home.until("api", "two workers", |app| app.status() == "online");
    assert!(after.pids().iter().all(|pid| !before.pids().contains(pid)));
    assert_eq!((after.ids(), after.restarts()), (before.ids(), vec![0, 0]));
    // What has come meanwhile is watched as well, and so is what is removed and touched.
    write(&home, "lib/deep/er/d.js");
    assert_eq!(reasons(&home, "api", 2)[1], "changed: lib/deep/er/d.js");
    fs::remove_file(home.project().join("src/b.js")).unwrap();
    assert_eq!(reasons(&home, "api", 3)[2], "changed: src/b.js");
    run(std::process::Command::new("touch").arg(home.project().join("src/a.js")), PROMPT).ok();
    assert_eq!(reasons(&home, "api", 4)[3], "changed: src/a.js");
    let why = home.ctl(&["why", "api"]).ok().stdout;
    assert!(why.contains("changed: src/a.js"), "{why}");
    let described = home.ctl(&["describe", "api"]).ok().stdout;
    assert!(described.contains("directories), but for .*, node_modules, target"), "{described}");
    assert_eq!(home.ctl(&["jlist"]).ok().json()[0]["pm2_env"]["watch"], true);
}

#[test]
fn paths_patterns_and_what_is_ignored_are_as_written() {
    let home = Home::new();
    write(&home, "conf/app.ini");
    write(&home, "lib/x.ts");
    let paths = "watch = [\"conf/app.ini\", \"lib/**/*.ts\", \"later\"]";
    idle(&home, &format!("{paths}\nignore_watch = [\"gen\", \"*.log\"]\nwatch_delay = \"50ms\""));
    home.ctl(&["start"]).ok();
    watched(&home, "api");
    let problem = home.known("api").0["watch"]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("later is not there"), "{problem}");
    for ignored in ["conf/other.ini", "lib/x.js", "lib/gen/y.ts", "lib/gen/.x"] {
        write(&home, ignored);
    }
    // As editors do: another file in its place.
    write(&home, "conf/app.ini.new");
    fs::rename(home.project().join("conf/app.ini.new"), home.project().join("conf/app.ini"))
        .unwrap();
    assert_eq!(reasons(&home, "api", 1), ["changed: conf/app.ini"]);
    write(&home, "lib/deep/z.ts");
    assert_eq!(reasons(&home, "api", 2)[1], "changed: lib/deep/z.ts");
    // What was not there is watched from when it comes, and again when it has gone and come back.
    write(&home, "later/a");
    assert_eq!(reasons(&home, "api", 3)[2], "changed: later/a");
    home.until("api", "no problem", |app| app.0["watch"]["problem"].is_null());
    fs::remove_dir_all(home.project().join("later")).unwrap();
    assert!(reasons(&home, "api", 4)[3].contains("later"));
    write(&home, "later/b");
    assert_eq!(reasons(&home, "api", 5)[4], "changed: later/b");
    write(&home, "later/b");
    assert_eq!(reasons(&home, "api", 6)[5], "changed: later/b");
}

#[test]
fn our_own_files_do_not_count() {
    let home = Home::new();
    let line = "while :; do echo line; echo error >&2; read -t 0.01 x < /dev/zero; done";
    let more =
        "watch = true\nignore_watch = []\nout_file = \"own.log\"\nerror_file = \"logs/e.log\"";
    let path = home.project().join("ecosystem.toml");
    fs::write(&path, app("api", "bash", &["-c", line], &format!("{AT_ONCE}\n{more}"))).unwrap();
    home.ctl(&["start"]).ok();
    watched(&home, "api");
    wait_for(PROMPT, "lines in its log", || {
        let length = fs::metadata(home.project().join("own.log")).map_or(0, |meta| meta.len());
        (length > 2_000).then_some(())
    });
    home.ctl(&["flush", "api", "--rotate"]).ok();
    write(&home, "real.txt");
    assert_eq!(reasons(&home, "api", 1), ["changed: real.txt"]);
}

#[test]
fn a_reload_for_a_change_refuses_and_breaks_no_connection() {
    let home = Home::new();
    let port = free_port();
    let args = ["--drain", "--serve", "--ready-after", "20"];
    write(&home, "src/a.js");
    let more = format!("{}\nwatch = [\"src\"]", passed(port, 2));
    home.write("ecosystem.toml", &worker("api", &args, &more));
    home.ctl(&["start"]).ok();
    let before = watched(&home, "api");
    let load = Load::start(port, 2, 2);
    write(&home, "src/a.js");
    assert_eq!(reasons(&home, "api", 1), ["changed: src/a.js"]);
    load.end().flawless();
    assert!(home.known("api").pids().iter().all(|pid| !before.pids().contains(pid)));
}

#[test]
fn an_app_that_changes_its_own_files_is_noticed_and_not_restarted_for_ever() {
    let home = Home::new();
    let line = "date +%N > data.txt; exec sleep 1000";
    home.write(
        "ecosystem.toml",
        &shell("api", line, &format!("{AT_ONCE}\nwatch = true\nwatch_delay = \"10ms\"")),
    );
    home.ctl(&["start"]).ok();
    let looping =
        home.until("api", "the loop to be seen", |app| app.0["watch"]["held_ms"].is_u64());
    let trouble = looping.0["trouble"]["what"].as_str().unwrap();
    assert!(trouble.contains("change its own files (data.txt): reloaded 5 times"), "{trouble}");
    let told = home.events_of("api", "watch");
    assert!(told.len() <= 7, "{told:?}");
    assert!(told.last().unwrap()["detail"].as_str().unwrap().contains("the next reload waits"));
    for verb in ["why", "describe", "list"] {
        let args: &[&str] = if verb == "list" { &["list"] } else { &[verb, "api"] };
        let said = home.ctl(args).ok().stdout;
        assert!(said.contains("name them in `ignore_watch`"), "{verb}: {said}");
    }
    // A second one waits twice as long; nobody is held up by it.
    wait_for(PROMPT, "the next pause", || {
        home.events_of("api", "watch")
            .iter()
            .any(|event| event["detail"].as_str().unwrap().contains("reloaded 6 times"))
            .then_some(())
    });
    home.ctl(&["stop", "api"]).ok();
    assert!(home.known("api").0["watch"]["held_ms"].is_null());
}

#[test]
fn a_change_while_the_daemon_is_away_is_noticed_and_no_other() {
    let home = Home::new();
    write(&home, "src/a.js");
    write(&home, "src/b.js");
    idle(&home, "watch = [\"src\"]");
    home.ctl(&["start"]).ok();
    let before = watched(&home, "api");
    // Nothing has changed: nothing is reloaded.
    home.daemon().unwrap().signal(Signal::SIGKILL);
    watched(&home, "api");
    // It cannot see this any more.
    let daemon = home.daemon().unwrap();
    daemon.signal(Signal::SIGSTOP);
    write(&home, "src/b.js");
    daemon.signal(Signal::SIGKILL);
    assert_eq!(reasons(&home, "api", 1), ["changed: src/b.js"]);
    assert_ne!(home.known("api").pids(), before.pids());
    // What was acted upon is not acted upon again.
    let after = home.known("api");
    home.daemon().unwrap().signal(Signal::SIGKILL);
    watched(&home, "api");
    write(&home, "src/a.js");
    assert_eq!(reasons(&home, "api", 2), ["changed: src/b.js", "changed: src/a.js"]);
    assert_ne!(home.known("api").pids(), after.pids());
    home.keeper().unwrap().signal(Signal::SIGKILL);
    wait_for(PROMPT, "another keeper", || home.keeper());
    watched(&home, "api");
    write(&home, "src/b.js");
    assert_eq!(reasons(&home, "api", 3)[2], "changed: src/b.js");
}

#[test]
fn it_is_switched_off_and_on_and_that_is_kept() {
    let home = Home::new();
    write(&home, "a.js");
    home.ctl(&["start", "sleep", "--name", "api", "--ready", "delay:0s", "--watch", "--", "1000"])
        .ok();
    watched(&home, "api");
    write(&home, "a.js");
    assert_eq!(reasons(&home, "api", 1), ["changed: a.js"]);
    home.ctl(&["restart", "api", "--watch"]).ok();
    assert_eq!(home.known("api").0["watch"]["on"], false);
    home.daemon().unwrap().signal(Signal::SIGKILL);
    let off = home.until("api", "its return", |app| app.status() == "online");
    assert_eq!(off.0["watch"]["on"], false);
    assert!(off.0["watch"]["directories"].is_null());
    assert!(home.ctl(&["describe", "api"]).ok().stdout.contains("off ("));
    write(&home, "a.js");
    home.ctl(&["restart", "api", "--watch"]).ok();
    watched(&home, "api");
    write(&home, "a.js");
    assert_eq!(reasons(&home, "api", 2).len(), 2);
    home.ctl(&["stop", "api", "--watch"]).ok();
    home.ctl(&["start", "api"]).ok();
    assert_eq!(home.known("api").0["watch"]["on"], false);
    // An app that names nothing is watched below its directory.
    idle(&home, "");
    fs::write(home.project().join("ecosystem.toml"), app("plain", "sleep", &["1000"], AT_ONCE))
        .unwrap();
    home.ctl(&["start"]).ok();
    home.ctl(&["restart", "plain", "--watch"]).ok();
    let watching = watched(&home, "plain");
    assert_eq!(watching.0["watch"]["paths"][0], home.project().to_str().unwrap());
}

#[test]
fn who_is_stopped_is_not_watched() {
    let home = Home::new();
    write(&home, "a.js");
    idle(&home, "watch = true");
    home.ctl(&["start"]).ok();
    watched(&home, "api");
    home.ctl(&["stop", "api"]).ok();
    assert!(home.known("api").0["watch"]["directories"].is_null());
    write(&home, "a.js");
    home.ctl(&["start", "api"]).ok();
    watched(&home, "api");
    write(&home, "a.js");
    assert_eq!(reasons(&home, "api", 1), ["changed: a.js"]);
}

#[test]
fn a_limit_of_the_kernels_is_told() {
    let home = Home::new();
    ["a/x", "b/x", "c/x", "d/x"].iter().for_each(|name| write(&home, name));
    idle(&home, "watch = true");
    let nexusctl = program("nexusctl");
    let script =
        format!("echo 3 > /proc/sys/user/max_inotify_watches && exec {} start", nexusctl.display());
    let mut command = home.command(Path::new("unshare"));
    let started = run(command.args(["-Ur", "sh", "-c", &script]), PROMPT * 2);
    if started.code != 0 && started.stderr.contains("unshare") {
        eprintln!("skipped: no user namespaces here: {}", started.stderr);
        return;
    }
    started.ok();
    let limited = home.until("api", "the limit", |app| app.0["watch"]["problem"].is_string());
    let problem = limited.0["watch"]["problem"].as_str().unwrap();
    assert!(problem.contains("fs.inotify.max_user_watches = "), "{problem}");
    assert!(problem.contains("sysctl"), "{problem}");
    assert_eq!(limited.status(), "online");
}

#[test]
fn where_nobody_tells_of_changes_files_are_looked_at() {
    let home = Home::new();
    write(&home, "src/a.js");
    idle(&home, "watch = [\"src\"]\nwatch_options = { use_polling = true, interval = \"50ms\" }");
    home.ctl(&["start"]).ok();
    watched(&home, "api");
    write(&home, "src/a.js");
    assert_eq!(reasons(&home, "api", 1), ["changed: src/a.js"]);
}
