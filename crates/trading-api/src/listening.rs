//! The sockets that a worker accepts from, on tokio.

use std::io;

use nexus_worker::{Socket, TokioListener, Which};

use crate::settings::Settings;

/// Where a worker listens.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) doors: Vec<TokioListener>,
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
        let doors = listeners.into_iter().map(TokioListener::new).collect::<io::Result<_>>()?;
        Ok(Self { doors, kept })
    }

    /// The port of the first TCP socket.
    pub(crate) fn port(&self) -> Option<u16> {
        self.doors.iter().find_map(|door| match door.get_ref().socket() {
            Socket::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Socket::Unix(_) => None,
        })
    }
}
