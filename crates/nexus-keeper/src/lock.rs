//! One lock per home says who is keeper, and that a pair is alive.
//!
//! `keeper.lock` has two bytes to lock, each by open file description, so that the kernel lets go
//! at the death of the last holder. Byte 0: the keeper, exclusively. Byte 1: every nexusd, shared;
//! it keeps a second founder out between a keeper's death and the promotion. The file's content is
//! the last keeper's pid, for people.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};

use crate::sys::files;

const KEEPER: i64 = 0;
const NEXUSD: i64 = 1;

/// A new description of the lock file, with no lock. On a disk that has become read-only it can only
/// be read, which is enough for who goes on: a lock for reading keeps founders out, too.
pub(crate) fn open(home: &Path) -> io::Result<OwnedFd> {
    match open_to_write(home) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            let mut options = OpenOptions::new();
            let options = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
            files::lift(options.open(path(home))?.into())
        }
        opened => opened,
    }
}

fn open_to_write(home: &Path) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path(home))?;
    files::lift(file.into())
}

/// Why a founder is not keeper.
pub(crate) enum Taken {
    /// By a living pair.
    By(i32),
    /// The file could not be locked.
    Error(io::Error),
}

/// Become keeper of a home that has none, without waiting.
pub(crate) fn found(home: &Path) -> Result<OwnedFd, Taken> {
    loop {
        let lock = open_to_write(home).map_err(Taken::Error)?;
        for byte in [KEEPER, NEXUSD] {
            if let Err(e) = set(&lock, byte, libc::F_WRLCK, false) {
                return Err(match e.raw_os_error() {
                    Some(libc::EAGAIN | libc::EACCES) => Taken::By(read_pid(lock)),
                    _ => Taken::Error(e),
                });
            }
        }
        // Somebody may have removed the file between our open and our lock.
        let ours = nix::sys::stat::fstat(&lock).map_err(|e| Taken::Error(e.into()))?;
        match std::fs::symlink_metadata(path(home)) {
            Ok(there) if there.ino() == ours.st_ino && there.dev() == ours.st_dev => {}
            Ok(_) | Err(_) => continue,
        }
        set(&lock, NEXUSD, libc::F_UNLCK, false).map_err(Taken::Error)?;
        write_pid(&lock).map_err(Taken::Error)?;
        return Ok(lock);
    }
}

/// Become keeper after the last one's death: waits until the kernel has released its lock.
pub(crate) fn succeed(lock: &OwnedFd) -> io::Result<()> {
    match set(lock, KEEPER, libc::F_WRLCK, true) {
        // It can only be read.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => {
            set(lock, KEEPER, libc::F_RDLCK, true)?;
            return set(lock, NEXUSD, libc::F_UNLCK, false);
        }
        locked => locked?,
    }
    // What a nexusd that has become keeper held as nexusd.
    set(lock, NEXUSD, libc::F_UNLCK, false)?;
    // For people: that it cannot be written costs nobody anything else.
    let _ = write_pid(lock);
    Ok(())
}

/// The lock that a nexusd holds through its life, by a description of its own.
pub(crate) fn for_nexusd(home: &Path) -> io::Result<OwnedFd> {
    let lock = open(home)?;
    set(&lock, NEXUSD, libc::F_RDLCK, false)?;
    Ok(lock)
}

fn set(lock: &OwnedFd, start: i64, kind: libc::c_int, wait: bool) -> io::Result<()> {
    let range = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: 1,
        l_pid: 0,
    };
    loop {
        let order =
            if wait { FcntlArg::F_OFD_SETLKW(&range) } else { FcntlArg::F_OFD_SETLK(&range) };
        match fcntl(lock.as_fd(), order) {
            Ok(_) => return Ok(()),
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn path(home: &Path) -> std::path::PathBuf {
    home.join("keeper.lock")
}

fn read_pid(lock: OwnedFd) -> i32 {
    let mut text = String::new();
    let read = File::from(lock).read_to_string(&mut text);
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or(0)
}

fn write_pid(lock: &OwnedFd) -> io::Result<()> {
    let mut file = File::from(lock.try_clone()?);
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_founds_and_a_living_nexusd_keeps_founders_out() {
        let home = tempfile::tempdir().unwrap();
        let keeper = found(home.path()).ok().unwrap();
        assert!(matches!(found(home.path()), Err(Taken::By(pid)) if pid > 0));
        let nexusd = for_nexusd(home.path()).unwrap();
        drop(keeper);
        assert!(matches!(found(home.path()), Err(Taken::By(_))));
        succeed(&nexusd).unwrap();
        assert!(matches!(found(home.path()), Err(Taken::By(_))));
        drop(nexusd);
        assert!(found(home.path()).is_ok());
    }
}
