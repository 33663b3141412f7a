//! What a worker tells its manager, by `sd_notify(3)` datagrams.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

/// Longest status text sent; the rest is cut, so that one datagram always suffices.
const STATUS_BYTES_MAX: usize = 2_048;

/// How long a manager that does not read may hold a worker up.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Tells that this worker serves: its predecessor may go. Say it when it is true.
///
/// `Ok(true)`: told. `Ok(false)`: no manager asked (`NOTIFY_SOCKET` is not set), nothing to do.
///
/// # Errors
/// The manager named a socket and it cannot be reached, or has not read for a second.
pub fn ready() -> io::Result<bool> {
    send("READY=1")
}

/// Tells what the worker is doing, in one line for people: `nexusctl list` shows the first 256
/// bytes, as `systemctl status` does. Line breaks and other control characters become spaces; what
/// exceeds 2 KiB is cut.
///
/// # Errors
/// As [`ready`].
pub fn status(text: &str) -> io::Result<bool> {
    send(&format!("STATUS={}", one_line(text)))
}

/// Tells that this worker is going: it accepts nothing any more.
///
/// # Errors
/// As [`ready`].
pub fn stopping() -> io::Result<bool> {
    send("STOPPING=1")
}

/// Tells a watchdog that this worker is alive; call it at least twice per [`watchdog_period`].
///
/// # Errors
/// As [`ready`].
pub fn alive() -> io::Result<bool> {
    send("WATCHDOG=1")
}

/// How long the manager waits for [`alive`] before it takes the worker for hung; `None` when it
/// does not watch (`sd_watchdog_enabled(3)`: WATCHDOG_USEC, meant for this pid).
#[must_use]
pub fn watchdog_period() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    if env::var_os("WATCHDOG_PID").is_some()
        && number("WATCHDOG_PID") != Some(u64::from(process::id()))
    {
        return None;
    }
    number("WATCHDOG_USEC").filter(|period| *period > 0).map(Duration::from_micros)
}

fn send(message: &str) -> io::Result<bool> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(name) if !name.is_empty() => send_to(&name, message).map(|()| true),
        Some(_) | None => Ok(false),
    }
}

fn send_to(name: &OsStr, message: &str) -> io::Result<()> {
    let to = address(name)?;
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    socket.send_to_addr(message.as_bytes(), &to)?;
    Ok(())
}

/// `@name` is in the abstract namespace, `/path` in the file system.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("NOTIFY_SOCKET is {name:?}; it must begin with / or @"),
        )),
    }
}

fn one_line(text: &str) -> String {
    let cut = text.floor_char_boundary(STATUS_BYTES_MAX);
    text[..cut].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_and_bounded() {
        assert_eq!(one_line("a\nREADY=1\u{1b}[31m"), "a READY=1 [31m");
        assert_eq!(one_line(&"é".repeat(2_000)).len(), STATUS_BYTES_MAX);
    }

    #[test]
    fn path_names_and_abstract_names_are_reached() {
        let directory = env::temp_dir().join(format!("nexus-worker-{}", process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("nexus-worker-test-{}", process::id());
        let abstract_name = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let by_name = UnixDatagram::bind_addr(&abstract_name).unwrap();

        send_to(path.as_os_str(), "READY=1").unwrap();
        send_to(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();

        let mut buffer = [0; 64];
        let length = by_path.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
        let length = by_name.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_name_of_another_kind_is_refused_and_an_absent_reader_is_an_error() {
        assert_eq!(
            send_to(OsStr::new("vsock:2:1"), "READY=1").unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(send_to(OsStr::new("/nonexistent/notify"), "READY=1").is_err());
    }
}
