//! `shutdown_with_message`: a Node program is told to go by a message over its channel.

use nexus_tests::{Home, Load, PROMPT, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::app;
use crate::daemon::kill_both;

/// Says what comes: the message, a signal. Goes at the message, unless it is deaf to it.
const NODE: &str = r#"
process.on('message', (message) => {
  console.log('message', message);
  if (!process.env.DEAF) process.exit(0);
});
process.on('SIGTERM', () => { console.log('signal'); process.exit(0); });
setInterval(() => {}, 1000);
process.send('ready');
"#;

fn started(more: &str) -> Home {
    let home = Home::new();
    home.write("it.js", NODE);
    let more = format!("ready = \"ipc\"\nshutdown_with_message = true\n{more}");
    home.write("ecosystem.toml", &app("it", "it.js", &[], &more));
    home.ctl(&["start"]).ok();
    home
}

fn said(home: &Home) -> String {
    std::fs::read_to_string(home.path().join("logs/it-out.log")).unwrap_or_default()
}

#[test]
fn the_message_comes_instead_of_the_signal() {
    let home = started("");
    home.ctl(&["restart", "it"]).ok();
    assert_eq!(said(&home), "message shutdown\n");
    // Also by a nexusd that was not there when the worker was born.
    let nexusd = home.daemon().unwrap();
    nexusd.signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end", || (!nexusd.alive()).then_some(()));
    home.ctl(&["stop", "it"]).ok();
    assert_eq!(said(&home), "message shutdown\nmessage shutdown\n");
    assert!(home.events_of("it", "killed").is_empty());
}

/// Goes when its channel ends: lets what it serves end, and its connections be idle for a while.
const DISCONNECTED: &str = r#"
const http = require('http');
const server = http.createServer((_, answer) => setTimeout(() => answer.end('x'), 5));
let open = 0;
server.on('connection', (socket) => { open += 1; socket.on('close', () => { open -= 1; }); });
server.listen({ fd: 3 }, () => process.send('ready'));
process.on('disconnect', () => {
  console.log('disconnect');
  // What waits in the queue is the others'; what is kept alive is closed when it has been idle.
  server.keepAliveTimeout = 500;
  server.close();
});
process.on('SIGTERM', () => console.log('signal'));
"#;

#[test]
fn a_reload_by_the_end_of_the_channel_loses_no_request() {
    let home = Home::new();
    let port = free_port();
    home.write("it.js", DISCONNECTED);
    let more = format!(
        "ready = \"ipc\"\nshutdown_with_message = \"disconnect\"\ninstances = 2\n\
         kill_timeout = \"15s\"\nlisten = \"tcp://127.0.0.1:{port}\""
    );
    home.write("ecosystem.toml", &app("it", "it.js", &[], &more));
    home.ctl(&["start"]).ok();
    // A new connection for each request: Node closes idle ones at once in `server.close()`.
    let load = Load::asking(port, 0, 4, "/");
    for _ in 0..3 {
        home.ctl(&["reload", "it"]).ok();
    }
    load.end().flawless();
    wait_for(PROMPT, "the farewells", || {
        let logs = [0, 1].map(|instance| {
            let log = home.path().join(format!("logs/it-out-{instance}.log"));
            std::fs::read_to_string(log).unwrap_or_default()
        });
        (logs.iter().all(|log| *log == "disconnect\n".repeat(3))).then_some(())
    });
    assert!(home.events_of("it", "killed").is_empty());
}

#[test]
fn who_does_not_act_upon_it_gets_the_signal_when_its_time_to_drain_is_over() {
    let home = started("env = { DEAF = \"1\" }\ndrain_timeout = \"300ms\"");
    home.ctl(&["stop", "it"]).ok();
    assert_eq!(said(&home), "message shutdown\nsignal\n");
}

#[test]
fn the_end_of_the_daemon_with_its_apps_says_it_too() {
    let home = started("");
    home.ctl(&["kill", "--yes"]).ok();
    assert_eq!(said(&home), "message shutdown\n");
}

#[test]
fn it_needs_the_channel() {
    let home = Home::new();
    home.write("it.js", NODE);
    let more = "ready = \"fd\"\nshutdown_with_message = true";
    home.write("ecosystem.toml", &app("it", "it.js", &[], more));
    let said = home.ctl(&["start"]).expect_code(6).stderr;
    assert!(said.contains("goes over Node's channel"), "{said}");
}

/// Says that it is ready when it is told to, and goes by the message.
const LATE: &str = r#"
const fs = require('fs');
process.on('SIGUSR2', () => process.send('ready', (error) => {
  fs.writeFileSync(`${process.env.name}.new`, `said: ${error}`);
  fs.renameSync(`${process.env.name}.new`, `${process.env.name}.said`);
}));
process.on('disconnect', () => console.log('disconnect'));
process.on('message', (message) => { console.log('message', message); process.exit(0); });
setInterval(() => {}, 1000);
console.log('here');
"#;

#[test]
fn what_is_said_while_both_are_dead_is_no_error_and_is_heard() {
    let home = Home::new();
    home.write("late.js", LATE);
    let more = "ready = \"ipc\"\nready_timeout = \"60s\"\nshutdown_with_message = true";
    let text = ["between", "after"].map(|name| app(name, "late.js", &[], more)).concat();
    home.write("ecosystem.toml", &text);
    home.ctl(&["start", "--no-wait"]).ok();
    let said = |name: &str| {
        std::fs::read_to_string(home.path().join(format!("logs/{name}-out.log")))
            .unwrap_or_default()
    };
    let [between, after] = ["between", "after"].map(|name| {
        wait_for(PROMPT, "a worker", || said(name).contains("here").then_some(()));
        home.known(name).main()
    });
    kill_both(&home);
    between.signal(Signal::SIGUSR2);
    let word = home.project().join("between.said");
    let word = wait_for(PROMPT, "the word", || std::fs::read_to_string(&word).ok());
    assert_eq!(word, "said: null");
    home.ctl(&["list"]).ok();
    let online = |name: &str| home.until(name, "it to be ready", |app| app.status() == "online");
    assert_eq!(online("between").main(), between);
    assert_eq!(home.known("after").status(), "starting");
    after.signal(Signal::SIGUSR2);
    assert_eq!(online("after").main(), after);
    for (name, worker) in [("between", between), ("after", after)] {
        assert_eq!(home.known(name).restarts(), [0]);
        home.ctl(&["stop", name]).ok();
        assert!(!worker.alive());
        assert_eq!(said(name), "here\nmessage shutdown\n");
        assert!(home.events_of(name, "killed").is_empty());
    }
}
