//! Another program in the place of both: nothing is lost, and a broken one is undone.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use nexus_tests::http::get;
use nexus_tests::{Home, Load, PROMPT, Process, free_port, program, run, truth, wait_for};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::altered::{altered, changed, endless, executable, mark, other_mark};
use crate::{AT_ONCE, shell, worker};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Our version with another last figure.
fn other_version() -> String {
    let (rest, last) = VERSION.split_at(VERSION.len() - 1);
    format!("{rest}{}", if last == "9" { "8" } else { "9" })
}

fn newer(home: &Home) -> PathBuf {
    altered(home, "newer", &[(VERSION, &other_version())])
}

fn upgrade(home: &Home, to: &Path) -> nexus_tests::Output {
    home.ctl(&["daemon", "upgrade", "--to", &to.display().to_string(), "--deadline", "20s"])
}

fn exe(pid: i32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

fn pids(home: &Home) -> (i32, i32) {
    let version = home.api("/v1/version");
    let pid = |key: &str| i32::try_from(version[key].as_i64().unwrap()).unwrap();
    (pid("keeper_pid"), pid("pid"))
}

fn run_by(home: &Home, file: &Path) -> bool {
    let (keeper, nexusd) = pids(home);
    let file = std::fs::canonicalize(file).unwrap();
    exe(keeper) == file && exe(nexusd) == file
}

/// Two workers that serve and write numbered lines, one that exits with 7 when it is told to.
fn fleet(home: &Home, port: u16) -> PathBuf {
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let truth_dir = truth.display().to_string();
    let args = ["--lines", "300", "--truth", &truth_dir, "--serve", "--ready-after", "0"];
    let listen = format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"\ninstances = 2");
    let mortal = shell(
        "mortal",
        "trap 'exit 7' USR1; echo set; while :; do sleep 1000 & wait; done",
        "ready = \"delay:0s\"\nmin_uptime = 0",
    );
    home.write("ecosystem.toml", &(worker("api", &args, &listen) + &mortal));
    home.ctl(&["start"]).ok();
    truth
}

/// Nothing of the apps has changed, and what was written is in the logs once.
fn whole(home: &Home, truth: &Path, load: Load, api: &[(i32, u64, u64)]) {
    assert_eq!(home.known("api").identity(), api);
    load.end().flawless();
    home.ctl(&["stop", "api"]).ok();
    let logs = [0, 1].map(|n| home.path().join(format!("logs/api-out-{n}.log")));
    let lines = truth::compare(&logs, truth).unwrap_or_else(|flaw| panic!("{flaw}"));
    assert!(lines > 1_000, "{lines} lines");
}

#[test]
fn twenty_upgrades_under_load_lose_nothing() {
    let home = Home::new();
    let port = free_port();
    let truth = fleet(&home, port);
    let api = home.known("api").identity();
    let programs = [newer(&home), program("nexusctl")];
    let load = Load::start(port, 2, 1);
    let (keeper, _) = pids(&home);
    for round in 0..20_u64 {
        let to = &programs[usize::try_from(round % 2).unwrap()];
        // One exit while the program changes: told once, with its true code.
        let log = home.path().join("logs/mortal-out.log");
        wait_for(PROMPT, "the mortal's trap", || {
            (std::fs::read_to_string(&log).ok()?.lines().count() as u64 > round).then_some(())
        });
        let mortal = home.known("mortal");
        let to_text = to.display().to_string();
        let upgrade = home.begin(&["daemon", "upgrade", "--to", &to_text]);
        mortal.main().signal(Signal::SIGUSR1);
        upgrade.end().ok();
        assert!(run_by(&home, to), "round {round}");
        assert_eq!(pids(&home).0, keeper, "the keeper is the same process");
        home.until("mortal", "its successor", |app| {
            app.status() == "online" && app.restarts() == [round + 1]
        });
        assert_eq!(home.known("api").identity(), api, "round {round}");
    }
    let exits = home.events_of("mortal", "exit");
    assert_eq!(exits.len(), 20, "{exits:?}");
    assert!(exits.iter().all(|event| event["exit"] == "code 7"), "{exits:?}");
    let version = home.api("/v1/version");
    assert_eq!((&version["version"], &version["keeper_restarts"]), (&VERSION.into(), &0.into()));
    whole(&home, &truth, load, &api);
}

#[test]
fn an_upgrade_tells_both_versions_and_an_operation_goes_through_it() {
    let home = Home::new();
    home.write(
        "ecosystem.toml",
        &worker(
            "slow",
            &["--await", "go", "--ready-after", "0"],
            "ready = \"notify\"\nready_timeout = \"60s\"",
        ),
    );
    let start = home.begin(&["start"]);
    wait_for(PROMPT, "the app", || home.ask("GET", "/v1/apps/slow", "", "").ok());
    let newer = newer(&home);
    let said = upgrade(&home, &newer).ok();
    let line = format!("upgraded {VERSION} to {}", other_version());
    assert!(said.stderr.contains(&line), "{}", said.stderr);
    home.write("go-0", "");
    start.end().ok();
    let status = home.ctl(&["daemon", "status", "-o", "json"]).ok();
    assert_eq!(status.json()["version"], other_version());
    assert_eq!(status.json()["keeper_version"], other_version());
    // A daemon of another version is told of, with what to do.
    assert!(status.stderr.contains("newer than this program"), "{}", status.stderr);
    let again = upgrade(&home, &newer).ok();
    assert!(again.stderr.contains("is this program already"), "{}", again.stderr);
    let events = home.api("/v1/events");
    let told = |kind: &str| {
        let events = events["events"].as_array().unwrap();
        events.iter().filter(|event| event["kind"] == kind).count()
    };
    assert_eq!((told("upgraded"), told("rolled_back")), (1, 0), "{events}");
    let back = home.ctl(&["update", "-o", "json"]).ok().json();
    assert_eq!((&back["verdict"], &back["version"]), (&"done".into(), &VERSION.into()));
    assert_eq!(back["from"], other_version());
}

#[test]
fn an_older_daemon_is_told_of_by_a_newer_command() {
    let home = Home::new();
    home.ctl(&["start", "--name", "calm", "--ready", "delay:0s", "--", "sleep", "1000"]).ok();
    let newer = newer(&home);
    let list = run(home.command(&newer).arg("list"), PROMPT).ok();
    assert!(list.stderr.contains("`nexusctl daemon upgrade` brings"), "{}", list.stderr);
    let quiet = run(home.command(&newer).args(["-q", "list"]), PROMPT).ok();
    assert_eq!(quiet.stderr, "");
    run(home.command(&newer).args(["daemon", "upgrade"]), PROMPT).ok();
    assert!(run_by(&home, &newer));
    let list = run(home.command(&newer).arg("list"), PROMPT).ok();
    assert_eq!(list.stderr, "");
}

#[test]
fn what_is_no_nexusctl_is_refused_before_anything_is_touched() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let before = pids(&home);
    let text = home.write("text", "no program");
    let loose = newer(&home);
    std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o777)).unwrap();
    for (file, why) in [
        (Path::new("/nowhere/nexusctl"), "No such file"),
        (text.as_path(), "Permission denied"),
        (Path::new("/bin/true"), "it is no nexusctl"),
        (&executable(&home, "odd", b"\x7fELF and no more"), "Exec format error"),
        (&loose, "others may write to it"),
    ] {
        let said = upgrade(&home, file).expect_code(9);
        assert!(said.stderr.contains(why), "{}: {}", file.display(), said.stderr);
        assert_eq!(pids(&home), before);
    }
    assert_eq!(home.known("calm").restarts(), [0]);
}

/// Whoever asks: the daemon looks into the file itself.
#[test]
fn the_daemon_itself_refuses_what_could_not_hand_over_either_way() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let before = (pids(&home), state_of(&home));
    let own = mark();
    let [protocol, state, reads] =
        [20, 24, 28].map(|at| u32::from_le_bytes(own[at..at + 4].try_into().unwrap()));
    assert_eq!(other_mark([protocol, state, reads]), own);
    let says = |name: &str, mark: [u8; 36]| changed(&home, name, "nexusctl", &[(&own, &mark)]);
    let mut torn = own;
    torn[33] ^= 1;
    let file = home.write("not-executable", "no program");
    for (file, why) in [
        (says("wire-newer", other_mark([protocol + 1, state, reads])), "its keeper speaks"),
        (says("wire-older", other_mark([protocol - 1, state, reads])), "its keeper speaks"),
        (says("older", other_mark([protocol, state - 1, reads])), "it is too old: it reads state"),
        (says("later", other_mark([protocol, state + 7, state + 1])), "it reads no state as old"),
        (says("torn", torn), "it is no nexusctl"),
        ("/bin/true".into(), "it is no nexusctl, or"),
        (executable(&home, "a-script", b"#!/bin/sh\n"), "it is no nexusctl, or one"),
        (executable(&home, "odd", b"\x7fELF and no more"), "it is no nexusctl, or one from"),
        (executable(&home, "endless", &endless()), "it is no nexusctl, or one from before"),
        (file, "not executable"),
        (home.project(), "it is no file"),
        ("/dev/zero".into(), "it is no file "),
        ("/nowhere/nexusctl".into(), "No such file"),
        ("nexusctl".into(), "it is no absolute path"),
    ] {
        let body = json!({"file": file}).to_string();
        let key = format!("Idempotency-Key: {why}\r\n");
        let answer = home.ask("POST", "/v1/daemon/upgrade", &key, &body).unwrap();
        let said = answer.json();
        assert_eq!(said["code"], "NX0305", "{said}");
        assert!(said["title"].as_str().unwrap().contains(why.trim_end()), "{said}");
        assert_eq!(said["causes"][0], "nothing was changed");
        assert_eq!((pids(&home), state_of(&home)), before, "{}", file.display());
    }
    assert_eq!(home.known("calm").restarts(), [0]);
}

/// What is wanted, as it stands on disk.
fn state_of(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(home.path().join("state")).unwrap().flatten();
    let intents =
        files.map(|file| file.path()).filter(|path| path.display().to_string().contains("intents"));
    intents.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Each breaks in another place; the old program serves, and nothing is lost.
#[test]
fn a_broken_program_is_undone_under_load() {
    let home = Home::new();
    let port = free_port();
    let truth = fleet(&home, port);
    let api = home.known("api").identity();
    let load = Load::start(port, 2, 1);
    let own = std::fs::canonicalize(program("nexusctl")).unwrap();
    let fifo = home.path().join("nexusd.fif");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let broken = [
        // As keeper: knows no such role; another handoff; never ready.
        (altered(&home, "no-role", &[("__keeper", "__beeper")]), "as a keeper it"),
        (altered(&home, "no-handoff", &[("NXHAND01", "NXHAND09")]), "as a keeper it"),
        (
            changed(
                &home,
                "late",
                "nexus-test-worker",
                &[(b"nexus-test-worker is no such program", &mark())],
            ),
            "as a keeper it was not ready in time",
        ),
        // As nexusd: cannot open its state; hangs in opening its log.
        (altered(&home, "no-state", &[("intents", "intent/")]), "as nexusd it exited with"),
        (altered(&home, "hangs", &[("nexusd.log", "nexusd.fif")]), "as nexusd it was not ready"),
    ];
    for (file, why) in &broken {
        let before = pids(&home);
        // One that hangs is given up at the deadline; any other ends before, on a loaded machine too.
        let deadline = if why.contains("not ready") { 1_500 } else { 20_000 };
        let op = upgrade_unasked(&home, file, deadline);
        assert_eq!(op["daemon"]["verdict"], "rolled_back", "{op}");
        let message = op["daemon"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{}: {message}", file.display());
        assert!(run_by(&home, &own), "{}", file.display());
        assert_ne!(pids(&home), before);
        assert_eq!(home.known("api").identity(), api, "{}", file.display());
    }
    whole(&home, &truth, load, &api);
    // The command says it, too, with its exit code.
    let said = upgrade(&home, &broken[3].0).expect_code(9);
    assert!(said.stderr.contains(&format!("{VERSION} serves again")), "{}", said.stderr);
    let rolled_back = home.api("/v1/events")["events"].to_string();
    assert!(rolled_back.contains("rolled_back"), "{rolled_back}");
}

/// A home with an app, and a program whose nexusd hangs in opening its log until somebody reads that.
fn with_one_that_hangs() -> (Home, PathBuf, PathBuf) {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let fifo = home.path().join("nexusd.fif");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let file = altered(&home, "hangs", &[("nexusd.log", "nexusd.fif")]);
    (home, file, fifo)
}

/// The new nexusd hangs in opening its log, and has a long deadline: who set a shorter time is told
/// so when it is over.
#[test]
fn the_time_limit_of_an_upgrade_holds_while_nobody_answers() {
    let (home, file, fifo) = with_one_that_hangs();
    let to = file.display().to_string();
    let limits = ["--timeout", "1s", "--deadline", "10m"];
    let said = home.ctl(&[["daemon", "upgrade", "--to", &to].as_slice(), &limits].concat());
    let said = said.expect_code(124).stderr;
    assert!(said.contains("not done after 1s: upgrade"), "{said}");
    // It goes on, and is done as soon as the new one goes on.
    let _heard = std::fs::File::open(&fifo).unwrap();
    wait_for(PROMPT, "the end of the upgrade", || {
        let told = home.ask("GET", "/v1/events", "", "").ok()?.json()["events"].to_string();
        told.contains("upgraded").then_some(())
    });
    assert!(run_by(&home, &file));
    assert_eq!(home.known("calm").restarts(), [0]);
}

/// The new keeper hangs once it has begun the new nexusd, whose trial it should end.
#[test]
fn a_keeper_that_hangs_while_the_new_nexusd_begins_is_replaced() {
    let (home, file, fifo) = with_one_that_hangs();
    let to = file.display().to_string();
    let upgrade = home.begin(&["daemon", "upgrade", "--to", &to, "--deadline", "10m"]);
    wait_for(PROMPT, "the new nexusd", || {
        let mut all = home.processes();
        all.retain(|process| process.comm().as_deref() == Some("nexusd"));
        let exe = |process: &Process| std::fs::read_link(format!("/proc/{}/exe", process.0)).ok();
        all.iter().any(|process| exe(process).as_ref() == Some(&file)).then_some(())
    });
    let keeper = home.keeper().unwrap();
    keeper.signal(Signal::SIGSTOP);
    let _heard = std::fs::File::open(&fifo).unwrap();
    wait_for(PROMPT * 2, "the end of the keeper", || (!keeper.alive()).then_some(()));
    let said = upgrade.end();
    assert!([0, 9].contains(&said.code), "{said:?}");
    assert_eq!(home.known("calm").restarts(), [0]);
}

/// Past the questions that the command asks of the file first.
fn upgrade_unasked(home: &Home, file: &Path, deadline_ms: u64) -> Value {
    let name = file.file_name().unwrap().to_str().unwrap();
    let body = json!({"file": file, "deadline_ms": deadline_ms}).to_string();
    let key = format!("Idempotency-Key: {name}\r\n");
    let begun = home.ask("POST", "/v1/daemon/upgrade", &key, &body);
    if let Ok(begun) = begun {
        assert_eq!(begun.status, 202, "{begun:?}");
    }
    let path = format!("/v1/operations/{name}?wait_ms=1000");
    wait_for(PROMPT, "the end of the upgrade", || {
        let answer = home.ask("GET", &path, "", "").ok().filter(|one| one.status == 200)?;
        Some(answer.json()).filter(|op| op["state"] == "ended")
    })
}

/// Whoever is killed at whatever moment: one of the two programs serves, and the operation says
/// which.
#[test]
fn a_kill_in_the_middle_of_an_upgrade_ends_in_one_of_two_whole_states() {
    let home = Home::new();
    let port = free_port();
    let truth = fleet(&home, port);
    let api = home.known("api").identity();
    let load = Load::start(port, 2, 1);
    let programs = [newer(&home), program("nexusctl")];
    let (_kept, never) = mpsc::channel::<()>();
    for round in 0..16_u64 {
        let (keeper, nexusd) = pids(&home);
        let to = programs.iter().find(|file| !run_by(&home, file)).unwrap();
        let from = programs.iter().find(|file| run_by(&home, file)).unwrap();
        let name = format!("kill-{round}");
        let body = json!({"file": to, "deadline_ms": 20_000}).to_string();
        let key = format!("Idempotency-Key: {name}\r\n");
        // It may be gone before it answers.
        let _begun = home.ask("POST", "/v1/daemon/upgrade", &key, &body);
        // Each round at another moment of it.
        let _nothing = never.recv_timeout(Duration::from_millis(round * 2));
        Process(if round % 2 == 0 { keeper } else { nexusd }).signal(Signal::SIGKILL);
        let path = format!("/v1/operations/{name}?wait_ms=1000");
        let op = wait_for(PROMPT, "the end of the upgrade", || {
            let answer = home.ask("GET", &path, "", "").ok().filter(|one| one.status == 200)?;
            Some(answer.json()).filter(|op| op["state"] == "ended")
        });
        let serves = match op["daemon"]["verdict"].as_str() {
            Some("done") => to,
            Some("rolled_back") => from,
            _ => panic!("{op}"),
        };
        wait_for(PROMPT, &format!("{} to serve: {op}", serves.display()), || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_by(&home, serves)))
                .ok()
                .filter(|serves| *serves)
        });
        assert_eq!(home.known("api").identity(), api, "round {round}");
        assert_eq!(get(port, "/alive").unwrap().status, 200);
    }
    whole(&home, &truth, load, &api);
}
