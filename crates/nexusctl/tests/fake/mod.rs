//! A daemon of canned answers, and the program run against it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What is answered to `METHOD /path`; `None` = not at all, the connection stays open.
pub type Answer = Box<dyn Fn(&str) -> Option<(u16, Value)> + Send>;

/// A home with or without a daemon of canned answers.
pub struct Home {
    dir: TempDir,
    seen: Option<Receiver<String>>,
}

impl Home {
    /// No daemon.
    pub fn empty() -> Home {
        Home { dir: tempfile::tempdir().unwrap(), seen: None }
    }

    /// A daemon that answers.
    pub fn with(answer: Answer) -> Home {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("nexus.sock")).unwrap();
        let (tell, seen) = channel();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let asked = request(&mut stream);
                match answer(&asked) {
                    Some((status, body)) => say(&mut stream, status, &body),
                    None => open.push(stream),
                }
                let _ = tell.send(asked);
            }
        });
        Home { dir, seen: Some(seen) }
    }

    /// The directory.
    pub fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Wait for a request that begins so.
    pub fn await_request(&self, start: &str) {
        let seen = self.seen.as_ref().unwrap();
        let limit = std::time::Duration::from_secs(20);
        while !seen.recv_timeout(limit).unwrap().starts_with(start) {}
    }

    /// The program, ready to run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexusctl"));
        command
            .args(args)
            .env_clear()
            .env("NEXUS_HOME", self.dir.path())
            .env("HOME", self.dir.path())
            .env("LANG", "C.UTF-8")
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// The program run to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

/// `METHOD /path?query` and the body after a blank.
fn request(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).into_owned();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if text.len() >= end + 4 + length {
                let first = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
                return format!("{first} {}", String::from_utf8_lossy(&text[end + 4..]));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return String::new(),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
}

fn say(stream: &mut UnixStream, status: u16, body: &Value) {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
    // The client may have been interrupted.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

/// An app as the daemon would show it.
pub fn app(name: &str, status: &str, home: &std::path::Path) -> Value {
    let up = status == "online";
    let log = |stream: &str, word: &str| json!({"stream": stream, "path": home.join(format!("logs/{name}-{word}.log"))});
    json!({
        "name": name, "namespace": "default", "status": status,
        "ready": u8::from(up), "wanted": 1, "restarts": 0,
        "memory_bytes": 100_663_296, "uptime_ms": 41_000, "generation": 1,
        "listen": ["tcp://127.0.0.1:3001"], "command": ["/bin/app"], "cwd": "/",
        "ready_when": "notify", "stop_signal": "SIGTERM", "kill_timeout_ms": 10_000,
        "restart_policy": "at most 16 unstable exits in 15m", "env_names": [], "user": null,
        "source": null, "trouble": null, "build_log": null,
        "instances": [{
            "id": 0, "instance": 0, "status": status, "explain": "running, as asked",
            "pid": 7402, "child": 1, "generation": 1, "restarts": 0, "uptime_ms": 41_000,
            "started_at_unix_ms": 1_795_000_000_000_u64, "again_in_ms": null, "last_exit": null,
            "last_exit_ago_ms": null, "last_lived_ms": null, "last_exit_code": null,
            "memory_bytes": 100_663_296, "logs": [log("out", "out"), log("err", "error")],
            "tree": "cgroup",
        }],
    })
}

/// A fleet.
pub fn fleet(apps: &[Value]) -> Value {
    json!({
        "schema": "nexus.list/1", "generation": 7, "generated_at": "2026-11-23T14:02:30.000Z",
        "daemon": {"version": "0.1.0", "home": "/h", "pid": 2, "keeper_pid": 1, "uptime_ms": 1,
            "pair_uptime_ms": 1, "nexusd_restarts": 0, "keeper_restarts": 0},
        "host": {"name": "h", "cpus": 2, "load_1m": 0.5, "memory_used_bytes": 1, "memory_total_bytes": 2},
        "apps": apps,
    })
}

/// An operation that has ended so, or that still runs when there are no results.
pub fn operation(verb: &str, results: &[(&str, &str)]) -> Value {
    let result = |(app, verdict): &(&str, &str)| {
        json!({"app": app, "instance": null, "verdict": verdict,
            "message": format!("{app}/0 exited with code 3 after 0.2s, before it was ready"),
            "last_lines": ["Error: port is taken\u{1b}[2J"], "log": null})
    };
    json!({
        "schema": "nexus.operation/1", "key": "k1", "verb": verb, "by": "alice(1000)",
        "begun_at": "2026-11-23T14:02:30.000Z",
        "state": if results.is_empty() { "running" } else { "ended" },
        "results": results.iter().map(result).collect::<Vec<_>>(),
        "waiting": if results.is_empty() { json!(["api"]) } else { json!([]) },
    })
}

/// `GET /v1/version`.
pub fn version() -> Value {
    json!({"schema": "nexus.version/1", "version": "0.1.0", "api": "v1", "pid": 2, "keeper_pid": 1,
        "uptime_ms": 1, "pair_uptime_ms": 1, "nexusd_restarts": 0, "keeper_restarts": 0,
        "home": "/h", "protocol": 1})
}
