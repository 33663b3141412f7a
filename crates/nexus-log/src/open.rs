//! Opening a log file to write to it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// A log file, open at its end; it is made if it is not there, and so is its directory. Never
/// through a symlink; not O_APPEND, which splice(2) refuses.
///
/// # Errors
/// What open(2) says; or something is there that is neither a file nor a device.
pub fn log_to_write(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags.bits());
    let mut file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().ok_or(error)?;
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            options.open(path)?
        }
        opened => opened?,
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        file.seek(SeekFrom::End(0))?;
    } else if !kind.is_char_device() {
        // A device takes bytes as /dev/null does; a pipe or a socket would need a reader.
        return Err(io::Error::other("it is neither a file nor a device"));
    }
    Ok(OwnedFd::from(file))
}
