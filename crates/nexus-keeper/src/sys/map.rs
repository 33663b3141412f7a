//! Memory shared by processes: copied in and out, never borrowed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, compiler_fence};

use super::check;

/// A shared mapping, of a memfd or of no file. Other processes may write to it at any time, so
/// there are no references into it: only copies.
pub(crate) struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value and has no thread affinity; every access is a copy or
// an atomic operation.
unsafe impl Send for Map {}

impl Map {
    /// Map the first `len` bytes, which must exist in the file (the caller checks: reading beyond
    /// the end would be SIGBUS).
    pub(crate) fn new(fd: BorrowedFd<'_>, len: usize, writable: bool) -> io::Result<Map> {
        let prot = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        Map::reserve(len, prot, libc::MAP_SHARED, fd.as_raw_fd())
    }

    /// Zeroes without a file, which only processes that are forked from here on share.
    pub(crate) fn anonymous(len: usize) -> io::Result<Map> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        Map::reserve(len, prot, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
    }

    fn reserve(
        len: usize,
        prot: libc::c_int,
        flags: libc::c_int,
        fd: libc::c_int,
    ) -> io::Result<Map> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Map { start, len })
    }

    /// Copy bytes out.
    pub(crate) fn load(&self, at: usize, into: &mut [u8]) {
        let from = self.at(at, into.len());
        // SAFETY: `at` checked that the range lies inside the mapping; `into` is ours.
        unsafe { std::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) }
    }

    /// Copy bytes in. Stores before and after stay in program order, which is what a SIGKILL
    /// between them respects.
    pub(crate) fn store(&self, at: usize, bytes: &[u8]) {
        let to = self.at(at, bytes.len());
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `load`; writable for the one process that stores.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
        compiler_fence(Ordering::SeqCst);
    }

    /// Copy bytes from one place of the mapping to another.
    pub(crate) fn copy(&self, from: usize, to: usize, len: usize) {
        let (from, to) = (self.at(from, len), self.at(to, len));
        // SAFETY: both ranges lie inside the mapping; `copy` allows them to overlap.
        unsafe { std::ptr::copy(from, to, len) }
    }

    /// Read a number that another process may write.
    pub(crate) fn load_u64(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::SeqCst)
    }

    /// Write a number that another process may read.
    pub(crate) fn store_u64(&self, at: usize, value: u64) {
        self.word(at).store(value, Ordering::SeqCst);
    }

    /// Read a byte that another process may write.
    pub(crate) fn load_u8(&self, at: usize) -> u8 {
        self.byte(at).load(Ordering::SeqCst)
    }

    /// Write a byte that another process may read.
    pub(crate) fn store_u8(&self, at: usize, value: u8) {
        self.byte(at).store(value, Ordering::SeqCst);
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8), "words of the mapping are aligned");
        // SAFETY: inside the mapping (checked by `at`), aligned (mappings begin on a page), and
        // atomics may be shared between processes.
        unsafe { AtomicU64::from_ptr(self.at(at, 8).cast()) }
    }

    fn byte(&self, at: usize) -> &AtomicU8 {
        // SAFETY: inside the mapping (checked by `at`); atomics may be shared.
        unsafe { AtomicU8::from_ptr(self.at(at, 1)) }
    }

    fn at(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at <= self.len && len <= self.len - at, "inside the mapping");
        // SAFETY: the range was checked on the line above.
        unsafe { self.start.as_ptr().add(at) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: made by `new` and not unmapped before; nothing borrows from it.
        let done = check(unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) }.into());
        debug_assert!(done.is_ok(), "our own mapping can be unmapped");
    }
}
