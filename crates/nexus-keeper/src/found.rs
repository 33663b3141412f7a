//! The cold start: a home that is safe to use, its lock, its control socket, an empty arena.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};

use crate::arena::Arena;
use crate::given::Given;
use crate::handoff::Limits;
use crate::keeper::cgroup;
use crate::lock::{self, Taken};
use crate::restore::{self, Restored};
use crate::sys::{self, files};
use crate::wire::{HoldId, Trees};

/// The longest path that a socket's address holds.
const SUN_PATH_MAX: usize = 107;
/// What the pair needs for itself and a few workers: long-lived descriptors of the keeper have
/// numbers above `LOW_END`.
const DESCRIPTORS_MIN: u64 = files::LOW_END as u64 + 64;
/// Room for as many workers as we can keep; the kernel's own bound (`fs.nr_open`) unless changed.
const DESCRIPTORS_WANTED: u64 = 1 << 20;
/// What we ask the kernel for ourselves; workers get the caller's value back.
const OOM_SCORE_ADJ: i32 = -500;

/// All that a keeper begins with.
pub struct Founding {
    pub(crate) home: PathBuf,
    pub(crate) lock: OwnedFd,
    pub(crate) arena: Arena,
    pub(crate) control: OwnedFd,
    pub(crate) limits: Limits,
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) held: Vec<(HoldId, OwnedFd, Vec<u8>)>,
    /// `None` = nothing was kept: there are no children.
    pub(crate) children: Option<BTreeMap<u64, (i32, OwnedFd)>>,
    pub(crate) useless: Vec<String>,
}

impl Founding {
    /// Whether this pair goes on where one ended that is dead.
    pub fn is_restored(&self) -> bool {
        self.children.is_some()
    }

    /// Names of what was kept and cannot be gone on with: whoever keeps it should let it go. A socket
    /// that is kept listens, and nobody answers.
    pub fn useless(&self) -> &[String] {
        &self.useless
    }

    /// Found the pair only to stop what runs still: nexusd takes back what it finds, stops it, and
    /// both end.
    pub fn only_to_stop(self) -> Founding {
        self.arena.set_stopping(true);
        self
    }

    /// The listening control socket.
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// How trees will be found.
    pub fn trees(&self) -> Trees {
        if self.cgroup.is_some() { Trees::Cgroup } else { Trees::Sweep }
    }
}

/// Why there is no keeper now.
#[derive(Debug)]
pub enum FoundError {
    /// This home has a living pair.
    AlreadyRunning {
        /// The keeper's pid; 0 = not readable.
        pid: i32,
    },
    /// There is no room for the pair's own descriptors.
    Descriptors {
        /// How many it needs.
        needed: u64,
        /// How many there may be (`RLIMIT_NOFILE`, hard).
        hard: u64,
    },
    /// The home is not safe to use.
    Unsafe {
        /// What.
        path: PathBuf,
        /// Why, and what to do.
        why: &'static str,
    },
    /// The system said no.
    Io {
        /// To what.
        doing: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl std::fmt::Display for FoundError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FoundError::AlreadyRunning { pid } => {
                write!(f, "a daemon serves this home already (keeper's pid {pid})")
            }
            FoundError::Descriptors { needed, hard } => write!(
                f,
                "nexus needs {needed} descriptors, the hard limit is {hard}: raise it (ulimit -Hn)"
            ),
            FoundError::Unsafe { path, why } => write!(f, "{}: {why}", path.display()),
            FoundError::Io { doing, error } => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for FoundError {}

/// Found a pair: check or create the home and what is in it, take its lock, bind its control
/// socket.
///
/// Raises our soft limit of open files to the hard one and, where permitted, lowers our
/// `oom_score_adj`; workers get the caller's values back. Where the home's lock is taken, nothing
/// of the home has been changed. `NEXUS_NO_CGROUP=1` in the environment makes workers' trees be found by sweep
/// even where cgroups can be had.
///
/// # Errors
/// See [`FoundError`].
pub fn found(home: &Path) -> Result<Founding, FoundError> {
    found_with(home, &mut Given::default())
}

/// As [`found`], with what a service manager gave us: what it kept through the death of both of a
/// pair is gone on with. Taken only when the home is ours: after a refusal it is still there.
///
/// # Errors
/// See [`FoundError`].
pub fn found_with(home: &Path, given: &mut Given) -> Result<Founding, FoundError> {
    let io = |doing| move |error: io::Error| FoundError::Io { doing, error };
    let home = std::path::absolute(home).map_err(io("finding the home directory"))?;
    let limits = change_limits()?;
    safe_directory(&home)?;
    for name in ["state", "logs"] {
        safe_directory(&home.join(name))?;
    }
    let lock = lock::found(&home).map_err(|taken| match taken {
        Taken::By(pid) => FoundError::AlreadyRunning { pid },
        Taken::Error(error) => FoundError::Io { doing: "locking keeper.lock", error },
    })?;
    let control = match &given.sockets {
        Some(dir) => linked(&home, dir)?,
        None => bind(&home)?,
    };
    lower_oom_score(limits.oom_score_adj);
    let oom_score_adj = for_workers(given.service, limits.oom_score_adj);
    let limits = Limits { oom_score_adj, ..limits };
    let stored = std::mem::take(&mut given.stored);
    let names: Vec<String> = stored.iter().map(|(name, _)| name.clone()).collect();
    let restored = restore::restored(stored, &home);
    // Of another layout, or of another home: kept for nobody.
    let useless = if restored.is_some() { Vec::new() } else { names };
    let (arena, held, children) = match restored {
        Some(Restored { arena, held, children }) => (arena, held, Some(children)),
        None => {
            let arena = Arena::create(sys::now_ms()).map_err(io("creating the arena"))?;
            (arena, Vec::new(), None)
        }
    };
    let refused = std::env::var_os("NEXUS_NO_CGROUP").is_some_and(|v| v == "1");
    let cgroup = if refused { None } else { cgroup::found(&home) };
    Ok(Founding { home, lock, arena, control, limits, cgroup, held, children, useless })
}

/// A directory that is ours alone to write to; created if it is not there.
fn safe_directory(path: &Path) -> Result<(), FoundError> {
    let io = |error| FoundError::Io { doing: "creating the home directory", error };
    let unsafe_path = |why| FoundError::Unsafe { path: path.to_path_buf(), why };
    let us = nix::unistd::geteuid().as_raw();
    match std::fs::symlink_metadata(path) {
        Ok(link) if link.file_type().is_symlink() && link.uid() != us => {
            return Err(unsafe_path("is a symbolic link of another user; remove it"));
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        }
        Err(e) => return Err(io(e)),
    }
    // By descriptor: what is checked is what is there.
    let there: Metadata = File::open(path).and_then(|dir| dir.metadata()).map_err(io)?;
    if !there.is_dir() {
        return Err(unsafe_path("is not a directory; remove it, or choose another NEXUS_HOME"));
    }
    if there.uid() != us {
        return Err(unsafe_path("belongs to another user; choose another NEXUS_HOME"));
    }
    if there.mode() & 0o022 != 0 {
        return Err(unsafe_path("can be written to by others; run chmod go-w on it"));
    }
    Ok(())
}

/// Bind the socket in another directory, which must be ours alone to write to, and make the home's
/// name of it a link there.
fn linked(home: &Path, dir: &Path) -> Result<OwnedFd, FoundError> {
    let io = |error| FoundError::Io { doing: "linking nexus.sock", error };
    safe_directory(dir)?;
    let (control, link) = (bind(dir)?, home.join("nexus.sock"));
    vacate(&link)?;
    std::os::unix::fs::symlink(dir.join("nexus.sock"), link).map_err(io)?;
    Ok(control)
}

/// Remove a stale socket, or a link to one.
fn vacate(path: &Path) -> Result<(), FoundError> {
    let io = |error| FoundError::Io { doing: "removing a stale nexus.sock", error };
    match std::fs::symlink_metadata(path).map(|there| there.file_type()) {
        Ok(there) if there.is_socket() || there.is_symlink() => {
            std::fs::remove_file(path).map_err(io)
        }
        Ok(_) => {
            let why = "is in the socket's place; remove it";
            Err(FoundError::Unsafe { path: path.to_path_buf(), why })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(io(e)),
    }
}

/// Bind `nexus.sock`, 0600. A stale one is removed: we hold the lock.
fn bind(home: &Path) -> Result<OwnedFd, FoundError> {
    let io = |error| FoundError::Io { doing: "binding nexus.sock", error };
    let path = home.join("nexus.sock");
    vacate(&path)?;
    let dir = File::open(home).map_err(io)?;
    let address = if path.as_os_str().len() <= SUN_PATH_MAX {
        path
    } else {
        // Longer than an address holds: through a directory descriptor it is short.
        PathBuf::from(format!("/proc/self/fd/{}/nexus.sock", dir.as_raw_fd()))
    };
    // The mode at bind is what counts: a chmod afterwards would leave an instant.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(address);
    umask(before);
    let listener = bound.map_err(io)?;
    listener.set_nonblocking(true).map_err(io)?;
    files::lift(listener.into()).map_err(io)
}

/// Remember the caller's limits, and change them for us: more open files, without which there is no
/// lock, and no core.
fn change_limits() -> Result<Limits, FoundError> {
    let read = |resource| {
        getrlimit(resource)
            .map_err(|e| FoundError::Io { doing: "reading our limits", error: e.into() })
    };
    let (nofile_soft, nofile_hard) = read(Resource::RLIMIT_NOFILE)?;
    // Only root may raise the hard limit; others go on with what there is.
    let most = nofile_hard.max(DESCRIPTORS_WANTED);
    if setrlimit(Resource::RLIMIT_NOFILE, most, most).is_err() {
        if nofile_hard < DESCRIPTORS_MIN {
            return Err(FoundError::Descriptors { needed: DESCRIPTORS_MIN, hard: nofile_hard });
        }
        let _ = setrlimit(Resource::RLIMIT_NOFILE, nofile_hard, nofile_hard);
    }
    let core = read(Resource::RLIMIT_CORE)?;
    without_core(core.1);
    let oom_score_adj = read_oom_score_adj().unwrap_or(0);
    Ok(Limits { nofile_soft, nofile_hard, core: Some(core), oom_score_adj })
}

/// What we have in memory are the apps' secrets, too, and a core is a file of it. A limit of one byte
/// is too little for a file, and the only one by which the kernel gives nothing to a program that
/// takes cores either (`do_coredump` in fs/coredump.c; core(5) says that a limit of none does not).
fn without_core(hard: u64) {
    if setrlimit(Resource::RLIMIT_CORE, 1, hard.max(1)).is_err() {
        // The caller had none, and only root may have more.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
    }
}

fn lower_oom_score(now: i32) {
    if now > OOM_SCORE_ADJ {
        // Only root may; without it we are killed like anybody else.
        let _ = write_oom_score_adj(OOM_SCORE_ADJ);
    }
}

/// What protects us alone is no wish of a service manager's for the workers: they are as killable
/// as anybody.
fn for_workers(service: bool, oom_score_adj: i32) -> i32 {
    if service { oom_score_adj.max(0) } else { oom_score_adj }
}

fn read_oom_score_adj() -> Option<i32> {
    let mut text = String::new();
    File::open("/proc/self/oom_score_adj").ok()?.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Set our own `oom_score_adj`.
pub(crate) fn write_oom_score_adj(value: i32) -> io::Result<()> {
    let mut file = File::options().write(true).open("/proc/self/oom_score_adj")?;
    write!(file, "{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_home_that_others_can_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(safe_directory(dir.path()), Err(FoundError::Unsafe { .. })));
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(safe_directory(dir.path()).is_ok());
    }

    #[test]
    fn a_socket_binds_at_any_depth_with_mode_0600_and_replaces_a_stale_one() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(90)).join("y".repeat(90));
        std::fs::create_dir_all(&deep).unwrap();
        drop(bind(&deep).unwrap());
        let _second = bind(&deep).unwrap();
        let there = std::fs::symlink_metadata(deep.join("nexus.sock")).unwrap();
        assert_eq!(there.mode() & 0o777, 0o600);
    }

    #[test]
    fn what_protects_us_is_not_for_workers_and_what_a_caller_chose_is() {
        assert_eq!((for_workers(true, -500), for_workers(true, 100)), (0, 100));
        assert_eq!((for_workers(false, -500), for_workers(false, 100)), (-500, 100));
    }

    #[test]
    fn a_socket_elsewhere_is_reached_by_the_homes_name() {
        let (home, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(bind(home.path()).unwrap());
        for _ in 0..2 {
            let control = linked(home.path(), run.path()).unwrap();
            std::os::unix::net::UnixStream::connect(home.path().join("nexus.sock")).unwrap();
            drop(control);
        }
        // Without that directory again: the link goes.
        let _control = bind(home.path()).unwrap();
        assert!(std::fs::symlink_metadata(home.path().join("nexus.sock")).unwrap().mode() > 0);
        std::os::unix::net::UnixStream::connect(home.path().join("nexus.sock")).unwrap();
    }

    #[test]
    fn a_file_in_the_sockets_place_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("nexus.sock"), "precious").unwrap();
        assert!(matches!(bind(dir.path()), Err(FoundError::Unsafe { .. })));
        assert_eq!(std::fs::read(dir.path().join("nexus.sock")).unwrap(), b"precious");
    }
}
