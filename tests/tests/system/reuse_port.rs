//! `reuse_port`: each instance has a listening socket of its own, which is its slot's for good.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::Command;

use nexus_tests::http::get;
use nexus_tests::{App, Home, Load, PROMPT, Process, free_port, wait_for};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, sockopt};

use crate::daemon::kill_both;
use crate::worker;

fn apart(port: u16, instances: u16) -> String {
    written(instances, &format!("{{ address = \"tcp://127.0.0.1:{port}\", reuse_port = true }}"))
}

fn written(instances: u16, listen: &str) -> String {
    let more = format!("listen = {listen}\nready = \"notify\"\ninstances = {instances}");
    worker("web", &["--drain", "--serve", "--ready-after", "0"], &more)
}

fn started(instances: u16) -> (Home, u16) {
    let (home, port) = (Home::new(), free_port());
    home.write("ecosystem.toml", &apart(port, instances));
    home.ctl(&["start"]).ok();
    (home, port)
}

/// The socket that each instance was handed.
fn sockets(app: &App) -> Vec<String> {
    let of = |pid: i32| std::fs::read_link(format!("/proc/{pid}/fd/3")).unwrap();
    app.pids().into_iter().map(|pid| of(pid).display().to_string()).collect()
}

fn listening(port: u16) -> usize {
    let said = Command::new("ss").args(["-ltnH", &format!("sport = :{port}")]).output().unwrap();
    String::from_utf8(said.stdout).unwrap().lines().count()
}

/// Clients that have asked, each on a connection of its own.
fn asking(port: u16, count: usize) -> Vec<TcpStream> {
    let ask = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PROMPT)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream
    };
    (0..count).map(ask).collect()
}

fn is_answered(stream: &mut TcpStream) -> bool {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

fn signal(app: &App, signal: Signal) {
    app.pids().into_iter().for_each(|pid| Process(pid).signal(signal));
}

#[test]
fn each_instance_keeps_its_socket_over_reloads_and_deaths() {
    let (home, port) = started(3);
    let before = sockets(&home.known("web"));
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3, "{before:?}");
    assert_eq!(listening(port), 3);
    let load = Load::start(port, 4, 4);
    home.ctl(&["reload", "web", "-q"]).ok();
    for victim in [Home::daemon, Home::keeper] {
        let victim = victim(&home).unwrap();
        victim.signal(Signal::SIGKILL);
        wait_for(PROMPT, "its end", || (!victim.alive()).then_some(()));
        home.ctl(&["reload", "web", "-q"]).ok();
    }
    load.end().flawless();
    assert_eq!(sockets(&home.known("web")), before);
    // Both: taken back from the workers, each for its instance.
    kill_both(&home);
    home.ctl(&["reload", "web", "-q"]).ok();
    assert_eq!(sockets(&home.known("web")), before);
    assert_eq!(listening(port), 3);
}

#[test]
fn what_waits_for_an_instance_that_is_killed_is_answered_by_its_successor() {
    let (home, port) = started(2);
    let before = home.known("web");
    signal(&before, Signal::SIGSTOP);
    let mut waiting = asking(port, 40);
    signal(&before, Signal::SIGKILL);
    assert!(waiting.iter_mut().all(is_answered));
    assert!(home.known("web").pids().iter().all(|pid| !before.pids().contains(pid)));
}

#[test]
fn without_an_instance_the_first_socket_waits_for_the_next() {
    let (home, port) = started(3);
    home.ctl(&["scale", "web", "0"]).ok();
    wait_for(PROMPT, "the others' end", || (listening(port) == 1).then_some(()));
    let mut waiting = asking(port, 10);
    home.ctl(&["scale", "web", "2"]).ok();
    assert!(waiting.iter_mut().all(is_answered));
    assert_eq!(listening(port), 2);
}

/// The loss that is told of in the documents: nobody else can take what waits in such a queue.
#[test]
fn nothing_is_lost_but_what_waits_for_an_instance_that_is_scaled_away() {
    let (home, port) = (Home::new(), free_port());
    home.write("ecosystem.toml", &format!("{}\nkill_timeout = \"300ms\"\n", apart(port, 2)));
    home.ctl(&["start"]).ok();
    signal(&home.known("web"), Signal::SIGSTOP);
    let mut waiting = asking(port, 40);
    let kept = queued(port, &sockets(&home.known("web"))[0]);
    let scaling = home.begin(&["scale", "web", "1"]);
    home.until("web", "one instance", |app| app.pids().len() == 1);
    Process(home.known("web").pids()[0]).signal(Signal::SIGCONT);
    let answered = waiting.iter_mut().filter_map(|one| is_answered(one).then_some(())).count();
    scaling.end().ok();
    // The other one runs on to be told, and may take some of its own before it is.
    assert!(answered >= kept && (1..40).contains(&kept), "{answered} of 40, {kept} kept");
    assert_eq!(listening(port), 1);
}

/// How many wait in the queue of one of the sockets of a port.
fn queued(port: u16, socket: &str) -> usize {
    let inode = socket.trim_matches(|c: char| !c.is_ascii_digit());
    let said = Command::new("ss").args(["-ltneH", &format!("sport = :{port}")]).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let line = said.lines().find(|line| line.contains(&format!("ino:{inode} "))).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_reload_from_one_for_all_to_one_for_each_loses_nothing_and_goes_back() {
    let (home, port) = (Home::new(), free_port());
    let shared = written(2, &format!("\"tcp://127.0.0.1:{port}\""));
    home.write("ecosystem.toml", &shared);
    home.ctl(&["start"]).ok();
    let one = sockets(&home.known("web"));
    assert_eq!(one[0], one[1]);
    let load = Load::start(port, 3, 0);
    home.write("ecosystem.toml", &apart(port, 2));
    home.ctl(&["reload", "ecosystem.toml", "-q"]).ok();
    let two = sockets(&home.known("web"));
    assert!(two[0] == one[0] && two[1] != one[0], "{one:?} {two:?}");
    load.end().flawless();
    // What would wait in the second one's queue now is lost, as when there are to be fewer.
    home.write("ecosystem.toml", &shared);
    home.ctl(&["reload", "ecosystem.toml", "-q"]).ok();
    assert_eq!(sockets(&home.known("web")), one);
    assert_eq!(get(port, "/").unwrap().status, 200);
    assert_eq!(listening(port), 1);
}

/// A socket that all share admits no other beside it, also not one that would share the port.
#[test]
fn a_shared_socket_has_its_address_alone() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("LEFT OUT: whether a plain user's sockets can be taken back is the machine's");
        return;
    }
    let (home, port) = (Home::new(), free_port());
    home.write("ecosystem.toml", &written(1, &format!("\"tcp://127.0.0.1:{port}\"")));
    home.ctl(&["start"]).ok();
    let address = SockaddrIn::new(127, 0, 0, 1, port);
    let flags = SockFlag::SOCK_CLOEXEC;
    let other = nix::sys::socket::socket(AddressFamily::Inet, SockType::Stream, flags, None);
    let other = other.unwrap();
    setsockopt(&other, sockopt::ReusePort, &true).unwrap();
    assert_eq!(bind(other.as_raw_fd(), &address), Err(Errno::EADDRINUSE));
    assert_eq!(get(port, "/").unwrap().status, 200);
}

#[test]
fn only_a_tcp_socket_has_it() {
    let home = Home::new();
    let listen = "{ address = \"unix:/run/x.sock\", reuse_port = true }";
    home.write("ecosystem.toml", &written(1, listen));
    let said = home.ctl(&["start"]).expect_code(6).stderr;
    assert!(said.contains("has `reuse_port`, which only a TCP socket has"), "{said}");
}
