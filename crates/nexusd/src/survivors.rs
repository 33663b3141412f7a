//! Workers that outlived both of the pair: found again by what is on disk, and taken back.
//!
//! A process is the one that we started when it has the pid *and* began at the same clock tick of
//! the same boot. Its output pipes are opened anew through `/proc/PID/fd`, its listening sockets
//! are fetched by `pidfd_getfd(2)`. What the kernel refuses is not taken: the worker is then kept
//! without it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nexus_core::{AppRecord, ChildId, Entry, Exit, Intents, Pid, Purpose, SlotRecord, Time};
use nexus_spec::{AppSpec, Listen, LogFiles, Name, Socket, Stdin};
use nix::sys::socket::{SockaddrStorage, UnixAddr, getsockname, getsockopt, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::daemon::Daemon;
use crate::facts::{Line, NOBODY};
use crate::held::{self, End, Held, Stream};
use crate::holdings::Holdings;
use crate::note::Note;
use crate::runs::Run;
use crate::stat::{self, start_ticks};

/// What is wanted, by name.
type Apps<'a> = HashMap<&'a Name, &'a AppRecord>;

/// One worker that was taken back.
pub(crate) struct Survivor {
    pub(crate) entry: Entry,
    pub(crate) note: Note,
}

/// A process that runs, and of which we cannot know that it is ours to keep or to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftAlone {
    pub(crate) pid: Option<i32>,
    pub(crate) why: String,
}

/// What was found of a pair that is dead.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) survivors: Vec<Survivor>,
    /// They ended while nobody was there: how, where nobody else has been told it yet, or unknown.
    pub(crate) ended: Vec<Survivor>,
    /// Theirs is a place, but they could not be taken: by child.
    pub(crate) left_alone: BTreeMap<u64, LeftAlone>,
    /// They have no place any more.
    pub(crate) placeless: Vec<LeftAlone>,
}

/// Take back all that still run and that the keeper does not have, and what belongs to those that it
/// has and was lost.
pub(crate) fn take_back(
    holdings: &mut Holdings,
    runs: &BTreeMap<u64, Run>,
    known: impl Fn(u64) -> bool,
    intents: &Intents,
    (home_id, cold): (&str, bool),
    generation: impl Fn(u64) -> Option<u64>,
) -> Found {
    let apps: Apps<'_> = intents.apps.iter().map(|app| (&app.spec.name, app)).collect();
    complete(holdings, runs, &known, &apps);
    let missing = runs.values().filter(|run| !known(run.child));
    let mut found = Found::default();
    let leave = |run: &Run, why| LeftAlone { pid: Some(run.pid), why };
    for run in missing {
        let stat = stat::of(run.pid).filter(|stat| stat.start_ticks == run.start_ticks);
        let app = apps.get(&run.app).copied();
        let slot = app.and_then(|app| app.slots.iter().find(|slot| slot.instance == run.instance));
        // Of one that has ended its end is still to be learnt, unless that is settled.
        let settled = slot.is_none_or(|slot| slot.settled.0 >= run.child);
        if stat.is_none_or(|stat| stat.has_ended()) && settled {
            continue;
        }
        let (Some(app), Some(slot)) = (app, slot) else {
            let why = format!("a worker of `{}/{}`, which is not known", run.app, run.instance);
            found.placeless.push(leave(run, why));
            continue;
        };
        if stat.is_none() {
            found.ended.push(ended(run, slot, Exit::Unknown));
            continue;
        }
        // While its parent has not reaped it, it looks like one that lives: whoever depends on it
        // would be started before it is there again.
        if cold && let Some(exit) = unreaped(run) {
            found.ended.push(ended(run, slot, exit));
            continue;
        }
        match take(holdings, run, app, slot, (home_id, generation(run.child))) {
            Ok(survivor) => {
                tracing::info!(pid = run.pid, app = %run.app, "taken back");
                found.survivors.push(survivor);
            }
            // It has been reaped since we looked.
            Err(_) if start_ticks(run.pid) != Some(run.start_ticks) => {
                found.ended.push(ended(run, slot, Exit::Unknown));
            }
            Err(error) => {
                let why = format!("a worker of `{}/{}`: {error}", run.app, run.instance);
                found.left_alone.insert(run.child, leave(run, why));
            }
        }
    }
    found
}

impl Daemon {
    /// What was found and could not be taken: in the log, and among the events.
    pub(crate) fn tell_found(&mut self, left_alone: Vec<LeftAlone>) {
        self.find_unadopted();
        for LeftAlone { pid, why } in left_alone {
            tracing::error!(pid, "left alone: {why}");
            let detail = format!("runs on, and is left alone: {why}");
            self.log(Line { pid, ..Line::new("left_alone", detail, NOBODY) });
        }
    }
}

/// Workers that were given back to us, but not all that belongs to them: a third holder had no room
/// for it.
fn complete(
    holdings: &mut Holdings,
    runs: &BTreeMap<u64, Run>,
    known: &impl Fn(u64) -> bool,
    apps: &Apps<'_>,
) {
    for run in runs.values() {
        let Some(app) = apps.get(&run.app) else { continue };
        let has = |stream| {
            let line = held::Line::of(run.instance, run.beside);
            let pipe = |end| Held::Pipe(run.app.clone(), line, stream, end);
            let whole = || [End::Read, End::Write].map(|end| holdings.id(&pipe(end)).is_some());
            is_nowhere(&app.spec, stream) || whole() == [true, true]
        };
        if has(Stream::Out) && has(Stream::Err) {
            continue;
        }
        if !known(run.child) {
            continue;
        }
        if let Ok(pidfd) = open(run) {
            fetch(holdings, run, &app.spec, &pidfd);
        }
    }
}

/// It is written to /dev/null, without a pipe.
fn is_nowhere(spec: &AppSpec, stream: Stream) -> bool {
    let file = match stream {
        Stream::Out => &spec.log.out_file,
        Stream::Err => &spec.log.error_file,
    };
    file.as_deref() == Some(Path::new(LogFiles::NOWHERE))
}

/// Open its pipes anew, and fetch its sockets. Whether its output is its instance's second.
fn fetch(holdings: &mut Holdings, run: &Run, spec: &AppSpec, pidfd: &OwnedFd) -> bool {
    let mut beside = run.beside;
    for (stream, number) in [(Stream::Out, 1), (Stream::Err, 2)] {
        if is_nowhere(spec, stream) {
            continue;
        }
        match pipe(holdings, run, stream, number) {
            Ok(second) => beside = second,
            Err(error) => {
                tracing::warn!(pid = run.pid, %error, "its {} is not ours any more", stream.word());
            }
        }
    }
    if spec.stdin == Stdin::Pipe
        && let Err(error) = stdin(holdings, run)
    {
        tracing::warn!(pid = run.pid, %error, "its stdin is not ours any more");
    }
    if let Err(error) = sockets(holdings, run, spec, pidfd) {
        tracing::warn!(pid = run.pid, %error, "its sockets cannot be fetched");
    }
    let ids = crate::template::ids(&spec.run_as);
    // Another user's could have any socket planted there.
    if ids.is_ok_and(|ids| crate::template::holds_hearer(spec, ids.as_ref()))
        && crate::hearer::is_of_us(run.pid)
        && holdings.hearer().is_none()
        && let Err(error) = hearer(holdings, run, pidfd)
    {
        tracing::warn!(pid = run.pid, %error, "what it says on its channel is not heard any more");
    }
    beside
}

/// Fetch the socket that hears its channel, and everybody's.
fn hearer(holdings: &mut Holdings, run: &Run, pidfd: &OwnedFd) -> io::Result<()> {
    let state = holdings.link.home().join("state");
    each_socket(run, pidfd, |fd| match crate::hearer::name_of(&fd, &state) {
        Some(name) => holdings.hold(Held::Hearer(name), fd).map(|_| true),
        None => Ok(false),
    })
}

fn take(
    holdings: &mut Holdings,
    run: &Run,
    app: &AppRecord,
    slot: &SlotRecord,
    (home_id, generation): (&str, Option<u64>),
) -> io::Result<Survivor> {
    let pidfd = open(run)?;
    let beside = fetch(holdings, run, &app.spec, &pidfd);
    let purpose = Purpose::Worker { instance: run.instance, id: slot.id };
    let generation = generation.unwrap_or(slot.generation);
    let mut note = Note::new(run.app.clone(), purpose, generation);
    if run.ready {
        note.becomes_ready(run.child, run.proof.clone());
    }
    note.beside = beside;
    let tag = format!("{home_id}:{}:{}", run.app, run.instance);
    holdings.link.take(run.child, run.pid, pidfd, tag.as_bytes(), &note.bytes())?;
    let entry = Entry { pid: Some(Pid(run.pid)), ..entry(run, purpose, generation) };
    Ok(Survivor { entry, note })
}

/// A descriptor of its process.
fn open(run: &Run) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(run.pid)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    // Between the look at its start and this descriptor it may have been replaced.
    if start_ticks(run.pid) != Some(run.start_ticks) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(pidfd)
}

/// How it ended, of one that whoever adopts orphans here has not waited for yet. Where the kernel
/// does not tell us, the keeper takes it, and hears of it within a second.
fn unreaped(run: &Run) -> Option<Exit> {
    let ended = nexus_keeper::foreign_end(run.pid, open(run).ok()?.as_fd())?;
    Some(crate::roll::exit(ended))
}

/// It is gone: where whoever adopts orphans here has waited for it, that is all that is known.
fn ended(run: &Run, slot: &SlotRecord, exit: Exit) -> Survivor {
    let purpose = Purpose::Worker { instance: run.instance, id: slot.id };
    let ended = nexus_core::Ended { exit, at: crate::clock::now(), tree_gone: true };
    let entry = entry(run, purpose, slot.generation);
    let entry = Entry { ended: Some(ended), pid: Some(Pid(run.pid)), ..entry };
    let note = Note::new(run.app.clone(), purpose, slot.generation);
    Survivor { entry, note }
}

/// What is known of a run, whether its process lives or not.
fn entry(run: &Run, purpose: Purpose, generation: u64) -> Entry {
    Entry {
        until: None,
        told: None,
        child: ChildId(run.child),
        pid: None,
        app: run.app.clone(),
        purpose,
        site: None,
        generation,
        ready: run.ready,
        started_at: started_at(run.start_ticks),
        respawn_of: None,
        ended: None,
    }
}

/// Open both ends of the pipe that is a worker's output: what is held for another worker of its
/// instance stays. Whether it is the instance's second.
fn pipe(holdings: &mut Holdings, run: &Run, stream: Stream, number: u32) -> io::Result<bool> {
    let ends = ends(run, number)?;
    let anothers = |beside: bool| {
        let line = held::Line::of(run.instance, beside);
        let held = holdings.fd(&Held::Pipe(run.app.clone(), line, stream, End::Read));
        held.is_some_and(|held| !is_same(held, ends[0].1.as_fd()))
    };
    let second = run.beside != anothers(run.beside);
    let line = held::Line::of(run.instance, second);
    for (end, fd) in ends {
        holdings.hold(Held::Pipe(run.app.clone(), line, stream, end), fd)?;
    }
    Ok(second)
}

/// Both are of one pipe.
fn is_same(one: std::os::fd::BorrowedFd<'_>, other: std::os::fd::BorrowedFd<'_>) -> bool {
    let number = |fd| nix::sys::stat::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    number(one) == number(other)
}

/// Open both ends of the pipe that is a worker's stdin.
fn stdin(holdings: &mut Holdings, run: &Run) -> io::Result<()> {
    for (end, fd) in ends(run, 0)? {
        holdings.hold(Held::Stdin(run.app.clone(), run.instance, end), fd)?;
    }
    Ok(())
}

/// Both ends of one of its pipes, opened anew.
fn ends(run: &Run, number: u32) -> io::Result<[(End, OwnedFd); 2]> {
    let path = format!("/proc/{}/fd/{number}", run.pid);
    if !fs::metadata(&path)?.file_type().is_fifo() {
        return Err(io::Error::other("it is no pipe"));
    }
    let open = |write: bool| {
        OpenOptions::new()
            .read(!write)
            .write(write)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(&path)
            .map(OwnedFd::from)
    };
    // The read end first: a write end alone would be refused (fifo(7)).
    Ok([(End::Read, open(false)?), (End::Write, open(true)?)])
}

/// Fetch the listening sockets that the spec names and that are not held yet.
fn sockets(holdings: &mut Holdings, run: &Run, spec: &AppSpec, pidfd: &OwnedFd) -> io::Result<()> {
    let held = |socket: &Socket| Held::socket(&spec.name, socket, run.instance);
    let mut missing: Vec<&Socket> =
        spec.listen.iter().filter(|socket| holdings.id(&held(socket)).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    each_socket(run, pidfd, |fd| {
        if let Some(at) = missing.iter().position(|socket| listens(&fd, &socket.address)) {
            let socket = missing.swap_remove(at);
            holdings.hold(Held::socket(&spec.name, socket, run.instance), fd)?;
        }
        Ok(missing.is_empty())
    })
}

/// A duplicate of each of its sockets, until `take` has all that it wants.
fn each_socket(
    run: &Run,
    pidfd: &OwnedFd,
    mut take: impl FnMut(OwnedFd) -> io::Result<bool>,
) -> io::Result<()> {
    for entry in fs::read_dir(format!("/proc/{}/fd", run.pid))? {
        let entry = entry?;
        let is_socket = fs::metadata(entry.path()).is_ok_and(|meta| meta.file_type().is_socket());
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let (true, Some(number)) = (is_socket, number) else { continue };
        let fd = match pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()) {
            Ok(fd) => fd,
            // It serves: a connection has been closed since.
            Err(rustix::io::Errno::BADF) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if take(fd)? {
            break;
        }
    }
    Ok(())
}

fn listens(fd: &OwnedFd, listen: &Listen) -> bool {
    use std::os::fd::AsRawFd;
    if !getsockopt(fd, sockopt::AcceptConn).unwrap_or(false) {
        return false;
    }
    match listen {
        Listen::Tcp(address) => {
            let bound = getsockname::<SockaddrStorage>(fd.as_fd().as_raw_fd()).ok();
            let bound = bound.and_then(|bound| {
                let v4 = bound.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
                v4.or_else(|| bound.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
            });
            bound == Some(*address)
        }
        Listen::Unix(path) => getsockname::<UnixAddr>(fd.as_fd().as_raw_fd())
            .is_ok_and(|bound| bound.path() == Some(path)),
    }
}

/// Clock ticks since boot as a moment of the boot clock.
fn started_at(ticks: u64) -> Time {
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    let per_second = per_second.and_then(|hz| u64::try_from(hz).ok()).unwrap_or(100).max(1);
    Time(ticks * 1_000 / per_second)
}
