//! Descriptors: numbers, close-on-exec, ranges.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// Long-lived descriptors of the keeper have numbers from here on. Below are only transient ones,
/// so that a child that shares the keeper's table can leave it by copying this little of it: the
/// cost of a spawn does not grow with the number of workers.
pub(crate) const LOW_END: RawFd = 64;

/// Take ownership of a descriptor by its number, if it is open.
///
/// # Errors
/// EBADF.
pub(crate) fn own(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD reads one flag and touches no memory of ours.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into())?;
    // SAFETY: it is open (checked above), and callers own it by the handoff: each number is
    // listed once and taken once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Set or clear close-on-exec.
pub(crate) fn set_cloexec(fd: RawFd, on: bool) -> io::Result<()> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: F_SETFD sets one flag and touches no memory of ours. Safe between fork and exec.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }.into()).map(|_| ())
}

/// A duplicate, close-on-exec, with a number of at least `from`.
pub(crate) fn dup_from(fd: RawFd, from: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC touches no memory of ours.
    let new = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, from) }.into());
    let new = new.map_err(|error| match error.raw_os_error() {
        // `from` is beyond the limit that somebody has set since: that is a want of descriptors.
        Some(libc::EINVAL) => io::Error::from_raw_os_error(libc::EMFILE),
        _ => error,
    })?;
    // SAFETY: just created, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(new as RawFd) })
}

/// The same descriptor with a long-lived number.
pub(crate) fn lift(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= LOW_END { Ok(fd) } else { dup_from(fd.as_raw_fd(), LOW_END) }
}

/// Make `from` also known as `to`, without close-on-exec; what `to` was is closed.
pub(crate) fn place(from: RawFd, to: RawFd) -> io::Result<()> {
    if from == to {
        return set_cloexec(from, false);
    }
    // SAFETY: only used in a child that has a table of its own; nothing there is owned by Rust
    // values that will be dropped (it ends by exec or _exit).
    check(unsafe { libc::dup2(from, to) }.into()).map(|_| ())
}

/// Close all descriptors from `first` to `last`. With `unshare`, first leave a shared table.
pub(crate) fn close_range(first: RawFd, last: RawFd, unshare: bool) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    let flags = if unshare { CLOSE_RANGE_UNSHARE } else { 0 };
    // SAFETY: only used in a child between fork and exec; see `place`.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    check(done).map(|_| ())
}
const CLOSE_RANGE_UNSHARE: libc::c_uint = 1 << 1;

/// Borrow a number that is known to be open.
pub(crate) fn borrow<'fd>(fd: RawFd) -> BorrowedFd<'fd> {
    // SAFETY: only used in a child before the exec of its program, for numbers that stay open until
    // then.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Set a variable of our own environment.
pub(crate) fn set_env(name: &str, value: &std::ffi::OsStr) {
    // SAFETY: called once when a role begins, before any thread has been started.
    unsafe { std::env::set_var(name, value) }
}
