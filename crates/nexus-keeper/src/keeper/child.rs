//! From the fork to `execve`, in the child.
//!
//! The child begins with the keeper's memory and, as a rule, its descriptor table; it leaves that
//! first. It waits at the gate until the keeper lets it through with the descriptors it needs: if
//! the keeper dies before, there is no second holder of the child, and it ends without running
//! anything. How far it came it writes into its record of the arena, which outlives it.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid};

use crate::arena::Arena;
use crate::handoff::Limits;
use crate::own_program;
use crate::sys::{files, process, socket};
use crate::wire::{Channel, GIVEN_MAX, Grants, Stage, TAG_MAX, Template};

/// What the child needs to know.
pub(super) struct Birth<'a> {
    pub(super) arena: &'a Arena,
    pub(super) record: u32,
    pub(super) child: u64,
    /// Its end of the gate.
    pub(super) gate: RawFd,
    pub(super) limits: Limits,
}

/// What the keeper sends through the gate first, then stdin if there is one, and then the sockets
/// of the template.
pub(super) const GATE_FIXED: usize = 3;
/// Template, stdout, stderr, stdin, sockets.
pub(super) const GATE_FDS: usize = GATE_FIXED + 1 + GIVEN_MAX;
/// Where the gate is while the child waits at it.
const GATE_PLACE: RawFd = 3;

/// `NEXUS_WORKER=TAG:CHILD`: by this every descendant is known.
pub(crate) fn worker_mark(tag: &[u8], child: u64) -> Vec<u8> {
    [b"NEXUS_WORKER=", tag, b":", child.to_string().as_bytes()].concat()
}

/// Become the worker, or say in the arena why not.
pub(super) fn be_born(birth: &Birth<'_>) -> ! {
    let failed = match live(birth) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    if let Some((stage, errno)) = failed {
        birth.arena.say_failed(birth.record, stage, errno);
    }
    process::exit_now(127)
}

/// `None`: it was not let through the gate.
type Failed = Option<(Stage, i32)>;

fn at<E: Into<std::io::Error>>(stage: Stage) -> impl Fn(E) -> Failed {
    move |error| {
        let errno = error.into().raw_os_error().unwrap_or(libc::EINVAL);
        Some((stage, errno))
    }
}

fn live(birth: &Birth<'_>) -> Result<std::convert::Infallible, Failed> {
    let (gate, given) = pass_gate(birth)?;
    // Closed by the exec or by our end, and not before a failure has been said: that it closes is
    // how the keeper learns to look.
    let gate = ManuallyDrop::new(gate);
    let [template, stdout, stderr, more @ ..] = given.as_slice() else { return Err(None) };
    let has_stdin = birth.arena.fixed(birth.record).stdin != 0;
    let (stdin, sockets) = more.split_at(usize::from(has_stdin).min(more.len()));
    nix::unistd::setsid().map_err(at(Stage::Fork))?;
    let template = Template::unseal(template.as_fd()).map_err(at(Stage::Descriptors))?;
    streams(stdin.first(), stdout, stderr).map_err(at(Stage::Descriptors))?;
    let (sockets, hearer) = sockets.split_at(template.listen.len().min(sockets.len()));
    for (socket, place) in sockets.iter().zip(3..) {
        files::place(socket.as_raw_fd(), place).map_err(at(Stage::Descriptors))?;
    }
    let mut first_free = 3 + sockets.len() as RawFd;
    if template.channel != Channel::None {
        let hearer = hearer.first();
        channel(&template, birth.child, hearer, first_free).map_err(at(Stage::Descriptors))?;
        first_free += 1;
        if let Some(hearer) = hearer {
            files::place(hearer.as_raw_fd(), first_free).map_err(at(Stage::Descriptors))?;
            first_free += 1;
        }
    }
    std::mem::forget(given); // closed by number on the next line
    keep_only(first_free, &gate).map_err(at(Stage::Descriptors))?;
    let mut environment = environment(birth, &template);
    if template.program == own_program::ITSELF {
        own_program::leave_open(&gate, &mut environment).map_err(at(Stage::Descriptors))?;
    }
    let command = process::Command::new(&template.argv, &environment);
    let program =
        CString::new(template.program.as_slice()).map_err(|_| Some((Stage::Exec, libc::EINVAL)))?;
    caller_limits(birth).map_err(at(Stage::Grants))?;
    grants(&template.grants).map_err(at(Stage::Grants))?;
    rights(&template).map_err(at(Stage::Rights))?;
    nix::unistd::chdir(Path::new(OsStr::from_bytes(&template.cwd))).map_err(at(Stage::Cwd))?;
    process::default_signals();
    let error = command.exec(&program);
    Err(at(Stage::Exec)(error))
}

/// Leave the keeper's descriptor table, wait at the gate, and take what comes through it.
fn pass_gate(birth: &Birth<'_>) -> Result<(OwnedFd, Vec<OwnedFd>), Failed> {
    let never_ran = |_| None;
    if birth.gate >= files::LOW_END {
        // The table is ours alone then (see `Keeper::fork_child`), and the gate is about to be
        // among what is closed.
        files::place(birth.gate, GATE_PLACE).map_err(never_ran)?;
        files::close_range(files::LOW_END, RawFd::MAX, false).map_err(never_ran)?;
    } else {
        files::close_range(files::LOW_END, RawFd::MAX, true).map_err(never_ran)?;
        files::place(birth.gate, GATE_PLACE).map_err(never_ran)?;
    }
    files::set_cloexec(GATE_PLACE, true).map_err(never_ran)?;
    files::close_range(GATE_PLACE + 1, RawFd::MAX, false).map_err(never_ran)?;
    let gate = files::borrow(GATE_PLACE);
    // The keeper may now close what we shared with it.
    socket::send(gate, b"apart", &[]).map_err(|_| None)?;
    let mut fds = [const { None }; GATE_FDS];
    let mut go = [0; 8];
    let got = socket::receive(gate, &mut go, &mut fds, true).map_err(|_| None)?;
    if got.len == 0 || got.truncated || got.fds < GATE_FIXED {
        return Err(None);
    }
    birth.arena.say_passed(birth.record);
    // Out of the way of the numbers that the worker will see.
    let lift = |fd: RawFd| files::dup_from(fd, LIFTED).map_err(at(Stage::Descriptors));
    let given: Result<Vec<OwnedFd>, Failed> =
        fds.into_iter().flatten().map(|fd| lift(fd.as_raw_fd())).collect();
    Ok((lift(GATE_PLACE)?, given?))
}

/// Above every number that a worker's inherited descriptors get.
const LIFTED: RawFd = GATE_FDS as RawFd + 8;

/// stdin, stdout and stderr.
fn streams(stdin: Option<&OwnedFd>, stdout: &OwnedFd, stderr: &OwnedFd) -> std::io::Result<()> {
    let input = match stdin {
        // Read-write as well: the death of both of the pair is no end of file for it.
        Some(held) => afresh(held)?,
        None => {
            let null = open("/dev/null", OFlag::O_RDWR, Mode::empty())?;
            files::dup_from(null.as_raw_fd(), LIFTED)?
        }
    };
    files::place(input.as_raw_fd(), 0)?;
    for (held, place) in [(stdout, 1), (stderr, 2)] {
        let fresh = afresh(held)?;
        files::place(fresh.as_raw_fd(), place)?;
    }
    Ok(())
}

/// A socket of its own, with a name: by that its words are told from those of `sd_notify(3)`, whose
/// senders have none, and whose they are, also when the process that spoke is gone already.
fn channel(
    template: &Template,
    child: u64,
    hearer: Option<&OwnedFd>,
    place: RawFd,
) -> std::io::Result<()> {
    let of_notify =
        |variable: &Vec<u8>| variable.strip_prefix(b"NOTIFY_SOCKET=@").map(<[u8]>::to_vec);
    let name = template.env.iter().find_map(of_notify).ok_or(Errno::EDESTADDRREQ)?;
    let socket = nix::sys::socket::socket(
        AddressFamily::Unix,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let own = [name.as_slice(), b"/", child.to_string().as_bytes()].concat();
    let bind = |name| nix::sys::socket::bind(socket.as_raw_fd(), &name);
    match bind(UnixAddr::new_abstract(&own)?) {
        // Somebody wants to be in the way: the kernel chooses one, and who speaks must live.
        Err(Errno::EADDRINUSE) => bind(UnixAddr::new_unnamed())?,
        bound => bound?,
    }
    let hearer = match hearer {
        Some(hearer) => nix::sys::socket::getsockname::<UnixAddr>(hearer.as_raw_fd())?,
        None => UnixAddr::new_abstract(&name)?,
    };
    nix::sys::socket::connect(socket.as_raw_fd(), &hearer)?;
    let lifted = files::dup_from(socket.as_raw_fd(), LIFTED)?;
    // It may have the very number that it is to get.
    drop(socket);
    files::place(lifted.as_raw_fd(), place)
}

/// A pipe is opened anew, before our rights are dropped: file status flags belong to the opened
/// description, and a dead worker's O_NONBLOCK must not reach its successor. Read-write, so that
/// even the death of both of the pair is no EPIPE for the worker. Anything else (a file has its
/// offset in the description) is shared.
fn afresh(held: &OwnedFd) -> std::io::Result<OwnedFd> {
    if !File::from(held.try_clone()?).metadata()?.file_type().is_fifo() {
        return files::dup_from(held.as_raw_fd(), LIFTED);
    }
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    let opened = open(path.as_str(), OFlag::O_RDWR | OFlag::O_NOCTTY, Mode::empty())?;
    files::dup_from(opened.as_raw_fd(), LIFTED)
}

/// Close everything from `first` on, except for the gate, which closes by itself at the exec.
fn keep_only(first: RawFd, gate: &OwnedFd) -> std::io::Result<()> {
    let gate = gate.as_raw_fd();
    files::close_range(first, gate - 1, false)?;
    files::close_range(gate + 1, RawFd::MAX, false)
}

/// The template's variables, the order's over them, and ours.
fn environment(birth: &Birth<'_>, template: &Template) -> Vec<Vec<u8>> {
    let carried = birth.arena.env(birth.record);
    let mut tag = [0; TAG_MAX];
    let mark = worker_mark(birth.arena.tag(birth.record, &mut tag), birth.child);
    let mut env: Vec<Vec<u8>> = template.env.clone();
    let mut set = |variable: &[u8]| {
        let key_len = variable.iter().position(|b| *b == b'=').map_or(variable.len(), |i| i + 1);
        let key = &variable[..key_len];
        env.retain(|old| !old.starts_with(key));
        env.push(variable.to_vec());
    };
    carried.split(|b| *b == 0).filter(|variable| !variable.is_empty()).for_each(&mut set);
    set(&mark);
    if !template.listen.is_empty() {
        let names: Vec<&[u8]> = template.listen.iter().map(|(_, name)| name.as_slice()).collect();
        set(format!("LISTEN_FDS={}", template.listen.len()).as_bytes());
        set(format!("LISTEN_PID={}", std::process::id()).as_bytes());
        set(&[b"LISTEN_FDNAMES=", names.join(&b':').as_slice()].concat());
    }
    let number = 3 + template.listen.len();
    match template.channel {
        Channel::None => {}
        Channel::Ready => set(format!("NEXUS_READY_FD={number}").as_bytes()),
        Channel::Node => {
            set(format!("NODE_CHANNEL_FD={number}").as_bytes());
            set(b"NODE_CHANNEL_SERIALIZATION_MODE=json");
        }
    }
    env
}

/// The limits that the caller had before we changed ours.
fn caller_limits(birth: &Birth<'_>) -> Result<(), Errno> {
    let Limits { nofile_soft, nofile_hard, core, oom_score_adj } = birth.limits;
    setrlimit(Resource::RLIMIT_NOFILE, nofile_soft, nofile_hard)?;
    if let Some((soft, hard)) = core {
        setrlimit(Resource::RLIMIT_CORE, soft, hard)?;
    }
    // Raising it back is always permitted; where it never changed this is a write of the same.
    let _ = crate::found::write_oom_score_adj(oom_score_adj);
    Ok(())
}

/// What the app asks of the kernel, while we still have the rights to ask.
fn grants(grants: &Grants) -> std::io::Result<()> {
    let Grants { nice, oom_score_adj, rlimits, no_new_privs } = grants;
    if let Some(nice) = nice {
        process::set_nice(*nice)?;
    }
    if let Some(value) = oom_score_adj {
        crate::found::write_oom_score_adj(i32::from(*value))?;
    }
    if *no_new_privs {
        nix::sys::prctl::set_no_new_privs()?;
    }
    rlimits
        .iter()
        .try_for_each(|(resource, soft, hard)| process::set_rlimit(*resource, *soft, *hard))
}

/// umask, and the user's rights.
fn rights(template: &Template) -> Result<(), Errno> {
    if let Some(mask) = template.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    if let Some((uid, gid, groups)) = &template.ids {
        let groups: Vec<Gid> = groups.iter().map(|g| Gid::from_raw(*g)).collect();
        nix::unistd::setgroups(&groups)?;
        nix::unistd::setgid(Gid::from_raw(*gid))?;
        nix::unistd::setuid(Uid::from_raw(*uid))?;
    }
    Ok(())
}
