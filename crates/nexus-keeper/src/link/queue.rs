//! Orders on their way: into the socket, or into a bounded queue before it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{Link, QUEUE_MAX};
use crate::codec;
use crate::sys::socket;
use crate::wire::Order;

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
    fn put(&self, bytes: &[u8], fd: Option<&OwnedFd>) -> io::Result<bool> {
        let fd = fd.map(AsRawFd::as_raw_fd);
        match socket::send(self.socket.as_fd(), bytes, fd.as_slice()) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) if e.raw_os_error() == Some(libc::ETOOMANYREFS) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whether orders wait for the socket to become writable.
    pub fn wants_write(&self) -> bool {
        !self.queue.is_empty()
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
