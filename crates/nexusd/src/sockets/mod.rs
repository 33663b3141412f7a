//! Listening sockets: how they are bound, and what may be changed of one that is.

mod holder;
pub(crate) mod listeners;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use nexus_spec::{Listen, Socket};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, bind, listen,
    setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::files::named;
use crate::template;

/// `linux/capability.h`.
const CAP_SYS_PTRACE: u32 = 19;
/// Connections that wait to be accepted; the kernel's own limit (`somaxconn`) still holds.
const BACKLOG: u32 = 4_096;

/// Whether an address may be somebody's already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Then it is refused.
    Alone,
    /// Workers of the same app serve on it, by a socket that is not ours any more: the new one is
    /// bound beside it.
    Beside,
}

/// A listening socket as the spec has it.
///
/// # Errors
/// What bind(2) and listen(2) say, with the address; of one in use, who holds it.
pub(crate) fn bound(spec: &Socket, sharing: Sharing) -> io::Result<OwnedFd> {
    let owner = owner(spec)?;
    let made = match &spec.address {
        Listen::Tcp(address) => tcp(*address, spec, sharing),
        Listen::Unix(path) => unix(path, spec, owner, sharing),
    };
    made.map_err(|error| {
        let held =
            (error.kind() == io::ErrorKind::AddrInUse).then(|| holder::of(&spec.address)).flatten();
        let error = named(&spec.address, &error);
        match held {
            Some(who) => io::Error::new(error.kind(), format!("{error}: {who} listens there")),
            None => error,
        }
    })
}

/// What the spec says now of a socket that is bound already: its backlog, and its file's rights.
///
/// # Errors
/// What the kernel says, with the address.
pub(crate) fn adjust(fd: BorrowedFd<'_>, spec: &Socket) -> io::Result<()> {
    let owner = owner(spec)?;
    backlog(fd, spec)
        .and_then(|()| match &spec.address {
            Listen::Unix(path) => rights(path, spec, owner),
            Listen::Tcp(_) => Ok(()),
        })
        .map_err(|error| named(&spec.address, &error))
}

/// Who is to own the file of a Unix socket.
type Owner = (Option<Uid>, Option<Gid>);

fn owner(spec: &Socket) -> io::Result<Owner> {
    let user = spec.user.as_deref().map(template::user).transpose();
    let group = spec.group.as_deref().map(template::group).transpose();
    let fault = |why: String| named(&spec.address, &io::Error::other(why));
    Ok((user.map_err(fault)?.map(|user| user.uid), group.map_err(fault)?))
}

/// listen(2) of a listening socket changes how many may wait, and nothing else.
fn backlog(fd: BorrowedFd<'_>, spec: &Socket) -> io::Result<()> {
    let most = i32::try_from(spec.backlog.unwrap_or(BACKLOG)).unwrap_or(i32::MAX);
    // Beyond its own limit the kernel takes that; the type's bound is an older kernel's.
    Ok(listen(&fd, Backlog::new(most).unwrap_or(Backlog::MAXCONN))?)
}

fn tcp(address: SocketAddr, spec: &Socket, sharing: Sharing) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if sharing == Sharing::Beside {
        setsockopt(&fd, sockopt::ReusePort, &true)?;
    }
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    match address {
        SocketAddr::V4(v4) => bind(fd.as_raw_fd(), &SockaddrIn::from(v4))?,
        SocketAddr::V6(v6) => bind(fd.as_raw_fd(), &SockaddrIn6::from(v6))?,
    }
    backlog(fd.as_fd(), spec)?;
    if spec.reuse_port || !is_fetched_back() {
        admit_others(fd.as_fd())?;
    }
    Ok(fd)
}

/// Lets us bind further TCP sockets beside this. Only after it was bound, so that whoever asked for
/// an address that is taken is told so. Both must have it then, and be of the same user.
pub(crate) fn admit_others(fd: BorrowedFd<'_>) -> io::Result<()> {
    match setsockopt(&fd, sockopt::ReusePort, &true) {
        // A Unix socket, whose file is simply replaced.
        Err(Errno::EOPNOTSUPP) => Ok(()),
        done => Ok(done?),
    }
}

/// Whether a socket that only workers have, both of us having been killed, could be taken back from
/// them. If not, the next one has to be bound beside theirs.
fn is_fetched_back() -> bool {
    let is_there = || {
        let own = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
        pidfd_getfd(&own, own.as_raw_fd(), PidfdGetfdFlags::empty()).ok()
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = rights.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let may_trace = (rights >> CAP_SYS_PTRACE) & 1 == 1;
    is_there().is_some() && (may_trace || yama.map_or(true, |scope| scope.trim() == "0"))
}

/// Whether a socket file is somebody's, without waiting. Only one that refuses is nobody's: another
/// kind of socket, a full queue, one that we may not speak to are in use.
fn is_listened_on(path: &Path) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let connected = nix::sys::socket::connect(probe.as_raw_fd(), &UnixAddr::new(path)?);
    Ok(!matches!(connected, Err(Errno::ECONNREFUSED | Errno::ENOENT)))
}

/// A socket file that nobody listens on any more is replaced; one that somebody listens on, or
/// that is no socket, is refused.
fn unix(path: &Path, spec: &Socket, owner: Owner, sharing: Sharing) -> io::Result<OwnedFd> {
    if let Ok(meta) = path.symlink_metadata() {
        if !meta.file_type().is_socket() {
            return Err(io::Error::other("something that is no socket is there"));
        }
        if sharing == Sharing::Alone && is_listened_on(path)? {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    if let Some(mode) = spec.mode {
        // The file begins with no more than this (unix(7)): there is no moment in which it is open
        // to more.
        fchmod(&fd, Mode::from_bits_truncate(mode))?;
    }
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    rights(path, spec, owner)?;
    backlog(fd.as_fd(), spec)?;
    Ok(fd)
}

/// Owner and mode of a socket's file. It is opened first, so that what is put in its place
/// meanwhile is not touched.
fn rights(path: &Path, spec: &Socket, (user, group): Owner) -> io::Result<()> {
    if spec.mode.is_none() && user.is_none() && group.is_none() {
        return Ok(());
    }
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = std::fs::File::from(open(path, flags, Mode::empty())?);
    if !file.metadata()?.file_type().is_socket() {
        return Err(io::Error::other("something that is no socket is there"));
    }
    let through = format!("/proc/self/fd/{}", file.as_raw_fd());
    if user.is_some() || group.is_some() {
        std::os::unix::fs::chown(&through, user.map(Uid::as_raw), group.map(Gid::as_raw))?;
    }
    if let Some(mode) = spec.mode {
        std::fs::set_permissions(&through, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_socket_has_the_rights_that_are_asked_for_and_other_ones_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        let mut spec = Socket { mode: Some(0o666), ..Listen::Unix(path.clone()).into() };
        let fd = bound(&spec, Sharing::Alone).unwrap();
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o666);
        spec.mode = Some(0o600);
        adjust(fd.as_fd(), &spec).unwrap();
        assert_eq!(mode(), 0o600);
        // What is put in its place is not ours to change.
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(adjust(fd.as_fd(), &spec).is_err());
        spec.group = Some("no-such-group".into());
        let said = adjust(fd.as_fd(), &spec).unwrap_err().to_string();
        assert!(said.ends_with("x.sock: there is no group `no-such-group`"), "{said}");
    }

    #[test]
    fn who_holds_an_address_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let us = std::process::id();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp: Socket = Listen::Tcp(tcp.local_addr().unwrap()).into();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        drop(tcp);
        let said = bound(&Listen::Tcp(address).into(), Sharing::Alone).unwrap_err().to_string();
        let ours = format!("(pid {us}) listens there");
        assert!(said.starts_with(&format!("tcp://{address}: ")) && said.ends_with(&ours), "{said}");
        let path = dir.path().join("x.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let said = bound(&Listen::Unix(path).into(), Sharing::Alone).unwrap_err().to_string();
        assert!(said.ends_with(&ours), "{said}");
        // A socket of another kind is somebody's, too.
        let path = dir.path().join("y.sock");
        let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let said = bound(&Listen::Unix(path.clone()).into(), Sharing::Alone).unwrap_err();
        assert_eq!(said.kind(), io::ErrorKind::AddrInUse, "{said}");
        assert!(path.exists());
    }
}
