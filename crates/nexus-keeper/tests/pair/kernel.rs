//! What the cases need of the kernel that no safe crate here offers.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Log bytes as the real nexusd moves them: pipe to file, nothing in between. Returns the bytes
/// moved, 0 = nothing now.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> usize {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: no offsets are given, so no memory of ours is touched.
    let moved = unsafe {
        libc::splice(
            from.as_raw_fd(),
            std::ptr::null_mut(),
            to.as_raw_fd(),
            std::ptr::null_mut(),
            1 << 20,
            flags,
        )
    };
    usize::try_from(moved).unwrap_or(0)
}

/// A pidfd of a process that is known to live.
pub(crate) fn pidfd(pid: i32) -> OwnedFd {
    // SAFETY: takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    assert!(fd >= 0);
    // SAFETY: just created, ours.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}
