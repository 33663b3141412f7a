//! Opening what a worker needs before it exists: pipes, log files, listening sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nexus_spec::Listen;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, bind, listen,
    setsockopt, socket, sockopt,
};
use nix::unistd::{Gid, Uid, fchown, pipe2};

use crate::template::Ids;

/// What a pipe may hold: enough that a worker does not wait while a daemon is replaced.
const PIPE_SIZE: i32 = 1 << 20;
/// Connections that wait to be accepted; the kernel's own limit (`somaxconn`) still holds.
const BACKLOG: i32 = 4_096;

/// A pipe for a worker's output: read end, write end. The worker opens it anew by its path, so it
/// must be the owner of it.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn pipe(owner: Option<&Ids>) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // A smaller one than asked for (a non-root's quota) loses nothing.
    let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    if let Some((uid, gid, _)) = owner {
        for end in [&read, &write] {
            fchown(end, Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)))?;
        }
    }
    Ok((read, write))
}

/// A log file, open at its end; its directory is made if need be.
///
/// # Errors
/// What open(2) says, with the path.
pub(crate) fn log(path: &Path) -> io::Result<OwnedFd> {
    nexus_log::log_to_write(path).map_err(|error| named(&path.display(), &error))
}

/// Whether a file is on another machine, or served by another process: it may hang for long.
pub(crate) fn is_remote(file: &OwnedFd) -> bool {
    // As statfs(2) lists them: FUSE, NFS, CIFS, SMB2, 9P, Ceph, Coda, AFS, Lustre.
    const REMOTE: [i64; 9] = [
        0x6573_5546,
        0x6969,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x00c3_6400,
        0x7375_7245,
        0x5346_414f,
        0x0bd0_0bd0,
    ];
    rustix::fs::fstatfs(file).is_ok_and(|stat| REMOTE.contains(&stat.f_type))
}

/// An empty memory file, for bytes on their way to a log file.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn journal() -> io::Result<OwnedFd> {
    Ok(memfd_create("nexus-journal", MFdFlags::MFD_CLOEXEC)?)
}

/// Whether an address may be somebody's already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Then it is refused.
    Alone,
    /// Workers of the same app serve on it, by a socket that is not ours any more: the new one is
    /// bound beside it.
    Beside,
}

/// A listening socket.
///
/// # Errors
/// What bind(2) and listen(2) say, with the address.
pub(crate) fn bound(address: &Listen, sharing: Sharing) -> io::Result<OwnedFd> {
    let result = match address {
        Listen::Tcp(address) => tcp(*address, sharing),
        Listen::Unix(path) => unix(path, sharing),
    };
    result.map_err(|error| named(&crate::held::address(address), &error))
}

fn named(what: &dyn std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {}", plain(error)))
}

/// An error without Rust's `(os error 2)`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

fn tcp(address: SocketAddr, sharing: Sharing) -> io::Result<OwnedFd> {
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
    listen(&fd, Backlog::new(BACKLOG)?)?;
    // Only now, so that whoever asked for an address that is taken is told so. It lets us bind a
    // second one beside this, should it ever be in workers' hands only; both must have it then, and
    // be of the same user.
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    Ok(fd)
}

/// Whether somebody listens on a socket file, without waiting: one whose queue is full (EAGAIN) is
/// listened on, too.
fn is_listened_on(path: &Path) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let connected = nix::sys::socket::connect(probe.as_raw_fd(), &UnixAddr::new(path)?);
    Ok(matches!(connected, Ok(()) | Err(nix::errno::Errno::EAGAIN)))
}

/// A socket file that nobody listens on any more is replaced; one that somebody listens on, or
/// that is no socket, is refused.
fn unix(path: &Path, sharing: Sharing) -> io::Result<OwnedFd> {
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
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(fd)
}
