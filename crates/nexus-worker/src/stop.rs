//! The request to stop, as a descriptor that becomes readable.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::sys;

/// The signals that ask a worker to stop: the manager's and the terminal's.
const STOP_SIGNALS: [libc::c_int; 2] = [libc::SIGTERM, libc::SIGINT];

/// Never closed: a signal may come at any time.
static PIPE: OnceLock<(PipeReader, PipeWriter)> = OnceLock::new();
static INSTALLED: Mutex<bool> = Mutex::new(false);

/// Catches SIGTERM and SIGINT: instead of ending the process they make a descriptor readable,
/// for good. Nobody needs to block for it and no runtime is assumed; wait for it by `poll(2)`,
/// tokio's `pipe::Receiver`, [`Stop::wait`] or
/// [`Listener::accept_until`](crate::Listener::accept_until), or ask now and then by
/// [`Stop::requested`].
///
/// Do not read the descriptor: that would take the request away from the others who wait.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pipe: &'static PipeReader,
}

impl Stop {
    /// Installs the handlers; a second call gives the same [`Stop`]. Call it before
    /// [`ready`](crate::ready): a signal that comes earlier still ends the process.
    ///
    /// # Errors
    /// No descriptors are left for the pipe.
    pub fn install() -> io::Result<Self> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let (pipe, wake) = match PIPE.get() {
            Some(made) => made,
            None => {
                let made = io::pipe()?;
                PIPE.get_or_init(|| made)
            }
        };
        if !*installed {
            sys::note_signals(&STOP_SIGNALS, wake.as_fd())?;
            *installed = true;
        }
        Ok(Self { pipe })
    }

    /// Whether the worker has been asked to stop.
    #[must_use]
    pub fn requested(self) -> bool {
        stop_requested()
    }

    /// The signal that asked first (SIGTERM 15, SIGINT 2).
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        sys::first_signal()
    }

    /// Blocks the calling thread until the worker is asked to stop.
    ///
    /// # Errors
    /// The kernel's, from `poll(2)`: no memory.
    pub fn wait(self) -> io::Result<()> {
        sys::wait_readable(self.as_fd(), self.as_fd()).map(|_| ())
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl AsRawFd for Stop {
    fn as_raw_fd(&self) -> RawFd {
        self.pipe.as_raw_fd()
    }
}

/// Whether a signal has asked this process to stop; false forever without [`Stop::install`].
#[must_use]
pub fn stop_requested() -> bool {
    sys::first_signal().is_some()
}
