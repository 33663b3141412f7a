//! Verbs that ask about processes: `pid`, `id`, `env`, `status`.

use std::io::Read;
use std::process::Stdio;

use nexus_tests::{Home, PROMPT, Process, program, run};

use crate::{AT_ONCE, shell, worker};

fn two() -> Home {
    let home = Home::new();
    let more = format!("{AT_ONCE}\ninstances = 2");
    let text = shell("api", "exec sleep 1000", &more) + &shell("job", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    home
}

fn numbers(text: &str) -> Vec<i64> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn pids_and_ids_are_a_line_each() {
    let home = two();
    let api = home.known("api");
    let pids: Vec<i64> = api.pids().into_iter().map(i64::from).collect();
    let ids: Vec<i64> = api.ids().into_iter().map(|id| i64::try_from(id).unwrap()).collect();
    assert_eq!(numbers(&home.ctl(&["pid", "api"]).ok().stdout), pids);
    assert_eq!(numbers(&home.ctl(&["pid", "api/1"]).ok().stdout), pids[1..]);
    assert_eq!(numbers(&home.ctl(&["pid"]).ok().stdout).len(), 3);
    assert_eq!(numbers(&home.ctl(&["id", "api"]).ok().stdout), ids);
    assert_eq!(numbers(&home.ctl(&["id", &ids[1].to_string()]).ok().stdout), ids[1..]);
    let json = home.ctl(&["pid", "api", "-o", "json"]).ok().json();
    assert_eq!(json["schema"], "nexus.pid/1");
    assert_eq!(json["pids"][1]["pid"], pids[1]);
    assert_eq!(home.ctl(&["id", "job", "-o", "json"]).ok().json()["ids"][0]["app"], "job");

    home.ctl(&["stop", "api"]).ok();
    let output = home.ctl(&["pid", "api"]).ok();
    assert!(output.stdout.is_empty(), "0 would be a process group to kill(1): {output:?}");
    assert!(output.stderr.contains("nothing of it runs"), "{output:?}");
    assert_eq!(
        home.ctl(&["pid", "api", "--json"]).ok().json()["pids"][0]["pid"],
        serde_json::Value::Null
    );
}

#[test]
fn status_ends_with_0_only_when_all_are_ready() {
    let home = two();
    let output = home.ctl(&["status"]).ok();
    assert!(output.stdout.contains("api  ● online    2/2  up "), "{output:?}");
    assert!(home.ctl(&["status", "-q"]).ok().stdout.is_empty());
    home.ctl(&["stop", "api/1"]).ok();
    home.ctl(&["status", "api/0", "job"]).ok();
    let output = home.ctl(&["status", "api"]).expect_code(3);
    assert!(output.stdout.contains("partial") && output.stdout.contains("1/2"), "{output:?}");
    home.ctl(&["status"]).expect_code(3);
    let json = home.ctl(&["status", "-o", "json"]).expect_code(3).json();
    assert_eq!((&json["schema"], &json["running"]), (&"nexus.status/1".into(), &false.into()));
    assert_eq!(json["apps"][0]["ready"], 1);
    home.ctl(&["start", "api"]).ok();
    home.ctl(&["status"]).ok();
}

#[test]
fn the_status_of_what_fails_says_why() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("bad", "exit 3", "max_restarts = 1"));
    home.ctl(&["start"]).expect_code(1);
    home.until("bad", "it to be given up", |app| app.status() == "errored");
    let output = home.ctl(&["status", "bad"]).expect_code(3);
    assert!(output.stdout.contains("exited with code 3"), "{output:?}");
}

#[test]
fn an_environment_is_what_the_worker_really_has_with_secrets_hidden() {
    let home = Home::new();
    let dump = home.project().join("dump.json");
    let env =
        "env = { PORT = \"4100\", API_KEY = \"hunter2\", REDIS_URL = \"redis://:sesame@h/0\" }";
    let args = ["--dump", &dump.display().to_string(), "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("api", &args, &format!("ready = \"notify\"\n{env}")));
    home.ctl(&["start"]).ok();
    let dumped: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&dump).unwrap()).unwrap();

    let json = home.ctl(&["env", "api", "-o", "json"]).ok().json();
    let seen = &json["environments"][0];
    assert_eq!(seen["pid"], dumped["pid"]);
    let variables = seen["variables"].as_array().unwrap();
    let real = dumped["env"].as_object().unwrap();
    assert_eq!(variables.len(), real.len(), "{variables:?}\n{real:?}");
    for one in variables {
        let name = one["name"].as_str().unwrap();
        let secret = ["API_KEY", "REDIS_URL"].contains(&name);
        assert_eq!(one["secret"], secret, "{one}");
        let expected = if secret { &serde_json::Value::Null } else { &real[name] };
        assert_eq!(&one["value"], expected, "{one}");
    }
    let output = home.ctl(&["env", "api"]).ok();
    assert!(output.stdout.contains("PORT=4100\n"), "{output:?}");
    assert!(output.stdout.contains("API_KEY=********\n"), "{output:?}");
    assert!(output.stderr.contains("2 secrets hidden"), "{output:?}");
    home.ctl(&["stop", "api"]).ok();
    let output = home.ctl(&["env", "api"]).ok();
    assert!(output.stdout.contains("PORT=4100\n") && !output.stdout.contains("hunter2"));
    assert!(output.stderr.contains("does not run"), "{output:?}");
}

#[test]
fn secrets_are_revealed_to_a_terminal_only_and_that_is_written_down() {
    let home = Home::new();
    let more = format!("{AT_ONCE}\nenv = {{ TOKEN = \"hunter2\" }}");
    home.write("ecosystem.toml", &shell("api", "exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    let output = home.ctl(&["env", "api", "--reveal"]).expect_code(5);
    assert!(output.stdout.is_empty() && output.stderr.contains("terminal"), "{output:?}");
    assert!(home.events_of("api", "operator").is_empty());

    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = home.command(&program("nexusctl"));
    command.args(["env", "api", "--reveal"]).stdout(Stdio::from(pty.slave));
    let mut child = command.spawn().unwrap();
    drop(command);
    assert!(child.wait().unwrap().success());
    let mut shown = Vec::new();
    // The end of a terminal whose other side is closed is an error, EIO.
    let _end = std::fs::File::from(pty.master).read_to_end(&mut shown);
    assert!(String::from_utf8_lossy(&shown).contains("TOKEN=hunter2"));
    let told = home.events_of("api", "operator");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["detail"].as_str().unwrap().contains("--reveal"), "{told:?}");
    let journal = std::fs::read_dir(home.path().join("state")).unwrap();
    for file in
        journal.flatten().filter(|file| file.file_name().to_string_lossy().contains("event"))
    {
        assert!(!std::fs::read_to_string(file.path()).unwrap().contains("hunter2"));
    }
}

#[test]
fn questions_about_unknown_names_end_with_4_and_without_a_daemon_with_7() {
    let home = two();
    for args in [["pid", "apy"], ["id", "apy"], ["env", "apy"], ["status", "apy"], ["wait", "apy"]]
    {
        let output = home.ctl(&args).expect_code(4);
        assert!(output.stdout.is_empty() && output.stderr.contains("`api`"), "{args:?} {output:?}");
    }
    let output = home.ctl(&["signal", "HUP", "apy"]).expect_code(4);
    assert!(output.stderr.contains("`api`"), "{output:?}");
    let empty = Home::new();
    for args in [["pid", "x"], ["id", "x"], ["env", "x"], ["status", "x"], ["wait", "x"]] {
        let output = run(empty.command(&program("nexusctl")).args(args), PROMPT);
        assert_eq!(output.code, 7, "{args:?}: {output:?}");
    }
    assert_eq!(empty.processes(), Vec::<Process>::new());
}
