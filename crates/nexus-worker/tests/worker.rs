//! A real child with inherited sockets: takes them once, says ready, serves, drains.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nexus_worker::{Socket, Stop, Which, listen, listen_or_bind};

/// Longest wait for anything here; reaching it is a failure.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the child of a test does; set by [`spawn`].
const ROLE: &str = "NEXUS_WORKER_TEST_ROLE";

/// Not a test of its own: the door through which this program enters as a child.
#[test]
fn child() {
    match env::var(ROLE).as_deref() {
        Ok("take") => take_sockets(),
        Ok("closed") => report_the_closed_one(),
        Ok("idle") => keep_an_idle_connection(),
        Ok("wait") => wait_for_the_signal(),
        Ok(other) => panic!("unknown role {other}"),
        Err(_) => {}
    }
}

fn take_sockets() {
    let web = listen("web").unwrap();
    assert!(matches!(web[0].socket(), Socket::Tcp(_)) && web.len() == 1, "{web:?}");
    let number = web[0].as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    assert_eq!(number, 3);
    assert!(info.contains("flags:\t02000"), "close-on-exec: {info}");
    assert!(listen("web").unwrap().is_empty(), "given out once");
    assert!(listen(0).unwrap().is_empty(), "also by its index");
    assert!(listen("other").unwrap().is_empty());
    let rest = listen_or_bind("127.0.0.1:0").unwrap();
    assert!(matches!(rest.socket(), Socket::Unix(_)), "the free one before a new one: {rest:?}");
    assert!(listen(Which::All).unwrap().is_empty());
    let bound = listen_or_bind("tcp://127.0.0.1:0").unwrap();
    assert!(matches!(bound.socket(), Socket::Tcp(_)));
    println!("taken");
}

fn report_the_closed_one() {
    let error = listen(1).unwrap_err().to_string();
    assert!(error.contains("inherited socket 1 (unknown) is not open"), "{error}");
    assert_eq!(listen(0).unwrap().len(), 1, "the good one is not hurt");
    println!("reported");
}

/// Tells what becomes of a connection, a line each.
fn keep_an_idle_connection() {
    let stop = Stop::install().unwrap();
    let listener = listen_or_bind("127.0.0.1:0").unwrap();
    nexus_worker::ready().unwrap();
    let mut client = listener.accept_until(stop).unwrap().unwrap();
    let window = Duration::from_millis(700);
    while client.next_request(stop, window).unwrap() {
        client.read_exact(&mut [0]).unwrap();
        client.write_all(if stop.requested() { b"c" } else { b"k" }).unwrap();
    }
    println!("closed");
}

fn wait_for_the_signal() {
    let stop = Stop::install().unwrap();
    assert!(!stop.requested() && stop.signal().is_none());
    assert_eq!(stop.as_raw_fd(), Stop::install().unwrap().as_raw_fd());
    nexus_worker::ready().unwrap();
    stop.wait().unwrap();
    stop.wait().unwrap();
    assert!(nexus_worker::stop_requested());
    println!("signal {:?}", stop.signal());
}

/// The example, which `cargo test` builds beside the tests, and `cargo xtask test` before them.
fn hello() -> PathBuf {
    let hello = env::current_exe().unwrap().with_file_name("../examples/hello");
    assert!(hello.exists(), "{hello:?} is built by `cargo test -p nexus-worker` as a whole");
    hello
}

/// Executes this program anew in `role` (the example for `hello`), with `first` as descriptor 3
/// and `second` as 4, and what `announce` exports. A shell does the numbering, and LISTEN_PID,
/// since exec keeps its pid.
fn spawn(
    role: &str,
    notify: &str,
    first: OwnedFd,
    second: Option<OwnedFd>,
    announce: &str,
) -> Child {
    let move_second = if second.is_some() { "4<&2 2>/dev/null" } else { "" };
    let script = format!(
        "exec 3<&0 </dev/null {move_second}; {announce}; export LISTEN_PID=$$; exec \"$0\" \"$@\""
    );
    let program = if role == "hello" { hello() } else { env::current_exe().unwrap() };
    Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .args(["child", "--exact", "--nocapture"])
        .env(ROLE, role)
        .env("NOTIFY_SOCKET", notify)
        .stdin(Stdio::from(first))
        .stdout(Stdio::piped())
        .stderr(second.map_or(Stdio::inherit(), Stdio::from))
        .spawn()
        .unwrap()
}

fn finished(child: Child, says: &str) {
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&stdout);
    assert!(status.success() && stdout.contains(says), "{status}: {stdout}");
}

/// A notify socket as the manager has it, and the name under which a worker reaches it.
fn manager(test: &str) -> (UnixDatagram, String) {
    let name = format!("nexus-worker-{test}-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    (socket, format!("@{name}"))
}

fn expect(manager: &UnixDatagram, message: &str) {
    let mut buffer = [0; 256];
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(String::from_utf8_lossy(&buffer[..length]), message);
}

fn send_signal(name: &str, child: &Child) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn connect(listener: &TcpListener) -> TcpStream {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client
}

#[test]
fn inherited_sockets_are_found_by_name_and_given_out_once() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = SocketAddr::from_abstract_name(format!("take-{}", std::process::id())).unwrap();
    let unix = UnixListener::bind_addr(&address).unwrap();
    let announce = "export LISTEN_FDS=2 LISTEN_FDNAMES=web:admin";
    finished(spawn("take", "", tcp.into(), Some(unix.into()), announce), "taken");
}

#[test]
fn a_descriptor_that_is_closed_is_an_error_for_who_asks_for_it() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    finished(spawn("closed", "", tcp.into(), None, "export LISTEN_FDS=2; exec 4<&-"), "reported");
}

#[test]
fn both_signals_are_a_request_and_the_first_is_remembered() {
    for (name, says) in [("-TERM", "signal Some(15)"), ("-INT", "signal Some(2)")] {
        let (manager, at) = manager(&format!("wait{name}"));
        let unused = TcpListener::bind("127.0.0.1:0").unwrap();
        let child = spawn("wait", &at, unused.into(), None, "export LISTEN_FDS=0");
        expect(&manager, "READY=1");
        send_signal(name, &child);
        finished(child, says);
    }
}

#[test]
fn the_example_serves_and_answers_what_it_accepted_before_it_goes() {
    let (manager, at) = manager("hello");
    let kept = TcpListener::bind("127.0.0.1:0").unwrap();
    let handed = kept.try_clone().unwrap();
    let child = spawn("hello", &at, handed.into(), None, "export LISTEN_FDS=1");
    expect(&manager, "READY=1");
    expect(&manager, "STATUS=serving");

    let mut answer = String::new();
    let mut client = connect(&kept);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(&format!("hello from {}\n", child.id())), "{answer}");

    // Half a request, known to be accepted because one that came after it has been answered.
    let mut half = connect(&kept);
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let mut later = connect(&kept);
    later.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    later.read_to_end(&mut Vec::new()).unwrap();

    send_signal("-TERM", &child);
    expect(&manager, "STOPPING=1");
    let waiting = connect(&kept);
    half.write_all(b"\r\n").unwrap();
    answer.clear();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    finished(child, "");

    // Whoever was queued is still there for the next worker.
    kept.set_nonblocking(true).unwrap();
    let (_, from) = kept.accept().unwrap();
    assert_eq!(from, waiting.local_addr().unwrap());
}

#[test]
fn an_idle_connection_is_answered_within_the_window_and_closed_after_it() {
    let (manager, at) = manager("idle");
    let kept = TcpListener::bind("127.0.0.1:0").unwrap();
    let handed = kept.try_clone().unwrap();
    let child = spawn("idle", &at, handed.into(), None, "export LISTEN_FDS=1");
    expect(&manager, "READY=1");
    let mut client = connect(&kept);
    let mut ask = || {
        let mut answer = [0];
        client.write_all(b"?").unwrap();
        client.read_exact(&mut answer).unwrap();
        answer[0]
    };
    assert_eq!(ask(), b'k');
    send_signal("-TERM", &child);
    let began = std::time::Instant::now();
    while ask() == b'k' {}
    assert_eq!(ask(), b'c', "it is still answered");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    finished(child, "closed");
}
