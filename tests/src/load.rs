//! Many requests for an app under test, and an account of every one that went wrong.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::http::Answer;

/// How long a connection or an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two requests of a client: a new connection for each must not use up all ports.
const PAUSE: Duration = Duration::from_millis(1);

/// What became of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Answered whole and right.
    pub right: u64,
    /// No connection.
    pub refused: u64,
    /// The connection broke before the answer.
    pub reset: u64,
    /// The connection ended within the answer, or before it.
    pub short: u64,
    /// Another answer than asked for.
    pub wrong: u64,
    /// No answer in ten seconds.
    pub timed_out: u64,
    /// What the first that failed said.
    pub first: Option<String>,
}

impl Account {
    /// The number of requests, when none failed.
    ///
    /// # Panics
    /// When one failed, or there was none.
    #[track_caller]
    pub fn flawless(&self) -> u64 {
        let none = Account { right: self.right, ..Account::default() };
        assert!(*self == none && self.right > 0, "{self:?}");
        self.right
    }

    fn add(&mut self, other: Account) {
        self.right += other.right;
        self.refused += other.refused;
        self.reset += other.reset;
        self.short += other.short;
        self.wrong += other.wrong;
        self.timed_out += other.timed_out;
        self.first = self.first.take().or(other.first);
    }

    fn failed(&mut self, error: &io::Error, connecting: bool) {
        use io::ErrorKind::{InvalidData, TimedOut, UnexpectedEof, WouldBlock};
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
        let which = match () {
            () if connecting => &mut self.refused,
            () if is(&[UnexpectedEof]) => &mut self.short,
            () if is(&[InvalidData]) => &mut self.wrong,
            () if is(&[WouldBlock, TimedOut]) => &mut self.timed_out,
            () => &mut self.reset,
        };
        *which += 1;
        self.first.get_or_insert_with(|| error.to_string());
    }
}

/// Clients that ask until they are told to stop.
pub struct Load {
    /// One for each client; it stops when its own is gone.
    go: Vec<Sender<()>>,
    clients: Vec<JoinHandle<Account>>,
}

impl Load {
    /// `keeping` clients that keep their connection and `closing` clients that take a new one for
    /// each request, on 127.0.0.1. The app must answer `GET /word` with a body that ends in it.
    pub fn start(port: u16, keeping: usize, closing: usize) -> Load {
        Load::of(port, keeping, closing, None)
    }

    /// The same, but always for this path; any whole answer of status 200 is right.
    pub fn asking(port: u16, keeping: usize, closing: usize, path: &'static str) -> Load {
        Load::of(port, keeping, closing, Some(path))
    }

    fn of(port: u16, keeping: usize, closing: usize, path: Option<&'static str>) -> Load {
        let (mut go, mut clients) = (Vec::new(), Vec::new());
        for number in 0..keeping + closing {
            let (sender, receiver) = mpsc::channel();
            go.push(sender);
            let ask = move || client(port, number, number < keeping, path, &receiver);
            clients.push(std::thread::spawn(ask));
        }
        Load { go, clients }
    }

    /// Let every client finish its request, and add up.
    ///
    /// # Panics
    /// When a client has.
    #[track_caller]
    pub fn end(self) -> Account {
        drop(self.go);
        let mut account = Account::default();
        for client in self.clients {
            match client.join() {
                Ok(part) => account.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        account
    }
}

fn client(
    port: u16,
    number: usize,
    keep: bool,
    always: Option<&str>,
    go: &Receiver<()>,
) -> Account {
    let mut account = Account::default();
    let mut open: Option<BufReader<TcpStream>> = None;
    let mut count = 0_u64;
    while go.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        let mut connection = match open.take().map_or_else(|| connect(port), Ok) {
            Ok(connection) => connection,
            Err(error) => {
                account.failed(&error, true);
                continue;
            }
        };
        count += 1;
        let path = always.map_or_else(|| format!("/{number}-{count}"), str::to_owned);
        let echo = if always.is_some() { String::new() } else { format!("{path}\n") };
        match exchange(&mut connection, &path, keep) {
            Ok(answer) if answer.status == 200 && answer.body.ends_with(&echo) => {
                account.right += 1;
                open = (keep && !answer.close).then_some(connection);
            }
            Ok(answer) => {
                account.wrong += 1;
                account.first.get_or_insert_with(|| format!("{answer:?}"));
            }
            Err(error) => account.failed(&error, false),
        }
    }
    account
}

fn connect(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn exchange(to: &mut BufReader<TcpStream>, path: &str, keep: bool) -> io::Result<Answer> {
    let mode = if keep { "keep-alive" } else { "close" };
    let text = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: {mode}\r\n\r\n");
    to.get_mut().write_all(text.as_bytes())?;
    Answer::read(to)
}
