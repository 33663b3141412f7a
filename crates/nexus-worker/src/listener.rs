//! A listening socket of either family, and the connections it gives.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::share::Share;
use crate::stop::Stop;
use crate::sys;

/// A listening stream socket, close-on-exec. Dropping it closes this process's copy only.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    share: Mutex<Share>,
}

/// A listening socket of either family.
#[derive(Debug)]
pub enum Socket {
    /// IPv4 or IPv6.
    Tcp(TcpListener),
    /// A path or an abstract name.
    Unix(UnixListener),
}

impl Listener {
    /// Checks by the socket's own options that it is a stream socket that listens.
    pub(crate) fn from_inherited(socket: OwnedFd) -> Result<Self, String> {
        let option = |option| sys::socket_option(socket.as_fd(), option);
        let listens = option(libc::SO_ACCEPTCONN)
            .map_err(|error| format!("is not a socket one can ask ({error})"))?;
        let family = option(libc::SO_DOMAIN).map_err(|error| error.to_string())?;
        let kind = option(libc::SO_TYPE).map_err(|error| error.to_string())?;
        if listens == 0 || kind != libc::SOCK_STREAM {
            return Err("is not a listening stream socket".to_owned());
        }
        match family {
            libc::AF_INET | libc::AF_INET6 => Ok(Self::new(Socket::Tcp(socket.into()))),
            libc::AF_UNIX => Ok(Self::new(Socket::Unix(socket.into()))),
            other => Err(format!("is of address family {other}; TCP and Unix are known")),
        }
    }

    /// Siblings see from now on that there is a worker with no connection yet.
    pub(crate) fn new(socket: Socket) -> Self {
        let mut share = Share::default();
        share.tell(socket.as_fd(), 0);
        Self { socket, share: Mutex::new(share) }
    }

    /// The socket alone. What it gives is accepted without regard to the siblings.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        self.socket
    }

    /// The socket, to be asked where it is bound.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// To be asked when a connection waits, before it is accepted: for how long to leave it to
    /// another worker of the app that has clearly fewer connections than `open`, which are this
    /// one's. Then ask again. `None`: accept, and it may turn out that another worker did.
    ///
    /// So no worker gets a small part of the connections only because it is woken last. A sibling
    /// that takes nothing holds nobody up: it is waited for less and less often.
    #[must_use]
    pub fn leave_next(&self, open: usize) -> Option<Duration> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner).leave(self.as_fd(), open)
    }

    /// Sets or clears O_NONBLOCK. The flag belongs to the socket, not to this copy of it: it holds
    /// for every worker of the app, so all of them should want the same.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(it) => it.set_nonblocking(on),
            Socket::Unix(it) => it.set_nonblocking(on),
        }
    }

    /// Blocks until a client connects (`Some`) or `stop` is requested (`None`, at once, also when
    /// clients are waiting: they are the siblings' now). Sets the socket non-blocking, because
    /// another worker may take the client between the wake-up and the accept. Leaves clients to
    /// workers that have clearly fewer ([`Listener::leave_next`]), by the streams that are not
    /// dropped yet.
    ///
    /// # Errors
    /// The kernel's, such as no free descriptor; what only concerns one client that has gone
    /// again is passed over.
    pub fn accept_until(&self, stop: Stop) -> io::Result<Option<Stream>> {
        self.set_nonblocking(true)?;
        loop {
            let (stopped, _waiting) = sys::wait_readable(stop.as_fd(), self.as_fd())?;
            if stopped {
                return Ok(None);
            }
            if let Some(pause) = self.leave_next(OPEN.load(Ordering::Relaxed)) {
                sys::wait_within(stop.as_fd(), pause)?;
                continue;
            }
            match self.accept() {
                Ok(stream) => return Ok(Some(stream)),
                Err(error) if passes(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// accept(2), and nothing else.
    ///
    /// # Errors
    /// The kernel's; `WouldBlock` when nobody waits and the socket is non-blocking.
    pub fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(it) => it.accept().map(|(stream, _)| Stream::new(Connection::Tcp(stream))),
            Socket::Unix(it) => {
                it.accept().map(|(stream, _)| Stream::new(Connection::Unix(stream)))
            }
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Errors of accept(2) that say nothing about the listener: a sibling was faster, the client has
/// gone, its network has.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EAGAIN
                | libc::EINTR
                | libc::ECONNABORTED
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
        )
    )
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(it) => it.as_fd(),
            Self::Unix(it) => it.as_fd(),
        }
    }
}

/// Streams of this process that are not dropped yet.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// An accepted connection, blocking.
#[derive(Debug)]
pub struct Stream {
    connection: Connection,
    _counted: Counted,
}

/// A connection of either family.
#[derive(Debug)]
pub enum Connection {
    /// From a TCP listener.
    Tcp(TcpStream),
    /// From a Unix listener.
    Unix(UnixStream),
}

/// One of [`OPEN`].
#[derive(Debug)]
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream {
    fn new(connection: Connection) -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self { connection, _counted: Counted }
    }

    /// The connection alone, which [`Listener::accept_until`] does not count any more.
    #[must_use]
    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// Blocks an idle keep-alive connection until its next request begins (`true`), or until the
    /// worker is stopping and `window` has passed since: then (`false`) close it. A client may be
    /// about to use a connection that you would close at once; within the window it is still
    /// answered, with `Connection: close`. A client that has gone counts as a request: the next read
    /// tells.
    ///
    /// # Errors
    /// The kernel's, from `poll(2)`: no memory.
    pub fn next_request(&self, stop: Stop, window: Duration) -> io::Result<bool> {
        let (stopping, begun) = sys::wait_readable(stop.as_fd(), self.as_fd())?;
        match (begun, stopping) {
            (true, _) => Ok(true),
            (false, true) => sys::wait_within(self.as_fd(), window),
            (false, false) => Ok(false),
        }
    }

    /// Bounds every read and every write; `None` waits forever. A worker that drains should set
    /// one, or a silent client keeps it from going.
    ///
    /// # Errors
    /// `InvalidInput` for a duration of zero.
    pub fn set_timeout(&self, each: Option<Duration>) -> io::Result<()> {
        match &self.connection {
            Connection::Tcp(it) => {
                it.set_read_timeout(each).and_then(|()| it.set_write_timeout(each))
            }
            Connection::Unix(it) => {
                it.set_read_timeout(each).and_then(|()| it.set_write_timeout(each))
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.connection {
            Connection::Tcp(it) => it.as_fd(),
            Connection::Unix(it) => it.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.connection {
            Connection::Tcp(it) => it.read(buffer),
            Connection::Unix(it) => it.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.connection {
            Connection::Tcp(it) => it.write(buffer),
            Connection::Unix(it) => it.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.connection {
            Connection::Tcp(it) => it.flush(),
            Connection::Unix(it) => it.flush(),
        }
    }
}
