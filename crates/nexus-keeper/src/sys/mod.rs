//! What only the kernel can do: the one place of this crate with `unsafe`.
//!
//! Everything here is a thin wrapper of one system call (or of one step made of two), returns
//! `io::Error`, and owns what it creates.
#![allow(unsafe_code)]

pub(crate) mod files;
pub(crate) mod map;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod spare;

use std::io;

/// A system call's result as `io::Result`.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Milliseconds of `CLOCK_BOOTTIME`.
pub(crate) fn now_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; this clock exists since 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}
