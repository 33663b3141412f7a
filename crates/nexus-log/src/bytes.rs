//! Bytes that are read at an offset, whatever they are kept in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::packed::Packed;

/// What can be read as `pread(2)` does.
pub(crate) trait ReadAt {
    /// Some bytes from `offset` on; 0 = there are none.
    fn some_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// As many as there are and fit.
    fn fill_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut len = 0;
        while len < into.len() {
            match self.some_at(&mut into[len..], offset + len as u64) {
                Ok(0) => break,
                Ok(got) => len += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(len)
    }
}

impl ReadAt for File {
    fn some_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(into, offset)
    }
}

/// A file as it is, or compressed.
pub(crate) enum Bytes {
    Plain(File),
    Packed(Packed),
}

impl Bytes {
    pub(crate) fn len(&self) -> io::Result<u64> {
        match self {
            Bytes::Plain(file) => Ok(file.metadata()?.len()),
            Bytes::Packed(packed) => Ok(packed.len()),
        }
    }
}

impl ReadAt for Bytes {
    fn some_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Bytes::Plain(file) => file.read_at(into, offset),
            Bytes::Packed(packed) => packed.read_at(into, offset),
        }
    }
}

/// A regular file. None = it does not exist, or is none (a device, as /dev/null).
pub(crate) fn open_file(path: &Path, follow_links: bool) -> io::Result<Option<File>> {
    let mut flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    flags.set(OFlag::O_NOFOLLOW, !follow_links);
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(file).filter(|file| file.metadata().is_ok_and(|meta| meta.is_file())))
}
