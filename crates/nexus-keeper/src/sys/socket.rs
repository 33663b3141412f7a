//! Messages with descriptors over SEQPACKET sockets, without allocating.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// The most descriptors in one message (the kernel's bound is 253).
pub(crate) const FDS_MAX: usize = 72;

/// Room for `FDS_MAX` descriptors and their header, aligned as the kernel wants it.
type Control = [u64; 48];

/// Send one message. Never waits, never raises SIGPIPE.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    if fds.len() > FDS_MAX {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control: Control = [0; 48];
    // SAFETY: all zeroes is a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        let len = size_of_val(fds) as u32;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: `control` holds CMSG_SPACE(FDS_MAX descriptors) bytes (checked by the test
        // below) and fds.len() <= FDS_MAX, so header and data are inside it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(len) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(len) as usize;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (i, fd) in fds.iter().enumerate() {
                data.add(i).write_unaligned(*fd);
            }
        }
    }
    loop {
        // SAFETY: `message` points to `part` and `control`, both alive here.
        let sent = unsafe {
            let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
            libc::sendmsg(socket.as_raw_fd(), &raw const message, flags)
        };
        match check(sent as libc::c_long) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// One received message.
pub(crate) struct Received {
    /// Bytes of it that fitted.
    pub(crate) len: usize,
    /// Some bytes or descriptors did not fit.
    pub(crate) truncated: bool,
    /// How many descriptors came with it.
    pub(crate) fds: usize,
}

/// Receive one message. That the other end died with messages of ours unread (ECONNRESET) is told
/// by the kernel once, before the messages that are still to be read here: it is passed over.
/// Descriptors arrive close-on-exec. `len` 0 = the other end is closed.
/// Waits only if asked to.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    fds: &mut [Option<OwnedFd>],
    wait: bool,
) -> io::Result<Received> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control: Control = [0; 48];
    // SAFETY: all zeroes is a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>();
    let flags = libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    let len = loop {
        // SAFETY: `message` points to `part` and `control`, both alive and large as stated.
        let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        match check(got as libc::c_long) {
            Ok(len) => break len as usize,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => {}
            Err(e) => return Err(e),
        }
    };
    let mut count = 0;
    let mut truncated = message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    // SAFETY: the kernel has filled `control` with whole headers up to msg_controllen; the macros
    // walk exactly those. Each descriptor is new and ours.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let len = (*header).cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for i in 0..len / size_of::<RawFd>() {
                    let fd = OwnedFd::from_raw_fd(data.add(i).read_unaligned());
                    match fds.get_mut(count) {
                        Some(place) => {
                            *place = Some(fd);
                            count += 1;
                        }
                        None => truncated = true,
                    }
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Ok(Received { len, truncated, fds: count })
}

/// How much of what we have sent the other end has not read, as the kernel counts it; 0 = nothing.
pub(crate) fn unread(fd: BorrowedFd<'_>) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (unix(7)), of the same number as TIOCOUTQ, writes one int.
    let asked = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if asked < 0 { 0 } else { usize::try_from(bytes).unwrap_or(0) }
}

/// The groups that the process at the other end had when it connected, besides its effective one
/// (`unix(7)`, SO_PEERGROUPS; Linux 4.13).
pub(crate) fn peer_groups(fd: BorrowedFd<'_>) -> io::Result<Vec<libc::gid_t>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let room = groups.len() * size_of::<libc::gid_t>();
        let mut len = libc::socklen_t::try_from(room).unwrap_or(libc::socklen_t::MAX);
        let (value, length) = (groups.as_mut_ptr().cast(), &raw mut len);
        let (level, option) = (libc::SOL_SOCKET, libc::SO_PEERGROUPS);
        // SAFETY: `groups` has room for `len` bytes, and both live through the call.
        let asked = unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, value, length) };
        let count = len as usize / size_of::<libc::gid_t>();
        match check(asked.into()) {
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups);
            }
            // The kernel has said how many there are.
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && count > groups.len() => {
                groups.resize(count, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// A connected pair, close-on-exec, with the largest send buffers that we may have if `large`.
pub(crate) fn pair(large: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `fds` has room for two.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) }.into())?;
    // SAFETY: both were just created and are ours.
    let pair = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
    if large {
        for end in [&pair.0, &pair.1] {
            if set_buffer(end, libc::SO_SNDBUFFORCE).is_err() {
                // Without the right to more: the kernel cuts it to net.core.wmem_max.
                set_buffer(end, libc::SO_SNDBUF)?;
            }
        }
    }
    Ok(pair)
}

const SEND_BUFFER: libc::c_int = 4 * 1024 * 1024;

fn set_buffer(end: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let size = SEND_BUFFER;
    // SAFETY: the option's value is an int and lives through the call.
    check(unsafe {
        libc::setsockopt(
            end.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
        .into()
    })
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn as_many_descriptors_as_promised_fit_into_one_message() {
        let (a, b) = pair(true).unwrap();
        let many = vec![a.as_raw_fd(); FDS_MAX];
        send(a.as_fd(), b"x", &many).unwrap();
        let mut fds: Vec<Option<OwnedFd>> = (0..FDS_MAX).map(|_| None).collect();
        let mut bytes = [0; 8];
        let got = receive(b.as_fd(), &mut bytes, &mut fds, false).unwrap();
        assert_eq!((got.len, got.fds, got.truncated), (1, FDS_MAX, false));
    }
}
