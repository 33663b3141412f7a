//! Whose a listening socket is that is in our way: by the kernel's tables of sockets and the
//! descriptors of processes, as far as we may see them.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use nexus_spec::Listen;

/// The state of a listening socket in `/proc/net/tcp` (proc_pid_net(5); TCP_LISTEN).
const LISTENING: &str = "0A";
/// The flags of a listening socket in `/proc/net/unix` (__SO_ACCEPTCON).
const ACCEPTING: &str = "00010000";

/// `nginx (pid 712)`; `None` = it cannot be seen.
pub(super) fn of(address: &Listen) -> Option<String> {
    let inode = match address {
        Listen::Tcp(address) => tcp(*address),
        Listen::Unix(path) => unix(path),
    }?;
    let pid = process(&format!("socket:[{inode}]"))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim_end().chars().filter(|c| !c.is_control()).collect();
    Some(format!("{name} (pid {pid})"))
}

fn tcp(address: SocketAddr) -> Option<String> {
    // A socket on every IPv6 address may hold the IPv4 port, too.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    lines.filter_map(entry).find(|entry| entry.conflicts(address)).map(|entry| entry.inode)
}

/// A listening socket of the kernel's table.
struct Entry {
    any: bool,
    local: String,
    port: u16,
    inode: String,
}

impl Entry {
    fn conflicts(&self, address: SocketAddr) -> bool {
        let same = || self.any || address.ip().is_unspecified() || self.local == hex(address.ip());
        self.port == address.port() && same()
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let (local, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTENING {
        return None;
    }
    let any = local.bytes().all(|digit| digit == b'0');
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Entry { any, local: local.to_owned(), port, inode: fields.nth(5)?.to_owned() })
}

/// An address as the table writes it: words of 32 bits in the machine's order.
fn hex(ip: IpAddr) -> String {
    let bytes = match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let word = |bytes: &[u8]| {
        let bytes = <[u8; 4]>::try_from(bytes).unwrap_or_default();
        format!("{:08X}", u32::from_ne_bytes(bytes))
    };
    bytes.chunks(4).map(word).collect()
}

fn unix(path: &Path) -> Option<String> {
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    let end = format!(" {}", path.to_str()?);
    let mut lines = table.lines().filter(|line| line.ends_with(&end));
    // Num RefCount Protocol Flags Type St Inode Path
    lines.find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(7).collect();
        let [_, _, _, ACCEPTING, _, _, inode] = fields[..] else { return None };
        Some(inode.to_owned())
    })
}

/// The most processes that are looked at: everybody waits meanwhile.
const PROCESSES_MAX: usize = 2_000;

/// Who has a descriptor that leads there.
fn process(link: &str) -> Option<i32> {
    let all = fs::read_dir("/proc").ok()?.flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut pids = pids.take(PROCESSES_MAX);
    pids.find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| fs::read_link(file.path()).ok());
        links.any(|found| found.as_os_str() == link)
    })
}
