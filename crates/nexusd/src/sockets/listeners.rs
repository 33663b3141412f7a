//! Which of some sockets listen, and where: asked of the kernel by `sock_diag(7)`, which is told to
//! look at listening ones only, so that it costs little on a machine with many connections.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// `nlmsghdr`: its length, `SOCK_DIAG_BY_FAMILY`, and what asks for all that match.
const HEADER: usize = 16;
const BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
/// The bit of TCP_LISTEN, which stands for listening Unix sockets, too.
const LISTENING: u32 = 1 << 10;
/// `UDIAG_SHOW_NAME`, and the attribute that it comes in.
const SHOW_NAME: u32 = 1;
const NAME: u16 = 0;
/// Where `inet_diag_msg` has port, address and inode, and `unix_diag_msg` inode and attributes.
const INET: [usize; 3] = [4, 8, 68];
const UNIX: [usize; 2] = [4, 16];
/// Parts of an answer that are read; each has hundreds of sockets.
const PARTS_MAX: usize = 1_024;
/// Every .NET program has one of these from its beginning: for its debugger, not for its clients.
const DEBUGGER: &str = "/dotnet-diagnostic-";

/// Where one of these sockets listens: `tcp://[::]:3000`, `unix:/run/api.sock`. `None` = nowhere,
/// or it cannot be asked.
pub(crate) fn first_of(inodes: &HashSet<u32>) -> Option<String> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::NetlinkSockDiag;
    let asked = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol).ok()?;
    let families = [AddressFamily::Inet6, AddressFamily::Inet].map(tcp);
    families.iter().chain([&unix()]).find_map(|request| ask(&asked, request, inodes))
}

/// `inet_diag_req_v2`.
fn tcp(family: AddressFamily) -> Vec<u8> {
    let mut request = vec![0; 56];
    request[0] = family as u8;
    request[1] = nix::libc::IPPROTO_TCP as u8;
    request[4..8].copy_from_slice(&LISTENING.to_ne_bytes());
    request
}

/// `unix_diag_req`.
fn unix() -> Vec<u8> {
    let mut request = vec![0; 24];
    request[0] = AddressFamily::Unix as u8;
    request[4..8].copy_from_slice(&LISTENING.to_ne_bytes());
    request[12..16].copy_from_slice(&SHOW_NAME.to_ne_bytes());
    request
}

fn ask(asked: &OwnedFd, request: &[u8], inodes: &HashSet<u32>) -> Option<String> {
    let mut message = Vec::with_capacity(HEADER + request.len());
    message.extend(u32::try_from(HEADER + request.len()).ok()?.to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(request);
    send(asked.as_raw_fd(), &message, MsgFlags::empty()).ok()?;
    let mut found = None;
    let mut part = vec![0; 32 * 1_024];
    // To the end, also when it has been found: what is left would be the next answer's.
    for _ in 0..PARTS_MAX {
        let length = recv(asked.as_raw_fd(), &mut part, MsgFlags::MSG_DONTWAIT).ok()?;
        let mut rest = part.get(..length)?;
        while let Some((kind, body, next)) = split(rest) {
            if kind != BY_FAMILY {
                // The end, or that the kernel knows no such sockets.
                return found;
            }
            found = found.or_else(|| place(body, inodes));
            rest = next;
        }
    }
    found
}

/// The first message: its kind, its body, and what comes after it.
fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(word(bytes, 0)?).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?;
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, next))
}

/// Where a socket listens, if it is one of these.
fn place(body: &[u8], inodes: &HashSet<u32>) -> Option<String> {
    let of = |at: usize| word(body, at).filter(|inode| inodes.contains(inode));
    let family = i32::from(*body.first()?);
    if family == AddressFamily::Unix as i32 {
        let [inode, attributes] = UNIX;
        of(inode)?;
        return unix_place(body.get(attributes..)?);
    }
    let [port, address, inode] = INET;
    of(inode)?;
    let octets: [u8; 16] = body.get(address..address + 16)?.try_into().ok()?;
    let ip = match family == AddressFamily::Inet as i32 {
        true => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
        false => IpAddr::V6(Ipv6Addr::from(octets)),
    };
    let port = u16::from_be_bytes(body.get(port..port + 2)?.try_into().ok()?);
    Some(format!("tcp://{}", SocketAddr::new(ip, port)))
}

fn unix_place(attributes: &[u8]) -> Option<String> {
    let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
    let name = attributes.get(4..length).filter(|_| kind == NAME)?;
    let name = match name.split_first()? {
        (0, name) => format!("@{}", nexus_log::printable(name, false)),
        _ => nexus_log::printable(name.strip_suffix(&[0]).unwrap_or(name), false),
    };
    (!name.contains(DEBUGGER)).then(|| format!("unix:{name}"))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn inode(of: impl AsFd) -> u32 {
        nix::sys::stat::fstat(of).unwrap().st_ino as u32
    }

    fn first(of: impl AsFd) -> Option<String> {
        first_of(&HashSet::from([inode(of)]))
    }

    #[test]
    fn where_a_socket_listens() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // A machine need not have IPv6.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let told = format!("tcp://{}", listener.local_addr().unwrap());
            assert_eq!(first(&listener), Some(told));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a\x1b.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let told = first(&listener).unwrap();
        assert!(told.starts_with("unix:/") && !told.contains('\x1b'), "{told}");
        let path = dir.path().join("dotnet-diagnostic-7-1-socket");
        assert_eq!(first(UnixListener::bind(&path).unwrap()), None);
    }

    #[test]
    fn what_is_bound_or_connected_does_not_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(to).unwrap();
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let inodes = [inode(&client), inode(&datagrams), inode(&one), inode(&other)];
        assert_eq!(first_of(&HashSet::from(inodes)), None);
        let among = inodes.into_iter().chain([inode(&listener)]).collect();
        assert_eq!(first_of(&among), Some(format!("tcp://{to}")));
    }
}
