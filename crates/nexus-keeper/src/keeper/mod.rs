//! The keeper: its state, how it begins, and its turn.
//!
//! One thread, one epoll, no waiting anywhere else. A turn handles what is readable: orders,
//! exits, gates, trees, the timer; then it looks at trees without a cgroup, reaps strays, and sets
//! the timer. An idle keeper is woken to tell nexusd something that a hung one leaves unread.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use crate::arena::Arena;
use crate::found::Founding;
use crate::handoff::{Limits, Table, take};
use crate::lock;
use crate::sys::{files, process};
use crate::wire::{CHILDREN_MAX, HoldId, Report};

pub(crate) mod cgroup;
pub(crate) mod child;
mod exits;
mod hung;
mod index;
mod orders;
mod peer;
pub(crate) mod proc;
mod respawn;
mod spawn;
mod sweep;
mod tell;
mod trees;
mod turn;
mod upgrade;

use index::Index;
use peer::Peer;
use trees::Watch;
use upgrade::Upgrading;

/// What is known of a child besides its record: descriptors, and what is still to be told.
#[derive(Default)]
struct Live {
    pidfd: Option<OwnedFd>,
    /// Our end of its gate, until it runs its program.
    gate: Option<OwnedFd>,
    /// The child's end, while the child may still share our descriptor table.
    far_end: Option<OwnedFd>,
    gate_opened: bool,
    /// It executes our own program first, and has not said yet that it becomes the app's.
    not_yet: bool,
    /// Its keeper died before it was let through: it is spawned again.
    orphaned: bool,
    /// Its whole tree has got the stop signal: none of it gets it a second time.
    whole_told: bool,
    tells: u8,
    queued: bool,
    exit_told: bool,
    /// When we give up learning how it ended; 0 = we are not trying.
    unsure_until: u64,
    watch: Option<Watch>,
}

struct Held {
    fd: File,
    note: Vec<u8>,
}

/// What an event is about. The number is part of an epoll token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Link = 0,
    Signals = 1,
    Timer = 2,
    Nexusd = 3,
    Pidfd = 4,
    Gate = 5,
    Tree = 6,
}

struct Keeper {
    home: PathBuf,
    lock: OwnedFd,
    arena: Arena,
    limits: Limits,
    cgroups: Option<cgroup::Home>,
    held: BTreeMap<HoldId, Held>,
    live: Vec<Live>,
    free: Vec<u32>,
    by_child: Index,
    by_pid: Index,
    epoll: Epoll,
    signals: SignalFd,
    timer: TimerFd,
    timer_at: u64,
    own_pidfd: OwnedFd,
    peer: Option<Peer>,
    /// A nexusd of the program before ours that has given way, and ends when the next one begins.
    outgoing: Option<Peer>,
    /// nexusd has said `Resumed`: it decides what follows an exit.
    resumed: bool,
    /// When a new nexusd is due; 0 = not by time.
    nexusd_at: u64,
    /// How many in a row lived for less than a second, whatever they had got done by then.
    short_lives: u32,
    /// Records with something to tell, and reports that belong to no record.
    tell_queue: VecDeque<u32>,
    say_queue: VecDeque<Report>,
    unsaid: u64,
    unknown_orders: u64,
    /// Records whose successor is due at a time.
    due: Vec<u32>,
    /// Records whose end we are trying to learn.
    unsure: Vec<u32>,
    /// Records whose tree is to be looked at when the turn ends.
    sweeps: Vec<u32>,
    /// Records of which we wait to see whether they passed the gate of a keeper that died.
    at_gate: Vec<u32>,
    upgrading: Upgrading,
    buffer: Vec<u8>,
}

/// Be the keeper of a new pair: start nexusd and never return.
///
/// SIGTERM and SIGINT ask nexusd to stop all apps and to order `Leave` (`Report::Stop`); SIGHUP is
/// ignored. The calling process must have one thread.
///
/// # Errors
/// When the role cannot begin: no descriptors, no memory.
pub fn run(founding: Founding) -> io::Result<Infallible> {
    let Founding { home, lock, arena, control, limits, cgroup, held, children, useless: _ } =
        founding;
    let mut keeper = Keeper::new(home, lock, arena, limits, cgroup)?;
    for (id, fd, note) in held {
        keeper.held.insert(id, Held { fd: File::from(fd), note });
    }
    let control = Held { fd: File::from(control), note: b"control".to_vec() };
    keeper.held.insert(HoldId::CONTROL, control);
    if let Some(children) = children {
        keeper.read_roll(children, BTreeMap::new(), &[]);
    }
    keeper.start_nexusd();
    keeper.spawn_orphans();
    keeper.turns()
}

/// Be the keeper in a process that was executed into the role: `fd` is the handoff's number from
/// the command line. Ends the process when the role cannot begin; its peer then does what it does
/// at a death.
pub fn adopt(fd: RawFd) -> ! {
    match Keeper::adopt(fd).and_then(Keeper::turns) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("nexus-keeper: {error}");
            process::exit_now(71)
        }
    }
}

impl Keeper {
    fn new(
        home: PathBuf,
        lock: OwnedFd,
        arena: Arena,
        limits: Limits,
        cgroup: Option<PathBuf>,
    ) -> io::Result<Keeper> {
        nix::sys::prctl::set_name(c"nexus-keeper")?;
        nix::sys::prctl::set_child_subreaper(true)?;
        files::set_env("NEXUS_HOME", home.as_os_str());
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        watch(&epoll, signals.as_fd(), Source::Signals as u64);
        watch(&epoll, timer.as_fd(), Source::Timer as u64);
        arena.set_version(env!("CARGO_PKG_VERSION"));
        let own_pidfd = files::lift(process::pidfd_open(std::process::id().cast_signed())?)?;
        Ok(Keeper {
            cgroups: cgroup.and_then(|path| cgroup::Home::open(path).ok()),
            home,
            lock,
            arena,
            limits,
            held: BTreeMap::new(),
            live: Vec::with_capacity(CHILDREN_MAX),
            free: Vec::with_capacity(CHILDREN_MAX),
            by_child: Index::new()?,
            by_pid: Index::new()?,
            epoll,
            signals,
            timer,
            timer_at: 0,
            own_pidfd,
            peer: None,
            outgoing: None,
            resumed: false,
            nexusd_at: 0,
            short_lives: 0,
            tell_queue: VecDeque::with_capacity(CHILDREN_MAX),
            say_queue: VecDeque::with_capacity(tell::SAY_MAX),
            unsaid: 0,
            unknown_orders: 0,
            due: Vec::with_capacity(CHILDREN_MAX),
            unsure: Vec::with_capacity(CHILDREN_MAX),
            sweeps: Vec::with_capacity(CHILDREN_MAX),
            at_gate: Vec::with_capacity(CHILDREN_MAX),
            upgrading: Upgrading::Not,
            buffer: Vec::with_capacity(64),
        })
    }

    /// Everything that another process had is ours now.
    fn adopt(fd: RawFd) -> io::Result<Keeper> {
        let table = Table::read(fd)?;
        let lock = match table.lock {
            Some(fd) => take(fd)?,
            None => lock::open(&table.home)?,
        };
        lock::succeed(&lock)?;
        let arena = Arena::open(take(table.arena)?, true)?;
        let mut keeper = Keeper::new(table.home, lock, arena, table.limits, table.cgroup)?;
        for (id, fd, note) in table.held {
            keeper.held.insert(id, Held { fd: File::from(take(fd)?), note });
        }
        let mut pidfds = BTreeMap::new();
        for (child, fd, pid) in table.children {
            pidfds.insert(child, (pid, take(fd)?));
        }
        let mut gates = BTreeMap::new();
        for (child, fd) in table.gates {
            gates.insert(child, take(fd)?);
        }
        let peer = match (table.link, table.peer) {
            (Some(link), Some((pid, pidfd))) => Some((take(link)?, pid, take(pidfd)?)),
            (None, _) | (_, None) => None,
        };
        if !table.in_place {
            keeper.arena.count_keeper_restart();
        }
        keeper.resumed = table.resumed && peer.is_some();
        keeper.read_roll(pidfds, gates, &table.told);
        let old = Keeper::take_program(table.old_program)?;
        let has_peer = peer.is_some();
        if let Some((link, pid, pidfd)) = peer {
            keeper.go_on_with(link, pid, pidfd, table.in_place);
        }
        keeper.go_on_upgrading(old, table.undone);
        if !has_peer {
            keeper.start_nexusd();
        }
        keeper.spawn_orphans();
        Ok(keeper)
    }

    /// A token for epoll: the source, the record, and enough of the child's number to tell a stale
    /// event of the record's last child.
    fn token(&self, source: Source, record: u32) -> u64 {
        let child = self.arena.changing(record).map_or(0, |now| now.child);
        token(source, record, child)
    }
}

fn token(source: Source, record: u32, child: u64) -> u64 {
    source as u64 | u64::from(record) << 8 | (child & 0xffff_ffff) << 32
}

/// Watch for reading. A descriptor that cannot be watched would be a bug or a lack of kernel
/// memory: its event then comes by the other ways (SIGCHLD, the timer).
fn watch(epoll: &Epoll, fd: BorrowedFd<'_>, data: u64) {
    let added = epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, data));
    debug_assert!(added.is_ok(), "a descriptor of ours can be watched");
}

/// Watch for an urgent event, which is how kernfs tells of a changed file.
fn watch_urgent(epoll: &Epoll, fd: BorrowedFd<'_>, data: u64) {
    let added = epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLPRI, data));
    debug_assert!(added.is_ok(), "a descriptor of ours can be watched");
}

/// No more events of it. Needed before closing: a description that another process has too stays
/// in the epoll set, and a dead process's pidfd is readable for ever.
fn unwatch(epoll: &Epoll, fd: BorrowedFd<'_>) {
    // Not in the set is as good.
    let _ = epoll.delete(fd);
}

/// An end of file, or of a process, is readable, too.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut asked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

const FOREVER: EpollTimeout = EpollTimeout::NONE;
