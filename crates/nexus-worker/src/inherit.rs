//! Listening sockets that were handed over at start, by `sd_listen_fds(3)`.

use std::env;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::process;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::address::Address;
use crate::listener::Listener;
use crate::sys;

/// The first inherited descriptor (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;
/// More inherited sockets than this are taken for a mistake in LISTEN_FDS.
const SOCKETS_MAX: RawFd = 1_024;
/// The name of a socket that LISTEN_FDNAMES does not name, as systemd calls it.
const UNNAMED: &str = "unknown";

/// Read at the first question and kept, since what was given at start does not change.
static INHERITED: LazyLock<Result<Mutex<Vec<Slot>>, String>> =
    LazyLock::new(|| inherit().map(Mutex::new));

struct Slot {
    name: String,
    socket: Socket,
}

enum Socket {
    Free(Listener),
    /// Why it cannot be listened on; an error only for who asks for it.
    Unusable(String),
    Taken,
}

/// Which of the inherited sockets: all, those of a name, or the one at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// Every one that has not been taken yet.
    All,
    /// Every one that LISTEN_FDNAMES calls so.
    Name(&'a str),
    /// The one at this place in the app's `listen`, from 0.
    Index(usize),
}

impl<'a> From<&'a str> for Which<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for Which<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Takes the listening sockets that the manager handed to this process. Empty when there are none
/// (LISTEN_PID names another process or is not set), none fits, or they have been taken before:
/// each is given out once.
///
/// All inherited descriptors are made close-on-exec by the first call, so that programs that the
/// worker starts do not hold them. Their O_NONBLOCK is left as it is, see
/// [`Listener::set_nonblocking`].
///
/// # Errors
/// `InvalidData`: LISTEN_FDS is no sensible number, or a descriptor that was asked for is closed
/// or not a listening TCP or Unix stream socket.
pub fn listen<'a>(which: impl Into<Which<'a>>) -> io::Result<Vec<Listener>> {
    let which = which.into();
    let mut slots = slots()?;
    let mut found = Vec::new();
    for (index, slot) in slots.iter_mut().enumerate() {
        let wanted = match which {
            Which::All => true,
            Which::Name(name) => name == slot.name,
            Which::Index(at) => at == index,
        };
        if wanted {
            found.extend(slot.take(index)?);
        }
    }
    Ok(found)
}

/// The inherited socket that is bound to `address`; else the first one that is free, because the
/// project file decides where an app listens; else, without a manager, a new one bound here.
///
/// `address` is `tcp://127.0.0.1:3001`, `127.0.0.1:3001` or `unix:/run/app.sock`.
///
/// # Errors
/// `InvalidInput`: `address` cannot be read. As [`listen`], or as `bind(2)`.
pub fn listen_or_bind(address: &str) -> io::Result<Listener> {
    let address = Address::parse(address)?;
    let mut slots = slots()?;
    let same = slots.iter().position(|slot| match &slot.socket {
        Socket::Free(listener) => address.is_of(listener),
        Socket::Unusable(_) | Socket::Taken => false,
    });
    let free = || slots.iter().position(|slot| !matches!(slot.socket, Socket::Taken));
    if let Some(index) = same.or_else(free)
        && let Some(listener) = slots[index].take(index)?
    {
        return Ok(listener);
    }
    address.bind()
}

impl Slot {
    fn take(&mut self, index: usize) -> io::Result<Option<Listener>> {
        match mem::replace(&mut self.socket, Socket::Taken) {
            Socket::Free(listener) => Ok(Some(listener)),
            Socket::Taken => Ok(None),
            Socket::Unusable(why) => {
                let text = format!("inherited socket {index} ({}) {why}", self.name);
                self.socket = Socket::Unusable(why);
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        }
    }
}

fn slots() -> io::Result<MutexGuard<'static, Vec<Slot>>> {
    match &*INHERITED {
        Ok(slots) => Ok(slots.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(why) => Err(io::Error::new(io::ErrorKind::InvalidData, why.as_str())),
    }
}

fn inherit() -> Result<Vec<Slot>, String> {
    let variable = |name: &str| env::var(name).ok();
    let Some(count) =
        offered(variable("LISTEN_PID").as_deref(), variable("LISTEN_FDS").as_deref())?
    else {
        return Ok(Vec::new());
    };
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(|name| if name.is_empty() { UNNAMED } else { name });
    let slots = sys::adopt(FIRST..FIRST + count).into_iter().map(|descriptor| Slot {
        name: names.next().unwrap_or(UNNAMED).to_owned(),
        socket: match descriptor
            .map_err(|error| format!("is not open ({error})"))
            .and_then(Listener::from_inherited)
        {
            Ok(listener) => Socket::Free(listener),
            Err(why) => Socket::Unusable(why),
        },
    });
    Ok(slots.collect())
}

/// How many descriptors are meant for this process; `None` when none are.
fn offered(pid: Option<&str>, count: Option<&str>) -> Result<Option<RawFd>, String> {
    let (Some(pid), Some(count)) = (pid, count) else {
        return Ok(None);
    };
    // A program in between (a shell, npm) may have passed the variables on to a child: they and
    // the descriptors are not for us then.
    if pid.parse() != Ok(process::id()) {
        return Ok(None);
    }
    match count.parse::<RawFd>() {
        Ok(count) if (0..=SOCKETS_MAX).contains(&count) => Ok(Some(count)),
        Ok(_) | Err(_) => Err(format!("LISTEN_FDS is {count:?}; expected 0 to {SOCKETS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_addressed_to_this_process_counts() {
        let own = process::id().to_string();
        assert_eq!(offered(Some(&own), Some("2")), Ok(Some(2)));
        assert_eq!(offered(Some("1"), Some("2")), Ok(None));
        assert_eq!(offered(None, Some("2")), Ok(None));
        assert_eq!(offered(Some(&own), None), Ok(None));
        for wrong in ["", "-1", "two", "1025", "99999999999"] {
            assert!(offered(Some(&own), Some(wrong)).is_err(), "{wrong}");
        }
    }
}
