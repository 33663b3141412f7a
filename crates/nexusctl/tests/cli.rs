//! The program against a daemon of canned answers: stdout, stderr and exit codes, each apart.

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "test code")]

mod fake;

use std::io::Read;
use std::process::{Output, Stdio};

use fake::{Home, app, fleet, operation, version};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap_or_else(|error| panic!("{error}: {}", out(output)))
}

/// A daemon with `api` and `trading-api` whose every operation ends so.
fn daemon(verb: &'static str, results: &'static [(&'static str, &'static str)]) -> Home {
    let place = tempfile::tempdir().unwrap();
    let logs = place.path().to_owned();
    Home::with(Box::new(move |asked| {
        let apps = [app("api", "online", &logs), app("trading-api", "online", &logs)];
        Some(match asked.split(['?', ' ']).nth(1).unwrap_or_default() {
            "/v1/version" => (200, version()),
            "/v1/apps" if asked.starts_with("GET") => (200, fleet(&apps)),
            "/v1/targets" if asked.contains("t=nope") => (
                404,
                json!({
                "type": "urn:nexus:NX0404", "title": "no app named `nope`", "status": 404,
                "code": "NX0404", "causes": [], "help": ["did you mean `nape`?"]}),
            ),
            "/v1/targets" => (200, json!({"targets": [{"app": "api", "instance": null}]})),
            "/v1/events" => (200, json!({"schema": "nexus.events/1", "events": []})),
            "/v1/save" => (200, json!({"schema": "nexus.save/1", "path": "/h/s", "apps": 2})),
            path if path.starts_with("/v1/operations/") => (200, operation(verb, results)),
            _ => (202, operation(verb, results)),
        })
    }))
}

#[test]
fn without_a_daemon_questions_have_answers_and_nothing_is_started() {
    let home = Home::empty();
    let table: [(&[&str], i32); 12] = [
        (&["list"], 0),
        (&["list", "-o", "json"], 0),
        (&["jlist"], 0),
        (&["logs"], 0),
        (&["logs", "nope"], 4),
        (&["daemon", "status"], 3),
        (&["daemon", "stop"], 0),
        (&["kill"], 0),
        (&["stop", "api"], 7),
        (&["describe", "api"], 7),
        (&["events"], 7),
        (&["save"], 7),
    ];
    for (args, code) in table {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", err(&output));
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    let list = home.run(&["list", "--json"]);
    assert_eq!(document(&list)["apps"], json!([]));
    assert!(err(&list).starts_with("no daemon runs"));
    assert_eq!(out(&home.run(&["jlist"])), "[]\n");
    assert!(out(&home.run(&["ls"])).starts_with("No apps yet."));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let home = Home::empty();
    let typo = home.run(&["restrat", "api"]);
    assert_eq!(typo.status.code(), Some(2));
    assert!(out(&typo).is_empty());
    assert!(err(&typo).contains("'restart'"), "{}", err(&typo));
    assert_eq!(home.run(&["--help"]).status.code(), Some(0));
    assert_eq!(home.run(&["start", "--name", "x"]).status.code(), Some(2));
    let flag = home.run(&["start", "--kill-timeout", "soon", "--", "true"]);
    assert_eq!(flag.status.code(), Some(2), "{}", err(&flag));
    assert!(err(&flag).contains("--kill-timeout"), "{}", err(&flag));
}

#[test]
fn a_project_file_with_flaws_ends_with_6_and_nothing_else_happens() {
    let home = Home::empty();
    let file = home.path().join("ecosystem.toml");
    std::fs::write(&file, "[[apps]]\nname = \"api\"\nscript = \"/bin/true\"\nintances = 2\n")
        .unwrap();
    for args in [["check", "ecosystem.toml"].as_slice(), &["start"], &["start", "ecosystem.toml"]] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(6), "{args:?}: {}", err(&output));
        assert!(err(&output).contains("instances"), "{}", err(&output));
        assert!(out(&output).is_empty());
    }
    let json = home.run(&["check", "ecosystem.toml", "-o", "json"]);
    let error: Value = serde_json::from_str(&err(&json)).unwrap();
    assert_eq!((&error["schema"], &error["exit"]), (&json!("nexus.error/1"), &json!(6)));
    std::fs::write(&file, "[[apps]]\nname = \"api\"\nscript = \"/bin/true\"\n").unwrap();
    assert_eq!(home.run(&["check"]).status.code(), Some(0));
    assert_eq!(home.run(&["check", "none.toml"]).status.code(), Some(6));
    let plan = home.run(&["start", "--dry-run"]);
    assert_eq!(out(&plan), "would start api\n", "{}", err(&plan));
}

#[test]
fn a_start_that_fails_says_why_on_stderr_and_ends_with_1() {
    let home = daemon("start", &[("api", "start_failed")]);
    let output = home.run(&["start", "--name", "api", "--", "/bin/false"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let text = err(&output);
    for part in [
        "error[NX0301]: `api` did not start\n",
        "  cause: api/0 exited with code 3 after 0.2s, before it was ready\n",
        "  output: Error: port is taken\n",
        "  help:  nexusctl logs api --err\n",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert!(out(&output).starts_with("NAME"));
}

#[test]
fn a_start_that_works_shows_the_table_and_a_line_to_try() {
    let home = daemon("start", &[("trading-api", "done")]);
    let output = home.run(&["start", "--name", "trading-api", "--", "/bin/true"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = err(&output);
    assert!(
        text.contains("starting trading-api: 1 instance, ready = listening, or alive for 1s\n"),
        "{text}"
    );
    assert!(text.contains("  ready 1 of 1 in "), "{text}");
    let hint = "try:  curl http://127.0.0.1:3001/api/trading/market/AAPL\n";
    assert!(text.ends_with(hint), "{text}");
    assert!(out(&output).contains("● online"));
    let quiet = home.run(&["-q", "start", "--name", "trading-api", "--", "/bin/true"]);
    assert_eq!((out(&quiet).as_str(), err(&quiet).as_str()), ("", ""));
    let json = home.run(&["start", "--json", "--name", "trading-api", "--", "/bin/true"]);
    assert_eq!(document(&json)["schema"], "nexus.operation/1");
}

#[test]
fn exit_codes_of_operations() {
    let table: [(&'static [(&'static str, &'static str)], i32); 5] = [
        (&[("api", "done"), ("trading-api", "start_failed")], 10),
        (&[("api", "conflict")], 5),
        (&[("api", "not_found")], 4),
        (&[("api", "build_failed"), ("trading-api", "not_found")], 1),
        (&[("api", "superseded")], 1),
    ];
    for (results, code) in table {
        let output = daemon("restart", results).run(&["restart", "api"]);
        assert_eq!(output.status.code(), Some(code), "{results:?}: {}", err(&output));
    }
}

#[test]
fn an_unknown_name_ends_with_4_and_the_nearest() {
    let home = daemon("stop", &[("api", "done")]);
    for args in [["describe", "nope"], ["why", "nope"], ["logs", "nope"], ["start", "nope"]] {
        let output = home.run(&args);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {}", err(&output));
        let expected = "error[NX0404]: no app named `nope`\n  help:  did you mean `nape`?\n";
        assert_eq!(err(&output), expected);
    }
    let json = home.run(&["describe", "nope", "-o", "json"]);
    let error: Value = serde_json::from_str(&err(&json)).unwrap();
    assert_eq!(error["code"], "NX0404");
    assert!(out(&json).is_empty());
}

#[test]
fn results_go_to_stdout_and_notes_to_stderr() {
    let home = daemon("stop", &[("api", "done")]);
    let stop = home.run(&["stop", "api", "-o", "name"]);
    assert_eq!((out(&stop).as_str(), err(&stop).as_str()), ("api\n", "stopped api\n"));
    assert_eq!(out(&home.run(&["stop", "api", "--dry-run"])), "would stop api\n");
    assert_eq!(out(&home.run(&["save"])), "saved 2 apps to /h/s\n");
    assert_eq!(out(&home.run(&["list", "-o", "name"])), "api\ntrading-api\n");
    assert_eq!(document(&home.run(&["list", "-o", "json"]))["generation"], 7);
    assert_eq!(
        document(&home.run(&["describe", "api", "--json"]))["apps"][0]["app"]["name"],
        "api"
    );
    assert_eq!(document(&home.run(&["jlist"]))[1]["pm2_env"]["status"], "online");
    assert_eq!(document(&home.run(&["daemon", "status", "--json"]))["pid"], 2);
    assert!(out(&home.run(&["why", "api"])).starts_with("api/0  ● online  running, as asked\n"));
}

#[test]
fn a_time_limit_ends_with_124_and_ctrl_c_with_130_and_the_work_goes_on() {
    let home = daemon("stop", &[]);
    let late = home.run(&["stop", "api", "--timeout", "20ms"]);
    assert_eq!(late.status.code(), Some(124), "{}", err(&late));
    assert!(err(&late).contains("it goes on as operation k1"), "{}", err(&late));
    let no_wait = home.run(&["stop", "api", "--no-wait"]);
    assert_eq!((no_wait.status.code(), out(&no_wait).as_str()), (Some(0), "operation k1\n"));

    let home = Home::with(Box::new(|asked| match asked.split(['?', ' ']).nth(1) {
        Some("/v1/apps") if asked.starts_with("GET") => Some((200, fleet(&[]))),
        Some("/v1/apps/stop") => Some((202, operation("stop", &[]))),
        _ => None,
    }));
    let mut command = home.command(&["stop", "api"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    home.await_request("GET /v1/operations/");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("still running as operation "), "{text}");
}

#[test]
fn a_closed_pipe_is_quiet() {
    let home = daemon("stop", &[("api", "done")]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = home.command(&["list"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(141), ""));
}

#[test]
fn logs_are_read_without_a_daemon_and_harmless() {
    let home = Home::empty();
    let logs = home.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    std::fs::write(logs.join("api-out.log"), "one\n\x1b]0;title\x07two\n").unwrap();
    std::fs::write(logs.join("api-error.log"), "three\n").unwrap();
    let output = home.run(&["logs", "api"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains('\x1b') && text.contains("err three"), "{text}");
    assert_eq!(out(&home.run(&["logs", "--err"])).lines().count(), 1);
    assert_eq!(out(&home.run(&["logs", "-n", "1"])).lines().count(), 1);
    let lines = home.run(&["logs", "--out", "-o", "json"]);
    let first: Value = serde_json::from_str(out(&lines).lines().next().unwrap()).unwrap();
    assert_eq!((&first["schema"], &first["msg"]), (&json!("nexus.log/1"), &json!("one")));
    let near = home.run(&["logs", "apl"]);
    assert_eq!(near.status.code(), Some(4));
    assert!(err(&near).contains("did you mean `api`?"), "{}", err(&near));
}

#[test]
fn following_ends_with_its_reader_though_no_line_comes() {
    let home = Home::empty();
    std::fs::create_dir(home.path().join("logs")).unwrap();
    std::fs::write(home.path().join("logs/api-out.log"), "one\n").unwrap();
    let mut child =
        home.command(&["logs", "-f"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    assert!(line.ends_with("one\n"), "{line}");
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(141));
}

#[test]
fn kill_waits_until_the_keeper_is_gone() {
    let keeper = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let pid = keeper.id();
    let keeper = std::sync::Mutex::new(keeper);
    let home = Home::with(Box::new(move |asked| match asked.split(['?', ' ']).nth(1) {
        Some("/v1/version") => {
            let mut version = version();
            version["keeper_pid"] = json!(pid);
            // One that has ended already; 0 is nobody's number.
            version["pid"] = json!(0);
            Some((200, version))
        }
        Some("/v1/daemon/kill") => {
            let mut keeper = keeper.lock().unwrap();
            keeper.kill().unwrap();
            keeper.wait().unwrap();
            Some((202, operation("kill", &[("api", "done")])))
        }
        _ => Some((200, fleet(&[app("api", "online", std::path::Path::new("/h"))]))),
    }));
    let output = home.run(&["kill"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(err(&output), "stopped api\nstopped 1 app and the daemon\n");
    assert_eq!(out(&output), "");
}
