//! What nexusd may do with a child itself: look at it, and signal it, by its pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::Link;
use crate::sys::process;

impl Link {
    /// A child's pid and pidfd, until it is acknowledged.
    pub fn child(&self, child: u64) -> Option<(i32, BorrowedFd<'_>)> {
        let (pid, pidfd) = self.children.get(&child)?;
        Some((*pid, pidfd.as_fd()))
    }

    /// Send a signal to a child's main process, by its pidfd: never to another that has its number
    /// now. It is no order to end: what follows its exit stays as it is.
    ///
    /// # Errors
    /// `NotFound` for no child of ours, ESRCH when it has ended, EPERM.
    pub fn signal(&self, child: u64, signal: i32) -> io::Result<()> {
        let (_, pidfd) = self.child(child).ok_or(io::ErrorKind::NotFound)?;
        process::signal(pidfd, signal)
    }
}
