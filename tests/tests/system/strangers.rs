//! What other people plant in our way: links, files and modes; and who is told to have done what.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nexus_tests::{Home, Output, PROMPT, program, run};
use nix::unistd::{Gid, Uid, chown};

use crate::{AT_ONCE, shell};

/// A user who is nobody else.
const NOBODY: u32 = 65_534;

fn talker(home: &Home) {
    let line = "echo from the app; exec sleep 1000";
    home.write("ecosystem.toml", &shell("talk", line, AT_ONCE));
}

/// A file that must stay as it is.
fn precious(home: &Home) -> PathBuf {
    home.write("precious", "do not touch\n")
}

#[track_caller]
fn untouched(path: &Path) {
    assert_eq!(std::fs::read_to_string(path).unwrap(), "do not touch\n");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

fn ours(home: &Home, folder: &str) -> PathBuf {
    let path = home.path().join(folder);
    std::fs::create_dir_all(&path).unwrap();
    for path in [home.path(), path.clone()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    path
}

#[test]
fn a_link_in_the_place_of_a_log_is_not_followed() {
    let home = Home::new();
    let precious = precious(&home);
    let logs = ours(&home, "logs");
    symlink(&precious, logs.join("talk-out.log")).unwrap();
    talker(&home);
    let said = home.ctl(&["start"]);
    untouched(&precious);
    assert!(said.code == 1 && said.stderr.contains("talk-out.log"), "{said:?}");
    // Beside the log, too: its index.
    std::fs::remove_file(logs.join("talk-out.log")).unwrap();
    symlink(&precious, logs.join("talk-out.log.idx")).unwrap();
    home.ctl(&["restart", "talk", "-q"]).ok();
    let log = logs.join("talk-out.log");
    nexus_tests::wait_for(PROMPT, "its line", || {
        std::fs::read_to_string(&log).ok().filter(|text| text.contains("from the app"))
    });
    untouched(&precious);
}

#[test]
fn links_in_the_place_of_state_and_of_the_daemons_log_are_not_followed() {
    for name in [
        "state/intents.1.jsonl",
        "state/events.1.jsonl",
        "state/saved.json",
        "state/key",
        "nexusd.log",
    ] {
        let home = Home::new();
        let precious = precious(&home);
        ours(&home, "state");
        symlink(&precious, home.path().join(name)).unwrap();
        talker(&home);
        let said = home.ctl(&["start"]);
        home.ctl(&["save"]);
        untouched(&precious);
        // Refused with its name, or a file of our own is put in the link's place.
        let told = said.stderr.contains(Path::new(name).file_name().unwrap().to_str().unwrap());
        assert!(said.code == 0 || told, "{name}: {said:?}");
    }
}

#[test]
fn a_pid_file_takes_the_place_of_a_link_and_follows_it_nowhere() {
    let home = Home::new();
    let precious = precious(&home);
    let pid_file = home.project().join("talk.pid");
    symlink(&precious, &pid_file).unwrap();
    let more = format!("{AT_ONCE}\npid_file = {:?}", pid_file.display().to_string());
    home.write("ecosystem.toml", &shell("talk", "exec sleep 1000", &more));
    let said = home.ctl(&["start"]);
    untouched(&precious);
    assert!(said.code == 0 || said.stderr.contains("pid_file"), "{said:?}");
}

#[test]
fn a_home_that_is_open_to_others_or_not_ours_is_refused_and_says_how_to_mend_it() {
    let home = Home::new();
    talker(&home);
    ours(&home, "state");
    let mode = |mode: u32| {
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for open in [0o770, 0o707, 0o777] {
        mode(open);
        let said = home.ctl(&["start"]).expect_code(7).stderr;
        assert!(said.contains(&home.path().display().to_string()), "{said}");
        assert_eq!(home.processes(), [], "{open:o}");
    }
    mode(0o700);
    if nix::unistd::geteuid().is_root() {
        chown(&home.path(), Some(Uid::from_raw(NOBODY)), None).unwrap();
        let said = home.ctl(&["start"]).expect_code(7).stderr;
        assert!(said.contains("belongs to"), "{said}");
        chown(&home.path(), Some(Uid::from_raw(0)), None).unwrap();
    }
    home.ctl(&["start"]).ok();
}

#[test]
fn a_squatted_socket_is_left_alone_and_told() {
    let home = Home::new();
    talker(&home);
    let state = ours(&home, "state");
    let socket = state.parent().unwrap().join("nexus.sock");
    for plant in
        [|at: &Path| std::fs::create_dir(at).unwrap(), |at: &Path| std::fs::write(at, "x").unwrap()]
    {
        plant(&socket);
        let said = home.ctl(&["start"]).expect_code(7).stderr;
        assert!(said.contains("nexus.sock"), "{said}");
        assert_eq!(home.processes(), []);
        std::fs::remove_file(&socket).or_else(|_| std::fs::remove_dir(&socket)).unwrap();
    }
    symlink(precious(&home), &socket).unwrap();
    let said = home.ctl(&["start"]);
    untouched(&home.project().join("precious"));
    assert!(said.code == 0 || said.stderr.contains("nexus.sock"), "{said:?}");
}

#[test]
fn one_home_by_two_names_has_one_daemon() {
    let home = Home::new();
    talker(&home);
    home.ctl(&["start"]).ok();
    let pair = (home.daemon().unwrap(), home.keeper().unwrap());
    let other = home.project().join("other-name");
    symlink(home.path(), &other).unwrap();
    let by_other = |args: &[&str]| -> Output {
        run(home.command(&program("nexusctl")).env("NEXUS_HOME", &other).args(args), PROMPT)
    };
    let listed = by_other(&["list", "-o", "name"]).ok().stdout;
    assert_eq!(listed, "talk\n");
    by_other(&["restart", "talk", "-q"]).ok();
    by_other(&["daemon", "run"]).expect_code(5);
    assert_eq!((home.daemon().unwrap(), home.keeper().unwrap()), pair);
    let strangers = nexus_tests::with_env("NEXUS_HOME", &other.display().to_string());
    assert_eq!(strangers, []);
}

/// A daemon of another user's, which root may use too: the journal tells them apart.
#[test]
fn every_action_is_in_the_journal_with_who_did_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("LEFT OUT: being two people needs root");
        return;
    }
    let home = Home::new();
    talker(&home);
    std::fs::set_permissions(home.path().parent().unwrap(), std::fs::Permissions::from_mode(0o755))
        .unwrap();
    ours(&home, "state");
    for path in [home.path(), home.path().join("state")] {
        chown(&path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
    }
    let nobody = |args: &[&str]| -> Output {
        let mut command = home.command(Path::new("setpriv"));
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        run(command.arg(program("nexusctl")).args(args), PROMPT)
    };
    nobody(&["start", "ecosystem.toml", "-q"]).ok();
    home.ctl(&["restart", "talk", "-q"]).ok();
    home.ctl(&["save", "-q"]).ok();
    nobody(&["signal", "SIGURG", "talk", "-q"]).ok();
    nobody(&["flush", "talk", "-q"]).ok();
    nobody(&["stop", "talk", "-q"]).ok();
    let events = home.api("/v1/events");
    let all = events["events"].as_array().unwrap().iter();
    let told: Vec<(String, String)> = all
        .filter(|event| event["kind"] == "operator" || event["kind"] == "save")
        .map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            (word("detail").split(' ').next().unwrap().to_owned(), word("by"))
        })
        .filter(|(verb, _)| !verb.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let by = |verb: &str, who: &str| (verb.to_owned(), who.to_owned());
    let (root, nobody_) = ("root(0)", "nobody(65534)");
    let wanted = [
        by("start", nobody_),
        by("restart", root),
        by("signal", nobody_),
        by("flush", nobody_),
        by("stop", nobody_),
    ];
    assert_eq!(told, wanted);
    let saved = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "save");
    assert_eq!(saved.unwrap()["by"], root);
    nobody(&["kill", "-q"]).ok();
}

/// Datagrams without end to a socket whose name anybody can see, until it is killed.
const FLOOD: &str = r#"
import socket, sys
it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while True: it.sendto(b"READY=1\nSTATUS=" + b"x" * 3000, "\0" + sys.argv[1])
"#;

#[test]
fn whoever_floods_the_socket_of_workers_does_not_keep_us_from_our_work() {
    let home = Home::new();
    home.write("flood.py", FLOOD);
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let environ = std::fs::read(format!("/proc/{}/environ", home.known("calm").main().0)).unwrap();
    let socket =
        environ.split(|&byte| byte == 0).find_map(|one| one.strip_prefix(b"NOTIFY_SOCKET=@"));
    let socket = String::from_utf8(socket.unwrap().to_vec()).unwrap();
    let flood = || {
        let mut command = home.command(Path::new("/usr/bin/env"));
        command.args(["-u", "NEXUS_HOME", "python3", "flood.py", &socket]);
        command.spawn().unwrap()
    };
    let mut floods = [flood(), flood()];
    // What it costs is theirs: commands and time-outs go on.
    home.write(
        "deaf.toml",
        &shell(
            "deaf",
            "trap '' TERM; while :; do sleep 1; done",
            "ready = \"delay:0s\"\nkill_timeout = \"300ms\"",
        ),
    );
    for _ in 0..5 {
        home.ctl(&["start", "deaf.toml"]).ok();
        home.ctl(&["stop", "deaf"]).ok();
        home.ctl(&["list"]).ok();
    }
    for flood in &mut floods {
        flood.kill().unwrap();
        flood.wait().unwrap();
    }
    let log = std::fs::read_to_string(home.path().join("nexusd.log")).unwrap();
    let told = log.lines().filter(|line| line.contains("no worker's speaks to us")).count();
    assert!((1..40).contains(&told), "{told} lines");
}
