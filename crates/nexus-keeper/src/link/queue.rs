//! Orders on their way: into the socket, or into a bounded queue before it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use super::{Link, QUEUE_MAX};
use crate::codec;
use crate::sys::{self, socket};
use crate::wire::Order;

/// How often an order is tried again for whose descriptor there is no room in flight.
const AGAIN_MS: u64 = 100;

impl Link {
    pub(super) fn offer(&mut self, order: &Order, fd: Option<OwnedFd>) -> io::Result<()> {
        let bytes = codec::encode_order(order)
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        if self.queue.is_empty() && self.put(&bytes, fd.as_ref())? {
            return Ok(());
        }
        if self.queued + bytes.len() > QUEUE_MAX {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the keeper does not read"));
        }
        self.queued += bytes.len();
        self.queue.push_back((bytes, fd));
        Ok(())
    }

    /// Whether it fitted.
    fn put(&mut self, bytes: &[u8], fd: Option<&OwnedFd>) -> io::Result<bool> {
        let fd = fd.map(AsRawFd::as_raw_fd);
        self.again_at = None;
        match socket::send(self.socket.as_fd(), bytes, fd.as_slice()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) if e.raw_os_error() == Some(libc::ETOOMANYREFS) => {
                self.again_at = Some(sys::now_ms() + AGAIN_MS);
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Whether orders wait for the socket to become writable.
    pub fn wants_write(&self) -> bool {
        !self.queue.is_empty()
    }

    /// After how long [`Link::flush`] is to be called although the socket has not become writable:
    /// the descriptors that this user has in flight are too many (`ETOOMANYREFS`, unix(7)), a limit
    /// of the user's and not of the socket, whose end has no event. `None` = no order waits for it.
    pub fn flush_after(&self) -> Option<Duration> {
        let wait = self.again_at?.saturating_sub(sys::now_ms());
        Some(Duration::from_millis(wait))
    }

    /// Send what is queued as far as it goes.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some((bytes, fd)) = self.queue.pop_front() {
            match self.put(&bytes, fd.as_ref()) {
                Ok(true) => self.queued -= bytes.len(),
                Ok(false) => {
                    self.queue.push_front((bytes, fd));
                    return Ok(());
                }
                Err(e) => {
                    self.queue.push_front((bytes, fd));
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}
