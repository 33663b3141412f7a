//! Look at what is in a pipe without taking it out: `tee(2)` into a pipe of our own.

use std::os::fd::{AsFd, OwnedFd};

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, SpliceFFlags, tee};
use nix::unistd::{pipe2, read, write};

/// What one look shows at most, in bytes: the size of a pipe where nobody asked for more.
const LOOK_MAX: usize = 64 * 1024;

/// A pipe and a buffer, made when first needed (few lines ever need them).
#[derive(Default)]
pub(super) struct Scratch {
    ends: Option<(OwnedFd, OwnedFd)>,
    buffer: Vec<u8>,
}

impl Scratch {
    /// A copy of the first bytes in the pipe, at most `len`. Empty = nobody writes any more.
    pub(super) fn look(&mut self, pipe: impl AsFd, len: usize) -> Result<&[u8]> {
        let (out, into) = match self.ends.take() {
            Some(ends) => ends,
            None => pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?,
        };
        self.buffer.resize(LOOK_MAX, 0);
        let seen = match tee(pipe, &into, len.min(LOOK_MAX), SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(seen) => seen,
            Err(errno) => {
                self.ends = Some((out, into));
                return Err(errno);
            }
        };
        let mut taken = 0;
        while taken < seen {
            // On an error the ends are dropped with what is in them: the next look has a clean pipe.
            match read(&out, &mut self.buffer[taken..seen]) {
                Ok(0) => return Err(Errno::EIO),
                Ok(n) => taken += n,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.ends = Some((out, into));
        Ok(&self.buffer[..seen])
    }

    /// Bring at most `len` bytes to a file that knows no splice: copy, write, and only then take
    /// out of the pipe what was written. A kill between the last two doubles bytes, never loses any.
    pub(super) fn copy(&mut self, pipe: impl AsFd, file: impl AsFd, len: usize) -> Result<usize> {
        let seen = self.look(&pipe, len)?;
        if seen.is_empty() {
            return Ok(0);
        }
        let written = write(file, seen)?;
        let mut taken = 0;
        while taken < written {
            match read(&pipe, &mut self.buffer[taken..written]) {
                Ok(0) => break,
                Ok(n) => taken += n,
                Err(Errno::EINTR) => {}
                // Somebody else took them; they are in the file, which is what counts.
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(written)
    }
}
