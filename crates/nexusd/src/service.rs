//! What systemd is told (`sd_notify(3)`), where a unit of its runs us: that we serve, who the main
//! process is, how we are, that we live; and the descriptors that it keeps for us.
//!
//! Said by nexusd alone. After a keeper's death the one that takes its place starts a new nexusd,
//! which names it: that is all it takes for the unit to go on with another main process.

mod shelf;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nexus_core::{State, Time};
use nexus_keeper::{Link, Order, Stored};
use nexus_spec::Span;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, socket,
};

use crate::clock;
use crate::daemon::Daemon;
use shelf::{Shelf, Step};

/// Words that wait while systemd does not read; beyond, the oldest goes: a later one says more.
const WORDS_MAX: usize = 64;
/// The shortest time between two STATUS lines.
const STATUS_EVERY: Span = Span(1_000);

/// systemd, as we see it.
#[derive(Debug)]
pub(crate) struct Service {
    socket: OwnedFd,
    unit: Option<String>,
    words: VecDeque<String>,
    shelf: Shelf,
    /// Half of what WatchdogSec allows; `None` = nobody waits for us.
    beat: Option<Span>,
    beat_at: Time,
    status: String,
    status_at: Time,
    status_due: bool,
}

impl Service {
    /// As the environment says; `None` = no service manager listens.
    pub(crate) fn from_env(now: Time) -> Option<Service> {
        let socket = match open()? {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "systemd cannot be told anything");
                return None;
            }
        };
        // WATCHDOG_PID names the main process, which is another of us: the pair is meant.
        let watchdog = std::env::var("WATCHDOG_USEC").ok().and_then(|usec| usec.parse().ok());
        let beat = watchdog.filter(|usec: &u64| *usec > 0).map(|usec| Span((usec / 2_000).max(1)));
        Some(Service {
            socket,
            unit: own_unit(),
            words: VecDeque::new(),
            shelf: Shelf::default(),
            beat,
            beat_at: now,
            status: String::new(),
            status_at: now,
            status_due: true,
        })
    }

    /// Becomes writable when systemd has read.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The unit's name.
    pub(crate) fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// Say something, soon.
    pub(crate) fn say(&mut self, word: String) {
        if self.words.len() >= WORDS_MAX {
            self.words.pop_front();
        }
        self.words.push_back(word);
    }

    /// We serve, and this is the main process.
    pub(crate) fn serves(&mut self, keeper_pid: i32) {
        self.say(format!("READY=1\nMAINPID={keeper_pid}"));
    }

    /// All workers are being stopped, which may take so long.
    pub(crate) fn stopping(&mut self, children: usize, patience: Span) {
        let usec = patience.0.saturating_mul(1_000);
        self.say(format!(
            "STOPPING=1\nSTATUS=stopping {children} workers\nEXTEND_TIMEOUT_USEC={usec}"
        ));
    }

    /// Keep a descriptor through the death of both of us.
    pub(crate) fn keep(&mut self, what: Stored) {
        self.shelf.keep(what);
    }

    /// Keep it no longer.
    pub(crate) fn release(&mut self, what: &Stored) {
        self.shelf.release(what);
    }

    /// Something has changed: the status line may have.
    pub(crate) fn changed(&mut self) {
        self.status_due = true;
    }

    /// When the loop must come by: for a sign of life, or a status line that waits.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let beat = self.beat.map(|_| self.beat_at);
        let status = self.status_due.then_some(self.status_at);
        beat.into_iter().chain(status).min()
    }

    /// Whether a sign of life is due. It is given when the keeper has answered: both of us live.
    pub(crate) fn beats(&mut self, now: Time) -> bool {
        let Some(beat) = self.beat.filter(|_| now >= self.beat_at) else { return false };
        self.beat_at = now + beat;
        true
    }

    /// The keeper has answered.
    pub(crate) fn alive(&mut self) {
        if self.beat.is_some() {
            self.say("WATCHDOG=1".to_owned());
        }
    }

    /// Whether a status line is due.
    pub(crate) fn wants_status(&self, now: Time) -> bool {
        self.status_due && now >= self.status_at
    }

    /// How we are, in a line.
    pub(crate) fn status(&mut self, now: Time, status: String) {
        (self.status_due, self.status_at) = (false, now + STATUS_EVERY);
        if status != self.status {
            self.say(format!("STATUS={status}"));
            self.status = status;
        }
    }

    /// Whether something waits until systemd reads.
    pub(crate) fn wants_write(&self) -> bool {
        !self.words.is_empty() || self.shelf.has_work()
    }

    /// Tell as much as it takes. What it refuses for good is dropped, and noted.
    pub(crate) fn flush(&mut self, link: &Link) {
        while let Some(word) = self.words.front() {
            match send(&self.socket, word, None) {
                Err(Errno::EAGAIN) => return,
                Err(errno) => tracing::warn!(%errno, "systemd does not take `{word}`"),
                Ok(()) => {}
            }
            self.words.pop_front();
        }
        while let Some(step) = self.shelf.next() {
            let sent = match &step {
                Step::Keep(what, name) => descriptor(link, what).map_or(Ok(()), |fd| {
                    send(&self.socket, &format!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}"), Some(fd))
                }),
                Step::Release(name) => {
                    send(&self.socket, &format!("FDSTOREREMOVE=1\nFDNAME={name}"), None)
                }
            };
            match sent {
                Err(Errno::EAGAIN) => return self.shelf.again(step),
                Err(errno) => tracing::warn!(%errno, "systemd does not take a descriptor"),
                Ok(()) => {}
            }
        }
    }
}

impl Daemon {
    /// Say that we serve.
    pub(crate) fn serves(&mut self) {
        let keeper = self.facts.keeper_pid;
        let Some(service) = &mut self.holdings.service else { return };
        service.serves(keeper);
        // For commands that find no daemon: they have this unit started, not one of their own.
        let note = self.home.state().join("unit");
        let known = std::fs::read_to_string(&note).unwrap_or_default();
        if let Some(unit) = service.unit().filter(|unit| *unit != known.trim())
            && let Err(error) = std::fs::write(&note, unit)
        {
            tracing::warn!(%error, "{} cannot be written", note.display());
        }
    }

    /// What is due by the clock, a sign of life or a status line; and telling what waits. Before
    /// anything else in a turn, since the last of many ready things may never have its turn.
    pub(crate) fn tick_service(&mut self) {
        let now = clock::now();
        let Some(service) = &mut self.holdings.service else { return };
        let beats = service.beats(now);
        if service.wants_status(now) {
            let stopping = self.shutdown.is_some();
            let status = if stopping { "stopping".to_owned() } else { status(&self.state) };
            service.status(now, status);
        }
        if beats {
            self.order(&Order::Ping { number: now.0 });
        }
        self.holdings.tell_service();
    }
}

/// The fleet in a few words.
fn status(state: &State) -> String {
    let (mut apps, mut online, mut instances) = (0_usize, 0, 0);
    for (_, app) in state.apps() {
        apps += 1;
        online += app.counts().online as usize;
        instances += app.slots().len();
    }
    format!("{online} of {instances} instances online, {apps} apps")
}

/// Our own duplicate of what is to be kept; `None` = it has been let go meanwhile.
fn descriptor<'a>(link: &'a Link, what: &Stored) -> Option<BorrowedFd<'a>> {
    match what {
        Stored::Arena { .. } => Some(link.arena()),
        Stored::Held(id, _) => link.held(*id),
        Stored::Child(child) => link.child(*child).map(|(_, pidfd)| pidfd),
    }
}

/// The unit whose control group we are in; not one of a user's own manager, whom other processes
/// cannot name.
fn own_unit() -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    if group.contains("/user@") {
        return None;
    }
    let unit = group.rsplit('/').find(|part| part.ends_with(".service"))?;
    Some(unit.to_owned())
}

/// A socket connected to NOTIFY_SOCKET, so that it becomes writable when systemd has read; `None` =
/// there is none.
fn open() -> Option<io::Result<OwnedFd>> {
    let path = std::env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty())?;
    let open = || {
        let address = match path.strip_prefix('@') {
            Some(name) => UnixAddr::new_abstract(name.as_bytes())?,
            None => UnixAddr::new(path.as_str())?,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        connect(socket.as_raw_fd(), &address)?;
        Ok(socket)
    };
    Some(open())
}

fn send(socket: &OwnedFd, text: &str, fd: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let fds: Vec<_> = fd.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
    let parts = [io::IoSlice::new(text.as_bytes())];
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Tell systemd that `keeper_pid` is the unit's main process and serves: from the process that it
/// started in the belief that nobody does. Waits until it has been read, since the sender is about
/// to end. Does nothing where no service manager listens.
///
/// # Errors
/// When systemd does not read.
pub fn hand_over(keeper_pid: i32) -> io::Result<()> {
    let Some(socket) = open() else { return Ok(()) };
    let socket = socket?;
    send(&socket, &format!("READY=1\nMAINPID={keeper_pid}"), None)?;
    // systemd closes the other end once it has read all that was sent before (BARRIER).
    let (ours, theirs) = std::io::pipe()?;
    send(&socket, "BARRIER=1", Some(theirs.as_fd()))?;
    drop(theirs);
    let mut asked = [nix::poll::PollFd::new(ours.as_fd(), nix::poll::PollFlags::empty())];
    match nix::poll::poll(&mut asked, patience())? {
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, "systemd does not read its socket")),
        _ => Ok(()),
    }
}

/// Tell systemd to close what it keeps under these names. Does nothing where no service manager
/// listens.
///
/// # Errors
/// When it cannot be told.
pub fn let_go(names: &[String]) -> io::Result<()> {
    let Some(socket) = open() else { return Ok(()) };
    let socket = socket?;
    for name in names {
        send_patiently(&socket, &format!("FDSTOREREMOVE=1\nFDNAME={name}"))?;
    }
    Ok(())
}

/// As [`send`], waiting a while for room.
fn send_patiently(socket: &OwnedFd, text: &str) -> io::Result<()> {
    let flags = nix::poll::PollFlags::POLLOUT;
    while let Err(errno) = send(socket, text, None) {
        let mut asked = [nix::poll::PollFd::new(socket.as_fd(), flags)];
        if errno != Errno::EAGAIN || nix::poll::poll(&mut asked, patience())? == 0 {
            return Err(errno.into());
        }
    }
    Ok(())
}

fn patience() -> nix::poll::PollTimeout {
    nix::poll::PollTimeout::try_from(BARRIER_PATIENCE).unwrap_or(nix::poll::PollTimeout::MAX)
}

/// How long systemd may take to read.
const BARRIER_PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn service(dir: &std::path::Path) -> (Service, UnixDatagram) {
        let path = dir.join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None).unwrap();
        connect(socket.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        let service = Service {
            socket,
            unit: None,
            words: VecDeque::new(),
            shelf: Shelf::default(),
            beat: Some(Span(500)),
            beat_at: Time(1_000),
            status: String::new(),
            status_at: Time(0),
            status_due: false,
        };
        (service, systemd)
    }

    #[test]
    fn signs_of_life_come_at_half_the_time_and_only_when_due() {
        let dir = tempfile::tempdir().unwrap();
        let (mut service, _systemd) = service(dir.path());
        assert_eq!(service.deadline(), Some(Time(1_000)));
        assert!(!service.beats(Time(999)));
        assert!(service.beats(Time(1_001)));
        assert_eq!(service.deadline(), Some(Time(1_501)));
        service.beat = None;
        assert_eq!(service.deadline(), None);
        service.alive();
        assert!(!service.wants_write());
    }

    #[test]
    fn a_status_is_said_when_it_has_changed_and_once_a_second_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let (mut service, _systemd) = service(dir.path());
        service.beat = None;
        service.changed();
        assert!(service.wants_status(Time(5)));
        service.status(Time(5), "1 app".into());
        service.changed();
        assert_eq!(service.deadline(), Some(Time(1_005)));
        assert!(!service.wants_status(Time(900)));
        service.status(Time(1_005), "1 app".into());
        assert_eq!(service.words, ["STATUS=1 app"]);
    }

    #[test]
    fn words_that_nobody_reads_are_bounded_and_the_last_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (mut service, _systemd) = service(dir.path());
        for number in 0..1_000 {
            service.say(format!("STATUS={number}"));
        }
        assert_eq!(service.words.len(), WORDS_MAX);
        assert_eq!(service.words.back().unwrap(), "STATUS=999");
    }
}
