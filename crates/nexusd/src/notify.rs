//! The socket on which workers say that they are ready (`sd_notify(3)`).
//!
//! One datagram socket with an abstract name serves all workers; the kernel says who sent what
//! (SCM_CREDENTIALS). A datagram is peeked, acted on, then consumed: a daemon that is killed in
//! between leaves it to the next one, and acting twice is harmless.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, bind, recvmsg,
    setsockopt, socket, sockopt,
};

/// The longest datagram that is looked at.
const DATAGRAM_MAX: usize = 4_096;
/// How many ancestors of a sender are looked at before it counts as nobody's.
const ANCESTORS_MAX: usize = 32;

/// What a worker said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Who, by the kernel's word.
    pub(crate) pid: i32,
    /// `READY=1` was in it.
    pub(crate) ready: bool,
}

/// A new socket and its abstract name, without the leading NUL.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn open() -> io::Result<(OwnedFd, String)> {
    let mut random = [0_u8; 12];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
    let name = random.iter().fold("nexus/".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    // Before the bind: no datagram may arrive without its sender's credentials.
    setsockopt(&fd, sockopt::PassCred, &true)?;
    bind(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok((fd, name))
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
    let mut pid = 0;
    for part in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmCredentials(credentials) = part {
            pid = credentials.pid();
        }
    }
    let length = message.bytes;
    let ready = data[..length].split(|&byte| byte == b'\n').any(|line| line == b"READY=1");
    Ok(Some(Said { pid, ready }))
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
        let (socket, name) = open().unwrap();
        let worker = UnixDatagram::unbound().unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        worker.send_to_addr(b"STATUS=x\nREADY=1\n", &address).unwrap();
        let me = std::process::id() as i32;
        let said = Some(Said { pid: me, ready: true });
        assert_eq!(peek(socket.as_fd()).unwrap(), said);
        assert_eq!(peek(socket.as_fd()).unwrap(), said);
        consume(socket.as_fd()).unwrap();
        assert_eq!(peek(socket.as_fd()).unwrap(), None);
    }

    #[test]
    fn whoever_sends_descriptors_is_nobody_and_takes_none_of_ours() {
        use nix::sys::socket::{ControlMessage, sendmsg};
        let (socket, name) = open().unwrap();
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
            assert_eq!(peek(socket.as_fd()).unwrap(), Some(Said { pid: 0, ready: true }));
            consume(socket.as_fd()).unwrap();
            assert_eq!(peek(socket.as_fd()).unwrap(), None);
            assert_eq!(open_ones(), 1, "{count} descriptors");
        }
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        for bytes in [Vec::new(), vec![b'x'; DATAGRAM_MAX * 2]] {
            sender.send_to_addr(&bytes, &address).unwrap();
            assert!(peek(socket.as_fd()).unwrap().is_some_and(|said| !said.ready));
            consume(socket.as_fd()).unwrap();
        }
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
}
