//! The one way in which a role passes on everything: a table in a memfd, and inherited descriptors.
//!
//! Used from the keeper to a new nexusd, from nexusd to itself as the promoted keeper, and from a
//! keeper to its own upgraded program. The table names descriptors by number; they stay open
//! across the exec because whoever hands over clears their close-on-exec flag, and whoever takes
//! over sets it again. Each entry is a kind, a length and that many bytes; unknown kinds are
//! skipped, so that an older and a newer program understand each other.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::arena::{step_from, step_to};
use crate::sys::files;
use crate::upgrade::{Step, Undone};
use crate::wire::{HoldId, NOTE_MAX};

const MAGIC: [u8; 8] = *b"NXHAND01";

/// The limits that the founder of the pair had: workers get them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Soft RLIMIT_NOFILE.
    pub nofile_soft: u64,
    /// Hard RLIMIT_NOFILE.
    pub nofile_hard: u64,
    /// Soft and hard RLIMIT_CORE; `None` = the founder was of a version that changed neither.
    pub core: Option<(u64, u64)>,
    /// `/proc/self/oom_score_adj`.
    pub oom_score_adj: i32,
}

/// What is handed over. Descriptors are numbers here; nobody owns them until the receiver takes
/// each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) home: PathBuf,
    pub(crate) arena: RawFd,
    /// The receiver's end of the link, if there is one.
    pub(crate) link: Option<RawFd>,
    /// The lock file, with the locks that go with the role.
    pub(crate) lock: Option<RawFd>,
    /// The other of the pair, if it lives: pid and pidfd.
    pub(crate) peer: Option<(i32, RawFd)>,
    pub(crate) limits: Limits,
    /// The directory of our workers' cgroups; `None` = sweep.
    pub(crate) cgroup: Option<PathBuf>,
    /// Whether the nexusd that goes on has said `Resumed`.
    pub(crate) resumed: bool,
    pub(crate) held: Vec<(HoldId, RawFd, Vec<u8>)>,
    /// Child, pidfd, and whose that is.
    pub(crate) children: Vec<(u64, RawFd, i32)>,
    /// Child and our end of its gate.
    pub(crate) gates: Vec<(u64, RawFd)>,
    /// Children whose whole tree has got the stop signal.
    pub(crate) told: Vec<u64>,
    /// The receiver is the same process: nobody has died.
    pub(crate) in_place: bool,
    /// The file of the program to go back to, while a new one is on trial.
    pub(crate) old_program: Option<RawFd>,
    /// The receiver is the old program, and why.
    pub(crate) undone: Option<Undone>,
}

const HOME: u8 = 1;
const ARENA: u8 = 2;
const LINK: u8 = 3;
const LOCK: u8 = 4;
const PEER: u8 = 5;
const LIMITS: u8 = 6;
const CGROUP: u8 = 7;
const RESUMED: u8 = 8;
const HELD: u8 = 9;
const CHILD: u8 = 10;
const GATE: u8 = 11;
const TOLD: u8 = 12;
const IN_PLACE: u8 = 13;
const OLD_PROGRAM: u8 = 14;
const UNDONE: u8 = 15;

impl Table {
    /// Write it into a memfd that survives an exec.
    pub(crate) fn write(&self) -> io::Result<OwnedFd> {
        let memfd = memfd_create(c"nexus-handoff", MFdFlags::empty())?;
        let mut file = File::from(memfd);
        file.write_all(&self.encode())?;
        file.rewind()?;
        Ok(file.into())
    }

    /// Every descriptor that must survive the exec.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let peer = self.peer.map(|(_, fd)| fd);
        let single = [Some(self.arena), self.link, self.lock, peer, self.old_program];
        let held = self.held.iter().map(|(_, fd, _)| *fd);
        let children = self.children.iter().map(|(_, fd, _)| *fd);
        let gates = self.gates.iter().map(|(_, fd)| *fd);
        single.into_iter().flatten().chain(held).chain(children).chain(gates)
    }

    /// Let all of it survive the exec, or (after a failed one) no longer.
    pub(crate) fn set_inherited(&self, inherited: bool) {
        for fd in self.descriptors() {
            // A number that is not open is found out by who takes it.
            let _ = files::set_cloexec(fd, !inherited);
        }
    }

    /// Read what the number on our command line points to, and close it.
    ///
    /// # Errors
    /// `InvalidData` when it is of another version or cut short.
    pub(crate) fn read(fd: RawFd) -> io::Result<Table> {
        let mut file = File::from(files::own(fd)?);
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let table = Table::decode(&bytes).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a handoff of another version")
        })?;
        table.set_inherited(false);
        Ok(table)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put(&mut out, HOME, &[], self.home.as_os_str().as_bytes());
        put(&mut out, ARENA, &[fd_word(self.arena)], &[]);
        if let Some(fd) = self.link {
            put(&mut out, LINK, &[fd_word(fd)], &[]);
        }
        if let Some(fd) = self.lock {
            put(&mut out, LOCK, &[fd_word(fd)], &[]);
        }
        if let Some((pid, fd)) = self.peer {
            put(&mut out, PEER, &[u64::from(pid.cast_unsigned()), fd_word(fd)], &[]);
        }
        let Limits { nofile_soft, nofile_hard, core, oom_score_adj } = self.limits;
        let oom = u64::from(oom_score_adj.cast_unsigned());
        let mut words = vec![nofile_soft, nofile_hard, oom];
        words.extend(core.into_iter().flat_map(|(soft, hard)| [soft, hard]));
        put(&mut out, LIMITS, &words, &[]);
        if let Some(path) = &self.cgroup {
            put(&mut out, CGROUP, &[], path.as_os_str().as_bytes());
        }
        put(&mut out, RESUMED, &[u64::from(self.resumed)], &[]);
        for (id, fd, note) in &self.held {
            put(&mut out, HELD, &[id.0, fd_word(*fd)], note);
        }
        for (child, fd, pid) in &self.children {
            let pid = u64::from(pid.cast_unsigned());
            put(&mut out, CHILD, &[*child, fd_word(*fd), pid], &[]);
        }
        for (child, fd) in &self.gates {
            put(&mut out, GATE, &[*child, fd_word(*fd)], &[]);
        }
        for child in &self.told {
            put(&mut out, TOLD, &[*child], &[]);
        }
        put(&mut out, IN_PLACE, &[u64::from(self.in_place)], &[]);
        if let Some(fd) = self.old_program {
            put(&mut out, OLD_PROGRAM, &[fd_word(fd)], &[]);
        }
        if let Some(undone) = self.undone {
            put(&mut out, UNDONE, &[step_to(Step::Undone(undone))], &[]);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Table> {
        let rest = &mut bytes.strip_prefix(&MAGIC)?;
        let mut table = Table { arena: -1, ..Table::default() };
        while !rest.is_empty() {
            let (kind, mut entry) = entry(rest)?;
            let entry = &mut entry;
            match kind {
                HOME => table.home = path(entry),
                ARENA => table.arena = fd(entry)?,
                LINK => table.link = Some(fd(entry)?),
                LOCK => table.lock = Some(fd(entry)?),
                PEER => table.peer = Some(((word(entry)? as u32).cast_signed(), fd(entry)?)),
                LIMITS => {
                    table.limits = Limits {
                        nofile_soft: word(entry)?,
                        nofile_hard: word(entry)?,
                        oom_score_adj: (word(entry)? as u32).cast_signed(),
                        core: word(entry).zip(word(entry)),
                    }
                }
                CGROUP => table.cgroup = Some(path(entry)),
                RESUMED => table.resumed = word(entry)? != 0,
                HELD => {
                    let (id, fd) = (HoldId(word(entry)?), fd(entry)?);
                    table.held.push((id, fd, entry.get(..NOTE_MAX).unwrap_or(entry).to_vec()));
                }
                CHILD => {
                    let (child, fd) = (word(entry)?, fd(entry)?);
                    // The version before says nothing of whose it is.
                    let pid = word(entry).map_or(0, |pid| (pid as u32).cast_signed());
                    table.children.push((child, fd, pid));
                }
                GATE => table.gates.push((word(entry)?, fd(entry)?)),
                TOLD => table.told.push(word(entry)?),
                IN_PLACE => table.in_place = word(entry)? != 0,
                OLD_PROGRAM => table.old_program = Some(fd(entry)?),
                UNDONE => {
                    table.undone = match step_from(word(entry)?) {
                        Some(Step::Undone(undone)) => Some(undone),
                        Some(Step::Keeper | Step::Nexusd | Step::Done) | None => None,
                    }
                }
                _ => {}
            }
        }
        Some(table)
    }
}

/// Take ownership of a descriptor that the table names.
pub(crate) fn take(fd: RawFd) -> io::Result<OwnedFd> {
    files::own(fd)
}

/// The arguments of a role's process.
pub(crate) fn argv(role: &str, handoff: &OwnedFd) -> [Vec<u8>; 3] {
    let name = if role == crate::ARG_KEEPER { "nexus-keeper" } else { "nexusd" };
    [name.into(), role.into(), handoff.as_raw_fd().to_string().into()]
}

/// Our environment with the home in it.
pub(crate) fn environment(home: &Path) -> Vec<Vec<u8>> {
    let pair = |key: &OsStr, value: &OsStr| [key.as_bytes(), b"=", value.as_bytes()].concat();
    // What was passed at the start has been taken; its names may be long.
    let taken = |key: &OsStr| key == "NEXUS_HOME" || key.as_bytes().starts_with(b"LISTEN_");
    let ours = std::env::vars_os().filter(|(key, _)| !taken(key));
    ours.map(|(key, value)| pair(&key, &value))
        .chain([pair(OsStr::new("NEXUS_HOME"), home.as_os_str())])
        .collect()
}

fn put(out: &mut Vec<u8>, kind: u8, words: &[u64], bytes: &[u8]) {
    let len = words.len() * 8 + bytes.len();
    out.push(kind);
    out.extend_from_slice(&(len as u32).to_le_bytes());
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(bytes);
}

fn fd_word(fd: RawFd) -> u64 {
    u64::from(fd.cast_unsigned())
}

fn entry<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (head, tail) = rest.split_first_chunk::<5>()?;
    let [kind, len @ ..] = *head;
    let len = usize::try_from(u32::from_le_bytes(len)).ok()?;
    let (entry, tail) = tail.split_at_checked(len)?;
    *rest = tail;
    Some((kind, entry))
}

fn word(entry: &mut &[u8]) -> Option<u64> {
    let (head, tail) = entry.split_first_chunk::<8>()?;
    *entry = tail;
    Some(u64::from_le_bytes(*head))
}

fn fd(entry: &mut &[u8]) -> Option<RawFd> {
    word(entry).and_then(|w| RawFd::try_from(w).ok())
}

fn path(entry: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        Table {
            home: "/h".into(),
            arena: 70,
            link: Some(71),
            lock: Some(72),
            peer: Some((9, 73)),
            limits: Limits {
                nofile_soft: 1024,
                nofile_hard: u64::MAX,
                core: Some((0, u64::MAX)),
                oom_score_adj: -5,
            },
            cgroup: Some("/c".into()),
            resumed: true,
            held: vec![(HoldId(1), 74, b"pipe".to_vec()), (HoldId(2), 75, vec![])],
            children: vec![(1, 76, 99)],
            gates: vec![(1, 77)],
            told: vec![1],
            in_place: true,
            old_program: Some(78),
            undone: Some(Undone::NexusdLate),
        }
    }

    #[test]
    fn what_is_handed_over_is_taken_over() {
        let bytes = sample().encode();
        assert_eq!(Table::decode(&bytes), Some(sample()));
        let bare = Table { arena: 5, ..Table::default() };
        assert_eq!(Table::decode(&bare.encode()), Some(bare));
    }

    #[test]
    fn an_entry_of_a_later_version_is_skipped() {
        let mut bytes = sample().encode();
        put(&mut bytes, 200, &[1, 2], b"later");
        assert_eq!(Table::decode(&bytes), Some(sample()));
    }

    #[test]
    fn no_cut_is_taken_for_nonsense() {
        let bytes = sample().encode();
        for len in 0..bytes.len() {
            if let Some(part) = Table::decode(&bytes[..len]) {
                // Cut between two entries: a prefix of the truth.
                assert!(part.held.len() <= 2 && part.children.len() <= 1);
            }
        }
        assert_eq!(Table::decode(b"NXHAND99"), None);
    }
}
