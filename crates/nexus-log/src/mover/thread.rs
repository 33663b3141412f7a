//! The thread: waits for pipes that have bytes, gives each line its round, tries stalled ones again.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::SigSet;

use super::line::{Line, Round, Tools};
use super::scratch::Scratch;
use super::{LineId, Note, Notes, Order, Shared, lock};

/// The epoll's number of the bell; lines count from 1.
const BELL: u64 = 0;
/// Lines that one look at the epoll brings. The kernel puts those not brought first next time.
const EVENTS: usize = 64;
/// The first wait of a stalled line; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(15);

pub(super) fn spawn(shared: Arc<Shared>, notes: Notes) -> io::Result<JoinHandle<()>> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&shared.bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
    let mut thread = Thread {
        epoll,
        notes,
        lines: HashMap::new(),
        tokens: HashMap::new(),
        last_token: BELL,
        waiting: HashMap::new(),
        replacing: HashSet::new(),
        scratch: Scratch::default(),
        shared,
    };
    Builder::new().name("nexus-log".into()).spawn(move || {
        // Handlers run on the threads that expect them; a splice is not interrupted.
        let _ = SigSet::all().thread_block();
        let _stopped = SayStopped(Arc::clone(&thread.shared));
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

struct Thread {
    shared: Arc<Shared>,
    epoll: Epoll,
    notes: Notes,
    /// By a number of our own, never used twice: an event may outlive its line.
    lines: HashMap<u64, Line>,
    tokens: HashMap<LineId, u64>,
    last_token: u64,
    /// Not in the epoll: lines whose file takes nothing.
    waiting: HashMap<u64, Stall>,
    /// Lines with a new file that waits for the end of a line of text.
    replacing: HashSet<u64>,
    scratch: Scratch,
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

    /// Until the next retry or overdue replacement; for ever when there is none.
    fn patience(&self) -> EpollTimeout {
        let retries = self.waiting.values().map(|stall| stall.retry_at);
        let replacements =
            self.replacing.iter().filter_map(|token| self.lines.get(token)?.replace_at());
        let Some(at) = retries.chain(replacements).min() else { return EpollTimeout::NONE };
        // Rounded up: rounding down would spin for the last millisecond.
        let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::MAX)
    }

    fn take_orders(&mut self) {
        // EAGAIN: somebody rang, and an earlier look has taken the order.
        let _ = self.shared.bell.read();
        loop {
            if self.shared.halted() {
                return;
            }
            let Some(order) = lock(&self.shared.orders).pop_front() else { return };
            match order {
                Order::Add(id, source) => self.add(Line::new(id, source)),
                Order::Remove(id) => self.remove(id),
                Order::Settle(id, then) => {
                    self.with_line(id, |line, _| line.settle(then));
                }
                Order::Replace(id, file, then) => {
                    self.replacing.extend(self.tokens.get(&id));
                    self.with_line(id, |line, tools| line.replace(file, then, tools));
                }
            }
        }
    }

    fn add(&mut self, line: Line) {
        self.remove(line.id);
        self.last_token += 1;
        let token = self.last_token;
        self.tokens.insert(line.id, token);
        self.lines.insert(token, line);
        self.watch(token);
    }

    fn watch(&mut self, token: u64) {
        let Some(line) = self.lines.get(&token) else { return };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token);
        match self.epoll.add(&line.pipe, event) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => self.stall(token, errno),
        }
    }

    fn unwatch(&self, line: &Line) {
        // Closing would not do: the other process's duplicate keeps the pipe in the epoll. ENOENT:
        // the line waits or has ended.
        let _ = self.epoll.delete(&line.pipe);
    }

    fn remove(&mut self, id: LineId) {
        let Some(token) = self.tokens.remove(&id) else { return };
        if let Some(line) = self.lines.remove(&token) {
            self.unwatch(&line);
        }
        self.waiting.remove(&token);
        self.replacing.remove(&token);
        lock(&self.shared.stalled).remove(&id);
    }

    /// Do something to a line out of turn, then give it a round if it has bytes.
    fn with_line(&mut self, id: LineId, act: impl FnOnce(&mut Line, &mut Tools<'_>)) {
        let Some(token) = self.tokens.get(&id).copied() else { return };
        let Some(line) = self.lines.get_mut(&token) else { return };
        let mut tools =
            Tools { scratch: &mut self.scratch, notes: &mut self.notes, stop: &self.shared.stop };
        act(line, &mut tools);
        if self.waiting.contains_key(&token) {
            return;
        }
        let mut pipe = [PollFd::new(line.pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut pipe, PollTimeout::ZERO) {
            Ok(0) => line.emptied(),
            Ok(_) | Err(_) => self.serve(token),
        }
    }

    fn serve(&mut self, token: u64) {
        let Some(line) = self.lines.get_mut(&token) else { return };
        let mut tools =
            Tools { scratch: &mut self.scratch, notes: &mut self.notes, stop: &self.shared.stop };
        let drain = self.waiting.contains_key(&token);
        match line.round(drain, &mut tools) {
            Round::Moved => {
                self.heal(token);
                self.set_over(token, false);
            }
            Round::Ended => {
                self.heal(token);
                self.set_over(token, true);
            }
            Round::Stalled(errno) => self.stall(token, errno),
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
        let mut replaced = Vec::new();
        for token in &self.replacing {
            let Some(line) = self.lines.get_mut(token) else { continue };
            line.end_replacement(&mut Tools {
                scratch: &mut self.scratch,
                notes: &mut self.notes,
                stop: &self.shared.stop,
            });
            if line.replace_at().is_none() {
                replaced.push(*token);
            }
        }
        self.replacing.retain(|token| !replaced.contains(token));
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
