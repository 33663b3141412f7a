//! What a service manager gives the process that it starts: descriptors that it kept through the
//! death of both of the pair, a directory for sockets, and limits that are ours and not a caller's.
//!
//! systemd's words for it: the descriptor store (`sd_notify(3)`, FDSTORE), `sd_listen_fds(3)`,
//! RuntimeDirectory. The names of stored descriptors are written by nexusd and read here.

use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use crate::keeper::cgroup;
use crate::sys::files;
use crate::wire::HoldId;

/// The first descriptor that is passed (`sd_listen_fds(3)`).
const FIRST: RawFd = 3;

/// What one descriptor in the store is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// The arena of this home.
    Arena {
        /// Tells homes apart.
        home: PathBuf,
    },
    /// A held descriptor, with its note.
    Held(HoldId, Vec<u8>),
    /// A child's pidfd.
    Child(u64),
}

/// What came with the start of this process.
#[derive(Debug, Default)]
pub struct Given {
    /// A service manager started us: our limits are of its making, not a caller's wish.
    pub service: bool,
    /// Where the control socket belongs; the home gets a link to it. `None` = the home.
    pub sockets: Option<PathBuf>,
    /// Descriptors that were kept for us, by name.
    pub stored: Vec<(String, OwnedFd)>,
}

impl Given {
    /// Take what the environment speaks of. To be called once, by a process with one thread, before
    /// it opens anything.
    pub fn take() -> Given {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let sockets = text("RUNTIME_DIRECTORY");
        let sockets = sockets.and_then(|all| all.split(':').next().map(PathBuf::from));
        let ours = text("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
        let count = text("LISTEN_FDS").filter(|_| ours).and_then(|count| count.parse().ok());
        let names = text("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.split(':').chain(std::iter::repeat(""));
        let numbers = FIRST..FIRST.saturating_add(count.unwrap_or(0));
        let stored = numbers.zip(names).filter_map(|(number, name)| {
            let fd = files::own(number).ok()?;
            files::set_cloexec(number, true).ok()?;
            Some((name.to_owned(), files::lift(fd).ok()?))
        });
        Given { service: text("NOTIFY_SOCKET").is_some(), stored: stored.collect(), sockets }
    }
}

impl Stored {
    /// The name in the store: printable ASCII without colons, 255 bytes at most; `None` = it has
    /// no such name.
    pub fn name(&self) -> Option<String> {
        let name = match self {
            Stored::Arena { home } => format!("arena {}", cgroup::name_of(home)),
            Stored::Held(HoldId(id), note) => format!("h {id:x} {}", escape(note)),
            Stored::Child(child) => format!("c {child:x}"),
        };
        (name.len() <= NAME_MAX).then_some(name)
    }

    /// What `name` wrote, for this home; `None` = a stranger's.
    pub(crate) fn parse(name: &str, home: &Path) -> Option<Stored> {
        let (kind, rest) = name.split_once(' ')?;
        match kind {
            "arena" => {
                (rest == cgroup::name_of(home)).then(|| Stored::Arena { home: home.to_owned() })
            }
            "h" => {
                let (id, note) = rest.split_once(' ')?;
                Some(Stored::Held(HoldId(u64::from_str_radix(id, 16).ok()?), unescape(note)?))
            }
            "c" => Some(Stored::Child(u64::from_str_radix(rest, 16).ok()?)),
            _ => None,
        }
    }
}

/// systemd's FDNAME_MAX.
const NAME_MAX: usize = 255;

fn escape(note: &[u8]) -> String {
    let mut out = String::with_capacity(note.len());
    for &byte in note {
        match byte {
            b':' | b'%' | 0..=0x1f | 0x7f.. => out.push_str(&format!("%{byte:02x}")),
            _ => out.push(char::from(byte)),
        }
    }
    out
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.as_bytes().to_vec();
    for part in parts {
        out.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        out.extend_from_slice(part.get(2..)?.as_bytes());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_store_reads_back_as_what_it_was_written_for() {
        let home = Path::new("/var/lib/nexus");
        for stored in [
            Stored::Arena { home: home.to_owned() },
            Stored::Held(HoldId(300), b"socket api tcp://[::1]:80%".to_vec()),
            Stored::Held(HoldId(1), "socket api unix:/run/\u{e9} x\n".into()),
            Stored::Held(HoldId(2), Vec::new()),
            Stored::Child(77),
        ] {
            let name = stored.name().unwrap();
            assert!(name.bytes().all(|b| (b' '..0x7f).contains(&b) && b != b':'), "{name}");
            assert_eq!(Stored::parse(&name, home), Some(stored));
        }
    }

    #[test]
    fn what_is_not_ours_has_no_meaning_and_what_is_too_long_no_name() {
        let home = Path::new("/var/lib/nexus");
        let other = Stored::Arena { home: "/home/a/.nexus".into() }.name().unwrap();
        for name in
            [other.as_str(), "stored", "", "h", "h x", "h zz note", "c -1", "h 1 %", "h 1 %é"]
        {
            assert_eq!(Stored::parse(name, home), None, "{name}");
        }
        assert_eq!(Stored::Held(HoldId(1), vec![b':'; 100]).name(), None);
    }
}
