//! What clients cannot do, and what operators are told.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::program::{Program, run_alone};

#[test]
fn a_slow_head_is_cut_off_and_a_quick_one_is_not() {
    let program = Program::start(&[("HEADER_TIMEOUT_MS", "1000")]);
    let mut idle = program.client();
    assert_eq!(idle.get("/live").status, 200);
    let silent = program.client();
    let mut slow = program.client();
    slow.send("GET /live HTTP/1.1\r\nHost: ");
    let mut second = program.client();
    assert_eq!(second.get("/live").status, 200);
    second.send("GET /li");
    assert!(silent.ended_silently());
    assert!(slow.ended_silently());
    assert!(second.ended_silently(), "also when it was quick before");
    // Its header time has long passed, but it has begun no head.
    assert_eq!(idle.get("/live").status, 200);
}

#[test]
fn a_connection_without_requests_is_closed_in_the_end() {
    let program = Program::start(&[("IDLE_TIMEOUT_MS", "200")]);
    let mut client = program.client();
    assert_eq!(client.get("/live").status, 200);
    assert!(client.ended_silently());
}

#[test]
fn a_large_body_is_refused_unread() {
    let program = Program::start(&[]);
    let mut client = program.client();
    client.send("GET /live HTTP/1.1\r\nHost: test\r\nContent-Length: 65537\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 413);
    assert!(answer.closes());
}

#[test]
fn connections_beyond_the_bound_wait_their_turn() {
    let program = Program::start(&[("MAX_CONNECTIONS", "1")]);
    let mut first = program.client();
    assert_eq!(first.get("/live").status, 200);
    let mut second = program.client();
    second.send("GET /live HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(first.get("/live").status, 200);
    drop(first);
    assert_eq!(second.answer().status, 200);
}

#[test]
fn it_says_why_it_does_not_start() {
    let (code, stderr) = run_alone(&[("PORT", "many"), ("LOG_LEVEL", "loud")]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("PORT is \"many\"") && stderr.contains("LOG_LEVEL"), "{stderr}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, stderr) = run_alone(&[("PORT", &port)]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&format!("cannot listen on tcp://127.0.0.1:{port}")), "{stderr}");
}

#[test]
fn without_descriptors_clients_wait_until_there_are_some() {
    let mut program = Program::start(&[]);
    let mut early = program.client();
    assert_eq!(early.get("/live").status, 200);
    let limit = |open_files: &str| {
        let pid = program.pid().to_string();
        let limit = format!("--nofile={open_files}:");
        assert!(Command::new("prlimit").args([&limit, "--pid", &pid]).status().unwrap().success());
    };
    // The numbers below 4 are taken, so from now on no accept can succeed.
    limit("4");
    let mut late = program.client();
    late.send("GET /live HTTP/1.1\r\nHost: test\r\n\r\n");
    for _ in 0..3 {
        assert_eq!(early.get("/live").status, 200, "who is in is served");
    }
    limit("256");
    assert_eq!(late.answer().status, 200);
    drop((early, late));
    program.ask_to_stop("-TERM");
    let (status, lines) = program.ended();
    assert!(status.success());
    let told = |line: &&Value| line["message"] == "cannot accept; clients wait";
    assert_eq!(lines.iter().filter(told).count(), 1, "{lines:?}");
}
