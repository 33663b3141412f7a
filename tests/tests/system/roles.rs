//! `[daemon]`: who else may come in, what they may do there, and that all of it is written down.

mod page;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nexus_tests::{Home, Output, PROMPT, program, run, wait_for};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::Value;

use crate::{AT_ONCE, shell};

/// The group that is let in.
const GROUP: u32 = 4242;
const VIEWER: u32 = 2001;
const OPERATOR: u32 = 2002;
const ADMIN: u32 = 2003;
/// In the group, and nothing else is said of them.
const MEMBER: u32 = 2004;
/// A group of admins.
const WHEEL: u32 = 4300;
/// The longest that one command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// Becomes a user of the group, sends each `METHOD PATH` over the socket, and prints its status and
/// its body.
const ASK: &str = "
import os, socket, sys
user = int(sys.argv[2])
os.setgroups([int(sys.argv[4])])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
for n, line in enumerate(sys.argv[3].splitlines()):
    method, path = line.split()
    body = '{}' if method == 'POST' else ''
    head = '%s %s HTTP/1.1\\r\\nHost: nexus\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n'
    key = 'Idempotency-Key: ask-%s-%d\\r\\n\\r\\n' % (user, n)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(sys.argv[1])
    # In one piece: who is refused without having been listened to is not cut off in the middle.
    client.sendall(((head % (method, path, len(body))) + key + body).encode())
    answer = b''
    while piece := client.recv(65536):
        answer += piece
    status, text = answer.split(b' ', 2)[1].decode(), answer.decode('utf-8', 'replace')
    print(status, method, path, ' '.join(text.split('\\r\\n\\r\\n', 1)[1].split()))
";

/// A home of root's, and a socket that others may reach.
struct Shared {
    home: Home,
    ctl: PathBuf,
    socket: PathBuf,
}

impl Shared {
    /// `None` = only root can become another user.
    fn new() -> Option<Shared> {
        if !Uid::effective().is_root() {
            eprintln!("LEFT OUT: only root can become another user; run the tests as root");
            return None;
        }
        let home = Home::new();
        let whole = home.project().parent().unwrap().to_owned();
        for path in [&whole, &home.project()] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let ctl = home.project().join("nexusctl");
        std::fs::copy(program("nexusctl"), &ctl).unwrap();
        let socket = whole.join("door/nexus.sock");
        Some(Shared { home, ctl, socket })
    }

    /// `[daemon]`, with one line more, above an app.
    fn write(&self, more: &str) {
        let daemon =
            format!("[daemon]\ngroup = {GROUP}\nsocket = \"{}\"\n{more}\n", self.socket.display());
        let env = "env = { COLOUR = \"plain-value-7\", API_TOKEN = \"secret-value-8\" }";
        let line = "echo from the app; exec sleep 1000";
        let app = shell("talk", line, &format!("{AT_ONCE}\n{env}"));
        self.home.write("ecosystem.toml", &(daemon + &app));
    }

    fn roles(&self) {
        self.write(&format!(
            "viewers = [{VIEWER}]\noperators = [\"{OPERATOR}\"]\nadmins = [\"group:{WHEEL}\"]"
        ));
    }

    fn as_user(&self, uid: u32, first: &Path) -> Command {
        let groups = if uid == ADMIN { format!("{GROUP},{WHEEL}") } else { GROUP.to_string() };
        let mut command = self.home.command(Path::new("setpriv"));
        let uid = uid.to_string();
        command.args(["--reuid", &uid, "--regid", &uid, "--groups", &groups]).arg(first);
        command.env_remove("NEXUS_HOME").env("HOME", "/nonexistent");
        command.env("NEXUS_SOCKET", &self.socket);
        command
    }

    fn ctl(&self, uid: u32, args: &[&str]) -> Output {
        run(self.as_user(uid, &self.ctl).args(args), COMMAND)
    }

    /// Status and the whole line of each request.
    fn ask(&self, uid: u32, requests: &[String]) -> Vec<(u16, String)> {
        let mut command = self.home.command(Path::new("python3"));
        let (socket, uid) = (self.socket.display().to_string(), uid.to_string());
        let (group, requests) = (GROUP.to_string(), requests.join("\n"));
        let said = run(command.args(["-c", ASK, &socket, &uid, &requests, &group]), COMMAND).ok();
        let status = |line: &str| line[..3].parse().unwrap();
        said.stdout.lines().map(|line| (status(line), line.to_owned())).collect()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let events = self.home.api("/v1/events")["events"].as_array().unwrap().clone();
        events.into_iter().filter(|event| event["kind"] == kind).collect()
    }
}

#[test]
fn whoever_is_let_in_may_look() {
    let Some(shared) = Shared::new() else { return };
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    let mode = |path: &Path| {
        let meta = path.metadata().unwrap();
        (meta.mode() & 0o777, meta.uid(), meta.gid())
    };
    assert_eq!(mode(shared.socket.parent().unwrap()), (0o750, 0, GROUP));
    assert_eq!(mode(&shared.socket), (0o660, 0, GROUP));
    assert_eq!(mode(&shared.home.path()).0, 0o700);
    let look: [&[&str]; 5] =
        [&["list"], &["describe", "talk"], &["events"], &["why", "talk"], &["daemon", "status"]];
    for uid in [VIEWER, MEMBER, OPERATOR, ADMIN] {
        look.iter().for_each(|verb| drop(shared.ctl(uid, verb).ok()));
        let logs = wait_for(PROMPT, "its line", || {
            let logs = shared.ctl(uid, &["logs", "talk"]).ok().stdout;
            logs.contains("from the app").then_some(logs)
        });
        assert!(logs.contains("talk"), "{logs}");
    }
    assert!(shared.ctl(VIEWER, &["daemon", "status"]).stdout.contains("you are      viewer"));
}

#[test]
fn what_is_beyond_a_role_is_refused_and_told_whom_to_ask_for() {
    let Some(shared) = Shared::new() else { return };
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    let restart = &["restart", "talk"][..];
    for uid in [VIEWER, MEMBER] {
        let said = shared.ctl(uid, restart).expect_code(8);
        assert!(said.stderr.contains("restart needs the role operator"), "{said:?}");
        assert!(said.stderr.contains("operators = [\""), "{said:?}");
        assert!(said.stderr.contains("nexusctl apply"), "{said:?}");
        shared.ctl(uid, &["env", "talk"]).expect_code(8);
    }
    let pid = shared.home.known("talk").pids();
    shared.ctl(OPERATOR, restart).ok();
    assert_ne!(shared.home.known("talk").pids(), pid);
    for verb in ["stop", "start", "reload", "reset"] {
        shared.ctl(OPERATOR, &[verb, "talk"]).ok();
    }
    shared.ctl(OPERATOR, &["scale", "talk", "2"]).ok();
    shared.ctl(OPERATOR, &["signal", "SIGCONT", "talk"]).ok();
    shared.ctl(OPERATOR, &["flush", "--rotate", "talk"]).ok();
    let shown = shared.ctl(OPERATOR, &["env", "talk"]).ok().stdout;
    assert!(shown.contains("plain-value-7") && !shown.contains("secret-value-8"), "{shown}");
    // What could run any program as root, or hides what others did.
    let more = shell("more", "sleep 1000", AT_ONCE);
    shared.home.write("more.toml", &more);
    let too_much: [&[&str]; 8] = [
        &["delete", "talk"],
        &["kill", "--yes"],
        &["start", "more.toml"],
        &["apply", "more.toml"],
        &["restart", "talk", "--max-memory-restart", "1G"],
        &["flush", "talk"],
        &["save"],
        &["daemon", "stop"],
    ];
    for verb in too_much {
        let said = shared.ctl(OPERATOR, verb).expect_code(8);
        assert!(said.stderr.contains("needs the role admin"), "{said:?}");
    }
    for verb in [&["start", "more.toml"][..], &["save"], &["flush", "talk"], &["delete", "more"]] {
        shared.ctl(ADMIN, verb).ok();
    }
    shared.ctl(ADMIN, &["kill", "--yes"]).ok();
    assert!(!shared.socket.exists(), "nobody is behind it");
    let said = shared.ctl(ADMIN, &["start", "talk"]).expect_code(7);
    assert!(said.stderr.contains("only its owner can start"), "{said:?}");
}

#[test]
fn every_path_asks_for_the_role_that_its_description_says() {
    let Some(shared) = Shared::new() else { return };
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    let document = shared.home.api("/openapi.json");
    let mut paths: Vec<(String, u8)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let need = match operation["x-role"].as_str().unwrap() {
                "viewer" => 0,
                "operator" => 1,
                "admin" => 2,
                other => panic!("{other}"),
            };
            let path = path.replace("{app}", "talk").replace("{key}", "none");
            paths.push((format!("{} {path}", method.to_uppercase()), need));
        }
    }
    assert!(paths.len() > 25, "{paths:?}");
    let requests: Vec<String> = paths.iter().map(|(request, _)| request.clone()).collect();
    for (uid, role) in [(VIEWER, 0), (MEMBER, 0), (OPERATOR, 1)] {
        let answers = shared.ask(uid, &requests);
        for ((request, need), (status, line)) in paths.iter().zip(&answers) {
            assert_eq!(*status == 403, *need > role, "{uid} {request}: {line}");
            let told = ["plain-value-7", "secret-value-8"].iter().any(|value| line.contains(value));
            assert!(!told || (role > 0 && request.contains("/env")), "{uid} {request}: {line}");
            assert!(!line.contains("secret-value-8"), "{uid} {request}: {line}");
        }
    }
    let reveal = "GET /v1/apps/talk/env?reveal=true".to_owned();
    assert_eq!(shared.ask(OPERATOR, &[reveal])[0].0, 403);
    // In other words, it is the same word.
    let tricks =
        ["POST /v1/apps/%64elete", "POST /v1/apps/delete/", "POST /v1//apps", "PUT /v1/apps"];
    for (status, line) in shared.ask(VIEWER, &tricks.map(str::to_owned)) {
        assert!(matches!(status, 403..=405), "{line}");
    }
    assert_eq!(shared.home.known("talk").pids().len(), 1);
}

#[test]
fn whoever_changes_something_or_tries_to_is_written_down_with_their_process() {
    let Some(shared) = Shared::new() else { return };
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    shared.ctl(OPERATOR, &["restart", "talk"]).ok();
    shared.ctl(VIEWER, &["stop", "talk"]).expect_code(8);
    let events = shared.events("operator");
    let restart = events.iter().find(|event| event["detail"] == "restart talk").unwrap();
    assert_eq!(restart["actor"]["uid"], OPERATOR);
    assert_eq!(restart["actor"]["comm"], "nexusctl");
    assert!(restart["actor"]["pid"].as_i64().unwrap() > 0);
    assert_eq!(restart["by"], format!("uid {OPERATOR}"));
    let start = events.iter().find(|event| event["detail"] == "start talk").unwrap();
    assert_eq!((start["actor"]["user"].as_str(), &start["by"]), (Some("root"), &"root(0)".into()));
    let refused = shared.events("refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["actor"]["uid"], VIEWER);
    assert_eq!(refused[0]["detail"], "stop: needs the role operator");
    let page = shared.ctl(VIEWER, &["events"]).ok().stdout;
    let line = page.lines().find(|line| line.contains("refused")).unwrap();
    let pid = &refused[0]["actor"]["pid"];
    assert!(line.contains(&format!("uid {VIEWER} nexusctl[{pid}]")), "{page}");
    // Who was let in, and by whom, is an event, too.
    let config = shared.events("config");
    assert!(config[0]["detail"].as_str().unwrap().starts_with("[daemon] group"), "{config:?}");
    // Nobody can drown the journal in attempts.
    let flood = vec!["POST /v1/save".to_owned(); 300];
    assert!(shared.ask(MEMBER, &flood).iter().all(|(status, _)| *status == 403));
    let told = shared.events("refused").len();
    assert!((2..=20).contains(&told), "{told}");
}

/// Takes all the places that there are, each for a minute.
const CROWD: &str = "
import os, socket, sys, time
os.setgroups([int(sys.argv[3])])
os.setresuid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]))
ask = 'GET /v1/apps?newer_than=%s&wait_ms=60000 HTTP/1.1\\r\\nHost: nexus\\r\\n\\r\\n' % sys.argv[4]
crowd = []
for n in range(700):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(1)
    try:
        client.connect(sys.argv[1])
        client.sendall(ask.encode())
    except OSError:
        pass
    crowd.append(client)
print('here', flush=True)
time.sleep(1000)
";

#[test]
fn a_crowd_of_members_does_not_keep_the_owner_out() {
    let Some(shared) = Shared::new() else { return };
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    let mut crowd = shared.home.command(Path::new("python3"));
    let (socket, uid) = (shared.socket.display().to_string(), VIEWER.to_string());
    // They wait for what comes after the present.
    let known = shared.home.api("/v1/apps")["generation"].to_string();
    crowd.args(["-c", CROWD, &socket, &uid, &GROUP.to_string(), &known]);
    let mut crowd = crowd.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(crowd.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "here");
    // Less than the minute after which the first places would be free.
    let mut list = shared.home.command(&program("nexusctl"));
    run(list.args(["stop", "talk"]), PROMPT).ok();
    crowd.kill().unwrap();
    crowd.wait().unwrap();
}

#[test]
fn a_change_holds_at_once_and_costs_nobody_else_anything() {
    let Some(shared) = Shared::new() else { return };
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    let before = shared.home.known("talk").identity();
    let mut follow = shared.as_user(VIEWER, &shared.ctl);
    let mut follow =
        follow.args(["events", "-f"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    // It follows: there is a first line.
    assert!(lines.next().unwrap().is_ok());
    // The viewer becomes more, the group of admins is not in it any more.
    shared.write(&format!("operators = [{VIEWER}, {OPERATOR}]"));
    let diff = shared.home.ctl(&["diff"]).expect_code(1).stdout;
    assert!(diff.contains("[daemon]") && diff.contains("viewers"), "{diff}");
    let said = shared.home.ctl(&["apply"]).ok();
    assert!(said.stderr.contains("[daemon] changed"), "{said:?}");
    assert_eq!(shared.home.known("talk").identity(), before);
    shared.ctl(VIEWER, &["signal", "SIGCONT", "talk"]).ok();
    shared.ctl(ADMIN, &["save"]).expect_code(8);
    assert!(follow.try_wait().unwrap().is_none(), "who may do more is not sent away");
    // The group goes: whoever follows is let go of, and nobody comes in.
    let text = std::fs::read_to_string(shared.home.project().join("ecosystem.toml")).unwrap();
    let app = text.split_once("[[apps]]").unwrap().1;
    shared.home.write("ecosystem.toml", &format!("[[apps]]{app}"));
    shared.home.ctl(&["apply"]).ok();
    assert!(!shared.socket.exists());
    wait_for(PROMPT, "the end of who follows", || follow.try_wait().unwrap());
    shared.home.ctl(&["diff"]).ok();
    assert_eq!(shared.home.known("talk").identity(), before);
}

#[test]
fn the_groups_socket_outlives_each_of_the_pair_and_comes_back_after_both() {
    let Some(shared) = Shared::new() else { return };
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    let inode = shared.socket.metadata().unwrap().ino();
    for name in ["nexusd", "nexus-keeper"] {
        let dead = shared.home.processes();
        let dead = dead.iter().find(|one| one.comm().as_deref() == Some(name)).unwrap();
        dead.signal(Signal::SIGKILL);
        shared.ctl(OPERATOR, &["restart", "talk"]).ok();
        assert_eq!(shared.socket.metadata().unwrap().ino(), inode, "it is the same socket");
    }
    let pair = wait_for(PROMPT, "a pair", || Some([shared.home.keeper()?, shared.home.daemon()?]));
    pair.iter().for_each(|process| process.signal(Signal::SIGSTOP));
    pair.iter().for_each(|process| process.signal(Signal::SIGKILL));
    wait_for(PROMPT, "their end", || pair.iter().all(|one| !one.alive()).then_some(()));
    shared.ctl(VIEWER, &["list"]).expect_code(7);
    // Its owner comes by, and the group is let in again, as it was.
    shared.home.ctl(&["list"]).ok();
    shared.ctl(VIEWER, &["list"]).ok();
    shared.ctl(VIEWER, &["stop", "talk"]).expect_code(8);
    shared.ctl(OPERATOR, &["restart", "talk"]).ok();
}

#[test]
fn what_cannot_be_carried_out_changes_nothing() {
    let Some(shared) = Shared::new() else { return };
    shared.write("operators = [\"no-such-user-here\"]");
    let said = shared.home.ctl(&["start"]).expect_code(6);
    assert!(said.stderr.contains("there is no user `no-such-user-here`"), "{said:?}");
    assert!(!shared.socket.exists() && shared.home.app("talk").is_none());
    // A directory that holds other things is not given to a group.
    let crowded = shared.home.project().join("nexus.sock").display().to_string();
    let text = format!("[daemon]\ngroup = {GROUP}\nsocket = \"{crowded}\"\n");
    shared.home.write("ecosystem.toml", &(text + &shell("talk", "sleep 1000", AT_ONCE)));
    let said = shared.home.ctl(&["start"]).expect_code(5);
    assert!(said.stderr.contains("holds other things"), "{said:?}");
    assert!(shared.home.app("talk").is_none());
    // Another daemon's socket is left alone.
    shared.roles();
    shared.home.ctl(&["start"]).ok();
    let other = Home::new();
    let file = |home: &Home| home.project().join("ecosystem.toml");
    std::fs::copy(file(&shared.home), file(&other)).unwrap();
    let said = other.ctl(&["start"]).expect_code(5);
    assert!(said.stderr.contains("another daemon serves it"), "{said:?}");
    shared.ctl(VIEWER, &["list"]).ok();
    assert!(shared.home.app("talk").is_some());
}
