//! What the cases need of the kernel that no safe crate here offers.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use nexus_keeper::Ended;

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

/// The end of a child whose parent is not the keeper (any more) is told as it was where the kernel
/// tells such ends to anybody (Linux 6.15), else perhaps as unknown.
#[track_caller]
pub(crate) fn assert_foreign(told: Ended, ended: Ended) {
    let hidden = !tells_ends() && told == Ended::Unknown;
    assert!(hidden || told == ended, "told as {told:?}, not {ended:?}");
}

/// Whether this kernel says how a process ended to who is not its parent: `PIDFD_GET_INFO` with
/// `PIDFD_INFO_EXIT`.
pub(crate) fn tells_ends() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pidfd = pidfd(child.id().cast_signed());
        child.wait().unwrap();
        // The kernel's `struct pidfd_info`, and what is asked of it.
        let mut info = [1_u64 << 3, 0, 0, 0, 0, 0, 0, 0];
        const GET_INFO: u64 = 3 << 30 | 64 << 16 | 0xFF << 8 | 11;
        // SAFETY: the request says how long `info` is, and the kernel writes no more.
        let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
        done == 0 && info[0] & 1 << 3 != 0
    })
}
