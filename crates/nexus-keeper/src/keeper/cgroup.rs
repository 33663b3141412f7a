//! A cgroup (v2) for each child: nothing can leave it, and it ends as a whole.
//!
//! Needs a v2 hierarchy, mounted anywhere, and the right to make directories below our own place
//! in it; no controllers. All files are reached by relative names below a directory descriptor of
//! our own group, so that nothing is looked up by a long path.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Our group: the parent of every child's.
pub(super) struct Home {
    dir: OwnedFd,
    path: PathBuf,
    has_kill: bool,
}

/// The directory of this home's workers, made if need be; `None` where cgroups cannot be had.
/// Empty leftovers of an earlier pair are removed; those with living workers stay for adoption.
pub(crate) fn found(home: &Path) -> Option<PathBuf> {
    let path = own_place()?.join(name_of(home));
    match std::fs::create_dir(&path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return None,
        Ok(()) | Err(_) => {}
    }
    let opened = Home::open(path.clone()).ok()?;
    // Being allowed to make a directory is not yet being allowed to use it: try it all.
    let probe = opened.make(u64::MAX - 1).ok()?;
    File::options().write(true).open(path.join("cgroup.procs")).ok()?;
    drop(probe);
    opened.remove(u64::MAX - 1);
    for entry in std::fs::read_dir(&path).ok()?.flatten() {
        if let Some(name) = entry.file_name().to_str().and_then(|n| n.parse().ok()) {
            opened.remove(name);
        }
    }
    Some(path)
}

/// `nexus-` and eight digits that tell homes apart.
pub(crate) fn name_of(home: &Path) -> String {
    let hash =
        home.as_os_str().as_bytes().iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
    format!("nexus-{hash:08x}")
}

/// Where we are in the v2 hierarchy, as a path.
fn own_place() -> Option<PathBuf> {
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    let groups = std::fs::read("/proc/self/cgroup").ok()?;
    let group = groups.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let (mount, root) = v2_mount(&mounts)?;
    // A mount may show only a part of the hierarchy: ours must be in it.
    let below =
        group.strip_prefix(root.as_os_str().as_bytes().strip_suffix(b"/").unwrap_or(b""))?;
    let below = below.strip_prefix(b"/").unwrap_or(below);
    Some(mount.join(OsString::from_vec(below.to_vec())))
}

/// Mount point and root of the first cgroup2 mount (proc(5): after " - " comes the type).
fn v2_mount(mounts: &[u8]) -> Option<(PathBuf, PathBuf)> {
    mounts.split(|b| *b == b'\n').find_map(|line| {
        let text = String::from_utf8_lossy(line);
        let (left, right) = text.split_once(" - ")?;
        if right.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = left.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // A root outside of our cgroup namespace begins with "/..": not ours to use.
        (!root.starts_with("/..")).then(|| (unescape(point), unescape(root)))
    })
}

/// mountinfo writes blanks as `\040` and the like.
fn unescape(field: &str) -> PathBuf {
    let (mut out, mut bytes) = (Vec::new(), field.bytes().peekable());
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let octal: Vec<u8> = bytes.by_ref().take(3).collect();
        let text = std::str::from_utf8(&octal).unwrap_or("");
        out.push(u8::from_str_radix(text, 8).unwrap_or(b'?'));
    }
    PathBuf::from(OsString::from_vec(out))
}

/// The name of a process's own group below ours, if it is in one: after the death of a pair. A pair
/// that began elsewhere (in a shell, before a service manager took over) had its groups elsewhere.
pub(super) fn name_of_process(pid: i32, ours: &Path) -> Option<u64> {
    let parent = ours.file_name()?.to_str()?;
    let below = format!("{}/{parent}/", group_of("self")?.trim_end_matches('/'));
    let group = group_of(&pid.to_string())?;
    group.strip_prefix(&below)?.split('/').next()?.parse().ok()
}

/// A process's place in the v2 hierarchy.
fn group_of(pid: &str) -> Option<String> {
    let groups = std::fs::read(format!("/proc/{pid}/cgroup")).ok()?;
    let group = groups.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    Some(String::from_utf8_lossy(group).into_owned())
}

impl Home {
    pub(super) fn open(path: PathBuf) -> io::Result<Home> {
        let dir = File::open(&path)?;
        let mut home = Home { dir: crate::sys::files::lift(dir.into())?, path, has_kill: false };
        // The root of a hierarchy has no cgroup.kill, a child of ours has one from Linux 5.14 on.
        home.has_kill = home.path.join("cgroup.kill").exists();
        Ok(home)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A child's group, made if it is not there; the descriptor is for clone3. One in which
    /// something lives is another's: the child's end would be the other's end too.
    pub(super) fn make(&self, name: u64) -> io::Result<OwnedFd> {
        let text = Name::new(name, "");
        match mkdirat(&self.dir, text.path(), Mode::from_bits_truncate(0o755)) {
            Ok(()) => {}
            Err(nix::Error::EEXIST) if !populated(&self.events(name)?) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(openat(&self.dir, text.path(), flags, Mode::empty())?)
    }

    /// Move a process that could not begin in it.
    pub(super) fn enter(&self, name: u64, pid: i32) -> io::Result<()> {
        self.write(name, "/cgroup.procs", pid.to_string().as_bytes())
    }

    /// A descriptor of `cgroup.events`: it polls as urgent when the group becomes empty.
    pub(super) fn events(&self, name: u64) -> io::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = openat(&self.dir, Name::new(name, "/cgroup.events").path(), flags, Mode::empty())?;
        Ok(File::from(crate::sys::files::lift(fd)?))
    }

    /// End everything in it.
    pub(super) fn kill(&self, name: u64) -> io::Result<()> {
        if self.has_kill {
            return self.write(name, "/cgroup.kill", b"1");
        }
        self.freeze_and_kill(name)
    }

    /// The same before Linux 5.14: while it is frozen nothing can fork; killed processes end when
    /// it thaws.
    fn freeze_and_kill(&self, name: u64) -> io::Result<()> {
        self.write(name, "/cgroup.freeze", b"1")?;
        let killed = self.signal(name, libc::SIGKILL);
        self.write(name, "/cgroup.freeze", b"0")?;
        killed
    }

    /// Signal every process in it and below it.
    pub(super) fn signal(&self, name: u64, signal: i32) -> io::Result<()> {
        let mut groups = vec![self.path.join(name.to_string())];
        while let Some(group) = groups.pop() {
            for entry in std::fs::read_dir(&group)?.flatten() {
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    groups.push(entry.path());
                }
            }
            let members = std::fs::read_to_string(group.join("cgroup.procs"))?;
            for pid in members.lines().filter_map(|line| line.parse::<i32>().ok()) {
                // By pidfd, and only if it is still a member then: the number may be recycled.
                let Ok(pidfd) = crate::sys::process::pidfd_open(pid) else { continue };
                if name_of_process(pid, &self.path) == Some(name) {
                    let _ = crate::sys::process::signal(pidfd.as_fd(), signal);
                }
            }
        }
        Ok(())
    }

    /// Remove it if it is empty, with what the worker made below it.
    pub(super) fn remove(&self, name: u64) {
        if unlinkat(&self.dir, Name::new(name, "").path(), UnlinkatFlags::RemoveDir)
            .is_err_and(|e| e == nix::Error::EBUSY || e == nix::Error::ENOTEMPTY)
        {
            remove_below(&self.path.join(name.to_string()), 0);
        }
    }

    fn write(&self, name: u64, file: &'static str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let fd = openat(&self.dir, Name::new(name, file).path(), flags, Mode::empty())?;
        File::from(fd).write_all(bytes)
    }
}

/// Whether the group of this `cgroup.events` has living members.
pub(super) fn populated(events: &File) -> bool {
    let mut text = [0; 128];
    let got = events.read_at(&mut text, 0).unwrap_or(0);
    // A group that has been removed cannot be read: it was empty.
    text[..got].windows(11).any(|w| w == b"populated 1")
}

/// How deep a worker's own groups are followed.
const DEPTH_MAX: u32 = 16;

fn remove_below(path: &Path, depth: u32) {
    if depth < DEPTH_MAX {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                remove_below(&entry.path(), depth + 1);
            }
        }
    }
    // Not empty after all: its leftovers are removed at the next founding.
    let _ = std::fs::remove_dir(path);
}

/// A short relative path without allocation.
struct Name {
    bytes: [u8; 48],
    len: usize,
}

impl Name {
    fn new(name: u64, file: &'static str) -> Name {
        let mut bytes = [0; 48];
        let mut rest = &mut bytes[..];
        // Twenty digits and the longest file name fit.
        let fits = write!(rest, "{name}{file}").is_ok();
        debug_assert!(fits, "the name fits");
        let left = rest.len();
        Name { bytes, len: 48 - left }
    }

    fn path(&self) -> &Path {
        Path::new(std::ffi::OsStr::from_bytes(&self.bytes[..self.len]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v2_mount_is_found_anywhere() {
        let mounts = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            41 31 0:38 /part /sys/fs/a\\040b rw,relatime shared:5 - cgroup2 cgroup2 rw\n";
        let (mount, root) = v2_mount(mounts).unwrap();
        assert_eq!((mount.to_str(), root.to_str()), (Some("/sys/fs/a b"), Some("/part")));
        assert!(v2_mount(b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n").is_none());
    }

    #[test]
    fn homes_have_groups_of_their_own() {
        assert_ne!(name_of(Path::new("/a")), name_of(Path::new("/b")));
        assert_eq!(name_of(Path::new("/a")).len(), 14);
    }

    #[test]
    fn a_group_in_which_something_lives_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        // Where cgroups cannot be had (not root) there is nothing to try.
        let Some(path) = found(dir.path()) else { return };
        let home = Home::open(path.clone()).unwrap();
        drop(home.make(7).unwrap());
        drop(home.make(7).unwrap());
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        home.enter(7, child.id().cast_signed()).unwrap();
        assert_eq!(home.make(7).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        home.kill(7).unwrap();
        child.wait().unwrap();
        drop(home.make(7).unwrap());
        home.remove(7);
        std::fs::remove_dir(path).unwrap();
    }

    #[test]
    fn without_cgroup_kill_a_group_is_frozen_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        // Where cgroups cannot be had (not root) there is nothing to try.
        let Some(path) = found(dir.path()) else { return };
        let home = Home::open(path.clone()).unwrap();
        drop(home.make(7).unwrap());
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        home.enter(7, child.id().cast_signed()).unwrap();
        let events = home.events(7).unwrap();
        assert!(populated(&events));
        home.freeze_and_kill(7).unwrap();
        assert!(!child.wait().unwrap().success());
        home.remove(7);
        std::fs::remove_dir(path).unwrap();
    }
}
