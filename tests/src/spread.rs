//! How connections spread over the workers of an app, as the workers themselves tell.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::http::Answer;

/// Longer than any of them may wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// How connections come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// All at once; then each is used.
    Burst,
    /// One after another, each used before the next comes.
    OneByOne,
}

/// Connections that are kept open, and who serves each.
pub struct Spread {
    /// By the worker's pid.
    pub by_worker: BTreeMap<i64, usize>,
    open: Vec<BufReader<TcpStream>>,
}

impl Spread {
    /// Open so many connections to 127.0.0.1 and ask on each for `path`. The answer is JSON with
    /// the pid as `worker`, or text that begins with it.
    ///
    /// # Errors
    /// The first connection's that fails.
    pub fn open(port: u16, count: usize, path: &str, pace: Pace) -> io::Result<Spread> {
        let mut spread = Spread { by_worker: BTreeMap::new(), open: Vec::with_capacity(count) };
        for _ in 0..count {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            spread.open.push(BufReader::new(stream));
            if pace == Pace::OneByOne {
                spread.ask(path, spread.open.len() - 1)?;
            }
        }
        if pace == Pace::Burst {
            (0..count).try_for_each(|one| spread.ask(path, one))?;
        }
        Ok(spread)
    }

    fn ask(&mut self, path: &str, which: usize) -> io::Result<()> {
        let Some(connection) = self.open.get_mut(which) else { return Ok(()) };
        let text = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
        connection.get_mut().write_all(text.as_bytes())?;
        let worker = pid(&Answer::read(connection)?).ok_or(io::ErrorKind::InvalidData)?;
        *self.by_worker.entry(worker).or_default() += 1;
        Ok(())
    }

    /// The smallest number that one of `workers` workers has, in hundredths of the mean.
    pub fn smallest(&self, workers: usize) -> usize {
        let least = self.by_worker.values().min().copied().unwrap_or(0);
        let least = if self.by_worker.len() < workers { 0 } else { least };
        least * workers * 100 / self.open.len().max(1)
    }

    /// The largest one, likewise.
    pub fn largest(&self, workers: usize) -> usize {
        let most = self.by_worker.values().max().copied().unwrap_or(0);
        most * workers * 100 / self.open.len().max(1)
    }
}

fn pid(answer: &Answer) -> Option<i64> {
    if answer.kind.starts_with("application/json") {
        return answer.json()["worker"].as_i64();
    }
    answer.body.split_whitespace().next()?.parse().ok()
}
