//! A port that nobody else will take.

use std::net::TcpListener;
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};

/// Below the ports that the kernel gives to whoever asks for none, so that no client's end of a
/// connection is on one of them.
const PORTS: Range<u16> = 10_000..32_000;

/// What marks our ports as taken, until this process ends.
static MARKS: Mutex<Vec<UnixDatagram>> = Mutex::new(Vec::new());

/// A TCP port of 127.0.0.1 that is free now, and that no other test is given before this process
/// has ended: each marks its own by an abstract socket, which no two can have.
///
/// # Panics
/// When there is no port left.
#[track_caller]
pub fn free_port() -> u16 {
    let mut marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner);
    // Each process begins elsewhere, so that it does not pass by the marks of all others first.
    let count = u32::from(PORTS.end - PORTS.start);
    let first = std::process::id().wrapping_mul(2_654_435_761) % count;
    for step in 0..count {
        let Ok(offset) = u16::try_from((first + step) % count) else { continue };
        let port = PORTS.start + offset;
        let name = SocketAddr::from_abstract_name(format!("nexus-test-port-{port}"));
        let mark = name.and_then(|name| UnixDatagram::bind_addr(&name));
        if let (Ok(mark), Ok(_)) = (mark, TcpListener::bind(("127.0.0.1", port))) {
            marks.push(mark);
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free on 127.0.0.1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let first = free_port();
        let taken = TcpListener::bind(("127.0.0.1", first + 1));
        let given: Vec<u16> = (0..20).map(|_| free_port()).collect();
        let mut different = given.clone();
        different.push(first);
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 21);
        assert!(taken.is_err() || !given.contains(&(first + 1)), "{given:?}");
    }

    #[test]
    fn what_another_process_has_marked_is_passed_by() {
        let mark = |port: u16| {
            let name = SocketAddr::from_abstract_name(format!("nexus-test-port-{port}"));
            name.and_then(|name| UnixDatagram::bind_addr(&name))
        };
        let port = free_port();
        assert!(mark(port).is_err(), "the mark lasts");
        // Those that would be given next.
        let theirs: Vec<(u16, UnixDatagram)> = (port + 1..port + 4)
            .filter_map(|next| mark(next).ok().map(|mark| (next, mark)))
            .collect();
        let given: Vec<u16> = (0..4).map(|_| free_port()).collect();
        assert!(theirs.iter().all(|(next, _)| !given.contains(next)), "{given:?} of {theirs:?}");
    }
}
