//! Starts the program as a manager does, and ends it.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, UnixDatagram};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use crate::client::{Client, DEADLINE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_trading-api");

/// A worker on an inherited socket that says when it is ready.
pub(crate) struct Program {
    child: Child,
    manager: UnixDatagram,
    stdout: Option<JoinHandle<String>>,
    /// The manager's copy of the socket.
    pub(crate) kept: TcpListener,
}

impl Program {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("trading-api-test-{}-{number}", std::process::id());
        let at = net::SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&at).unwrap();
        manager.set_read_timeout(Some(DEADLINE)).unwrap();

        let kept = TcpListener::bind("127.0.0.1:0").unwrap();
        // A shell moves the socket to descriptor 3 and knows the pid that exec keeps.
        let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\"";
        let mut child = Command::new("sh")
            .args(["-c", script, PROGRAM])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(kept.try_clone().unwrap())))
            .stdout(Stdio::piped())
            .env("NOTIFY_SOCKET", format!("@{name}"))
            .envs(variables.iter().copied())
            .spawn()
            .unwrap();
        let mut pipe = child.stdout.take().unwrap();
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        });
        let program = Self { child, manager, stdout: Some(stdout), kept };
        program.expect("READY=1");
        program
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.kept.local_addr().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for this message to the manager.
    pub(crate) fn expect(&self, message: &str) {
        let mut buffer = [0; 256];
        let length = self.manager.recv(&mut buffer).unwrap();
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), message);
    }

    /// Asks it to stop; returns when it has begun to drain.
    pub(crate) fn ask_to_stop(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.expect("STOPPING=1");
    }

    /// Waits for its end; gives its status and its log lines.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Vec<Value>) {
        let status = self.child.wait().unwrap();
        let text = self.stdout.take().unwrap().join().unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (status, lines.collect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Only when a test has failed is it still there.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Runs it to its end without any manager.
pub(crate) fn run_alone(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM).envs(variables.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
