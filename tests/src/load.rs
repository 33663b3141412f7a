//! Many requests for an app under test, and an account of every one that went wrong.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::Answer;

/// How long a connection or an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two requests of a client: a new connection for each must not use up all ports.
const PAUSE: Duration = Duration::from_millis(1);

/// When a client asks.
#[derive(Clone, Copy, Debug)]
enum Rhythm {
    /// A moment after each answer: as fast as they are answered.
    Closed,
    /// So often, however long an answer takes: what waits is made up for.
    Open(Duration),
}

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
    /// The longest time from when a request was due to its answer.
    pub slowest: Duration,
}

impl Account {
    /// The number of requests, when none failed.
    ///
    /// # Panics
    /// When one failed, or there was none.
    #[track_caller]
    pub fn flawless(&self) -> u64 {
        assert!(self.failed() == 0 && self.right > 0, "{self:?}");
        self.right
    }

    /// The number of requests that failed.
    pub fn failed(&self) -> u64 {
        self.refused + self.reset + self.short + self.wrong + self.timed_out
    }

    fn add(&mut self, other: Account) {
        self.right += other.right;
        self.refused += other.refused;
        self.reset += other.reset;
        self.short += other.short;
        self.wrong += other.wrong;
        self.timed_out += other.timed_out;
        self.first = self.first.take().or(other.first);
        self.slowest = self.slowest.max(other.slowest);
    }

    fn fails(&mut self, error: &io::Error, connecting: bool) {
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
    asked: Arc<AtomicU64>,
}

impl Load {
    /// `keeping` clients that keep their connection and `closing` clients that take a new one for
    /// each request, on 127.0.0.1. The app must answer `GET /word` with a body that ends in it.
    pub fn start(port: u16, keeping: usize, closing: usize) -> Load {
        Load::of(port, keeping, closing, None, Rhythm::Closed)
    }

    /// The same, but always for this path; any whole answer of status 200 is right.
    pub fn asking(port: u16, keeping: usize, closing: usize, path: &'static str) -> Load {
        Load::of(port, keeping, closing, Some(path), Rhythm::Closed)
    }

    /// The same, in an open loop: each client asks so often, and is late when it has to wait.
    pub fn every(
        each: Duration,
        port: u16,
        keeping: usize,
        closing: usize,
        path: &'static str,
    ) -> Load {
        Load::of(port, keeping, closing, Some(path), Rhythm::Open(each))
    }

    fn of(
        port: u16,
        keeping: usize,
        closing: usize,
        path: Option<&'static str>,
        rhythm: Rhythm,
    ) -> Load {
        let (mut go, mut clients) = (Vec::new(), Vec::new());
        let (begins, begun) = mpsc::channel();
        let asked = Arc::new(AtomicU64::new(0));
        for number in 0..keeping + closing {
            let (sender, receiver) = mpsc::channel();
            go.push(sender);
            let counter = Arc::clone(&asked);
            let begins = begins.clone();
            let ask = move || {
                let keep = number < keeping;
                client(
                    port,
                    number,
                    keep,
                    path,
                    rhythm,
                    &counter,
                    &Signals { begins, go: receiver },
                )
            };
            clients.push(std::thread::spawn(ask));
        }
        // A load is one only when all of them are there: a busy machine may begin them late.
        for _ in &clients {
            let begun = begun.recv_timeout(PATIENCE);
            begun.unwrap_or_else(|_| panic!("a client has not begun in {PATIENCE:?}"));
        }
        Load { go, clients, asked }
    }

    /// How many requests have been made so far.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
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

/// What a client and its load tell each other.
struct Signals {
    /// That it has a connection, or none is to be had.
    begins: Sender<()>,
    /// That it is to go on, for as long as the other end is there.
    go: Receiver<()>,
}

fn client(
    port: u16,
    number: usize,
    keep: bool,
    always: Option<&str>,
    rhythm: Rhythm,
    counter: &AtomicU64,
    signals: &Signals,
) -> Account {
    let begin = Instant::now();
    let mut account = Account::default();
    let mut open: Option<BufReader<TcpStream>> = None;
    let mut count = 0_u64;
    let mut asked = 0_u32;
    let mut due = |now: Instant| match rhythm {
        Rhythm::Closed => now + PAUSE,
        Rhythm::Open(each) => {
            asked += 1;
            begin + each * asked
        }
    };
    loop {
        let at = due(Instant::now());
        let pause = at.saturating_duration_since(Instant::now());
        if signals.go.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return account;
        }
        let connected = open.take().map_or_else(|| connect(port), Ok);
        // Nobody listens any more when all have begun.
        let _ = signals.begins.send(());
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(error) => {
                account.fails(&error, true);
                continue;
            }
        };
        count += 1;
        counter.fetch_add(1, Ordering::Relaxed);
        let path = always.map_or_else(|| format!("/{number}-{count}"), str::to_owned);
        let echo = if always.is_some() { String::new() } else { format!("{path}\n") };
        match exchange(&mut connection, &path, keep) {
            Ok(answer) if answer.status == 200 && answer.body.ends_with(&echo) => {
                account.right += 1;
                account.slowest = account.slowest.max(at.elapsed());
                open = (keep && !answer.close).then_some(connection);
            }
            Ok(answer) => {
                account.wrong += 1;
                account.first.get_or_insert_with(|| format!("{answer:?}"));
            }
            Err(error) => account.fails(&error, false),
        }
    }
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
