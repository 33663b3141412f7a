//! The few kernel calls that std has no safe form of; the only unsafe code of this crate.
#![expect(unsafe_code, reason = "descriptors that come by number, and signals")]

use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use libc::c_int;
#[cfg(feature = "tokio")]
use tokio::io::{Interest, unix::AsyncFd};

#[cfg(feature = "tokio")]
use crate::listener::Listener;

/// Set by the first call of [`adopt`], which is therefore the only one that owns anything.
static ADOPTED: AtomicBool = AtomicBool::new(false);
/// What the signal handler writes to; -1 until [`note_signals`].
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// The first signal that came; 0 until then.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Takes ownership of descriptors that the parent handed over by number and sets close-on-exec on
/// each. Numbers that are not open come back as errors. Only the first call in a process gets
/// them; later ones get nothing.
pub(crate) fn adopt(numbers: Range<RawFd>) -> Vec<io::Result<OwnedFd>> {
    if ADOPTED.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    numbers.map(adopt_one).collect()
}

fn adopt_one(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD reads a flag; a number that is not open gives EBADF.
    let flags = check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: F_SETFD takes an int and touches no memory of ours.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) })?;
    // SAFETY: the number is open. It was open when the program was executed and addressed to this
    // very process (LISTEN_PID), so nothing in this process has opened it, and `ADOPTED` lets it
    // be taken once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Watches a listener by tokio's reactor.
#[cfg(feature = "tokio")]
pub(crate) fn register(listener: Listener) -> io::Result<AsyncFd<Listener>> {
    // SAFETY: the listener owns its descriptor, keeps it open and the same as long as it lives,
    // and lives as long as what owns it here.
    Ok(unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) }?)
}

/// One integer socket option of level SOL_SOCKET.
pub(crate) fn socket_option(socket: BorrowedFd<'_>, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = libc::socklen_t::try_from(mem::size_of::<c_int>()).unwrap_or(4);
    // SAFETY: `value` is a live int and `size` is its size; both outlive the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw mut value).cast(),
            &raw mut size,
        )
    })?;
    Ok(value)
}

/// Locks one byte of what the descriptor refers to, for this process and while it has it open.
/// `WouldBlock` when another process has it.
pub(crate) fn lock(fd: BorrowedFd<'_>, place: i64) -> io::Result<()> {
    record(fd, libc::F_SETLK, libc::F_WRLCK, place..place.saturating_add(1)).map(|_| ())
}

/// Gives up what [`lock`] took.
pub(crate) fn unlock(fd: BorrowedFd<'_>, place: i64) -> io::Result<()> {
    record(fd, libc::F_SETLK, libc::F_UNLCK, place..place.saturating_add(1)).map(|_| ())
}

/// Whether another process has locked a byte before `end`.
pub(crate) fn is_locked_before(fd: BorrowedFd<'_>, end: i64) -> io::Result<bool> {
    let found = record(fd, libc::F_GETLK, libc::F_WRLCK, 0..end)?;
    Ok(c_int::from(found.l_type) != libc::F_UNLCK)
}

fn record(fd: BorrowedFd<'_>, call: c_int, kind: c_int, of: Range<i64>) -> io::Result<libc::flock> {
    // SAFETY: an all-zero flock is a valid value (SEEK_SET, nothing else said).
    let mut lock: libc::flock = unsafe { mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_start = of.start;
    lock.l_len = of.end - of.start;
    // SAFETY: `lock` is live and of the type that these three calls take; the descriptor is open.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), call, &raw mut lock) })?;
    Ok(lock)
}

/// From now on the first of `signals` is written to `wake` and kept for [`first_signal`].
pub(crate) fn note_signals(signals: &[c_int], wake: BorrowedFd<'static>) -> io::Result<()> {
    WAKE.store(wake.as_raw_fd(), Ordering::SeqCst);
    for signal in signals {
        // SAFETY: an all-zero sigaction is a valid value (no flags, empty mask).
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: extern "C" fn(c_int) = note;
        action.sa_sigaction = handler as usize;
        // Calls of the program that know nothing of us are restarted, not failed with EINTR.
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: `action` is initialised and outlives the call; `note` does only what
        // signal-safety(7) allows; the null pointer asks for no old action.
        check(unsafe { libc::sigaction(*signal, &raw const action, ptr::null_mut()) })?;
    }
    Ok(())
}

/// The first signal that [`note_signals`] caught, if any has come.
pub(crate) fn first_signal() -> Option<c_int> {
    match SIGNAL.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(signal),
    }
}

extern "C" fn note(signal: c_int) {
    // SAFETY: the location is this thread's errno, valid for the thread's life.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above. The interrupted code may be about to read errno, so it is put back.
    let saved = unsafe { *errno };
    if SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        // SAFETY: write(2) is async-signal-safe, the byte is live, and the pipe is never closed.
        // It is empty, because only the first signal is written: this cannot block.
        unsafe { libc::write(WAKE.load(Ordering::SeqCst), c"x".as_ptr().cast(), 1) };
    }
    // SAFETY: as for reading it.
    unsafe { *errno = saved };
}

/// Blocks until one of the two is readable (or in error, which the next read will tell).
/// Returns which.
pub(crate) fn wait_readable(
    first: BorrowedFd<'_>,
    second: BorrowedFd<'_>,
) -> io::Result<(bool, bool)> {
    let mut entries = [entry(first), entry(second)];
    poll(&mut entries, None)?;
    Ok((entries[0].revents != 0, entries[1].revents != 0))
}

/// Blocks until it is readable or the time is over. Returns whether it is.
pub(crate) fn wait_within(fd: BorrowedFd<'_>, time: Duration) -> io::Result<bool> {
    let mut entries = [entry(fd)];
    // A time that is too long to be counted is for ever, as good as.
    poll(&mut entries, Instant::now().checked_add(time))?;
    Ok(entries[0].revents != 0)
}

fn entry(fd: BorrowedFd<'_>) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

fn poll(entries: &mut [libc::pollfd], until: Option<Instant>) -> io::Result<()> {
    let count = entries.len() as libc::nfds_t;
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // Rounded up, lest the last millisecond spin.
        let ms = left.map_or(-1, |left| {
            c_int::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(c_int::MAX)
        });
        // SAFETY: the slice is live and `count` is its length; the borrowed descriptors are open.
        match check(unsafe { libc::poll(entries.as_mut_ptr(), count, ms) }) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
