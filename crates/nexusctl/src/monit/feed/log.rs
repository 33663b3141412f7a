//! Lines of log files, as they are written. Files are read by ourselves: it needs no daemon.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use nexus_log::{Follow, LogFile, Query, Record, Stream};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::log_window::Line;
use super::super::model::Msg;
use super::{Tell, tell};
use crate::log_files::Source;
use crate::text::own;

/// Lines that are read of the past.
const PAST: usize = 1_000;
/// Bytes of a line that are shown.
const LINE_MAX: usize = 4_096;
/// Lines in a second that are shown; of more, the last of the second.
const RATE_MAX: usize = 20_000;
/// Readings that go on at the same time; then they become one.
const FOLLOWS_MAX: usize = 8;

/// What is to be read.
struct Order {
    reading: u64,
    sources: Vec<Source>,
    newcomers: bool,
}

/// Tells what is to be read.
pub(in crate::monit) struct Orders {
    orders: Sender<Order>,
    wake: PipeWriter,
}

impl Orders {
    /// Read these from now on; `newcomers` = besides those that are read.
    pub(in crate::monit) fn read(&mut self, reading: u64, sources: Vec<Source>, newcomers: bool) {
        // When the reader has gone, so are we.
        let _ = self.orders.send(Order { reading, sources, newcomers });
        let _ = self.wake.write_all(&[0]);
    }
}

/// Wait for orders, and read.
///
/// # Errors
/// No descriptor is left for a pipe.
pub(in crate::monit) fn watch(to: Tell) -> std::io::Result<Orders> {
    let (reader, wake) = std::io::pipe()?;
    let (orders, todo) = channel();
    std::thread::spawn(move || {
        let mut feed =
            Feed { to, todo, wake: reader, reading: 0, parts: Vec::new(), rate: Rate::new() };
        while feed.turn() {}
    });
    Ok(Orders { orders, wake })
}

/// Files that are read together.
struct Part {
    sources: Vec<Source>,
    names: Vec<Names>,
    /// `None` = to be opened (again).
    follow: Option<Follow>,
}

/// What all lines of a file share.
struct Names {
    app: Arc<str>,
    label: Arc<str>,
    err: bool,
}

struct Feed {
    to: Tell,
    todo: Receiver<Order>,
    wake: PipeReader,
    reading: u64,
    parts: Vec<Part>,
    rate: Rate,
}

impl Feed {
    /// Wait for something and take it in. False = nobody listens any more.
    fn turn(&mut self) -> bool {
        let wait = self.due().map(|at| at.saturating_duration_since(Instant::now()));
        let wait = match wait {
            // Rounded up, lest the last millisecond spin.
            Some(wait) => {
                PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let open = self.parts.iter().filter_map(|part| part.follow.as_ref());
        let fds = std::iter::once(self.wake.as_fd()).chain(open.map(Follow::as_fd));
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if poll(&mut fds, wait).is_err_and(|errno| errno != nix::errno::Errno::EINTR) {
            return false;
        }
        let ordered = fds.first().and_then(PollFd::any).unwrap_or(false);
        drop(fds);
        (!ordered || self.take_orders()) && self.take_lines()
    }

    /// When there is something to do though no descriptor is readable.
    fn due(&self) -> Option<Instant> {
        if let Some(until) = self.rate.pause() {
            return Some(until);
        }
        self.parts.iter().filter_map(|part| part.follow.as_ref()?.due()).min()
    }

    fn take_orders(&mut self) -> bool {
        // One byte an order; bytes of orders that were taken before are harmless.
        if self.wake.read(&mut [0; 64]).is_ok_and(|count| count == 0) {
            return false;
        }
        loop {
            match self.todo.try_recv() {
                Ok(order) => {
                    if !self.obey(order) {
                        return false;
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn obey(&mut self, order: Order) -> bool {
        let mut begins = true;
        let mut sources = order.sources;
        if order.newcomers {
            begins = false;
            if self.parts.len() >= FOLLOWS_MAX {
                let known = self.parts.drain(..).flat_map(|part| part.sources);
                sources = known.chain(sources).collect();
                begins = true;
            }
        } else {
            self.parts.clear();
        }
        self.reading = order.reading;
        let mut part = Part::new(sources);
        let lines = part.open(PAST);
        self.parts.push(part);
        self.say(begins, lines)
    }

    /// What has come; nothing while too much came before.
    fn take_lines(&mut self) -> bool {
        if self.rate.pause().is_some_and(|until| Instant::now() < until) {
            return true;
        }
        if self.rate.is_over() {
            return self.catch_up();
        }
        for at in 0..self.parts.len() {
            let lines = self.parts[at].take();
            let count = lines.as_ref().map_or(0, Vec::len);
            if self.rate.exceeded_by(count) {
                self.parts.iter_mut().for_each(|part| part.follow = None);
            }
            if lines.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            if !self.say(false, lines) {
                return false;
            }
        }
        true
    }

    /// Go on at the ends of the files: what lies between was too much to be read by anybody.
    fn catch_up(&mut self) -> bool {
        self.rate = Rate::new();
        let left_out = Line {
            time: None,
            app: "nexusctl".into(),
            label: "nexusctl".into(),
            err: false,
            text: format!("lines were left out here: more than {RATE_MAX} came in a second"),
            cut: false,
        };
        if !self.say(false, Ok(vec![left_out])) {
            return false;
        }
        for at in 0..self.parts.len() {
            let lines = self.parts[at].open(PAST);
            if !self.say(false, lines) {
                return false;
            }
        }
        true
    }

    fn say(&self, begins: bool, lines: std::io::Result<Vec<Line>>) -> bool {
        match lines {
            Ok(lines) => tell(&self.to, Msg::Lines { reading: self.reading, begins, lines }),
            Err(error) => tell(&self.to, Msg::Unreadable(error.to_string())),
        }
    }
}

impl Part {
    fn new(sources: Vec<Source>) -> Part {
        let names = sources.iter().map(|source| Names {
            app: source.app.as_str().into(),
            label: source.file.label.as_str().into(),
            err: source.file.stream == Stream::Err,
        });
        Part { names: names.collect(), sources, follow: None }
    }

    /// The last lines; from now on it is followed.
    fn open(&mut self, last: usize) -> std::io::Result<Vec<Line>> {
        if self.sources.is_empty() {
            return Ok(Vec::new());
        }
        let files: Vec<LogFile> = self.sources.iter().map(|source| source.file.clone()).collect();
        let query = Query { files, last: Some(last), since: None, until: None, follow: true };
        let mut reader = query.read()?;
        let mut lines = Vec::new();
        for record in reader.by_ref() {
            lines.extend(self.line(&record?));
        }
        self.follow = Some(reader.follow()?);
        Ok(lines)
    }

    fn take(&mut self) -> std::io::Result<Vec<Line>> {
        let Some(follow) = &mut self.follow else { return Ok(Vec::new()) };
        match follow.take() {
            Ok(records) => Ok(records.iter().filter_map(|record| self.line(record)).collect()),
            Err(error) => {
                self.follow = None;
                Err(error)
            }
        }
    }

    fn line(&self, record: &Record) -> Option<Line> {
        let names = self.names.get(record.file)?;
        let since = record.time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let bytes = record.bytes.get(..LINE_MAX).unwrap_or(&record.bytes);
        Some(Line {
            time: since.and_then(|since| i64::try_from(since.as_millis()).ok()),
            app: Arc::clone(&names.app),
            label: Arc::clone(&names.label),
            err: names.err,
            text: own(&String::from_utf8_lossy(bytes)),
            cut: record.truncated || bytes.len() < record.bytes.len(),
        })
    }
}

/// How many lines came in this second.
struct Rate {
    second: Instant,
    count: usize,
    over: bool,
}

impl Rate {
    fn new() -> Rate {
        Rate { second: Instant::now(), count: 0, over: false }
    }

    /// Whether that is too much; then there is a pause until the second is over.
    fn exceeded_by(&mut self, lines: usize) -> bool {
        if !self.over && self.second.elapsed() >= Duration::from_secs(1) {
            *self = Rate::new();
        }
        self.count += lines;
        self.over |= self.count > RATE_MAX;
        self.over
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn pause(&self) -> Option<Instant> {
        self.over.then(|| self.second + Duration::from_secs(1))
    }
}
