//! What callers order: lines that come and go, and what is done to them out of turn.

use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::{Errno, Shares, Thread};
use crate::mover::dressed::Dressed;
use crate::mover::ear::Ear;
use crate::mover::journal::Journal;
use crate::mover::line::{Line, Tools};
use crate::mover::sink::Sink;
use crate::mover::{LineId, Note, Order, Source, lock};

impl Thread {
    pub(super) fn take_orders(&mut self) {
        // EAGAIN: somebody rang, and an earlier look has taken the order.
        let _ = self.shared.bell.read();
        loop {
            if self.shared.halted() {
                return;
            }
            let Some(order) = lock(&self.shared.orders).pop_front() else { return };
            match order {
                Order::Add(id, source) => self.add(id, *source),
                Order::Gather => self.gathered = Some(self.gathered.take().unwrap_or_default()),
                Order::Go => {
                    for token in self.gathered.take().into_iter().flatten() {
                        self.watch(token);
                    }
                }
                Order::Remove(id) => self.remove(id),
                Order::Settle(id, then) => {
                    self.with_line(id, |line, _, _| line.settle(then));
                }
                Order::Rotate(id, then) => {
                    self.with_line(id, |_, sink, tools| sink.rotate_on_request(then, tools));
                }
                Order::Stage(id, stage) => {
                    self.with_line(id, |line, _, _| line.stage = Some(stage));
                }
                Order::Hear(id, hear) => {
                    self.with_line(id, |line, _, _| line.ear = Some(Ear::new(hear)));
                }
                Order::Clear(id, then) => {
                    self.with_line(id, |_, sink, tools| sink.clear(then, tools));
                }
            }
        }
    }

    fn add(&mut self, id: LineId, source: Source) {
        self.remove(id);
        self.last_token += 1;
        let token = self.last_token;
        let (origins, target) = source.split();
        let sink = match self.paths.get(&target.path) {
            Some(sink) => *sink,
            None => {
                self.paths.insert(target.path.clone(), token);
                token
            }
        };
        match self.sinks.get_mut(&sink) {
            Some(shares) => {
                shares.lines += 1;
                shares.sink.rules = target.rules;
            }
            None => {
                let mut tools = Tools {
                    id,
                    scratch: &mut self.scratch,
                    notes: &mut self.notes,
                    shared: &self.shared,
                    janitor: &self.janitor,
                };
                let opened = Sink::open(target, &mut tools);
                self.sinks.insert(sink, Shares { sink: opened, lines: 1 });
            }
        }
        self.tokens.insert(id, token);
        let journal = origins.journal.map(Journal::open);
        self.lines.insert(token, Line::new(id, origins.pipe, sink, origins.stage));
        self.reach(token, |line, sink, tools| match journal.transpose() {
            Ok(Some(journal)) => {
                let dress = origins.dress.clone();
                line.dressed = Some(Box::new(Dressed::open(journal, dress, sink, tools)));
            }
            Ok(None) => {}
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                (tools.notes)(id, Note::NoJournal(errno));
            }
        });
        if origins.dress.is_plain() {
            self.undress(token);
        }
        self.note_timed(token);
        match &mut self.gathered {
            Some(gathered) => gathered.push(token),
            None => self.watch(token),
        }
    }

    /// Nothing is done to the line any more: once its journal is empty, it goes by itself.
    fn undress(&mut self, token: u64) {
        self.reach(token, |line, sink, tools| {
            if let Some(mut dressed) = line.dressed.take()
                && dressed.advance(sink, true, tools).is_err()
            {
                line.dressed = Some(dressed);
            }
        });
    }

    pub(super) fn watch(&mut self, token: u64) {
        let Some(line) = self.lines.get(&token) else { return };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, token);
        match self.epoll.add(&line.pipe, event) {
            // What is in a stage does not ring: somebody who was killed has left it.
            Ok(()) | Err(Errno::EEXIST) if line.stage.is_some() => self.serve(token),
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => self.stall(token, errno),
        }
    }

    pub(super) fn unwatch(&self, line: &Line) {
        // Closing would not do: the other process's duplicate keeps the pipe in the epoll. ENOENT:
        // the line waits or has ended.
        let _ = self.epoll.delete(&line.pipe);
    }

    pub(super) fn remove(&mut self, id: LineId) {
        let Some(token) = self.tokens.remove(&id) else { return };
        if let Some(line) = self.lines.remove(&token) {
            self.unwatch(&line);
            self.let_go(line.sink);
        }
        self.waiting.remove(&token);
        self.timed.remove(&token);
        lock(&self.shared.stalled).remove(&id);
        lock(&self.shared.renewed).remove(&id);
    }

    /// One line less for a sink.
    fn let_go(&mut self, number: u64) {
        let Some(shares) = self.sinks.get_mut(&number) else { return };
        shares.lines -= 1;
        if shares.lines == 0
            && let Some(gone) = self.sinks.remove(&number)
        {
            self.paths.remove(&gone.sink.path);
        }
    }
}
