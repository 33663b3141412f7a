//! Told to go, a worker that serves finishes what it has begun, for as long as it is given.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nexus_tests::{Home, PROMPT, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::{app, shell};

/// Ends at the second SIGTERM; counts them in `told`.
const TWICE: &str = "told=0; trap 'told=$((told+1)); echo told $told; \
                     test $told -lt 2 || exit 0' TERM; echo ready; while :; do sleep 0.05; done";

fn told(home: &Home) -> usize {
    let log = home.path().join("logs/it-out.log");
    std::fs::read_to_string(log).unwrap_or_default().matches("told").count()
}

#[test]
fn it_is_told_again_when_that_time_is_over_and_killed_after_kill_timeout() {
    let home = Home::new();
    let more = "ready = \"log:/ready/\"\ndrain_timeout = \"600ms\"\nkill_timeout = \"20s\"";
    home.write("ecosystem.toml", &shell("it", TWICE, more));
    home.ctl(&["start"]).ok();
    let began = Instant::now();
    home.ctl(&["stop", "it"]).ok();
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!(told(&home), 2);
    assert_eq!(home.events_of("it", "undrained").len(), 1);

    let more = "ready = \"log:/ready/\"\ndrain_timeout = \"300ms\"\nkill_timeout = \"300ms\"";
    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    home.write("ecosystem.toml", &shell("deaf", deaf, more));
    home.ctl(&["start"]).ok();
    let began = Instant::now();
    home.ctl(&["stop", "deaf"]).ok();
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!(home.events_of("deaf", "killed").len(), 1);
}

#[test]
fn whoever_dies_meanwhile_it_is_told_once_and_finishes() {
    let home = Home::new();
    let more = "ready = \"log:/ready/\"\ndrain_timeout = \"20s\"";
    home.write("ecosystem.toml", &shell("it", TWICE, more));
    home.ctl(&["start"]).ok();
    let worker = home.known("it").main();
    let command = home.begin(&["stop", "it"]);
    wait_for(PROMPT, "its being told", || (told(&home) == 1).then_some(()));
    for victim in [Home::daemon, Home::keeper] {
        let victim = victim(&home).unwrap();
        victim.signal(Signal::SIGKILL);
        wait_for(PROMPT, "the victim's end", || (!victim.alive()).then_some(()));
        home.until("it", "its draining", |app| app.status() == "stopping");
    }
    assert_eq!((told(&home), worker.alive()), (1, true));
    worker.signal(Signal::SIGTERM);
    command.end().ok();
    assert_eq!(told(&home), 2);
}

/// Takes LISTEN_FDS; a client that has connected gets its answer when the file `answer` is there.
const SLOW: &str = r#"
import os, select, signal, socket, sys, time
listener = socket.socket(fileno=3)
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1) or stopping[1:] and sys.exit(1))
os.write(int(os.environ["NEXUS_READY_FD"]), b"\n")
while not stopping:
    ready, _, _ = select.select([listener], [], [], 0.02)
    if not ready:
        continue
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        continue
    while not os.path.exists("answer"):
        time.sleep(0.02)
    client.sendall(b"%d" % os.getpid())
    client.close()
"#;

#[test]
fn a_reload_waits_for_what_the_old_worker_has_begun() {
    let home = Home::new();
    home.write("slow.py", SLOW);
    let port = free_port();
    let more = format!(
        "listen = \"tcp://127.0.0.1:{port}\"\nready = \"fd\"\ndrain_timeout = \"20s\"\n\
         kill_timeout = \"100ms\""
    );
    home.write("ecosystem.toml", &app("it", "slow.py", &[], &more));
    home.ctl(&["start"]).ok();
    let before = home.known("it").main();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // It has taken the client, and waits.
    let taken = || before.open().iter().filter(|file| file.starts_with("socket:")).count() > 2;
    wait_for(PROMPT, "the client's being taken", || taken().then_some(()));
    let command = home.begin(&["reload", "it"]);
    home.until("it", "the successor", |app| app.main().0 != before.0);
    assert!(before.alive(), "beyond kill_timeout");
    home.write("answer", "");
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, before.0.to_string());
    command.end().ok();
    assert!(home.events_of("it", "undrained").is_empty());
}
