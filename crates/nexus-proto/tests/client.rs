//! The client against a scripted server on a real socket: every way an answer can go wrong.
#![allow(clippy::unwrap_used, reason = "the scripted server is test code too")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nexus_proto::client::{Client, Failure, LINE_MAX, fresh_key, quote};
use nexus_proto::{Code, OpState};
use tempfile::TempDir;

/// What the server does with one connection after it has read the request.
enum Act {
    /// Write these bytes and close.
    Say(Vec<u8>),
    /// Close without a word.
    Hang,
    /// Keep the connection open, silent, until the client leaves.
    Mute,
}

fn say(text: &str) -> Act {
    Act::Say(text.as_bytes().to_vec())
}

fn json(body: &str) -> Act {
    say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

/// Read one request whole: head, then as many bytes as its content-length says.
fn request(stream: &mut UnixStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            if text.len() >= end + 4 + length {
                return String::from_utf8_lossy(&text).into_owned();
            }
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return String::from_utf8_lossy(&text).into_owned(),
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A server that plays `acts`, one a connection, and gives back the requests.
fn serve(acts: Vec<Act>) -> (TempDir, Client, JoinHandle<Vec<String>>) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("nexus.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for act in acts {
            let (mut stream, _) = listener.accept().unwrap();
            seen.push(request(&mut stream));
            match act {
                Act::Say(bytes) => {
                    // The client may leave before all was said (too large).
                    let _ = stream.write_all(&bytes);
                }
                Act::Hang => {}
                Act::Mute => {
                    let _ = stream.read(&mut [0; 16]);
                }
            }
        }
        seen
    });
    let client =
        Client::new(path).with_patience(Duration::from_millis(400), Duration::from_millis(500));
    (home, client, server)
}

const VERSION: &str = r#"{"schema":"nexus.version/1","version":"0.1.0","api":"v1","pid":7,
    "keeper_pid":6,"uptime_ms":1,"pair_uptime_ms":2,"nexusd_restarts":0,"keeper_restarts":0,
    "home":"/h","protocol":1,"a_field_of_tomorrow":true}"#;

const OPERATION: &str = r#"{"schema":"nexus.operation/1","key":"k","verb":"start","by":"a(1)",
    "begun_at":"2026-01-01T00:00:00.000Z","state":"STATE","results":[],"waiting":[]}"#;

#[test]
fn a_document_with_a_length_is_read_whole_and_unknown_fields_are_ignored() {
    let (_home, client, server) = serve(vec![json(VERSION)]);
    assert_eq!(client.version().unwrap().keeper_pid, 6);
    let seen = server.join().unwrap();
    assert!(seen[0].starts_with("GET /v1/version HTTP/1.1\r\n"), "{seen:?}");
}

#[test]
fn a_chunked_document_is_joined_extensions_and_trailers_ignored() {
    let (first, second) = VERSION.split_at(70);
    let text = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{first}\r\n{:X}\r\n\
         {second}\r\n0\r\nx-trailer: 1\r\n\r\n",
        first.len(),
        second.len()
    );
    let (_home, client, _server) = serve(vec![say(&text)]);
    assert_eq!(client.version().unwrap().pid, 7);
}

#[test]
fn garbage_is_an_error_and_no_panic() {
    let garbage: [&[u8]; 9] = [
        b"\x00\xff\xfe garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}more\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nboom",
    ];
    for bytes in garbage {
        let (_home, client, _server) = serve(vec![Act::Say(bytes.to_vec())]);
        let failure = client.version().unwrap_err();
        assert!(matches!(failure, Failure::Protocol { .. }), "{failure:?} for {bytes:?}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    let (_home, client, _server) = serve(vec![say(&head)]);
    assert!(matches!(client.version(), Err(Failure::Protocol { .. })));

    let mut body = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    body.resize(nexus_proto::client::BODY_MAX + 200_000, b' ');
    let (_home, client, _server) = serve(vec![Act::Say(body)]);
    let client = client.with_patience(Duration::from_secs(20), Duration::from_millis(100));
    assert!(matches!(client.version(), Err(Failure::Protocol { .. })));

    let line = "z".repeat(LINE_MAX + 200_000);
    let (_home, client, _server) = serve(vec![say(&format!("HTTP/1.1 200 OK\r\n\r\n{line}"))]);
    let mut lines = client.follow("/v1/events?follow=true").unwrap();
    assert!(matches!(lines.next(), Some(Err(Failure::Protocol { .. }))));
    assert!(lines.next().is_none());
}

#[test]
fn silence_ends_at_the_deadline() {
    let begun = Instant::now();
    let (_home, client, _server) = serve(vec![Act::Mute]);
    assert_eq!(client.version(), Err(Failure::TimedOut));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn who_goes_through_silence_asks_anew_until_it_is_over() {
    let acts = vec![Act::Mute, Act::Mute, json(VERSION)];
    let (_home, client, server) = serve(acts);
    let client = client.through_silence(Duration::from_secs(10));
    assert_eq!(client.version().unwrap().keeper_pid, 6);
    assert_eq!(server.join().unwrap().len(), 3);
}

#[test]
fn nobody_there_is_said_at_once() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("nexus.sock");
    let absent = Client::new(&path).version();
    assert!(matches!(absent, Err(Failure::NoDaemon { stale: false, .. })), "{absent:?}");
    drop(UnixListener::bind(&path).unwrap());
    let stale = Client::new(&path).version();
    assert!(matches!(stale, Err(Failure::NoDaemon { stale: true, .. })), "{stale:?}");
}

#[test]
fn a_problem_document_is_handed_on() {
    let body = r#"{"type":"urn:nexus:NX0404","title":"no app named `x`","status":404,
        "code":"NX0404","help":["did you mean `y`?"]}"#;
    let text = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (_home, client, server) = serve(vec![say(&text)]);
    let Err(Failure::Problem(problem)) = client.app("a b/ü") else { panic!("no problem") };
    assert_eq!(problem.code, Code::NotFound);
    assert_eq!(problem.help, ["did you mean `y`?"]);
    assert!(server.join().unwrap()[0].starts_with("GET /v1/apps/a%20b%2F%C3%BC HTTP/1.1"));
}

#[test]
fn a_start_in_flight_when_the_daemon_dies_is_asked_again_with_the_same_key() {
    let running = json(&OPERATION.replace("STATE", "running"));
    let ended = json(&OPERATION.replace("STATE", "ended"));
    let cut = say("HTTP/1.1 202 Accepted\r\ncontent-length: 500\r\n\r\n{\"schema\":");
    let ending = r#"{"type":"urn:nexus:NX0701","title":"nexusd is ending","status":503,
        "code":"NX0701"}"#;
    let length = ending.len();
    let ending = say(&format!("HTTP/1.1 503 X\r\ncontent-length: {length}\r\n\r\n{ending}"));
    let acts = vec![Act::Hang, cut, running, Act::Hang, ending, ended];
    let (_home, client, server) = serve(acts);
    let key = fresh_key().unwrap();
    let start = nexus_proto::Start {
        apps: Vec::new(),
        source: "command line".into(),
        base_env: Vec::new(),
        daemon: None,
    };
    assert_eq!(client.start(&key, &start).unwrap().state, OpState::Running);
    assert_eq!(client.settle(&key, None).unwrap().state, OpState::Ended);
    let seen = server.join().unwrap();
    for post in &seen[..3] {
        assert!(post.starts_with("POST /v1/apps HTTP/1.1"), "{post}");
        assert!(post.contains(&format!("idempotency-key: {key}\r\n")), "{post}");
        assert!(post.ends_with(r#""base_env":[]}"#), "{post}");
    }
    assert!(seen[5].starts_with(&format!("GET /v1/operations/{key}?wait_ms=")), "{}", seen[5]);
}

#[test]
fn a_daemon_that_never_comes_back_is_waited_for_only_so_long() {
    let begun = Instant::now();
    let (home, client, _server) = serve(vec![Act::Hang]);
    let failure = client.version().unwrap_err();
    assert!(matches!(failure, Failure::NoDaemon { .. } | Failure::Lost { .. }), "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(8));
    drop(home);
}

#[test]
fn settle_comes_back_when_its_patience_is_over() {
    let running = || json(&OPERATION.replace("STATE", "running"));
    let (_home, client, _server) = serve(vec![running()]);
    let operation = client.settle("k", Some(Duration::from_millis(5))).unwrap();
    assert_eq!(operation.state, OpState::Running);
}

#[test]
fn lines_come_one_by_one_across_chunks() {
    let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"a\r\n7\r\n\":1}\n\n{\r\n\
                2\r\n}\n\r\n0\r\n\r\n";
    let (_home, client, _server) = serve(vec![say(text)]);
    let lines: Vec<_> =
        client.follow("/v1/events?follow=true").unwrap().map(Result::unwrap).collect();
    assert_eq!(lines, [b"{\"a\":1}".to_vec(), b"{}".to_vec()]);
}

#[test]
fn a_socket_in_a_very_deep_directory_is_reached() {
    let home = tempfile::tempdir().unwrap();
    let deep = home.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    // Bound under a short name, then moved: the server's own address is not what is tested.
    let short = home.path().join("s");
    let listener = UnixListener::bind(&short).unwrap();
    std::fs::rename(&short, deep.join("nexus.sock")).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request(&mut stream);
        let Act::Say(bytes) = json(VERSION) else { unreachable!() };
        stream.write_all(&bytes).unwrap();
    });
    assert_eq!(Client::new(deep.join("nexus.sock")).version().unwrap().pid, 7);
    server.join().unwrap();
}

#[test]
fn keys_are_fresh_and_quoting_leaves_only_unreserved_characters() {
    let (one, two) = (fresh_key().unwrap(), fresh_key().unwrap());
    assert_eq!(one.len(), 32);
    assert_ne!(one, two);
    assert_eq!(quote("/re gex&=/~"), "%2Fre%20gex%26%3D%2F~");
}
