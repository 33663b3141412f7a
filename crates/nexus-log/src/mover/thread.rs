//! The thread: waits for pipes that have bytes, gives each line its round, tries stalled ones again.

mod orders;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::SigSet;

use super::line::{Line, Round, Tools};
use super::scratch::Scratch;
use super::sink::Sink;
use super::{LineId, Mover, Note, Notes, Shared, lock};
use crate::janitor::Janitor;

/// The epoll's number of the bell; lines count from 1.
const BELL: u64 = 0;
/// Lines that one look at the epoll brings. The kernel puts those not brought first next time.
const EVENTS: usize = 64;
/// The first wait of a stalled line; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(15);

/// Begins when `old` has ended.
pub(super) fn spawn(
    shared: Arc<Shared>,
    notes: Notes,
    old: Option<Mover>,
) -> io::Result<JoinHandle<()>> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&shared.bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
    let mut thread = Thread {
        epoll,
        notes,
        lines: HashMap::new(),
        tokens: HashMap::new(),
        last_token: BELL,
        sinks: HashMap::new(),
        paths: HashMap::new(),
        waiting: HashMap::new(),
        timed: HashSet::new(),
        gathered: None,
        scratch: Scratch::default(),
        janitor: Janitor::default(),
        shared,
    };
    Builder::new().name("nexus-log".into()).spawn(move || {
        // Handlers run on the threads that expect them; a splice is not interrupted.
        let _ = SigSet::all().thread_block();
        let _stopped = SayStopped(Arc::clone(&thread.shared));
        if let Some(old) = old {
            old.end();
        }
        thread.run();
    })
}

/// Says that the thread has ended, also when a callback panicked.
struct SayStopped(Arc<Shared>);

impl Drop for SayStopped {
    fn drop(&mut self) {
        self.0.say_stopped();
    }
}

/// A line that waits for its file.
struct Stall {
    retry_at: Instant,
    wait: Duration,
}

/// A sink and how many lines share it.
struct Shares {
    sink: Sink,
    lines: usize,
}

struct Thread {
    shared: Arc<Shared>,
    epoll: Epoll,
    notes: Notes,
    /// By a number of our own, never used twice: an event may outlive its line.
    lines: HashMap<u64, Line>,
    tokens: HashMap<LineId, u64>,
    last_token: u64,
    /// By the number of the line that brought it.
    sinks: HashMap<u64, Shares>,
    paths: HashMap<PathBuf, u64>,
    /// Not in the epoll: lines whose file takes nothing.
    waiting: HashMap<u64, Stall>,
    /// Lines to be looked after though nothing comes: their sink has a new file that waits for the
    /// end of a line of text, or they have one themselves that waits for its end.
    timed: HashSet<u64>,
    /// Lines that are not moved yet; None = all are.
    gathered: Option<Vec<u64>>,
    scratch: Scratch,
    janitor: Janitor,
}

impl Thread {
    fn run(&mut self) {
        let mut events = [EpollEvent::empty(); EVENTS];
        while !self.shared.halted() {
            let ready = match self.epoll.wait(&mut events, self.patience()) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                // Our own epoll with valid arguments: the kernel names no other error.
                Err(_) => return,
            };
            for event in &events[..ready] {
                if self.shared.halted() {
                    return;
                }
                match event.data() {
                    BELL => self.take_orders(),
                    token => self.serve(token),
                }
            }
            self.serve_overdue();
        }
    }

    /// Until the next retry, or until something is overdue; for ever when there is nothing.
    fn patience(&self) -> EpollTimeout {
        let retries = self.waiting.values().map(|stall| stall.retry_at);
        let dues = self.timed.iter().filter_map(|token| self.due(*token));
        let Some(at) = retries.chain(dues).min() else { return EpollTimeout::NONE };
        // Rounded up: rounding down would spin for the last millisecond.
        let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::MAX)
    }

    /// Do something to a line out of turn, then give it a round if it has bytes.
    fn with_line(&mut self, id: LineId, act: impl FnOnce(&mut Line, &mut Sink, &mut Tools<'_>)) {
        let Some(token) = self.tokens.get(&id).copied() else { return };
        if self.reach(token, act).is_none() {
            return;
        }
        self.note_timed(token);
        if self.waiting.contains_key(&token) {
            return;
        }
        let Some(line) = self.lines.get_mut(&token) else { return };
        let mut pipe = [PollFd::new(line.pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut pipe, PollTimeout::ZERO) {
            Ok(0) if line.dressed.is_none() && line.stage.is_none() => line.emptied(),
            Ok(_) | Err(_) => self.serve(token),
        }
    }

    /// A line with its sink and the tools.
    fn reach<T>(
        &mut self,
        token: u64,
        act: impl FnOnce(&mut Line, &mut Sink, &mut Tools<'_>) -> T,
    ) -> Option<T> {
        let line = self.lines.get_mut(&token)?;
        let sink = &mut self.sinks.get_mut(&line.sink)?.sink;
        let mut tools = Tools {
            id: line.id,
            scratch: &mut self.scratch,
            notes: &mut self.notes,
            shared: &self.shared,
            janitor: &self.janitor,
        };
        Some(act(line, sink, &mut tools))
    }

    fn serve(&mut self, token: u64) {
        let drain = self.waiting.contains_key(&token);
        let round = self.reach(token, |line, sink, tools| line.round(sink, drain, tools));
        self.note_timed(token);
        match round {
            Some(Round::Moved) => {
                self.heal(token);
                self.set_over(token, false);
            }
            Some(Round::Ended) => {
                self.heal(token);
                self.set_over(token, true);
            }
            Some(Round::Stalled(errno)) => self.stall(token, errno),
            None => {}
        }
    }

    /// When a line, or the file that it goes to, is to be looked after.
    fn due(&self, token: u64) -> Option<Instant> {
        let line = self.lines.get(&token)?;
        let sink = &self.sinks.get(&line.sink)?.sink;
        // One that waits for its file is tried again with that, not before.
        let dressed = line.dressed.as_ref().filter(|_| !self.waiting.contains_key(&token));
        let dressed = dressed.and_then(|dressed| dressed.due());
        dressed.into_iter().chain(sink.replace_at()).min()
    }

    /// Remember whether a line is to be looked after.
    fn note_timed(&mut self, token: u64) {
        if self.due(token).is_some() {
            self.timed.insert(token);
        } else {
            self.timed.remove(&token);
        }
    }

    /// A pipe without writers would ring for ever; edge-triggered it rings once, and again when
    /// somebody has opened it (through /proc) and writes.
    fn set_over(&mut self, token: u64, over: bool) {
        let Some(line) = self.lines.get_mut(&token) else { return };
        if line.over == over {
            return;
        }
        line.over = over;
        let edge = if over { EpollFlags::EPOLLET } else { EpollFlags::empty() };
        let mut event = EpollEvent::new(EpollFlags::EPOLLIN | edge, token);
        if let Err(errno) = self.epoll.modify(&line.pipe, &mut event) {
            self.stall(token, errno);
        }
    }

    fn stall(&mut self, token: u64, errno: Errno) {
        let Some(line) = self.lines.get(&token) else { return };
        self.unwatch(line);
        let wait = match self.waiting.get(&token) {
            Some(stall) => RETRY_MAX.min(stall.wait * 2),
            None => RETRY_MIN,
        };
        self.waiting.insert(token, Stall { retry_at: Instant::now() + wait, wait });
        let code = errno as i32;
        if lock(&self.shared.stalled).insert(line.id, code) != Some(code) {
            (self.notes)(line.id, Note::Stalled(code));
        }
    }

    fn heal(&mut self, token: u64) {
        if self.waiting.remove(&token).is_none() {
            return;
        }
        let Some(id) = self.lines.get(&token).map(|line| line.id) else { return };
        lock(&self.shared.stalled).remove(&id);
        (self.notes)(id, Note::Healed);
        self.watch(token);
    }

    fn serve_overdue(&mut self) {
        let now = Instant::now();
        let overdue: Vec<u64> =
            self.timed.iter().filter(|token| self.due(**token) <= Some(now)).copied().collect();
        let mut replaced = Vec::new();
        for token in overdue {
            let was_replacing = self.reach(token, |_, sink, _| sink.is_replacing());
            let waits = self.waiting.contains_key(&token);
            let done = self.reach(token, |line, sink, tools| {
                sink.end_replacement(tools);
                match &mut line.dressed {
                    Some(dressed) if !waits => dressed.overdue(sink, tools),
                    Some(_) | None => Ok(()),
                }
            });
            if let Some(Err(errno)) = done {
                self.stall(token, errno);
            }
            self.note_timed(token);
            let is_replacing = self.reach(token, |_, sink, _| sink.is_replacing());
            if was_replacing == Some(true) && is_replacing == Some(false) {
                replaced.push(token);
            }
        }
        // A stalled line has another file now, perhaps on another disk: no need to wait longer.
        let retries: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(token, stall)| stall.retry_at <= now || replaced.contains(token))
            .map(|(token, _)| *token)
            .collect();
        for token in retries {
            if self.shared.halted() {
                return;
            }
            self.serve(token);
        }
    }
}
