//! The group's socket: beside the control socket, in a directory that a group may pass.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Gid, getegid, geteuid};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Where it is when nothing is said: for root one place, for others one of their own.
///
/// # Errors
/// Nothing says where that is, in words.
pub(crate) fn usual() -> Result<PathBuf, String> {
    let of_user = || {
        let dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        dir.map(PathBuf::from).filter(|dir| dir.is_absolute())
    };
    let dir = if geteuid().is_root() { Some(PathBuf::from("/run")) } else { of_user() };
    let nowhere = || "XDG_RUNTIME_DIR is not set: write `socket = \"...\"`".to_owned();
    dir.map(|dir| dir.join("nexus/nexus.sock")).ok_or_else(nowhere)
}

/// Let `gid` reach `path`. The control socket itself may be there (`home_socket` leads to it): then
/// there is no other (`None`). What is bound already is only handed to the group.
///
/// # Errors
/// In words.
pub(crate) fn open(
    path: &Path,
    gid: u32,
    home_socket: &Path,
    bound: bool,
) -> Result<Option<OwnedFd>, String> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err("is no path of a socket".to_owned());
    };
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(told(dir)(error)),
        Ok(()) | Err(_) => {}
    }
    let flags = nix::libc::O_DIRECTORY | nix::libc::O_NOFOLLOW;
    let held = OpenOptions::new().read(true).custom_flags(flags).open(dir).map_err(told(dir))?;
    ours_alone(&held, dir, name).map_err(|why| format!("{} {why}", dir.display()))?;
    let own = is_same(path, home_socket);
    let made = if own || bound { None } else { Some(bind(&held, path).map_err(told(path))?) };
    let to_group = || {
        lend(path, gid, 0o660)?;
        std::os::unix::fs::fchown(&held, None, Some(gid))?;
        held.set_permissions(Permissions::from_mode(0o750))
    };
    match to_group() {
        Ok(()) => Ok(made),
        Err(error) => {
            if made.is_some() {
                let _ = std::fs::remove_file(path);
            }
            Err(format!("{}: cannot be given to group {gid}: {error}", path.display()))
        }
    }
}

/// Nobody but us reaches it any more.
pub(crate) fn close(path: &Path, home_socket: &Path) {
    if is_same(path, home_socket) {
        let own = getegid().as_raw();
        let dir = path.parent().unwrap_or(path);
        for (path, mode) in [(dir, 0o700), (path, 0o600)] {
            if let Err(error) = lend(path, own, mode) {
                tracing::error!(path = %path.display(), %error, "the group may still pass");
            }
        }
        return;
    }
    // The directory goes only if nothing else is in it.
    let gone = std::fs::remove_file(path).and_then(|()| match path.parent() {
        Some(dir) => std::fs::remove_dir(dir),
        None => Ok(()),
    });
    if let Err(error) = gone {
        tracing::debug!(path = %path.display(), %error, "not all of the group's socket is removed");
    }
}

/// Whether the home's name of its socket leads there.
fn is_same(path: &Path, home_socket: &Path) -> bool {
    let home = std::fs::canonicalize(home_socket);
    home.is_ok_and(|home| std::fs::canonicalize(path).is_ok_and(|path| path == home))
}

/// The directory is ours, nobody else writes to it, and nothing else is in it: its mode is about to
/// be changed.
fn ours_alone(held: &File, dir: &Path, name: &std::ffi::OsStr) -> Result<(), String> {
    let told = |error: io::Error| format!("cannot be read: {error}");
    let meta = held.metadata().map_err(told)?;
    if meta.uid() != geteuid().as_raw() {
        return Err(format!("belongs to user {}", meta.uid()));
    }
    if meta.mode() & 0o022 != 0 {
        return Err("can be written to by others (chmod go-w)".to_owned());
    }
    for entry in std::fs::read_dir(dir).map_err(told)? {
        if entry.map_err(told)?.file_name() != name {
            return Err("holds other things; a directory for the socket alone is needed".to_owned());
        }
    }
    Ok(())
}

/// In a directory that nobody else passes yet. One that nobody serves any more is replaced.
fn bind(dir: &File, path: &Path) -> io::Result<OwnedFd> {
    let name = path.file_name().unwrap_or_default();
    // However long the path is, this fits into an address.
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else is there"));
        }
        Ok(_) if is_served(&short) => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon serves it"));
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    dir.set_permissions(Permissions::from_mode(0o700))?;
    let listener = UnixListener::bind(short)?;
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(BACKLOG)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

/// Whether somebody listens; never waits.
fn is_served(path: &Path) -> bool {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(fd) = socket(AddressFamily::Unix, SockType::Stream, flags, None) else { return true };
    let Ok(address) = UnixAddr::new(path) else { return true };
    connect(fd.as_raw_fd(), &address) != Err(nix::errno::Errno::ECONNREFUSED)
}

fn lend(path: &Path, gid: u32, mode: u32) -> io::Result<()> {
    let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
    nix::unistd::fchownat(nix::fcntl::AT_FDCWD, path, None, Some(Gid::from_raw(gid)), flags)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> u32 {
        getegid().as_raw()
    }

    #[test]
    fn a_socket_is_made_in_a_directory_of_its_own_and_taken_away_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, home) = (dir.path().join("door/nexus.sock"), dir.path().join("nexus.sock"));
        let socket = open(&path, own(), &home, false).unwrap().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o750, 0o660));
        assert!(open(&path, own(), &home, false).unwrap_err().contains("another daemon"));
        // The group changes, the socket stays.
        assert!(open(&path, own(), &home, true).unwrap().is_none());
        drop(socket);
        assert!(open(&path, own(), &home, false).unwrap().is_some(), "a stale one is replaced");
        close(&path, &home);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn a_directory_that_is_not_for_it_alone_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home.sock");
        std::fs::write(dir.path().join("other"), "").unwrap();
        let before = dir.path().metadata().unwrap().mode();
        let refused = open(&dir.path().join("nexus.sock"), own(), &home, false).unwrap_err();
        assert!(refused.contains("holds other things"), "{refused}");
        close(&dir.path().join("nexus.sock"), &home);
        assert_eq!(dir.path().metadata().unwrap().mode(), before);
        let open_to_all = dir.path().join("open");
        std::fs::create_dir(&open_to_all).unwrap();
        std::fs::set_permissions(&open_to_all, Permissions::from_mode(0o777)).unwrap();
        let refused = open(&open_to_all.join("nexus.sock"), own(), &home, false).unwrap_err();
        assert!(refused.contains("written to by others"), "{refused}");
    }

    #[test]
    fn where_the_control_socket_is_in_such_a_directory_there_is_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let (path, home) = (run.join("nexus.sock"), dir.path().join("nexus.sock"));
        let _control = UnixListener::bind(&path).unwrap();
        std::os::unix::fs::symlink(&path, &home).unwrap();
        assert!(open(&path, own(), &home, false).unwrap().is_none());
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o750, 0o660));
        close(&path, &home);
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    }
}
