//! The sockets that a worker accepts from, on tokio.

use std::io;

use nexus_worker::{Listener, Which};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::settings::Settings;

/// A listening socket, registered with the reactor.
#[derive(Debug)]
pub(crate) enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection.
pub(crate) enum Visitor {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Where a worker listens.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) doors: Vec<Door>,
    /// Whether a manager keeps the sockets. If not, closing ours resets who waits in its queue.
    pub(crate) kept: bool,
}

impl Doors {
    /// All sockets that were handed over; without any, one of our own.
    ///
    /// # Errors
    /// What was handed over cannot be listened on, or the address is taken.
    pub(crate) fn open(settings: &Settings) -> io::Result<Self> {
        let mut listeners = nexus_worker::listen(Which::All)?;
        let kept = !listeners.is_empty();
        if !kept {
            listeners.push(nexus_worker::listen_or_bind(&settings.address.to_string())?);
        }
        let doors = listeners.into_iter().map(Door::new).collect::<io::Result<_>>()?;
        Ok(Self { doors, kept })
    }

    /// The port of the first TCP socket.
    pub(crate) fn port(&self) -> Option<u16> {
        self.doors.iter().find_map(|door| match door {
            Door::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Door::Unix(_) => None,
        })
    }
}

impl Door {
    fn new(listener: Listener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        match listener {
            Listener::Tcp(it) => TcpListener::from_std(it).map(Self::Tcp),
            Listener::Unix(it) => UnixListener::from_std(it).map(Self::Unix),
        }
    }

    /// # Errors
    /// The kernel's, of accept(2).
    pub(crate) async fn accept(&self) -> io::Result<Visitor> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is written at once; waiting to fill a segment would only delay it.
                // It fails on a client that has gone, which the first read will tell.
                let _gone = stream.set_nodelay(true);
                Ok(Visitor::Tcp(stream))
            }
            Self::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| Visitor::Unix(stream))
            }
        }
    }
}
