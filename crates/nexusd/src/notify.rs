//! The socket on which workers speak: `sd_notify(3)`, and the descriptors for a newline and for
//! Node's messages, which lead here as well (`nexus_keeper::Channel`).
//!
//! One datagram socket with an abstract name serves all workers, and a second one, which workers
//! may hold as well, the channels of theirs (`crate::hearer`). The kernel says who sent what
//! (SCM_CREDENTIALS). A datagram is peeked, acted on, then consumed: a daemon that is killed in
//! between leaves it to the next one, and acting twice is harmless.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nexus_spec::Span;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrLike, UnixAddr, bind,
    recvmsg, setsockopt, socket, sockopt,
};

/// The longest datagram that is looked at.
const DATAGRAM_MAX: usize = 4_096;
/// The length of the address of a sender without a name (`unix(7)`), or more than that.
const UNNAMED: u32 = size_of::<nix::libc::sa_family_t>() as u32;
/// How many ancestors of a sender are looked at before it counts as nobody's.
const ANCESTORS_MAX: usize = 32;

/// The longest status text that is kept, in bytes.
const STATUS_MAX: usize = 256;
/// The longest time that one message asks for.
const EXTEND_MAX: Span = Span(60 * 60 * 1_000);

/// What somebody said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Who, by the kernel's word.
    pub(crate) pid: i32,
    /// That one's user.
    pub(crate) uid: u32,
    /// The child that the sender's name says it is, on a descriptor of its own.
    pub(crate) named: Option<u64>,
    /// What, in the order of the message.
    pub(crate) words: Vec<Word>,
}

/// One thing that a worker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// `WATCHDOG=1`: it is alive.
    Alive,
    /// `EXTEND_TIMEOUT_USEC=`: it needs so much time from now on.
    Extend(Span),
    /// A line that is no setting, on a descriptor of its own: a newline, or a message of Node's.
    Line(String),
    /// `MAINPID=`: another process is its main one.
    Main(i32),
    /// `READY=1`.
    Ready,
    /// `RELOADING=1`: it reads its configuration anew, and will say `READY=1` then.
    Reloading,
    /// `STATUS=`, in bounds and harmless on a terminal.
    Status(String),
    /// `STOPPING=1`.
    Stopping,
    /// `WATCHDOG=trigger`: it knows that it is not well.
    Trigger,
}

/// Where the name is kept: workers that outlive both of the pair go on speaking to it.
const NAME_FILE: &str = "notify-name";
/// What the name begins with.
const BEGIN: &str = "nexus/";

/// The socket, and its abstract name without the leading NUL: the last pair's, if it is free.
///
/// A name that cannot be kept (a full disk) serves all the same, until both of the pair are dead.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn open(state: &Path) -> io::Result<(OwnedFd, String)> {
    let fd = unbound()?;
    let take = |name: &str| bind(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?);
    let file = state.join(NAME_FILE);
    if let Ok(name) = fs::read_to_string(&file)
        && is_name(&name)
        && take(&name).is_ok()
    {
        return Ok((fd, name));
    }
    // None yet, or somebody else has it.
    let name = random_name(BEGIN)?;
    take(&name)?;
    if let Err(error) = keep_name(&file, &name) {
        tracing::warn!(%error, "{} cannot be written", file.display());
    }
    Ok((fd, name))
}

/// A socket of this kind, without a name yet.
pub(crate) fn unbound() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    // Before the bind: no datagram may arrive without its sender's credentials.
    setsockopt(&fd, sockopt::PassCred, &true)?;
    Ok(fd)
}

/// One that cannot be guessed.
pub(crate) fn random_name(begin: &str) -> io::Result<String> {
    let mut random = [0_u8; 12];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
    Ok(random.iter().fold(begin.to_owned(), |name, byte| format!("{name}{byte:02x}")))
}

fn is_name(text: &str) -> bool {
    is_random(BEGIN, text)
}

/// Whole, and of our making: a part of one could be guessed.
pub(crate) fn is_random(begin: &str, text: &str) -> bool {
    let random = text.strip_prefix(begin);
    random.is_some_and(|hex| hex.len() == 24 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Write a name down, for us alone.
pub(crate) fn keep_name(file: &Path, name: &str) -> io::Result<()> {
    let _ = fs::remove_file(file);
    let mut kept = fs::OpenOptions::new();
    kept.write(true).create_new(true).mode(0o600);
    io::Write::write_all(&mut kept.open(file)?, name.as_bytes())
}

/// The next datagram, left in the queue; `None` = none now.
///
/// # Errors
/// What recvmsg(2) says.
pub(crate) fn peek(socket: BorrowedFd<'_>) -> io::Result<Option<Said>> {
    receive(socket, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)
}

/// Take the datagram that was peeked out of the queue.
///
/// # Errors
/// As [`peek`].
pub(crate) fn consume(socket: BorrowedFd<'_>) -> io::Result<()> {
    receive(socket, MsgFlags::MSG_DONTWAIT).map(drop)
}

fn receive(socket: BorrowedFd<'_>, flags: MsgFlags) -> io::Result<Option<Said>> {
    let mut data = [0_u8; DATAGRAM_MAX];
    let mut slices = [io::IoSliceMut::new(&mut data)];
    // No room for descriptors: anybody on this machine may send some, and the kernel then keeps
    // them from us. Whoever does is nobody.
    let mut space = nix::cmsg_space!(nix::libc::ucred);
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message =
        match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
    let (mut pid, mut uid) = (0, u32::MAX);
    for part in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmCredentials(credentials) = part {
            (pid, uid) = (credentials.pid(), credentials.uid());
        }
    }
    // The length first: nix does not read the name of a sender that has none.
    let sender = message.address.filter(|sender| sender.len() > UNNAMED);
    let length = message.bytes;
    let words = match sender {
        Some(_) => lines(&data[..length]),
        None => settings(&data[..length]),
    };
    let named = sender.as_ref().and_then(|sender| child_of(sender.as_abstract()?));
    Ok(Some(Said { pid, uid, named, words }))
}

/// Say something to a child on the descriptor of its own. It hears only us.
///
/// # Errors
/// It has none, is not the one that it has been given, or does not read what it is told.
pub(crate) fn say(socket: BorrowedFd<'_>, name: &str, child: u64, text: &str) -> nix::Result<()> {
    let to = UnixAddr::new_abstract(format!("{name}/{child}").as_bytes())?;
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    nix::sys::socket::sendto(socket.as_raw_fd(), text.as_bytes(), &to, flags).map(drop)
}

/// `…/CHILD`.
fn child_of(name: &[u8]) -> Option<u64> {
    std::str::from_utf8(name).ok()?.rsplit_once('/')?.1.parse().ok()
}

/// Complete lines of a descriptor of its own.
fn lines(data: &[u8]) -> Vec<Word> {
    let complete =
        data.iter().rposition(|&byte| byte == b'\n').map_or(&data[..0], |at| &data[..at]);
    let ended = data.contains(&b'\n');
    let lines = complete.split(|&byte| byte == b'\n').filter(|_| ended);
    lines.map(|line| Word::Line(String::from_utf8_lossy(line).into_owned())).collect()
}

/// What `sd_notify(3)` sends: a setting a line. What we do not act upon is passed over.
fn settings(data: &[u8]) -> Vec<Word> {
    let word = |line: &[u8]| {
        let (key, value) = std::str::from_utf8(line).ok()?.split_once('=')?;
        match (key, value) {
            ("READY", "1") => Some(Word::Ready),
            ("RELOADING", "1") => Some(Word::Reloading),
            ("STOPPING", "1") => Some(Word::Stopping),
            ("WATCHDOG", "1") => Some(Word::Alive),
            ("WATCHDOG", "trigger") => Some(Word::Trigger),
            ("MAINPID", pid) => Some(Word::Main(pid.parse().ok().filter(|pid| *pid > 1)?)),
            ("STATUS", text) => Some(Word::Status(shown(text))),
            ("EXTEND_TIMEOUT_USEC", time) => {
                let span = Span(time.parse::<u64>().ok()?.div_ceil(1_000));
                Some(Word::Extend(span.min(EXTEND_MAX)))
            }
            _ => None,
        }
    };
    data.split(|&byte| byte == b'\n').filter_map(word).collect()
}

fn shown(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(STATUS_MAX)];
    nexus_log::printable(cut.as_bytes(), false)
}

/// The one of `is_main` that is `pid` or an ancestor of it.
pub(crate) fn main_of(pid: i32, is_main: impl Fn(i32) -> bool) -> Option<i32> {
    let mut pid = pid;
    for _ in 0..ANCESTORS_MAX {
        if is_main(pid) {
            return Some(pid);
        }
        if pid <= 1 {
            return None;
        }
        pid = crate::stat::of(pid)?.parent;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    #[test]
    fn a_datagram_is_told_with_its_sender_until_it_is_consumed() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, name) = open(dir.path()).unwrap();
        let worker = UnixDatagram::unbound().unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        worker.send_to_addr(b"STATUS=x\nREADY=1\n", &address).unwrap();
        let me = std::process::id() as i32;
        let words = vec![Word::Status("x".into()), Word::Ready];
        let said = Some(Said { pid: me, uid: nix::unistd::getuid().as_raw(), named: None, words });
        assert_eq!(peek(socket.as_fd()).unwrap(), said);
        assert_eq!(peek(socket.as_fd()).unwrap(), said);
        consume(socket.as_fd()).unwrap();
        assert_eq!(peek(socket.as_fd()).unwrap(), None);
    }

    #[test]
    fn whoever_sends_descriptors_is_nobody_and_takes_none_of_ours() {
        use nix::sys::socket::{ControlMessage, sendmsg};
        let dir = tempfile::tempdir().unwrap();
        let (socket, name) = open(dir.path()).unwrap();
        let address = UnixAddr::new_abstract(name.as_bytes()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let same = std::fs::read_link(format!("/proc/self/fd/{}", sender.as_raw_fd())).unwrap();
        let all = || std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let open_ones =
            || all().filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == same)).count();
        for count in [1, 17, 253] {
            let fds = vec![sender.as_raw_fd(); count];
            let rights = [ControlMessage::ScmRights(&fds)];
            let bytes = [io::IoSlice::new(b"READY=1")];
            let to = Some(&address);
            sendmsg(sender.as_raw_fd(), &bytes, &rights, MsgFlags::empty(), to).unwrap();
            let words = vec![Word::Ready];
            let nobody = Said { pid: 0, uid: u32::MAX, named: None, words };
            assert_eq!(peek(socket.as_fd()).unwrap(), Some(nobody));
            consume(socket.as_fd()).unwrap();
            assert_eq!(peek(socket.as_fd()).unwrap(), None);
            assert_eq!(open_ones(), 1, "{count} descriptors");
        }
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        for bytes in [Vec::new(), vec![b'x'; DATAGRAM_MAX * 2]] {
            sender.send_to_addr(&bytes, &address).unwrap();
            assert!(peek(socket.as_fd()).unwrap().is_some_and(|said| said.words.is_empty()));
            consume(socket.as_fd()).unwrap();
        }
    }

    #[test]
    fn what_is_said_in_settings() {
        let mains = settings(b"MAINPID=77\nMAINPID=1\nMAINPID=-5\nMAINPID=x\nMAINPID=99999999999");
        assert_eq!(mains, [Word::Main(77)]);
        let all = b"READY=1\nRELOADING=1\nSTOPPING=1\nREADY=2\nX\nEXTEND_TIMEOUT_USEC=1500\n";
        let words = [
            Word::Ready,
            Word::Reloading,
            Word::Stopping,
            Word::Extend(Span(2)),
            Word::Extend(EXTEND_MAX),
            Word::Status("a [31mb".into()),
        ];
        let long = format!("EXTEND_TIMEOUT_USEC={}\nSTATUS=a\x1b[31mb\n", u64::MAX);
        let said = settings(&[&all[..], long.as_bytes()].concat());
        assert_eq!(said[..5], words[..5]);
        let Word::Status(text) = &said[5] else { panic!("{said:?}") };
        assert!(!text.contains('\x1b') && text.starts_with('a'), "{text:?}");
        assert_eq!(settings(&[b'='; 300]), []);
        let long = settings(format!("STATUS={}", "é".repeat(4_000)).as_bytes());
        assert_eq!(long, [Word::Status("é".repeat(STATUS_MAX / 2))]);
    }

    #[test]
    fn lines_of_a_descriptor_count_when_they_have_ended() {
        let line = |text: &str| Word::Line(text.into());
        assert_eq!(lines(b"\n"), [line("")]);
        assert_eq!(lines(b"\"ready\"\n{}\nrest"), [line("\"ready\""), line("{}")]);
        assert_eq!(lines(b"ready"), []);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_sender_belongs_to_its_nearest_ancestor() {
        let me = std::process::id() as i32;
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let pid = child.id() as i32;
        assert_eq!(main_of(pid, |main| main == me), Some(me));
        assert_eq!(main_of(pid, |main| main == pid), Some(pid));
        assert_eq!(main_of(pid, |_| false), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_name_is_taken_again_unless_somebody_else_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (first, name) = open(dir.path()).unwrap();
        let (_other, another) = open(dir.path()).unwrap();
        assert_ne!(name, another);
        drop((first, _other));
        assert_eq!(open(dir.path()).unwrap().1, another);
        for part in ["", "nexus/", &another[..20]] {
            fs::write(dir.path().join(NAME_FILE), part).unwrap();
            assert!(is_name(&open(dir.path()).unwrap().1), "{part:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_kept_serves_all_the_same() {
        let (_socket, name) = open(Path::new("/nowhere/at/all")).unwrap();
        assert!(is_name(&name));
    }
}
