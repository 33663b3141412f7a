//! The control socket against clients that are rude, slow, huge or not allowed.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_tests::http::request;
use nexus_tests::{Home, Output, PROMPT, many_files, run, wait_for};

use crate::{AT_ONCE, shell};

/// What nexusd may grow by, whatever clients send.
const GROWTH_MAX: u64 = 32 << 20;

fn calm() -> Home {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    home
}

/// Send it all, as far as it is taken, and read what is answered before the end.
fn send(home: &Home, bytes: &[u8]) -> String {
    let mut stream = home.connect().unwrap();
    let mut twin = stream.try_clone().unwrap();
    let bytes = bytes.to_owned();
    let writer = std::thread::spawn(move || {
        // The daemon may have heard enough.
        let _cut = twin.write_all(&bytes);
        let _cut = twin.shutdown(std::net::Shutdown::Write);
    });
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    writer.join().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn status(home: &Home, bytes: &[u8], wanted: u16) {
    let answer = send(home, bytes);
    assert!(answer.starts_with(&format!("HTTP/1.1 {wanted} ")), "{answer:?}");
}

/// One answer, that says who is to blame, or none.
#[track_caller]
fn blamed_or_cut(home: &Home, bytes: &[u8]) {
    let answer = send(home, bytes);
    let answers = answer.matches("HTTP/1.1 ").count();
    let blamed = answers == 1 && answer.starts_with("HTTP/1.1 4");
    assert!(blamed || answer.is_empty(), "{answer:?}");
}

/// It is the same daemon, it answers, and it has not grown much.
#[track_caller]
fn unimpressed(home: &Home, pid: i32, before: u64) {
    assert_eq!(home.api("/v1/version")["pid"], pid);
    assert_eq!(home.known("calm").status(), "online");
    let now = nexus_tests::Process(pid).resident().unwrap();
    assert!(now < before + GROWTH_MAX, "grown from {before} to {now} bytes");
}

#[test]
fn garbage_and_wrong_requests_are_answered_or_cut() {
    let home = calm();
    let daemon = home.daemon().unwrap();
    let before = daemon.resident().unwrap();
    let key = "Idempotency-Key: k\r\n";
    let deep = "[".repeat(100_000);
    let deep_object = "{\"apps\":".repeat(50_000);
    for _ in 0..20 {
        status(&home, b"\x00\xff\x16\x03\x01 what \r\n\r\n", 400);
        status(&home, b"GET\r\n\r\n", 400);
        status(&home, b"GET / HTTP/9.9\r\n\r\n", 400);
        assert_eq!(send(&home, b""), "");
        blamed_or_cut(&home, &[b'a'; 256 * 1024]);
        // What follows garbage on the same connection is not obeyed.
        let stop = request("POST", "/v1/apps/stop", key, r#"{"targets":["calm"],"specs":null}"#);
        blamed_or_cut(&home, format!("\x16\x03 what\r\n\r\n{stop}").as_bytes());
        status(&home, request("GET", "/v1/nothing", "", "").as_bytes(), 404);
        status(&home, request("PUT", "/v1/apps", "", "").as_bytes(), 405);
        status(&home, request("POST", "/v1/apps", key, &deep).as_bytes(), 400);
        status(&home, request("POST", "/v1/apps", key, &deep_object).as_bytes(), 400);
        status(&home, request("POST", "/v1/apps/stop", key, "{}").as_bytes(), 400);
        let stop = r#"{"targets":["calm"],"specs":null}"#;
        status(&home, request("POST", "/v1/apps/stop", "", stop).as_bytes(), 400);
        let long = format!("Idempotency-Key: {}\r\n", "k".repeat(1_000));
        status(&home, request("POST", "/v1/apps/stop", &long, stop).as_bytes(), 400);
    }
    unimpressed(&home, daemon.0, before);
}

/// A request with these bytes in the place of `~`; `Content-Length` counts them.
fn with(text: &str, bytes: &[u8]) -> Vec<u8> {
    let length = text.split_once("\r\n\r\n").unwrap().1.len() + bytes.len() - 1;
    let text = text.replace("LENGTH", &length.to_string());
    let (before, after) = text.split_once('~').unwrap();
    [before.as_bytes(), bytes, after.as_bytes()].concat()
}

#[test]
fn what_is_no_utf8_is_refused_wherever_it_stands() {
    let home = calm();
    let daemon = home.daemon().unwrap();
    let before = home.known("calm").identity();
    let last = home.api("/v1/events")["events"].as_array().unwrap().len();
    // No text at all, the half of a letter, a surrogate, one that is longer than it may be.
    for odd in [&b"\xff\xfe"[..], b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf"] {
        let post = |body: &str| {
            let head = "POST /v1/apps/stop HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\
                        Idempotency-Key: k\r\nContent-Length: LENGTH\r\n\r\n";
            with(&format!("{head}{body}"), odd)
        };
        status(&home, &post(r#"{"targets":["calm~"],"specs":null}"#), 400);
        status(&home, &post(r#"{"targets":["calm"],"specs":null,"~":1}"#), 400);
        status(&home, &post(r#"~{"targets":["calm"],"specs":null}"#), 400);
        let get = |path: &str| {
            let escaped: String = odd.iter().map(|byte| format!("%{byte:02x}")).collect();
            let text = format!("GET {path} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n");
            [with(&text, odd), text.replace('~', &escaped).into_bytes()]
        };
        for path in ["/v1/apps/~", "/v1/apps/calm~/env", "/v1/operations/~", "/v1/targets?t=~"] {
            for request in get(path) {
                let answer = send(&home, &request);
                assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
                assert!(!answer.contains("\u{fffd}"), "{path}: {answer}");
            }
        }
        let stop = r#"{"targets":["calm"],"specs":null}"#;
        let key = request("POST", "/v1/apps/stop", "Idempotency-Key: ~\r\n", stop);
        status(&home, &with(&key, odd), 400);
    }
    assert_eq!(home.known("calm").identity(), before);
    assert_eq!(
        home.api("/v1/events")["events"].as_array().unwrap().len(),
        last,
        "nothing is begun"
    );
    assert_eq!(home.daemon().unwrap(), daemon);
}

#[test]
fn oversized_requests_are_refused_without_being_kept() {
    let home = calm();
    let daemon = home.daemon().unwrap();
    let before = daemon.resident().unwrap();
    let body = "x".repeat(16 << 20);
    let header = format!("X-Long: {}\r\n", "y".repeat(1 << 20));
    for _ in 0..3 {
        let answer = send(&home, request("POST", "/v1/apps", "", &body).as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:.200}");
        let answer = send(&home, request("GET", "/v1/version", &header, "").as_bytes());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:.200}");
    }
    let lie = "POST /v1/apps HTTP/1.1\r\nHost: n\r\nContent-Length: 99999999999\r\n\r\nx";
    let answer = send(&home, lie.as_bytes());
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    unimpressed(&home, daemon.0, before);
}

#[test]
fn half_and_slow_requests_hold_nobody_up_and_are_cut() {
    let home = calm();
    let daemon = home.daemon().unwrap();
    let before = daemon.resident().unwrap();
    let half = |text: &str| -> UnixStream {
        let mut stream = home.connect().unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let whole = request("POST", "/v1/apps", "", "{}");
    let mut open: Vec<UnixStream> = Vec::new();
    for _ in 0..60 {
        open.push(half("GET /v1/ver"));
        open.push(half("POST /v1/apps HTTP/1.1\r\nHost: n\r\n"));
        open.push(half(&whole[..whole.len() - 1]));
    }
    unimpressed(&home, daemon.0, before);
    home.ctl(&["list"]).ok();
    // Each of them is cut.
    let begun = Instant::now();
    for stream in &mut open {
        stream.set_read_timeout(Some(PROMPT)).unwrap();
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it is kept"),
        }
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&rest));
    }
    assert!(begun.elapsed() < CUT_BODY.1, "{:?}", begun.elapsed());
    unimpressed(&home, daemon.0, before);
}

/// When the half of a head is cut: after five seconds, and when a loaded machine comes to it.
const CUT: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(20));
/// The same of a body.
const CUT_BODY: (Duration, Duration) = (Duration::from_secs(9), Duration::from_secs(25));

/// Begin like this, go on with a byte every twenty milliseconds; what is answered before it is cut.
fn slowly(home: &Home, begin: &str, cut: (Duration, Duration)) -> String {
    let mut slow = home.connect().unwrap();
    let since = Instant::now();
    slow.write_all(begin.as_bytes()).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut answer = Vec::new();
    wait_for(cut.1, "the slow one being cut", || {
        let sent = slow.write_all(b"z");
        let mut some = [0; 1024];
        match slow.read(&mut some) {
            Ok(0) => Some(()),
            Ok(read) => {
                answer.extend_from_slice(&some[..read]);
                None
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => sent.is_err().then_some(()),
            Err(_) => Some(()),
        }
    });
    assert!(since.elapsed() > cut.0, "{:?}", since.elapsed());
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_byte_at_a_time_is_cut_in_time_in_the_head_and_in_the_body() {
    let home = calm();
    let head = "GET /v1/version HTTP/1.1\r\nX-Slow: ";
    assert_eq!(slowly(&home, head, CUT), "");
    let body = "POST /v1/apps/stop HTTP/1.1\r\nHost: n\r\nIdempotency-Key: k\r\n\
                Content-Length: 100000\r\n\r\n{\"targets\":[\"";
    let said = slowly(&home, body, CUT_BODY);
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("NX0502"), "{said}");
    assert_eq!(home.known("calm").status(), "online");
}

#[test]
fn ten_thousand_clients_that_say_nothing_keep_nobody_out() {
    let home = calm();
    let daemon = home.daemon().unwrap();
    let before = daemon.resident().unwrap();
    many_files(11_000);
    let mut idle: Vec<UnixStream> = Vec::new();
    while idle.len() < 10_000 {
        idle.push(home.connect().unwrap());
    }
    // Behind all of them in the queue, and answered at once.
    let asked = Instant::now();
    home.ctl(&["list"]).ok();
    assert!(asked.elapsed() < PROMPT / 4, "{:?}", asked.elapsed());
    unimpressed(&home, daemon.0, before);
    assert!(daemon.descriptors().unwrap() < 700, "{:?}", daemon.descriptors());
    drop(idle);
    wait_for(PROMPT, "their places", || (daemon.descriptors()? < 100).then_some(()));
}

#[test]
fn a_thousand_clients_that_never_read_cost_little_and_keep_nobody_out() {
    let home = calm();
    let line = "i=0; while :; do i=$((i+1)); echo $i some words of a log; done";
    home.write("talk.toml", &shell("talk", line, AT_ONCE));
    home.ctl(&["start", "talk.toml", "-q"]).ok();
    let daemon = home.daemon().unwrap();
    let before = daemon.resident().unwrap();
    many_files(2_000);
    let mut deaf = Vec::new();
    for number in 0..1_000 {
        let path = if number % 2 == 0 { "/v1/logs?follow=true" } else { "/v1/events?follow=true" };
        let mut stream = home.connect().unwrap();
        stream.write_all(request("GET", path, "", "").as_bytes()).unwrap();
        deaf.push(stream);
    }
    // The last of them has its answer: whoever follows too much is told so.
    let mut last = String::new();
    let asked_last = deaf.last_mut().unwrap();
    // A thousand have to be answered before it, on a machine of any load.
    asked_last.set_read_timeout(Some(3 * PROMPT)).unwrap();
    let _cut = asked_last.read_to_string(&mut last);
    assert!(last.contains("NX0502") && last.contains("384"), "{last}");
    let asked = Instant::now();
    home.ctl(&["restart", "calm", "-q"]).ok();
    home.ctl(&["logs", "talk", "-n", "3"]).ok();
    assert!(asked.elapsed() < PROMPT / 2, "{:?}", asked.elapsed());
    unimpressed(&home, daemon.0, before + (32 << 20));
}

/// `curl` of the version as `nobody`.
fn as_nobody(home: &Home) -> Output {
    let socket = home.path().join("nexus.sock").display().to_string();
    let mut command = home.command(Path::new("setpriv"));
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "curl", "-s"]);
    command.args(["-w", "%{http_code}", "--unix-socket", &socket, "http://nexus/v1/apps"]);
    run(command.current_dir("/"), PROMPT)
}

#[test]
fn another_user_is_kept_out_by_the_modes_and_by_the_daemon_itself() {
    let home = calm();
    let open = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let socket = home.path().join("nexus.sock");
    assert_eq!((mode(&home.path()), mode(&socket)), (0o700, 0o600));
    open(home.path().parent().unwrap(), 0o755);
    let refused = as_nobody(&home);
    assert_eq!((refused.code, refused.stdout.as_str()), (7, "000"), "{refused:?}");
    open(&home.path(), 0o755);
    let refused = as_nobody(&home);
    assert_eq!((refused.code, refused.stdout.as_str()), (7, "000"), "{refused:?}");
    open(&socket, 0o666);
    let refused = as_nobody(&home);
    assert!(refused.stdout.ends_with("403") && refused.stdout.contains("NX0801"), "{refused:?}");
    assert!(!refused.stdout.contains("calm"), "{refused:?}");
}
