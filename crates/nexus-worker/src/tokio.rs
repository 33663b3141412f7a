//! A listener on tokio, which leaves connections to workers that have fewer.

use std::io;

use tokio::io::unix::AsyncFd;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

use crate::listener::{Connection, Listener};
use crate::sys;

/// A [`Listener`], registered with tokio's reactor.
#[derive(Debug)]
pub struct TokioListener(AsyncFd<Listener>);

/// An accepted connection on tokio.
#[derive(Debug)]
pub enum TokioStream {
    /// From a TCP listener.
    Tcp(TcpStream),
    /// From a Unix listener.
    Unix(UnixStream),
}

impl TokioListener {
    /// Sets it non-blocking, as [`Listener::set_nonblocking`] does. Needs a runtime with IO and
    /// time.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(listener: Listener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        sys::register(listener).map(Self)
    }

    /// The listener, to be asked where it is bound.
    #[must_use]
    pub fn get_ref(&self) -> &Listener {
        self.0.get_ref()
    }

    /// Waits for a connection, but leaves it to a worker of the app that has clearly fewer than
    /// the `open` ones that this one has ([`Listener::leave_next`]). Nothing is lost when it is
    /// not awaited to the end.
    ///
    /// # Errors
    /// The kernel's, of accept(2); some of them are about one client only.
    pub async fn accept(&self, open: impl Fn() -> usize) -> io::Result<TokioStream> {
        loop {
            let mut waits = self.0.readable().await?;
            while let Some(pause) = self.get_ref().leave_next(open()) {
                sleep(pause).await;
            }
            if let Ok(accepted) = waits.try_io(|listener| listener.get_ref().accept()) {
                return TokioStream::new(accepted?.into_connection());
            }
        }
    }
}

impl TokioStream {
    fn new(connection: Connection) -> io::Result<Self> {
        match connection {
            Connection::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream).map(Self::Tcp)
            }
            Connection::Unix(stream) => {
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream).map(Self::Unix)
            }
        }
    }
}
