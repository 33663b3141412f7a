//! Reload under load: not one request is lost, for any program that takes its socket from us.

use nexus_tests::{App, Home, Load, PROMPT, Process, free_port, program, wait_for};
use nix::sys::signal::Signal;

use crate::{app, worker};

/// A server that takes LISTEN_FDS and needs nothing of ours: threads, keep-alive, and a drain that
/// says `Connection: close`. `GET /grow` makes it hold 96 MiB.
pub(crate) const PYTHON: &str = r#"
import os, select, signal, socket, threading
listener = socket.socket(fileno=3)
stop_out, stop_in = os.pipe()
stopping, clients, held = threading.Event(), [], []
def stop(*_):
    stopping.set()
    os.write(stop_in, b"x")
signal.signal(signal.SIGTERM, stop)
def serve(client):
    client.setblocking(True)
    rest = b""
    while True:
        while b"\r\n\r\n" not in rest:
            more = client.recv(65536)
            if not more:
                return client.close()
            rest += more
        head, rest = rest.split(b"\r\n\r\n", 1)
        path = head.split(b" ")[1].decode()
        if path == "/grow" and not held:
            held.append(b"x" * (96 << 20))
        body = f"{os.getpid()} {path}\n"
        close = stopping.is_set() or b"Connection: close" in head
        mode = "close" if close else "keep-alive"
        client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: {mode}\r\n\r\n{body}".encode())
        if close:
            return client.close()
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", "\0" + os.environ["NOTIFY_SOCKET"][1:])
while not stopping.is_set():
    ready, _, _ = select.select([listener, stop_out], [], [])
    if listener in ready:
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            continue
        thread = threading.Thread(target=serve, args=(client,))
        thread.start()
        clients.append(thread)
for thread in clients:
    thread.join()
"#;

/// Listening, ready when it says so, with so many instances.
pub(crate) fn passed(port: u16, instances: u16) -> String {
    format!(
        "listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"\nready_timeout = \"20s\"\n\
         instances = {instances}"
    )
}

/// Reload it, so often (`RELOADS=50` for more): each time all workers are others, their slots are the same.
fn reloads(home: &Home, name: &str, times: usize) {
    let times = std::env::var("RELOADS").map_or(times, |times| times.parse().unwrap());
    for _ in 0..times {
        let before = home.known(name);
        home.ctl(&["reload", name, "-q"]).ok();
        let after = home.known(name);
        assert_eq!(after.ids(), before.ids());
        assert!(after.pids().iter().all(|pid| !before.pids().contains(pid)), "one is the same");
        assert!(before.pids().iter().all(|&pid| !Process(pid).alive()), "an old one lives");
        assert!(after.restarts().iter().all(|&restarts| restarts == 0));
    }
}

fn test_worker(home: &Home, instances: u16) -> u16 {
    let port = free_port();
    let args = ["--drain", "--serve", "--ready-after", "100"];
    home.write("ecosystem.toml", &worker("api", &args, &passed(port, instances)));
    home.ctl(&["start"]).ok();
    port
}

#[test]
fn four_workers_are_replaced_without_a_lost_request() {
    let home = Home::new();
    let port = test_worker(&home, 4);
    let load = Load::start(port, 4, 4);
    reloads(&home, "api", 3);
    home.ctl(&["reload", "api", "--parallel", "4", "-q"]).ok();
    println!("{} requests", load.end().flawless());
    assert!(home.events_of("api", "reloaded").len() >= 4);
}

#[test]
fn a_single_worker_is_replaced_without_a_lost_request() {
    let home = Home::new();
    let port = test_worker(&home, 1);
    let load = Load::start(port, 4, 4);
    reloads(&home, "api", 5);
    load.end().flawless();
}

#[test]
fn a_python_server_is_replaced_without_a_lost_request() {
    let home = Home::new();
    let port = free_port();
    home.write("server.py", PYTHON);
    home.write("ecosystem.toml", &app("py", "server.py", &[], &passed(port, 2)));
    home.ctl(&["start"]).ok();
    let load = Load::start(port, 4, 4);
    reloads(&home, "py", 3);
    println!("{} requests", load.end().flawless());
}

fn trading_api(instances: u16, times: usize) {
    let home = Home::new();
    let port = free_port();
    let script = program("trading-api").display().to_string();
    let drain = "env = { DRAIN_WINDOW_MS = \"200\" }";
    let more = format!("{}\n{drain}", passed(port, instances));
    home.write("ecosystem.toml", &app("trading-api", &script, &[], &more));
    home.ctl(&["start"]).ok();
    let load = Load::asking(port, 4, 4, "/api/health");
    reloads(&home, "trading-api", times);
    println!("{} requests", load.end().flawless());
}

#[test]
fn four_trading_apis_are_replaced_without_a_lost_request() {
    trading_api(4, 2);
}

#[test]
fn a_single_trading_api_is_replaced_without_a_lost_request() {
    trading_api(1, 3);
}

/// Kill one of the pair once the first of two workers has been replaced.
fn killed_in_the_middle(key: &str) {
    let home = Home::new();
    let port = free_port();
    let args = ["--await", "go", "--drain", "--serve", "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("api", &args, &passed(port, 2)));
    let go = ["go-0", "go-1"].map(|name| home.write(name, ""));
    home.ctl(&["start"]).ok();
    let before = home.known("api");
    let load = Load::start(port, 3, 3);
    // The second is not replaced before the kill.
    std::fs::remove_file(&go[1]).unwrap();
    let command = home.begin(&["reload", "api"]);
    wait_for(PROMPT, "the first replacement", || {
        (home.events_of("api", "replaced").len() == 1).then_some(())
    });
    let pid = home.api("/v1/version")[key].as_i64().unwrap();
    Process(i32::try_from(pid).unwrap()).signal(Signal::SIGKILL);
    assert!(!command.ended(), "it was over before the kill");
    std::fs::write(&go[1], "").unwrap();
    command.end().ok();
    load.end().flawless();
    let after = home.known("api");
    assert!(after.pids().iter().all(|pid| !before.pids().contains(pid)), "one is the same");
    assert_eq!((after.ids(), after.restarts()), (before.ids(), vec![0, 0]));
    assert_eq!(home.events_of("api", "reloaded").len(), 1);
    assert!(home.events_of("api", "rolled_back").is_empty());
}

#[test]
fn it_goes_on_after_a_kill_of_nexusd() {
    killed_in_the_middle("pid");
}

#[test]
fn it_goes_on_after_a_kill_of_the_keeper() {
    killed_in_the_middle("keeper_pid");
}

#[test]
fn without_a_passed_socket_each_is_stopped_first_and_that_is_said() {
    let home = Home::new();
    let more = "ready = \"notify\"\ninstances = 2";
    home.write("ecosystem.toml", &worker("plain", &["--ready-after", "50"], more));
    home.ctl(&["start"]).ok();
    let planned = home.ctl(&["reload", "plain", "--dry-run"]).ok();
    assert!(planned.stdout.contains("each stopped first"), "{}", planned.stdout);
    let before = home.known("plain");
    let said = home.ctl(&["reload", "plain"]).ok();
    assert!(said.stderr.contains("each stopped first"), "{}", said.stderr);
    let after: App = home.known("plain");
    assert!(after.pids().iter().all(|pid| !before.pids().contains(pid)));
    assert_eq!((after.status(), after.ids()), ("online", before.ids()));
}

#[test]
fn a_new_file_is_what_runs_afterwards() {
    let home = Home::new();
    let port = free_port();
    let more = passed(port, 2);
    home.write(
        "ecosystem.toml",
        &worker("api", &["--drain", "--serve", "--ready-after", "0"], &more),
    );
    home.ctl(&["start"]).ok();
    let load = Load::start(port, 2, 2);
    let more = format!("{}\nenv = {{ WORD = \"new\" }}", passed(port, 3));
    home.write(
        "ecosystem.toml",
        &worker("api", &["--drain", "--serve", "--ready-after", "1"], &more),
    );
    home.ctl(&["reload", "ecosystem.toml", "-q"]).ok();
    load.end().flawless();
    let after = home.known("api");
    assert_eq!(after.pids().len(), 3);
    for pid in after.pids() {
        assert_eq!(Process(pid).env("WORD").as_deref(), Some("new"));
    }
    // It is the stored one: the same file starts nothing.
    home.ctl(&["start", "-q"]).ok();
    assert_eq!(home.known("api").pids(), after.pids());
}

/// A worker beyond its limit of memory is replaced like in a reload.
#[test]
fn a_worker_beyond_its_limit_is_replaced_without_a_lost_request() {
    let home = Home::new();
    let port = free_port();
    home.write("server.py", PYTHON);
    let more = format!("{}\nmax_memory_restart = \"64M\"", passed(port, 1));
    home.write("ecosystem.toml", &app("py", "server.py", &[], &more));
    home.ctl(&["start"]).ok();
    let before = home.known("py");
    let load = Load::start(port, 2, 2);
    let grow = Load::asking(port, 0, 1, "/grow");
    wait_for(PROMPT, "the breach", || (!home.events_of("py", "limit").is_empty()).then_some(()));
    grow.end().flawless();
    home.until("py", "its successor", |app| app.restarts() == [1] && app.status() == "online");
    load.end().flawless();
    assert_ne!(home.known("py").main(), before.main());
    assert_eq!(home.events_of("py", "replaced").len(), 1);
}
