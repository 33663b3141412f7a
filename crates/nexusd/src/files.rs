//! Opening what a worker needs before it exists: pipes and log files.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::LazyLock;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{Gid, Uid, fchown, pipe2};

use crate::template::Ids;

/// What a pipe may hold: enough that a worker does not wait while a daemon is replaced.
const PIPE_SIZE: i32 = 1 << 20;
/// Pages of one of that size.
const PIPE_PAGES: usize = PIPE_SIZE as usize / 4_096;

/// How many may be of that size: they take half of the pages that pipes of a plain user may have
/// (`pipe(7)`). Beyond all of them new pipes have two, ours and those of the user's other programs.
static PIPES_LARGE: LazyLock<usize> = LazyLock::new(|| {
    let limit = std::fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft");
    let pages = limit.ok().and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0);
    if pages == 0 || Uid::effective().is_root() { usize::MAX } else { pages / 2 / PIPE_PAGES }
});

/// A pipe for a worker's output, beside so many others: read end, write end. The worker opens it anew
/// by its path, so it must be the owner of it.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn pipe(owner: Option<&Ids>, beside: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    if beside < *PIPES_LARGE {
        // A smaller one than asked for (a non-root's quota) loses nothing.
        let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    }
    if let Some((uid, gid, _)) = owner {
        for end in [&read, &write] {
            fchown(end, Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)))?;
        }
    }
    Ok((read, write))
}

/// A log file, open at its end; its directory is made if need be.
///
/// # Errors
/// What open(2) says, with the path.
pub(crate) fn log(path: &Path) -> io::Result<OwnedFd> {
    nexus_log::log_to_write(path).map_err(|error| named(&path.display(), &error))
}

/// Whether a file is on another machine, or served by another process: it may hang for long.
pub(crate) fn is_remote(file: &OwnedFd) -> bool {
    // As statfs(2) lists them: FUSE, NFS, CIFS, SMB2, 9P, Ceph, Coda, AFS, Lustre.
    const REMOTE: [i64; 9] = [
        0x6573_5546,
        0x6969,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x00c3_6400,
        0x7375_7245,
        0x5346_414f,
        0x0bd0_0bd0,
    ];
    rustix::fs::fstatfs(file).is_ok_and(|stat| REMOTE.contains(&stat.f_type))
}

/// An empty memory file, for bytes on their way to a log file.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn journal() -> io::Result<OwnedFd> {
    Ok(memfd_create("nexus-journal", MFdFlags::MFD_CLOEXEC)?)
}

/// An error with what it is about.
pub(crate) fn named(what: &dyn std::fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {}", plain(error)))
}

/// An error without Rust's `(os error 2)`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
