//! Nothing that a client has sent is lost when a worker goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::program::Program;

#[test]
fn idle_connections_are_answered_once_more_within_the_window() {
    let mut program = Program::start(&[]);
    let mut idle: Vec<_> = (0..8).map(|_| program.client()).collect();
    for client in &mut idle {
        assert!(!client.get("/live").closes());
    }
    program.ask_to_stop("-TERM");
    for mut client in idle {
        let answer = client.get("/ready");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.closes(), "{answer:?}");
        assert_eq!(answer.json()["code"], "draining");
        assert!(client.ended_silently());
    }
    assert!(program.ended().0.success());
}

#[test]
fn a_request_under_way_is_finished_after_the_window() {
    let mut program = Program::start(&[("DRAIN_WINDOW_MS", "50")]);
    let mut half = program.client();
    half.send("GET /api/trading/market/IBM HTTP/1.1\r\n");
    let idle = program.client();
    // Accepted in order: when this one is answered, the two above are in.
    assert_eq!(program.client().get("/live").status, 200);
    program.ask_to_stop("-TERM");
    assert!(idle.ended_silently(), "the window has passed");
    half.send("Host: test\r\n\r\n");
    let answer = half.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.closes() && answer.body.contains("\"symbol\":\"IBM\""));
    assert!(program.ended().0.success());
}

#[test]
fn without_clients_it_goes_at_once() {
    let mut program = Program::start(&[("DRAIN_WINDOW_MS", "15000")]);
    let asked = Instant::now();
    program.ask_to_stop("-TERM");
    assert!(program.ended().0.success());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn who_never_finishes_is_cut_off() {
    let mut program = Program::start(&[("DRAIN_WINDOW_MS", "20"), ("DRAIN_TIMEOUT_MS", "200")]);
    let mut half = program.client();
    half.send("GET /live HTTP/1.1\r\n");
    assert_eq!(program.client().get("/live").status, 200);
    program.ask_to_stop("-TERM");
    let (status, lines) = program.ended();
    assert!(status.success());
    assert!(lines.iter().any(|line| line["level"] == "WARN" && line["connections"] == 1));
}

/// Connections that a drain does not accept wait in the queue for the next worker.
#[test]
fn the_queue_outlives_the_worker() {
    let mut program = Program::start(&[]);
    program.ask_to_stop("-TERM");
    assert!(program.ended().0.success());
    let waiting = Client::connect(program.address());
    program.kept.set_nonblocking(true).unwrap();
    program.kept.accept().unwrap();
    drop(waiting);
}

/// Clients that think between their requests and follow `Connection: close`, as every client
/// library does, see no failure: the last answer tells them to go.
#[test]
fn a_stream_of_keep_alive_requests_sees_no_failure() {
    let mut program = Program::start(&[("ACCESS_LOG", "off")]);
    let draining = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..16_u64)
        .map(|number| {
            let (mut client, draining) = (program.client(), Arc::clone(&draining));
            thread::spawn(move || {
                let mut answered = 0_u32;
                loop {
                    let told = draining.load(Ordering::SeqCst);
                    let answer = client.get("/api/trading/market/MSFT");
                    assert_eq!(answer.status, 200);
                    answered += 1;
                    if answer.closes() {
                        return answered;
                    }
                    assert!(!told, "an answer of a drain says goodbye");
                    thread::sleep(Duration::from_millis(number % 5));
                }
            })
        })
        .collect();
    // Under way, seen by a request of our own on the same single thread.
    for _ in 0..50 {
        assert_eq!(program.client().get("/live").status, 200);
    }
    program.ask_to_stop("-TERM");
    // The worker answers no request between telling the manager and beginning to drain.
    draining.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.join().unwrap() > 0);
    }
    assert!(program.ended().0.success());
}
