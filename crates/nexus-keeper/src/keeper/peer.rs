//! nexusd as its parent sees it: started, replaced, killed when it no longer reads.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{Shutdown, shutdown};

use super::{Keeper, Source, tell, watch};
use crate::arena::Phase;
use crate::handoff::{self, Table};
use crate::lock;
use crate::patience::{BEAT_MS, Patience};
use crate::sys::{self, files, process, socket};
use crate::wire::{Ended, Report};

/// nexusd.
pub(super) struct Peer {
    pub(super) pid: i32,
    pub(super) link: OwnedFd,
    pidfd: OwnedFd,
    started_ms: u64,
    /// Since when the socket takes no more; 0 = it does.
    full_since: u64,
    /// When to try again where no event tells; 0 = an event does.
    pub(super) retry_at: u64,
    pub(super) patience: Patience,
    /// When it is told something again that it has to read.
    pub(super) beat_at: u64,
    /// It waits for a disk: see [`Keeper::do_without_nexusd`]. When to look whether it is back.
    pub(super) absent: Option<u64>,
    /// It is of the program before ours, and gives way.
    pub(super) outgoing: bool,
}

/// A nexusd that lets reports wait for so long without reading is replaced.
const STUCK_MS: u64 = 5_000;
/// How soon a send that met a limit of the user's is tried again.
pub(super) const RETRY_MS: u64 = 100;
/// One that has begun has the roll as it was at its fork, and is about to decide by it: until it
/// has, or for so long, no successor is spawned that it does not know of.
const BEGINNING_MS: u64 = 2_000;
/// One that lives for less counts as short-lived.
const SHORT_LIFE_MS: u64 = 1_000;
/// The first wait after two short lives, and the longest.
const WAIT_MS: (u64, u64) = (10, 1_000);
/// The longest for one that had come as far as to decide: clients were served, and wait for it.
const WAIT_RESUMED_MS: u64 = 250;
/// How long one that was told to go is waited for: a hung disk may hold it.
const FAREWELL_MS: u64 = 2_000;

impl Peer {
    fn new(pid: i32, link: OwnedFd, pidfd: OwnedFd, epoll: &Epoll) -> Peer {
        watch(epoll, link.as_fd(), Source::Link as u64);
        watch(epoll, pidfd.as_fd(), Source::Nexusd as u64);
        Peer {
            pid,
            link,
            pidfd,
            started_ms: sys::now_ms(),
            full_since: 0,
            retry_at: 0,
            patience: Patience::default(),
            beat_at: sys::now_ms() + BEAT_MS,
            absent: None,
            outgoing: false,
        }
    }

    pub(super) fn pidfd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    /// Its end comes by its pidfd. It may have ended just now.
    pub(super) fn kill(&self) {
        let _ = process::signal(self.pidfd.as_fd(), libc::SIGKILL);
    }

    /// Let it go, and wait until it has gone.
    pub(super) fn see_off(self) {
        // An end of file tells it that nothing follows. Closing would not, while a child that is
        // being born still has a duplicate.
        let _ = shutdown(self.link.as_raw_fd(), Shutdown::Both);
        let until = sys::now_ms() + FAREWELL_MS;
        loop {
            let left = Duration::from_millis(until.saturating_sub(sys::now_ms()));
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut asked = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut asked, left) {
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        // Nor is a zombie left of it.
        process::wait(self.pidfd.as_fd(), true);
    }

    pub(super) fn is_full(&self) -> bool {
        self.full_since > 0
    }

    pub(super) fn set_full(&mut self, epoll: &Epoll, now: u64, event_follows: bool) {
        // We are deaf to one that is absent.
        let event_follows = event_follows && self.absent.is_none();
        self.full_since = now;
        self.retry_at = if event_follows { 0 } else { now + RETRY_MS };
        if event_follows {
            self.interest(epoll, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT);
        }
    }

    pub(super) fn set_writable(&mut self, epoll: &Epoll) {
        (self.full_since, self.retry_at) = (0, 0);
        if self.absent.is_none() {
            self.interest(epoll, EpollFlags::EPOLLIN);
        }
    }

    fn interest(&self, epoll: &Epoll, flags: EpollFlags) {
        let mut event = EpollEvent::new(flags, Source::Link as u64);
        let changed = epoll.modify(self.link.as_fd(), &mut event);
        debug_assert!(changed.is_ok(), "the link is watched");
    }

    /// The link has been closed at the other end: no more events of it, its pidfd tells the rest.
    pub(super) fn deafen(&self, epoll: &Epoll) {
        // Already removed is as good.
        let _ = epoll.delete(self.link.as_fd());
    }

    pub(super) fn look_again_at(&self) -> Option<u64> {
        let full = match (self.full_since, self.retry_at) {
            (0, _) => None,
            (since, 0) => Some(since + STUCK_MS),
            (_, at) => Some(at),
        };
        // While something lies unread there is no need of more.
        let look = self.patience.next_look().unwrap_or(self.beat_at);
        full.into_iter().chain([look]).chain(self.absent).min()
    }

    /// Until when what is due is left to it.
    pub(super) fn begins_until(&self) -> u64 {
        self.started_ms + BEGINNING_MS
    }

    /// It has ordered something: it lives.
    pub(super) fn has_ordered(&mut self) {
        self.patience.renew();
    }
}

impl Keeper {
    /// Start a nexusd that gets everything. Where that fails it is tried again by time.
    pub(super) fn start_nexusd(&mut self) {
        self.nexusd_at = 0;
        if self.fork_nexusd().is_err() {
            self.short_lives += 1;
            self.nexusd_at = sys::now_ms() + WAIT_MS.1;
            return;
        }
        // It has the roll as it was at the fork, and every pidfd: what was to be told is known.
        while let Some(record) = self.tell_queue.pop_front() {
            let live = &mut self.live[record as usize];
            let bits = std::mem::take(&mut live.tells);
            live.queued = false;
            if bits & tell::SPAWNED != 0 {
                self.open_gate(record);
            }
        }
        self.say_queue.clear();
        if self.arena.stopping() {
            self.say(Report::Stop);
        }
    }

    fn fork_nexusd(&mut self) -> std::io::Result<()> {
        let (ours, theirs) = socket::pair(true)?;
        let (ours, theirs) = (files::lift(ours)?, files::lift(theirs)?);
        let lock = lock::for_nexusd(&self.home)?;
        // Asked before the fork: afterwards the parent may be another already.
        let us = std::process::id().cast_signed();
        match process::fork(false, None)? {
            process::Forked::Child => {
                // Not before there is another who sees our end.
                if let Some(outgoing) = &self.outgoing {
                    outgoing.kill();
                }
                self.be_nexusd(us, &theirs, &lock)
            }
            process::Forked::Parent(pid, pidfd) => {
                let pidfd = files::lift(pidfd)?;
                self.peer = Some(Peer::new(pid, ours, pidfd, &self.epoll));
                Ok(())
            }
        }
    }

    /// In the new process: its memory is a copy, so the keeper allocates nothing for this.
    fn be_nexusd(&self, keeper: i32, link: &OwnedFd, lock: &OwnedFd) -> ! {
        let mut table = self.table();
        table.link = Some(link.as_raw_fd());
        table.lock = Some(lock.as_raw_fd());
        table.peer = Some((keeper, self.own_pidfd.as_raw_fd()));
        if let Ok(handoff) = table.write() {
            let argv = handoff::argv(crate::ARG_NEXUSD, &handoff);
            let command = process::Command::new(&argv, &handoff::environment(&self.home));
            table.set_inherited(true);
            process::default_signals();
            command.exec(c"/proc/self/exe");
        }
        process::exit_now(127)
    }

    /// What is ours to hand over, without the parts that depend on who gets it.
    pub(super) fn table(&self) -> Table {
        let mut children = Vec::new();
        for (record, live) in self.live.iter().enumerate() {
            if let (Some(pidfd), Some(now)) = (&live.pidfd, self.arena.changing(record as u32)) {
                children.push((now.child, pidfd.as_raw_fd(), now.pid));
            }
        }
        let held = self.held.iter();
        Table {
            home: self.home.clone(),
            arena: self.arena.fd().as_raw_fd(),
            limits: self.limits,
            cgroup: self.cgroups.as_ref().map(|home| home.path().to_path_buf()),
            resumed: self.resumed,
            held: held.map(|(id, h)| (*id, h.fd.as_raw_fd(), h.note.clone())).collect(),
            children,
            old_program: self.old_program().map(|fd| fd.as_raw_fd()),
            ..Table::default()
        }
    }

    /// Keep a nexusd that lives already: until it has given way to one of our program, or for good;
    /// then it is told the state of every child again.
    pub(super) fn go_on_with(&mut self, link: OwnedFd, pid: i32, pidfd: OwnedFd, outgoing: bool) {
        let peer = Peer::new(pid, link, pidfd, &self.epoll);
        self.peer = Some(Peer { outgoing, ..peer });
        if outgoing {
            return;
        }
        for record in 0..self.arena.used() {
            let Some(now) = self.arena.changing(record) else { continue };
            match now.phase {
                Phase::Free | Phase::Ordered => {}
                Phase::Running => self.tell(record, tell::RUNNING),
                Phase::Failed => self.tell(record, tell::FAILED),
                Phase::Exited => self.tell(record, tell::EXITED),
            }
        }
        if self.arena.stopping() {
            self.say(Report::Stop);
        }
    }

    /// The nexusd before has given way: as after its death, but that it watches over us until the
    /// next one does.
    pub(super) fn replace_outgoing(&mut self) {
        let Some(peer) = self.peer.take_if(|peer| peer.outgoing) else { return };
        peer.deafen(&self.epoll);
        super::unwatch(&self.epoll, peer.pidfd.as_fd());
        self.outgoing = Some(peer);
        self.resumed = false;
        self.arena.count_nexusd_restart();
        self.expect_successors();
        self.start_nexusd();
    }

    /// The nexusd that gave way is of no use any more. The one in its place ends it, unless it was
    /// killed before; it would end us at its deadline.
    pub(super) fn end_outgoing(&mut self) {
        if let Some(outgoing) = self.outgoing.take() {
            outgoing.kill();
        }
    }

    /// Its pidfd says that nexusd has ended.
    pub(super) fn on_nexusd_death(&mut self) {
        let Some(peer) = &self.peer else { return };
        let ended = match process::wait(peer.pidfd.as_fd(), true) {
            process::Waited::Not => return,
            process::Waited::Ended(ended) => ended,
            process::Waited::NotOurs => Ended::Unknown,
        };
        self.read_last_orders();
        let Some(peer) = &self.peer else { return };
        peer.deafen(&self.epoll);
        super::unwatch(&self.epoll, peer.pidfd.as_fd());
        let lived = sys::now_ms().saturating_sub(peer.started_ms);
        let outgoing = peer.outgoing;
        self.peer = None;
        let longest = if self.resumed { WAIT_RESUMED_MS } else { WAIT_MS.1 };
        self.resumed = false;
        self.arena.count_nexusd_restart();
        self.expect_successors();
        self.nexusd_ended_in_upgrade(outgoing, ended);
        self.short_lives = if lived < SHORT_LIFE_MS { self.short_lives + 1 } else { 0 };
        match self.short_lives {
            0 | 1 => self.start_nexusd(),
            n => {
                let wait = WAIT_MS.0.saturating_mul(1 << (n - 2).min(7)).min(longest);
                self.nexusd_at = sys::now_ms() + wait;
            }
        }
    }

    /// By the clock: start one that waits, try again to send, end one that is stuck.
    pub(super) fn nexusd_if_due(&mut self, now: u64) {
        if self.nexusd_at > 0 && now >= self.nexusd_at {
            self.start_nexusd();
        }
        let Some(peer) = &mut self.peer else { return };
        if peer.retry_at > 0 {
            // Not its fault: whether it reads is judged by what it has.
            if now >= peer.retry_at {
                (peer.full_since, peer.retry_at) = (0, 0);
                self.flush();
            }
        } else if peer.is_full() && peer.absent.is_none() && now >= peer.full_since + STUCK_MS {
            // Killed, not asked: it does not listen. Its end comes by its pidfd.
            peer.kill();
            peer.full_since = now;
        }
    }
}
