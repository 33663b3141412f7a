//! What counts as ready: each rule is waited for, told, and has its time.

use std::time::{Duration, Instant};

use nexus_tests::{App, Home, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::{app, shell};

/// Answers 503 on `/up` until it was asked twice, then 200.
const SERVER: &str = r#"
import http.server, os, sys, time
time.sleep(float(sys.argv[2]))
asked = []
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        well = len(asked) > 2 and not os.path.exists("sick")
        self.send_response(200 if well else 503)
        self.end_headers()
        self.wfile.write(b"well\n" if well else b"not yet\n")
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"#;

/// Says `"ready"` as Node's `process.send` does, and nothing that has to be passed over.
const CHANNEL: &str = r#"
import os, time
assert os.environ["NODE_CHANNEL_SERIALIZATION_MODE"] == "json"
channel = int(os.environ["NODE_CHANNEL_FD"])
os.write(channel, b'{"type":"axm:monitor"}\n')
time.sleep(0.3)
os.write(channel, b'"ready"\n')
time.sleep(1000)
"#;

/// How each of its workers became ready, in words.
fn ready_by(home: &Home, name: &str) -> Vec<String> {
    let ready = home.events_of(name, "ready");
    ready.iter().map(|event| event["detail"].as_str().unwrap().to_owned()).collect()
}

/// Start what is in the file: it is not online before `at_least`, and counts as ready by `rule`.
fn comes_up(home: &Home, text: &str, at_least: Duration, rule: &str) {
    home.write("ecosystem.toml", text);
    let began = Instant::now();
    home.ctl(&["start"]).ok();
    assert!(began.elapsed() >= at_least, "after {:?}", began.elapsed());
    assert_eq!(home.known("it").status(), "online");
    let told = ready_by(home, "it");
    assert!(told.len() == 1 && told[0].contains(&format!("({rule})")), "{told:?}");
}

const LATE: Duration = Duration::from_millis(300);

#[test]
fn by_a_newline_on_a_descriptor() {
    let home = Home::new();
    let line = "printf half >&$NEXUS_READY_FD; sleep 0.3; echo >&$NEXUS_READY_FD; exec sleep 1000";
    comes_up(&home, &shell("it", line, "ready = \"fd\""), LATE, "fd");
    let worker = home.known("it").main();
    assert_eq!(worker.env("NEXUS_READY_FD").as_deref(), Some("3"));
    assert!(worker.env("LISTEN_FDS").is_none());
}

#[test]
fn the_descriptor_comes_after_the_sockets() {
    let home = Home::new();
    let line = "test $LISTEN_FDS = 1 && test $NEXUS_READY_FD = 4 && echo >&4; exec sleep 1000";
    let more = format!("ready = \"fd\"\nlisten = \"tcp://127.0.0.1:{}\"", free_port());
    comes_up(&home, &shell("it", line, &more), Duration::ZERO, "fd");
}

#[test]
fn by_a_newline_of_a_process_that_is_gone_when_it_is_read() {
    let home = Home::new();
    // While nobody reads, its writer ends and is forgotten by its parent.
    let line = "until test -e now; do sleep 0.05; done; (echo >&$NEXUS_READY_FD); touch said; \
                exec sleep 1000";
    home.write("ecosystem.toml", &shell("it", line, "ready = \"fd\""));
    home.ctl(&["start", "--no-wait"]).ok();
    home.until("it", "its birth", |app| app.0["instances"][0]["pid"].is_i64());
    let daemon = home.daemon().unwrap();
    daemon.signal(Signal::SIGSTOP);
    home.write("now", "");
    let said = home.project().join("said");
    wait_for(PROMPT, "its word", || said.exists().then_some(()));
    daemon.signal(Signal::SIGCONT);
    home.until("it", "its readiness", |app| app.status() == "online");
}

#[test]
fn by_a_message_on_the_channel_of_node() {
    let home = Home::new();
    home.write("channel.py", CHANNEL);
    comes_up(&home, &app("it", "channel.py", &[], "ready = \"ipc\""), LATE, "ipc");
}

#[test]
fn by_process_send_of_a_node_program_in_a_file_of_pm2s() {
    let home = Home::new();
    home.write(
        "app.js",
        "setTimeout(() => process.send('ready'), 300); setInterval(() => {}, 1000);\n\
         process.send({ type: 'axm:action', data: 'x'.repeat(9000) });",
    );
    let file =
        r#"{"apps":[{"name":"it","script":"app.js","wait_ready":true,"listen_timeout":9000}]}"#;
    home.write("pm2.json", file);
    home.ctl(&["start", "pm2.json"]).ok();
    assert!(ready_by(&home, "it")[0].contains("(ipc)"), "{:?}", ready_by(&home, "it"));
}

#[test]
fn by_an_answer_of_http_at_the_port_of_each_worker() {
    let home = Home::new();
    home.write("server.py", SERVER);
    let port = free_port();
    let more = format!(
        "ready = \"http://127.0.0.1:$PORT/up\"\nenv = {{ PORT = \"{port}\" }}\n\
         increment_var = \"PORT\""
    );
    let text = app("it", "server.py", &[&port.to_string(), "0.3"], &more);
    comes_up(&home, &text, LATE, "http://127.0.0.1:$PORT/up");
    home.ctl(&["restart", "it"]).ok();
    assert_eq!(ready_by(&home, "it").len(), 2);
}

#[test]
fn by_a_connection_that_is_taken() {
    let home = Home::new();
    home.write("server.py", SERVER);
    let port = free_port();
    let rule = format!("tcp://127.0.0.1:{port}");
    let text = app("it", "server.py", &[&port.to_string(), "0.3"], &format!("ready = \"{rule}\""));
    comes_up(&home, &text, LATE, &rule);
}

#[test]
fn by_a_line_of_the_workers_own_also_when_an_older_one_had_written_it() {
    let home = Home::new();
    let line = "echo beginning; sleep 0.3; echo Listening on 3000 >&2; exec sleep 1000";
    let text = shell("it", line, "ready = \"log:/listening on [0-9]+/i\"");
    comes_up(&home, &text, LATE, "log:/(?i)listening on [0-9]+/");
    for (verb, times) in [("restart", 2), ("reload", 3), ("stop", 3), ("start", 4)] {
        let began = Instant::now();
        home.ctl(&[verb, "it"]).ok();
        assert!(verb == "stop" || began.elapsed() >= LATE, "{verb}: {:?}", began.elapsed());
        assert_eq!(ready_by(&home, "it").len(), times, "{verb}");
    }
    home.ctl(&["scale", "it", "3"]).ok();
    assert_eq!(home.known("it").statuses(), ["online"; 3]);
    assert_eq!(ready_by(&home, "it").len(), 6);
    home.ctl(&["save"]).ok();
    home.ctl(&["delete", "it"]).ok();
    home.ctl(&["resurrect"]).ok();
    assert_eq!(ready_by(&home, "it").len(), 9);
}

#[test]
fn by_a_command_that_succeeds_and_leaves_nothing_behind() {
    let home = Home::new();
    let line = "sleep 0.3; touch up-$NODE_APP_INSTANCE; exec sleep 1000";
    let check = "exec:echo looking; sleep 1000 & test -e up-$NODE_APP_INSTANCE";
    let text = shell("it", line, &format!("ready = \"{check}\"\ninstances = 2"));
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    assert_eq!(ready_by(&home, "it").len(), 2);
    let log = home.path().join("logs/it-ready.log");
    assert!(std::fs::read_to_string(log).unwrap().contains("looking"));
    // Whatever a check has begun ends with it.
    let left = || {
        let all = home.processes().into_iter();
        let sleeps = all.filter(|process| process.comm().as_deref() == Some("sleep"));
        (sleeps.count() == 2).then_some(())
    };
    wait_for(PROMPT, "the end of what the checks had begun", left);
    home.ctl(&["delete", "it"]).ok();
    assert_eq!(home.processes().len(), 2, "only the pair is left");
}

/// How long it was waited for, as it is told: a busy machine may be late to see that it was enough.
fn waited_ms(said: &str) -> Option<u64> {
    let (_, rest) = said.split_once("not ready after ")?;
    let word = rest.split([' ', ';', ':', '\n']).next()?;
    let number = |unit: &str| word.strip_suffix(unit)?.parse::<f64>().ok();
    Some(number("ms").or_else(|| Some(number("s")? * 1_000.0))?.round() as u64)
}

#[test]
fn who_is_not_ready_in_time_has_failed_and_is_told_why() {
    let port = free_port();
    let http = format!("http://127.0.0.1:{port}/up");
    // Long enough for its first words, and for a check, on a loaded machine.
    const TIMEOUT_MS: u64 = 2_000;
    for (rule, why) in [
        ("fd", ""),
        ("ipc", ""),
        ("log:/never/", "no line has matched /never/"),
        ("exec:exit 3", "exec:exit 3: exited with code 3"),
        (&format!("tcp://127.0.0.1:{port}"), "Connection refused"),
        (&http, "Connection refused"),
    ] {
        let home = Home::new();
        let more = format!("ready = \"{rule}\"\nready_timeout = {TIMEOUT_MS}\nmax_restarts = 0");
        home.write("ecosystem.toml", &shell("it", "echo last words; exec sleep 1000", &more));
        let output = home.ctl(&["start"]).expect_code(1);
        assert!(waited_ms(&output.stderr) >= Some(TIMEOUT_MS), "{rule}: {output:?}");
        assert!(output.stderr.contains(why), "{rule}: {output:?}");
        assert!(output.stderr.contains("last words"), "{rule}: {output:?}");
        let it = home.until("it", "its being given up", |app| app.status() == "errored");
        assert!(ready_by(&home, "it").is_empty(), "{rule}: {it:?}");
        let exit = it.0["instances"][0]["last_exit"].to_string();
        assert!(exit.contains("never ready") && exit.contains(why), "{rule}: {exit}");
    }
}

#[test]
fn an_answer_of_503_is_told() {
    let home = Home::new();
    home.write("server.py", SERVER);
    home.write("sick", "");
    let port = free_port();
    let more = format!(
        "ready = \"/up\"\nready_timeout = \"8s\"\nmax_restarts = 0\nenv = {{ PORT = \"{port}\" }}"
    )
    .replace("\"/up\"", &format!("\"http://127.0.0.1:{port}/up\""));
    let port = port.to_string();
    home.write("ecosystem.toml", &app("it", "server.py", &[&port, "0"], &more));
    let output = home.ctl(&["start"]).expect_code(1);
    assert!(output.stderr.contains("/up: answers 503: not yet"), "{output:?}");
}

#[test]
fn either_of_the_pair_may_die_while_a_worker_is_waited_for() {
    for rule in ["fd", "log:/now/", "exec:test -e now", "notify"] {
        for kill in [Home::daemon, Home::keeper] {
            let home = Home::new();
            let line = "until test -e now; do sleep 0.05; done; echo now; \
                        test -z $NEXUS_READY_FD || echo >&$NEXUS_READY_FD; exec sleep 1000";
            let notify = "python3 -c 'import os, socket, time\n\
                while not os.path.exists(\"now\"): time.sleep(0.05)\n\
                it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                it.sendto(b\"READY=1\", \"\\0\" + os.environ[\"NOTIFY_SOCKET\"][1:])\n\
                time.sleep(1000)'";
            let line = if rule == "notify" { notify } else { line };
            home.write("line.sh", line);
            let text = app("it", "line.sh", &[], &format!("ready = \"{rule}\""));
            home.write("ecosystem.toml", &text);
            home.ctl(&["start", "--no-wait"]).ok();
            let born = |app: &App| app.0["instances"][0]["pid"].is_i64();
            let it = home.until("it", "its birth", born);
            let before = it.main();
            let victim: Process = kill(&home).unwrap();
            victim.signal(Signal::SIGKILL);
            wait_for(PROMPT, "the victim's end", || (!victim.alive()).then_some(()));
            home.write("now", "");
            let it = home.until("it", "its readiness", |app| app.status() == "online");
            assert_eq!(it.main().0, before.0, "{rule}");
            assert_eq!(it.restarts(), [0], "{rule}");
        }
    }
}

#[test]
fn a_port_that_all_workers_share_is_none_to_ask() {
    let home = Home::new();
    let port = free_port();
    let more =
        format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"http://127.0.0.1:{port}/up\"");
    home.write("ecosystem.toml", &shell("it", "exec sleep 1000", &more));
    let output = home.ctl(&["start"]).expect_code(6);
    assert!(output.stderr.contains("which all workers share"), "{output:?}");
    assert!(output.stderr.contains("notify"), "{output:?}");
}

/// Says that it is ready, then whatever it reads, a message a line (`|` = a line break in it).
const SAYS: &str = r#"
import os, socket, sys
it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text): it.sendto(text.encode(), "\0" + os.environ["NOTIFY_SOCKET"][1:])
say("READY=1")
for line in sys.stdin: say(line.strip().replace("|", "\n").replace("ESC", "\x1b"))
"#;

#[test]
fn what_a_worker_says_is_shown_and_what_others_say_is_not() {
    let home = Home::new();
    home.write("says.py", SAYS);
    let more = "stdin = true\nready = \"notify\"";
    home.write("ecosystem.toml", &app("it", "says.py", &[], more));
    home.ctl(&["start"]).ok();
    let until = |what: &str, wanted: &dyn Fn(&serde_json::Value) -> bool| {
        home.until("it", what, |app| wanted(&app.0["instances"][0]))
    };
    home.ctl(&["send", "it", "STATUS=serving 12|RELOADING=1"]).ok();
    until("its status", &|one| one["says"] == "serving 12");
    until("its reloading", &|one| one["explain"].as_str().unwrap().contains("anew"));
    assert!(home.ctl(&["list"]).ok().stdout.contains("serving 12"));
    // A successor of nexusd knows it, too.
    let daemon = home.daemon().unwrap();
    daemon.signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end", || (!daemon.alive()).then_some(()));
    assert_eq!(home.known("it").0["instances"][0]["says"], "serving 12");
    home.ctl(&["send", "it", "READY=1|STOPPING=1|STATUS=red ESC[31m"]).ok();
    let it = until("its stopping", &|one| one["explain"].as_str().unwrap().contains("stopping"));
    let says = it.0["instances"][0]["says"].as_str().unwrap().to_owned();
    assert!(says.starts_with("red") && !says.contains('\u{1b}'), "{says:?}");

    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let name = it.main().env("NOTIFY_SOCKET").unwrap();
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            name.strip_prefix('@').unwrap(),
        )
        .unwrap();
    socket.send_to_addr(b"STATUS=forged", &address).unwrap();
    home.ctl(&["send", "it", "STATUS=true"]).ok();
    until("its next status", &|one| one["says"] == "true");
    home.ctl(&["send", "it", "STATUS="]).ok();
    until("its silence", &|one| one["says"].is_null());
}

#[test]
fn a_worker_that_asks_for_time_gets_it() {
    let home = Home::new();
    let late = "import os, socket, time\n\
        it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        say = lambda text: it.sendto(text, '\\0' + os.environ['NOTIFY_SOCKET'][1:])\n\
        say(b'EXTEND_TIMEOUT_USEC=20000000')\n\
        time.sleep(5)\n\
        say(b'READY=1')\n\
        time.sleep(1000)\n";
    home.write("late.py", late);
    // As long as it takes Python to begin, on a loaded machine; it is late by more than that.
    let more = "ready = \"notify\"\nready_timeout = \"5s\"\nmax_restarts = 0";
    home.write("ecosystem.toml", &app("it", "late.py", &[], more));
    home.ctl(&["start"]).ok();
    assert_eq!(home.known("it").restarts(), [0]);
}
