//! The socket that hears the channels of workers. Workers of our own user hold it as well, so that
//! the death of both of the pair is no error for who speaks: each of them can spoil it for all.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{SockType, UnixAddr, bind, getsockname, getsockopt, setsockopt, sockopt};

use crate::notify::{is_random, keep_name, random_name, unbound};

/// What its abstract name begins with.
const BEGIN: &str = "nexus-hearer/";
/// Where the name is kept: the socket is found by it with a worker that outlives both of the pair.
const NAME_FILE: &str = "hearer-name";

/// A new one, and its abstract name without the leading NUL.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn open(state: &Path) -> io::Result<(OwnedFd, String)> {
    let (fd, name) = (unbound()?, random_name(BEGIN)?);
    bind(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    keep(state, &name);
    Ok((fd, name))
}

/// One that was taken over: who held it may have changed it.
pub(crate) fn take_over(state: &Path, fd: impl AsFd, name: &str) {
    keep(state, name);
    if let Err(error) = setsockopt(&fd.as_fd(), sockopt::PassCred, &true) {
        tracing::warn!(%error, "who speaks on channels is not known");
    }
}

fn keep(state: &Path, name: &str) {
    let file = state.join(NAME_FILE);
    if kept(state).as_deref() != Some(name)
        && let Err(error) = keep_name(&file, name)
    {
        tracing::warn!(%error, "{} cannot be written", file.display());
    }
}

fn kept(state: &Path) -> Option<String> {
    let name = fs::read_to_string(state.join(NAME_FILE)).ok()?;
    is_random(BEGIN, &name).then_some(name)
}

/// The name of a worker's socket that is this one; `None` = it is another one. Where the name could
/// not be kept, its kind is believed.
pub(crate) fn name_of(fd: &OwnedFd, state: &Path) -> Option<String> {
    let bound = getsockname::<UnixAddr>(fd.as_raw_fd()).ok()?;
    let name = std::str::from_utf8(bound.as_abstract()?).ok()?;
    let is_datagram = getsockopt(fd, sockopt::SockType) == Ok(SockType::Datagram);
    let is_it = kept(state).map_or_else(|| is_random(BEGIN, name), |kept| kept == name);
    (is_datagram && is_it).then(|| name.to_owned())
}

/// Whether a process has our user alone. Not by the owner of its directory in /proc: that is root
/// of a process which may not be looked into, and any may choose to be one.
pub(crate) fn is_of_us(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let us = nix::unistd::geteuid().to_string();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.is_some_and(|uids| uids.split_ascii_whitespace().all(|uid| uid == us))
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

    use super::*;

    #[test]
    fn only_the_one_whose_name_was_kept_is_taken_from_a_worker() {
        let (state, nothing) = (tempfile::tempdir().unwrap(), Path::new("/nowhere/at/all"));
        let (ours, name) = open(state.path()).unwrap();
        let (other, another) = open(nothing).unwrap();
        assert_eq!(name_of(&ours, state.path()), Some(name.clone()));
        assert_eq!(name_of(&other, state.path()), None);
        assert_eq!(name_of(&other, nothing), Some(another));
        // Nobody else can have the name meanwhile; somebody may have it afterwards.
        drop(ours);
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let stream = UnixListener::bind_addr(&address).unwrap();
        assert_eq!(name_of(&OwnedFd::from(stream), state.path()), None);
        let planted = SocketAddr::from_abstract_name("nexus-hearer/ab12").unwrap();
        let planted = OwnedFd::from(UnixDatagram::bind_addr(&planted).unwrap());
        assert_eq!((name_of(&planted, state.path()), name_of(&planted, nothing)), (None, None));
    }

    #[test]
    fn whose_a_process_is() {
        assert!(is_of_us(std::process::id().cast_signed()));
        assert!(!is_of_us(i32::MAX));
    }
}
