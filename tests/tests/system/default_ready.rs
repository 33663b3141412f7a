//! Readiness of those who have no rule: their first listening socket, a word of theirs, or a second.

use std::time::{Duration, Instant};

use nexus_tests::{Home, PROMPT, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::daemon::kill_both;
use crate::{app, shell};

/// Opens what it is told: a port, a path, or after a while.
const OPENS: &str = r#"
import os, socket, sys, time
where = sys.argv[1]
if where.isdigit():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(where)))
elif where.startswith("/"):
    if os.path.exists(where): os.remove(where)
    s = socket.socket(socket.AF_UNIX); s.bind(where)
elif where == "says":
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(b"READY=1", "\0" + os.environ["NOTIFY_SOCKET"][1:])
    time.sleep(1000)
s.listen()
time.sleep(1000)
"#;

const ALIVE: &str = "alive for 1s";

fn ready_by(home: &Home) -> String {
    let it = home.known("it");
    assert_eq!(it.status(), "online");
    it.0["instances"][0]["ready_by"].as_str().unwrap().to_owned()
}

/// It is started until it is quick enough for it to be seen before its second is over: on a busy
/// machine that may take more than once. What the last start said on stderr.
fn becomes_ready_by(home: &Home, text: &str, by: &str) -> String {
    home.write("ecosystem.toml", text);
    let mut said = home.ctl(&["start"]).ok().stderr;
    wait_for(PROMPT, by, || {
        let now = ready_by(home);
        if now == by {
            return Some(());
        }
        assert_eq!(now, ALIVE);
        said = home.ctl(&["restart", "it"]).ok().stderr;
        None
    });
    let told = home.events_of("it", "ready").pop().unwrap();
    assert!(told["detail"].as_str().unwrap().ends_with(&format!("({by})")), "{told}");
    said
}

fn python(home: &Home, args: &[&str]) -> String {
    home.write("opens.py", OPENS);
    app("it", "opens.py", args, "")
}

#[test]
fn the_first_listening_socket_is_seen_and_said() {
    let home = Home::new();
    let port = free_port().to_string();
    let by = format!("listening on tcp://127.0.0.1:{port}");
    let said = becomes_ready_by(&home, &python(&home, &[&port]), &by);
    assert!(said.contains("listening, or alive for 1s"), "{said}");
    assert!(said.contains(&format!(": {by}\n")), "{said}");
    let after = home.events_of("it", "ready").pop().unwrap();
    let after = after["detail"].as_str().unwrap().to_owned();
    assert!(after.starts_with("ready after ") && after.contains("ms ("), "{after}");
    let shown = home.ctl(&["describe", "it"]).ok().stdout;
    assert!(shown.contains(&format!("default (listening, or alive for 1s): {by}\n")), "{shown}");
    let wide = home.ctl(&["list", "--instances", "-o", "wide"]).ok().stdout;
    assert!(wide.contains("READY BY") && wide.contains(&by), "{wide}");
}

#[test]
fn what_was_seen_is_known_after_any_death() {
    let home = Home::new();
    let port = free_port().to_string();
    let by = format!("listening on tcp://127.0.0.1:{port}");
    becomes_ready_by(&home, &python(&home, &[&port]), &by);
    let worker = home.known("it").main();
    home.daemon().unwrap().signal(Signal::SIGKILL);
    assert_eq!(ready_by(&home), by);
    home.keeper().unwrap().signal(Signal::SIGKILL);
    assert_eq!(ready_by(&home), by);
    kill_both(&home);
    home.ctl(&["list"]).ok();
    assert_eq!(ready_by(&home), by);
    assert!(worker.alive());
}

#[test]
fn a_socket_of_a_child_or_at_a_path_counts() {
    let home = Home::new();
    home.write("opens.py", OPENS);
    let port = free_port().to_string();
    let line = format!("python3 -I -S opens.py {port} & wait");
    let by = format!("listening on tcp://127.0.0.1:{port}");
    becomes_ready_by(&home, &shell("it", &line, ""), &by);
    home.ctl(&["delete", "it"]).ok();
    let path = home.project().join("it.sock").display().to_string();
    let by = format!("listening on unix:{path}");
    becomes_ready_by(&home, &python(&home, &[&path]), &by);
}

#[test]
fn a_word_of_its_own_counts() {
    let home = Home::new();
    becomes_ready_by(&home, &python(&home, &["says"]), "notify");
}

#[test]
fn whoever_opens_nothing_is_ready_when_it_has_been_alive_for_a_second() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("it", "exec sleep 1000", ""));
    let began = Instant::now();
    let said = home.ctl(&["start"]).ok().stderr;
    assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
    assert!(said.contains(&format!(": {ALIVE}\n")), "{said}");
    assert_eq!(ready_by(&home), ALIVE);
}

#[test]
fn whoever_is_given_its_socket_is_not_ready_by_another_one() {
    let home = Home::new();
    let listen = format!("listen = \"tcp://127.0.0.1:{}\"", free_port());
    home.write("opens.py", OPENS);
    let port = free_port().to_string();
    home.write("ecosystem.toml", &app("it", "opens.py", &[&port], &listen));
    let began = Instant::now();
    let said = home.ctl(&["start"]).ok().stderr;
    assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
    assert!(said.contains("ready = alive for 1s"), "{said}");
    assert_eq!(ready_by(&home), ALIVE);
}

#[test]
fn a_worker_that_nexusd_died_over_is_looked_at_by_the_next_one() {
    let home = Home::new();
    let go = home.project().join("go");
    home.write("opens.py", OPENS);
    let port = free_port().to_string();
    let line = format!("until test -e go; do sleep 0.01; done; exec python3 -I -S opens.py {port}");
    let by = format!("listening on tcp://127.0.0.1:{port}");
    home.write("ecosystem.toml", &shell("it", &line, ""));
    home.ctl(&["start"]).ok();
    wait_for(PROMPT, "a socket after a death", || {
        let _ = std::fs::remove_file(&go);
        home.ctl(&["restart", "it", "--no-wait"]).ok();
        home.until("it", "its birth", |app| app.status() == "starting");
        home.daemon().unwrap().signal(Signal::SIGKILL);
        std::fs::write(&go, "").unwrap();
        home.until("it", "its readiness", |app| app.status() == "online");
        (ready_by(&home) == by).then_some(())
    });
}

#[test]
fn node_programs_are_ready_by_their_server_or_by_what_they_say() {
    let home = Home::new();
    let port = free_port();
    home.write(
        "app.js",
        &format!("require('http').createServer((q, s) => s.end('x')).listen({port}, '127.0.0.1');"),
    );
    home.write("pm2.json", r#"{"apps":[{"name":"it","script":"app.js"}]}"#);
    home.ctl(&["start", "pm2.json"]).ok();
    let by = format!("listening on tcp://127.0.0.1:{port}");
    wait_for(PROMPT, "its socket", || {
        home.ctl(&["restart", "it"]).ok();
        (ready_by(&home) == by).then_some(())
    });
    for (says, by) in [
        ("{ cmd: 'NODE_CLUSTER', act: 'listening', port: 1 }", "listening, over its channel"),
        ("'ready'", "ipc"),
    ] {
        home.ctl(&["delete", "it"]).ok();
        home.write("app.js", &format!("process.send({says}); setInterval(() => 0, 1000);"));
        let file = r#"{"apps":[{"name":"it","script":"app.js","shutdown_with_message":true}]}"#;
        home.write("pm2.json", file);
        home.ctl(&["start", "pm2.json"]).ok();
        wait_for(PROMPT, by, || {
            home.ctl(&["restart", "it"]).ok();
            (ready_by(&home) == by).then_some(())
        });
    }
}
