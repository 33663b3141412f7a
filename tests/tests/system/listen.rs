//! Listening sockets: their names, rights and queues; who is in the way; what a reload changes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::Command;

use nexus_tests::http::get;
use nexus_tests::{Home, PROMPT, free_port, wait_for};

use crate::{AT_ONCE, shell, worker};

fn serving(listen: &str) -> String {
    worker(
        "web",
        &["--serve", "--ready-after", "0"],
        &format!("ready = \"notify\"\nlisten = {listen}"),
    )
}

#[test]
fn sockets_have_the_names_the_rights_and_the_queues_of_the_file() {
    let home = Home::new();
    let (port, path) = (free_port(), home.project().join("api.sock"));
    // A machine may have no IPv6 at all; then a second address of IPv4 is the third socket.
    let (other, its_name) = match TcpListener::bind("[::1]:0") {
        Ok(_) => ("[::1]", "[__1]"),
        Err(_) => ("127.0.0.2", "127.0.0.2"),
    };
    let listen = format!(
        "listen = [{{ address = \"tcp://127.0.0.1:{port}\", name = \"http\", backlog = 7 }}, \
         {{ address = \"unix:{0}\", mode = \"660\", user = \"nobody\", group = 65534 }}, \
         \"tcp://{other}:{port}\"]",
        path.display()
    );
    let line = "echo \"$LISTEN_FDS $LISTEN_FDNAMES\"; exec sleep 1000";
    home.write("ecosystem.toml", &shell("names", line, &format!("{AT_ONCE}\n{listen}")));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/names-out.log");
    let names = format!("3 http:unix_{}:tcp_//{its_name}_{port}\n", path.display());
    wait_for(PROMPT, "the names", || (std::fs::read_to_string(&log).ok()? == names).then_some(()));
    let file = path.symlink_metadata().unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.mode() & 0o777, 0o660);
    if nix::unistd::geteuid().is_root() {
        assert_eq!((file.uid(), file.gid()), (65_534, 65_534));
    }
    // The column after the waiting ones: how many may wait.
    let queue = |listen: &str| {
        let said =
            Command::new("ss").args(["-ltnH", &format!("sport = :{port}")]).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let line = said.lines().find(|line| line.contains(listen)).unwrap().to_owned();
        line.split_whitespace().nth(2).unwrap().to_owned()
    };
    assert_eq!(queue("127.0.0.1"), "7");
    // A reload makes of them what the file says then.
    let now = home.project().join("ecosystem.toml");
    let text = std::fs::read_to_string(&now).unwrap();
    std::fs::write(&now, text.replace("\"660\"", "\"600\"").replace("= 7", "= 9")).unwrap();
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    assert_eq!(path.symlink_metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(queue("127.0.0.1"), "9");
}

#[test]
fn who_is_in_the_way_is_told() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("\"tcp://{}\"", taken.local_addr().unwrap());
    home.write("ecosystem.toml", &serving(&listen));
    let said = home.ctl(&["start"]).expect_code(1);
    let who = format!("(pid {}) listens there", std::process::id());
    assert!(said.stderr.contains("in use") && said.stderr.contains(&who), "{said:?}");
    drop(taken);
    home.ctl(&["start"]).ok();
    let text = serving(&listen).replace("\"web\"", "\"other\"");
    home.write("other.toml", &text);
    let said = home.ctl(&["start", "other.toml"]).expect_code(1);
    assert!(said.stderr.contains("the app `web` listens there"), "{said:?}");
}

#[test]
fn a_reload_to_another_address_closes_the_one_before() {
    let home = Home::new();
    let (old, new) = (free_port(), free_port());
    home.write("ecosystem.toml", &serving(&format!("\"tcp://127.0.0.1:{old}\"")));
    home.ctl(&["start"]).ok();
    assert_eq!(get(old, "/").unwrap().status, 200);
    home.write("ecosystem.toml", &serving(&format!("\"tcp://127.0.0.1:{new}\"")));
    home.ctl(&["apply"]).ok();
    assert_eq!(get(new, "/").unwrap().status, 200);
    wait_for(PROMPT, "the old one's end", || {
        TcpStream::connect(("127.0.0.1", old)).is_err().then_some(())
    });
}

#[test]
fn without_a_worker_connections_wait_for_the_next_one() {
    let home = Home::new();
    let port = free_port();
    home.write("ecosystem.toml", &serving(&format!("\"tcp://127.0.0.1:{port}\"")));
    home.ctl(&["start"]).ok();
    home.ctl(&["scale", "web", "0"]).ok();
    assert_eq!(home.known("web").pids(), [0]);
    let mut waiting = TcpStream::connect(("127.0.0.1", port)).unwrap();
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    home.ctl(&["scale", "web", "1"]).ok();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn flaws_of_a_socket_are_told_at_their_places() {
    let home = Home::new();
    let listen = "listen = [{ address = \"tcp://127.0.0.1:1\", mode = \"600\" }, { name = \"x\" }, \
                  { address = \"unix:/run/a\", nmae = 1 }, { address = \"unix:/b\", mode = 660 }]";
    home.write("ecosystem.toml", &shell("flaws", "exec sleep 1000", listen));
    let said = home.ctl(&["start"]).expect_code(6).stderr;
    for flaw in [
        "which only a Unix socket has",
        "has no `address`",
        "unknown key `listen.nmae`",
        "is a decimal number, where octal is meant",
    ] {
        assert!(said.contains(flaw), "{flaw}: {said}");
    }
    assert_eq!(home.processes(), []);
}
