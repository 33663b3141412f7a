//! A secret is never on disk in clear, nor in anything that we say.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use nexus_tests::http::request;
use nexus_tests::{Home, PROMPT, Process, program, run, wait_for};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell};

/// What is looked for: in no other word of ours.
const PLANTED: [&str; 7] = [
    "zq-written-7d1",
    "zq-sourced-7d2",
    "zq-dotenv-7d3",
    "zq-address-7d4",
    "zq-inherited-7d5",
    "zq-named-7d6",
    "zq-commanded-7d7",
];

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => dirs.push(entry.path()),
                kind if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

fn has_none(what: &str, bytes: &[u8]) {
    for secret in PLANTED {
        let there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!there, "{secret} is in {what}:\n{}", String::from_utf8_lossy(bytes));
    }
}

fn started() -> Home {
    let home = Home::new();
    home.write("secret", &format!("{}\n", PLANTED[1]));
    home.write("app.env", &format!("PLAIN={}\n", PLANTED[2]));
    home.write("told", &format!("{}\n", PLANTED[6]));
    let more = format!(
        "{AT_ONCE}\nenv_file = \"app.env\"\n\
         secrets = {{ FROM_FILE = \"file:secret\", FROM_COMMAND = \"command:cat told\" }}\n\
         secret_names = [\"PIN\"]\ninherit_env = [\"PASSPHRASE\"]\n\
         env = {{ API_KEY = \"{}\", REDIS = \"redis://:{}@h/\", PIN = \"{}\", MODE = \"x\" }}",
        PLANTED[0], PLANTED[3], PLANTED[5]
    );
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more));
    home
}

fn ctl(home: &Home, args: &[&str]) -> nexus_tests::Output {
    let mut command = home.command(&program("nexusctl"));
    run(command.args(args).env("PASSPHRASE", PLANTED[4]), PROMPT)
}

/// The worker was born with all of them.
fn has_all(home: &Home) -> Process {
    let process = wait_for(PROMPT, "its own program", || {
        let process = home.known("app").main();
        process.args().filter(|args| args.first().is_some_and(|word| word == "sleep"))?;
        Some(process)
    });
    for (key, value) in [
        ("API_KEY", PLANTED[0].to_owned()),
        ("FROM_FILE", PLANTED[1].to_owned()),
        ("FROM_COMMAND", PLANTED[6].to_owned()),
        ("PLAIN", PLANTED[2].to_owned()),
        ("REDIS", format!("redis://:{}@h/", PLANTED[3])),
        ("PASSPHRASE", PLANTED[4].to_owned()),
        ("PIN", PLANTED[5].to_owned()),
        ("MODE", "x".to_owned()),
    ] {
        assert_eq!(process.env(key), Some(value), "{key}");
    }
    process
}

#[test]
fn no_byte_that_we_write_or_say_holds_a_secret() {
    let home = started();
    let mut said = vec![ctl(&home, &["start"]).ok()];
    has_all(&home);
    said.push(ctl(&home, &["save"]).ok());
    said.push(ctl(&home, &["restart", "ecosystem.toml"]).ok());
    // A conflict and a flaw, which quote what they are about.
    let text = std::fs::read_to_string(home.project().join("ecosystem.toml")).unwrap();
    home.write("other.toml", &text.replace("MODE = \"x\"", "MODE = \"y\""));
    said.push(ctl(&home, &["start", "other.toml"]).expect_code(5));
    home.write("bad.toml", &text.replace("MODE = \"x\"", "MODE = []"));
    said.push(ctl(&home, &["start", "bad.toml"]).expect_code(6));
    home.known("app").main().signal(Signal::SIGKILL);
    home.until("app", "its successor", |app| app.restarts() == [1]);
    for args in [
        ["list", "-o", "json"].as_slice(),
        &["list", "-o", "wide"],
        &["describe", "app"],
        &["describe", "app", "-o", "json"],
        &["env", "app"],
        &["env", "app", "-o", "json"],
        &["why", "app"],
        &["events", "-o", "json"],
        &["jlist"],
        &["logs", "app"],
        &["daemon", "status", "-o", "json"],
        &["check", "-o", "json"],
    ] {
        said.push(ctl(&home, args).ok());
    }
    for output in said {
        has_none("what a command says", format!("{output:?}").as_bytes());
    }
    let sock = home.path().join("nexus.sock");
    for path in [
        "/v1/version",
        "/v1/apps",
        "/v1/apps/app",
        "/v1/apps/app/env",
        "/v1/events?last=1000",
        "/v1/healthz",
        "/v1/metrics",
        "/v1/operations",
        "/v1/logs?app=app",
        "/openapi.json",
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(&sock).unwrap();
        stream.write_all(request("GET", path, "", "").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        has_none(path, &answer);
    }
    for file in files(&home.path()) {
        has_none(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
    for process in [home.keeper().unwrap(), home.daemon().unwrap()] {
        has_none("a command line of the pair", process.args().unwrap().join(" ").as_bytes());
    }
}

#[test]
fn secrets_come_back_after_the_death_of_both_and_from_the_saved_list() {
    let home = started();
    ctl(&home, &["start"]).ok();
    ctl(&home, &["save"]).ok();
    let before = has_all(&home);
    for process in [home.keeper().unwrap(), home.daemon().unwrap()] {
        process.signal(Signal::SIGKILL);
    }
    wait_for(PROMPT, "the end of both", || {
        (home.keeper().is_none() && home.daemon().is_none()).then_some(())
    });
    // Nobody's environment but the worker's has them now, and what is on disk.
    before.signal(Signal::SIGKILL);
    home.ctl(&["list"]).ok();
    home.until("app", "its successor", |app| app.status() == "online" && app.pids() != [before.0]);
    has_all(&home);
    home.ctl(&["delete", "app"]).ok();
    home.ctl(&["resurrect"]).ok();
    has_all(&home);
    for file in files(&home.path()) {
        has_none(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

/// The pair has the secrets in memory, and its memory is written nowhere; a worker's is, if the
/// caller wanted that.
#[test]
fn who_keeps_secrets_leaves_no_core_and_workers_do_as_the_caller_may() {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    if hard != RLIM_INFINITY {
        eprintln!("LEFT OUT: nobody may have a core here");
        return;
    }
    let home = started();
    let mut start = home.command(Path::new("prlimit"));
    start.arg("--core=unlimited").arg(program("nexusctl")).arg("start");
    run(start.env("PASSPHRASE", PLANTED[4]), PROMPT).ok();
    let worker = has_all(&home);
    let limit = |process: Process| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.0)).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
        line.unwrap().split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit(worker), "unlimited");
    for find in [Home::daemon, Home::keeper] {
        let process = find(&home).unwrap();
        assert_eq!(limit(process), "1");
        let place = std::fs::read_link(format!("/proc/{}/cwd", process.0)).unwrap();
        process.signal(Signal::SIGABRT);
        wait_for(PROMPT, "its successor", || find(&home).filter(|now| *now != process));
        for dir in [place.as_path(), &home.path(), &home.project()] {
            let left: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().collect();
            let core = left.iter().find(|file| {
                let name = file.file_name().to_string_lossy().into_owned();
                name == "core"
                    || name.strip_prefix("core.").is_some_and(|pid| *pid == process.0.to_string())
            });
            assert!(core.is_none(), "{core:?} in {}", dir.display());
        }
        // Those who come after it are as silent.
        assert_eq!(limit(find(&home).unwrap()), "1");
    }
    assert!(worker.alive());
}

#[test]
fn a_secret_whose_source_is_gone_is_told_by_the_source_alone() {
    let home = started();
    ctl(&home, &["start"]).ok();
    std::fs::remove_file(home.project().join("secret")).unwrap();
    let output = ctl(&home, &["check"]).expect_code(6);
    assert!(output.stderr.contains("secrets.FROM_FILE: there is no file"), "{output:?}");
    let output = ctl(&home, &["restart", "app"]).expect_code(1);
    assert!(output.stderr.contains("its secret FROM_FILE (file:"), "{output:?}");
    assert!(output.stderr.contains("No such file or directory"), "{output:?}");
    home.write("secret", PLANTED[1]);
    ctl(&home, &["restart", "app"]).ok();
    has_all(&home);
}

/// As systemd hands them over (`LoadCredential=`): a directory that the daemon is told of.
#[test]
fn a_secret_of_the_service_managers_is_read_from_its_directory() {
    let home = Home::new();
    let held = home.project().join("held");
    std::fs::create_dir(&held).unwrap();
    std::fs::write(held.join("db"), "zq-held-7d8\n").unwrap();
    let more = format!("{AT_ONCE}\nsecrets = {{ DB = \"credential:db\" }}");
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more));
    let mut start = home.command(&program("nexusctl"));
    run(start.arg("start").env("CREDENTIALS_DIRECTORY", &held), PROMPT).ok();
    let process = home.known("app").main();
    assert_eq!(process.env("DB").as_deref(), Some("zq-held-7d8"));
    assert_eq!(process.env("CREDENTIALS_DIRECTORY"), None);
    for file in files(&home.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("zq-held"), "{}", file.display());
    }
    // One that is not there is told by its name.
    std::fs::remove_file(held.join("db")).unwrap();
    let said = home.ctl(&["restart", "app"]).expect_code(1).stderr;
    assert!(said.contains("its secret DB (credential:db)"), "{said}");
}
