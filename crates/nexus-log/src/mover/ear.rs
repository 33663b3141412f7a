//! Who hears the bytes of a line: they are looked at before they leave the pipe, and told once they
//! have. Hearing takes nothing out, so that a kill loses no byte because of it.

use std::fmt;
use std::os::fd::AsFd;

use super::scratch::Scratch;
use super::{LineId, Mover, Order, QueueFull};

/// Called on the mover's thread with each piece of a line's bytes, in order: be quick. False = it
/// has heard enough, and is dropped.
pub type Hear = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// One who hears a line.
pub(super) struct Ear {
    hear: Hear,
    /// What was looked at and has not left the pipe yet.
    seen: Vec<u8>,
}

impl Mover {
    /// Tell `hear` of all bytes that leave a line's pipe from now on. Each line has one ear; another
    /// takes its place. A line that is added anew is heard by nobody.
    ///
    /// # Errors
    /// [`QueueFull`]; `hear` is dropped.
    pub fn hear(&self, line: LineId, hear: Hear) -> Result<(), QueueFull> {
        self.order(Order::Hear(line, hear))
    }
}

impl Ear {
    pub(super) fn new(hear: Hear) -> Ear {
        Ear { hear, seen: Vec::new() }
    }

    /// Look at what leaves the pipe next; so much may leave it.
    pub(super) fn look(
        &mut self,
        pipe: impl AsFd,
        left: usize,
        scratch: &mut Scratch,
    ) -> nix::Result<usize> {
        self.seen.clear();
        let seen = scratch.look(pipe, left)?;
        self.seen.extend_from_slice(seen);
        // Nothing more comes: whoever takes from the pipe finds that out.
        Ok(if seen.is_empty() { left } else { seen.len() })
    }

    /// So much has left it; whether it wants to hear more.
    pub(super) fn moved(&mut self, bytes: usize) -> bool {
        (self.hear)(&self.seen[..bytes.min(self.seen.len())])
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ear").field("seen", &self.seen.len()).finish_non_exhaustive()
    }
}
