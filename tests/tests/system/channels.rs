//! The socket that hears the channels of all workers, and a worker that spoils it.

use nexus_tests::{Home, PROMPT, wait_for};

use crate::app;

/// Its own channel, and the socket behind it, which all that have a channel hold.
const BEGIN: &str = "import os, socket, time\n\
    channel = int(os.environ['NODE_CHANNEL_FD'])\n\
    hearer = lambda: socket.socket(fileno=channel + 1)\n\
    wait = lambda: time.sleep(1000)\n";
const SPEAKS: &str = "os.write(channel, b'\"ready\"\\n')\nwait()\n";
const SHUTS: &str = "hearer().shutdown(socket.SHUT_RDWR)\nwait()\n";
/// An error of a connection that it never wanted.
const CONNECTS: &str = "h = hearer()\n\
    us, other = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in '12']\n\
    us.bind(''), other.bind('')\n\
    us.connect(h.getsockname())\n\
    h.connect(us.getsockname())\n\
    h.send(b'unread')\n\
    us.connect(other.getsockname())\n\
    wait()\n";

#[test]
fn a_worker_that_spoils_the_socket_that_hears_all_takes_it_from_nobody_who_comes_after() {
    for spoils in [SHUTS, CONNECTS] {
        let home = Home::new();
        home.write("speaks.py", &format!("{BEGIN}{SPEAKS}"));
        home.write("spoils.py", &format!("{BEGIN}{spoils}"));
        let more = "ready = \"ipc\"\nready_timeout = \"60s\"";
        for (name, script) in [("first", "speaks"), ("later", "speaks"), ("spoils", "spoils")] {
            let text = app(name, &format!("{script}.py"), &[], more);
            home.write(&format!("{name}.toml"), &text);
        }
        home.ctl(&["start", "first.toml"]).ok();
        let daemon = home.daemon();
        home.ctl(&["start", "spoils.toml", "--no-wait"]).ok();
        let log = home.path().join("nexusd.log");
        wait_for(PROMPT, "the word of it", || {
            std::fs::read_to_string(&log).unwrap().contains("has spoilt").then_some(())
        });
        home.ctl(&["start", "later.toml"]).ok();
        home.ctl(&["restart", "first"]).ok();
        let told = std::fs::read_to_string(&log).unwrap();
        assert_eq!(told.matches("has spoilt").count(), 1, "{told}");
        assert_eq!(home.daemon(), daemon, "{told}");
        assert_eq!(home.known("first").status(), "online");
    }
}
