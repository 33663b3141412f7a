//! The loop: what is readable, in which order, and what ends a turn.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::signal::Signal;
use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};

use super::{FOREVER, Keeper, Source};
use crate::sys::{self, process};
use crate::wire::Report;

/// Events of one turn: more wait for the next.
const EVENTS_MAX: usize = 256;

impl Keeper {
    /// Turn for ever.
    pub(super) fn turns(mut self) -> io::Result<Infallible> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        self.end_turn(true);
        sys::spare::let_go();
        loop {
            let count = match self.epoll.wait(&mut events, FOREVER) {
                Ok(count) => count,
                Err(nix::Error::EINTR) => 0,
                Err(e) => return Err(e.into()),
            };
            let mut reap = false;
            // Orders first: who has told us of its successor before it ended is not the one whose
            // end counts (`Order::Main`).
            events[..count].sort_by_key(|event| event.data() & 0xff != Source::Link as u64);
            for event in &events[..count] {
                reap |= self.on_event(event.data(), event.events());
            }
            self.end_turn(reap);
        }
    }

    /// Returns whether a child may wait to be reaped.
    fn on_event(&mut self, token: u64, flags: EpollFlags) -> bool {
        let record = (token >> 8 & 0xff_ffff) as u32;
        match source_of(token) {
            Some(Source::Link) => self.on_link(flags),
            Some(Source::Signals) => return self.on_signals(),
            Some(Source::Timer) => {
                // A read that says "not yet" is no matter: what is due is found by the clock.
                let _ = self.timer.wait();
                self.timer_at = 0;
            }
            Some(Source::Nexusd) => self.on_nexusd_death(),
            Some(source @ (Source::Pidfd | Source::Gate | Source::Tree))
                if self.token(source, record) == token =>
            {
                self.on_child_event(source, record, flags);
            }
            // A stale event: the record has another child by now.
            Some(Source::Pidfd | Source::Gate | Source::Tree) | None => {}
        }
        false
    }

    fn on_child_event(&mut self, source: Source, record: u32, flags: EpollFlags) {
        match source {
            Source::Pidfd => self.on_pidfd(record, flags.contains(EpollFlags::EPOLLHUP)),
            Source::Gate => self.on_gate(record),
            Source::Tree => {
                self.on_cgroup_event(record);
                self.on_member_event(record);
            }
            Source::Link | Source::Signals | Source::Timer | Source::Nexusd => {}
        }
    }

    fn on_signals(&mut self) -> bool {
        let mut reap = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            let number = info.ssi_signo as i32;
            if number == Signal::SIGCHLD as i32 {
                reap = true;
            } else if number != Signal::SIGHUP as i32 {
                self.arena.set_stopping(true);
                self.say(Report::Stop);
            }
        }
        reap
    }

    fn end_turn(&mut self, reap: bool) {
        if reap {
            self.reap_strays();
        }
        let now = sys::now_ms();
        // Before the sweeps: whoever is given up has a tree that must be looked for, and on a
        // kernel that tells nothing more of it no other event may ever come.
        self.give_up_unsure(now);
        self.run_sweeps();
        self.respawn_due(now);
        self.nexusd_if_due(now);
        self.look_at_gates();
        self.flush();
        self.end_nexusd_if_hung(now);
        self.upgrade_in_turn();
        self.set_timer(now);
    }

    /// Reap orphans that became ours. A child of ours that is found here is handled as by its
    /// pidfd: recorded before it is reaped.
    fn reap_strays(&mut self) {
        while let Some(pid) = process::any_zombie() {
            if let Some(record) = self.by_pid.get(u64::from(pid.cast_unsigned())) {
                self.on_pidfd(record, false);
                if self.by_pid.get(u64::from(pid.cast_unsigned())).is_some() {
                    // Only told at the end of the turn, and reaped then.
                    self.run_sweeps();
                }
                if self.by_pid.get(u64::from(pid.cast_unsigned())).is_some() {
                    return;
                }
            } else if self.peer.as_ref().is_some_and(|peer| peer.pid == pid) {
                self.on_nexusd_death();
            } else {
                process::reap_pid(pid);
            }
        }
    }

    fn set_timer(&mut self, now: u64) {
        let next = [
            self.next_respawn(),
            self.next_unsure(),
            self.next_look_at_gates(now),
            Some(self.nexusd_at).filter(|at| *at > 0),
            self.upgrade_until(),
            self.peer.as_ref().and_then(|peer| peer.look_again_at()),
        ];
        let Some(next) = next.into_iter().flatten().min() else {
            if self.timer_at != 0 {
                let unset = self.timer.unset();
                debug_assert!(unset.is_ok(), "our own timer can be unset");
                self.timer_at = 0;
            }
            return;
        };
        let next = next.max(1);
        if next != self.timer_at {
            let at = Expiration::OneShot(Duration::from_millis(next).into());
            let set = self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME);
            debug_assert!(set.is_ok(), "our own timer can be set");
            self.timer_at = next;
        }
    }
}

fn source_of(token: u64) -> Option<Source> {
    [
        Source::Link,
        Source::Signals,
        Source::Timer,
        Source::Nexusd,
        Source::Pidfd,
        Source::Gate,
        Source::Tree,
    ]
    .into_iter()
    .find(|source| *source as u64 == token & 0xff)
}
