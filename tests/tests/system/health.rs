//! Whether workers are well: those that are not are replaced, and the evidence is kept.

use nexus_tests::{App, Home, Load, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::daemon::kill_both;
use crate::reload::{PYTHON, passed};
use crate::{AT_ONCE, app, shell};

/// Answers with what is in the file `answer`, if there is one, and is slow while there is `slow`.
const SERVER: &str = r#"
import http.server, os, sys, time
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while os.path.exists("slow"): time.sleep(0.05)
        ill = os.path.exists("ill")
        self.send_response(500 if ill else 200)
        self.end_headers()
        self.wfile.write(b"no database\n" if ill else b"well\n")
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"#;

const OFTEN: &str = "interval = \"50ms\", failures = 3, timeout = \"300ms\"";

fn healthy(app: &App) -> bool {
    app.0["instances"][0]["healthy"] == true
}

/// A server that is asked often; it is online and well.
fn server(home: &Home, more: &str) {
    home.write("server.py", SERVER);
    let port = free_port();
    let health = format!(
        "health = {{ http = \"/up\", {OFTEN}{more} }}\nenv = {{ PORT = \"{port}\" }}\n\
         ready = \"tcp://127.0.0.1:{port}\""
    );
    home.write("ecosystem.toml", &app("it", "server.py", &[&port.to_string()], &health));
    home.ctl(&["start"]).ok();
    home.until("it", "its health", healthy);
}

/// Ten checks and three watchdogs long: that nothing happens takes time to see.
fn a_while() {
    let until = std::time::Instant::now() + std::time::Duration::from_millis(1_500);
    wait_for(PROMPT, "a while", || (std::time::Instant::now() > until).then_some(()));
}

#[test]
fn a_worker_whose_check_fails_is_replaced_and_why_says_so() {
    let home = Home::new();
    server(&home, "");
    let before = home.known("it").main();
    home.write("ill", "");
    wait_for(PROMPT, "its replacement", || (!before.alive()).then_some(()));
    std::fs::remove_file(home.project().join("ill")).unwrap();
    let it = home.until("it", "its health", |app| healthy(app) && app.restarts() != [0]);
    assert_eq!(it.status(), "online");
    let told = home.events_of("it", "unhealthy").remove(0);
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("failed 3 times in a row"), "{detail}");
    assert!(detail.contains("/up: answers 500: no database"), "{detail}");
    assert_eq!(told["exit"], "unhealthy");
    let why = home.ctl(&["why", "it"]).ok().stdout;
    assert!(why.contains("answers 500: no database"), "{why}");
    let describe = home.ctl(&["describe", "it"]).ok().stdout;
    assert!(describe.contains("/up each 50ms; 3 failures in a row are too many"), "{describe}");
}

#[test]
fn no_answer_in_time_is_a_failure_and_holds_up_nobody() {
    let home = Home::new();
    server(&home, "");
    home.write("slow", "");
    // While it is silent, everything else is answered at once.
    for _ in 0..20 {
        let asked = std::time::Instant::now();
        home.ctl(&["list"]).ok();
        assert!(asked.elapsed().as_secs() < 2);
    }
    wait_for(PROMPT, "the failure", || home.events_of("it", "unhealthy").pop());
    std::fs::remove_file(home.project().join("slow")).unwrap();
    let detail = home.events_of("it", "unhealthy")[0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("no answer within 300ms"), "{detail}");
    home.until("it", "its health", healthy);
}

#[test]
fn failures_in_the_start_period_do_not_count() {
    let home = Home::new();
    home.write("ill", "");
    home.write("server.py", SERVER);
    let port = free_port();
    let more = format!(
        "health = {{ http = \"http://127.0.0.1:{port}/up\", {OFTEN}, start_period = \"60s\" }}\n\
         {AT_ONCE}"
    );
    home.write("ecosystem.toml", &app("it", "server.py", &[&port.to_string()], &more));
    home.ctl(&["start"]).ok();
    let worker = home.known("it").main();
    // Ten times as long as it would take.
    a_while();
    assert!(worker.alive() && home.events_of("it", "unhealthy").is_empty());
    std::fs::remove_file(home.project().join("ill")).unwrap();
    home.until("it", "its health", healthy);
    home.write("ill", "");
    wait_for(PROMPT, "its replacement", || (!worker.alive()).then_some(()));
}

#[test]
fn a_command_and_a_connection_can_be_the_check() {
    let home = Home::new();
    let exec = format!("health = {{ exec = \"echo looking; test ! -e ill-$pm_id\", {OFTEN} }}");
    let text = shell("it", "exec sleep 1000", &format!("{exec}\n{AT_ONCE}\ninstances = 2"));
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let all =
        |app: &App| app.0["instances"].as_array().unwrap().iter().all(|one| one["healthy"] == true);
    let it = home.until("it", "their health", all);
    let pids = it.pids();
    home.write(&format!("ill-{}", it.ids()[1]), "");
    wait_for(PROMPT, "the replacement", || (!Process(pids[1]).alive()).then_some(()));
    assert!(Process(pids[0]).alive(), "only the one that is ill");
    let told = home.events_of("it", "unhealthy").remove(0);
    assert!(told["detail"].as_str().unwrap().contains("exited with code 1"), "{told}");
    home.ctl(&["delete", "it"]).ok();
    assert_eq!(home.processes().len(), 2, "only the pair is left");

    let port = free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let tcp = format!("health = {{ tcp = \"127.0.0.1:{port}\", {OFTEN} }}\n{AT_ONCE}");
    home.write("ecosystem.toml", &shell("it", "exec sleep 1000", &tcp));
    home.ctl(&["start"]).ok();
    home.until("it", "its health", healthy);
    drop(listener);
    wait_for(PROMPT, "the failure", || home.events_of("it", "unhealthy").pop());
}

#[test]
fn a_worker_with_a_passed_socket_is_replaced_without_a_lost_request() {
    let home = Home::new();
    home.write("server.py", PYTHON);
    let port = free_port();
    let more = format!(
        "{}\nhealth = {{ exec = \"test ! -e ill\", {OFTEN} }}\nkill_timeout = \"20s\"",
        passed(port, 1)
    );
    home.write("ecosystem.toml", &app("it", "server.py", &[], &more));
    home.ctl(&["start"]).ok();
    home.until("it", "its health", healthy);
    let before = home.known("it").main();
    let load = Load::start(port, 4, 4);
    home.write("ill", "");
    wait_for(PROMPT, "the failure", || home.events_of("it", "unhealthy").pop());
    std::fs::remove_file(home.project().join("ill")).unwrap();
    home.until("it", "its successor", |app| app.main().0 != before.0 && healthy(app));
    wait_for(PROMPT, "the old one's end", || (!before.alive()).then_some(()));
    load.end().flawless();
    let exit = home.known("it").0["instances"][0]["last_exit"].to_string();
    assert!(exit.contains("unhealthy"), "{exit}");
}

/// Reports how late its event loop is; is late, or hangs, when it is told to.
const REPORTS: &str = r#"
const fs = require('fs');
const delay = require('perf_hooks').monitorEventLoopDelay({ resolution: 10 });
delay.enable();
setInterval(() => {
  const value = (delay.percentile(95) / 1e6).toFixed(1);
  delay.reset();
  process.send({ type: 'axm:monitor', data: { 'Event Loop Latency p95': { value, unit: 'ms' } } });
}, 100);
setInterval(() => {
  const until = fs.existsSync('late') ? Date.now() + 600 : 0;
  while (Date.now() < until || fs.existsSync('hang'));
}, 20);
process.send('ready');
"#;

#[test]
fn a_node_program_whose_event_loop_is_late_is_replaced() {
    for (file, why) in
        [("late", "ms late"), ("hang", "event loop lag up to 400ms: it has reported nothing for ")]
    {
        let home = Home::new();
        home.write("reports.js", REPORTS);
        let more = "ready = \"ipc\"\n\
                    health = { event_loop_lag = \"400ms\", interval = \"1s\", failures = 2 }";
        home.write("ecosystem.toml", &app("it", "reports.js", &[], more));
        home.ctl(&["start"]).ok();
        let before = home.known("it").main();
        home.until("it", "its health", healthy);
        // It is heard by whoever is there.
        let daemon = home.daemon().unwrap();
        daemon.signal(Signal::SIGKILL);
        a_while();
        assert!(before.alive() && home.events_of("it", "unhealthy").is_empty());
        home.write(file, "");
        // It says nothing more to the next one, who knows that it should.
        home.daemon().unwrap().signal(Signal::SIGKILL);
        wait_for(PROMPT, "its replacement", || (!before.alive()).then_some(()));
        std::fs::remove_file(home.project().join(file)).unwrap();
        home.until("it", "another", |app| app.status() == "online" && app.restarts() != [0]);
        let told = home.events_of("it", "unhealthy").remove(0)["detail"].to_string();
        assert!(told.contains("failed 2 times in a row") && told.contains(why), "{told}");
    }
}

/// Ready, then alive each 100 ms until it is told to hang.
const WATCHED: &str = r#"
import os, socket, time
it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text):
    try: it.sendto(text, "\0" + os.environ["NOTIFY_SOCKET"][1:])
    except ConnectionRefusedError: pass # Nobody is there.
assert os.environ["WATCHDOG_USEC"] == "500000"
say(b"READY=1")
while not os.path.exists("hang"):
    if os.path.exists("trigger"): say(b"WATCHDOG=trigger")
    say(b"WATCHDOG=1")
    time.sleep(0.1)
time.sleep(1000)
"#;

#[test]
fn a_worker_that_does_not_say_that_it_is_alive_is_replaced() {
    for (file, kind, why) in [
        ("hang", "hung", "it has not said for 500ms that it is alive"),
        ("trigger", "hung", "it asked for it by its watchdog"),
    ] {
        let home = Home::new();
        home.write("watched.py", WATCHED);
        let more = "ready = \"notify\"\nwatchdog = \"500ms\"";
        home.write("ecosystem.toml", &app("it", "watched.py", &[], more));
        home.ctl(&["start"]).ok();
        let before = home.known("it").main();
        // It is watched by whoever is there.
        let daemon = home.daemon().unwrap();
        daemon.signal(Signal::SIGKILL);
        a_while();
        assert!(before.alive() && home.events_of("it", kind).is_empty());
        home.write(file, "");
        wait_for(PROMPT, "its replacement", || (!before.alive()).then_some(()));
        std::fs::remove_file(home.project().join(file)).unwrap();
        home.until("it", "another", |app| app.status() == "online" && app.restarts() != [0]);
        let told = home.events_of("it", kind).remove(0);
        assert!(told["detail"].as_str().unwrap().contains(why), "{told}");
    }
}

#[test]
fn a_worker_that_outlives_both_is_heard_by_the_next_pair() {
    let home = Home::new();
    home.write("watched.py", WATCHED);
    let more = "ready = \"notify\"\nwatchdog = \"500ms\"";
    home.write("ecosystem.toml", &app("it", "watched.py", &[], more));
    home.ctl(&["start"]).ok();
    let before = home.known("it").main();
    kill_both(&home);
    home.ctl(&["list"]).ok();
    a_while();
    assert_eq!(home.known("it").main().0, before.0);
    assert!(home.events_of("it", "hung").is_empty());
    home.write("hang", "");
    wait_for(PROMPT, "its replacement", || (!before.alive()).then_some(()));
    assert_eq!(home.events_of("it", "hung").len(), 1);
}

#[test]
fn a_new_nexusd_goes_on_asking() {
    let home = Home::new();
    server(&home, "");
    let before = home.known("it").main();
    let daemon = home.daemon().unwrap();
    daemon.signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end", || (!daemon.alive()).then_some(()));
    home.until("it", "its health", healthy);
    assert_eq!(home.known("it").main().0, before.0);
    home.write("ill", "");
    wait_for(PROMPT, "its replacement", || (!before.alive()).then_some(()));
}

#[test]
fn an_address_that_all_share_is_no_check() {
    let home = Home::new();
    let more = "listen = \"tcp://127.0.0.1:3001\"\nhealth = { http = \"http://127.0.0.1:3001/\" }";
    home.write("ecosystem.toml", &shell("it", "exec sleep 1000", more));
    let output = home.ctl(&["start"]).expect_code(6);
    assert!(output.stderr.contains("which all workers share"), "{output:?}");
    assert!(output.stderr.contains("watchdog"), "{output:?}");
}
