//! A connection to the control socket, however long its path is.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Bytes of a path that fit into `sun_path` (`unix(7)`), its closing zero not counted.
const SUN_PATH_MAX: usize = 107;

/// Connect to `path`. Waits at most `patience` for room in the listener's backlog: without a
/// send time-out, `connect(2)` would wait for ever while a daemon hangs.
///
/// # Errors
/// As `connect(2)`; `WouldBlock` when `patience` is over.
pub(super) fn open(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let (address, directory) = address(path)?;
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let millis = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX / 1_000_000).max(1);
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::milliseconds(millis))?;
    connect(fd.as_raw_fd(), &UnixAddr::new(&address)?)?;
    // The directory's descriptor is part of the address: it must live until here.
    drop(directory);
    Ok(UnixStream::from(fd))
}

/// The path as it fits into an address: itself, or through a descriptor of its directory.
fn address(path: &Path) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    if path.as_os_str().len() <= SUN_PATH_MAX {
        return Ok((path.to_owned(), None));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket's path has no name"));
    };
    let flags = nix::libc::O_PATH | nix::libc::O_DIRECTORY;
    let directory = OpenOptions::new().read(true).custom_flags(flags).open(parent)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    Ok((short, Some(directory)))
}
