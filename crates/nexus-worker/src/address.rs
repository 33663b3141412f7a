//! The addresses that a worker may name, in the project file's spelling.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::listener::{Listener, Socket};

/// Where to listen: `tcp://HOST:PORT`, plain `HOST:PORT` (the host an IP address), `unix:/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// # Errors
    /// `InvalidInput` with what was read and what is expected.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        if let Some(path) = text.strip_prefix("unix:")
            && path.starts_with('/')
        {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        text.strip_prefix("tcp://").unwrap_or(text).parse().map(Self::Tcp).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{text:?} is no address; write tcp://127.0.0.1:3001 or unix:/run/app.sock"),
            )
        })
    }

    /// # Errors
    /// The kernel's, with the address in the text.
    pub(crate) fn bind(&self) -> io::Result<Listener> {
        let explain = |name: String, error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {name}: {error}"))
        };
        match self {
            Self::Tcp(at) => TcpListener::bind(at)
                .map(|it| Listener::new(Socket::Tcp(it)))
                .map_err(|error| explain(format!("tcp://{at}"), error)),
            Self::Unix(at) => UnixListener::bind(at)
                .map(|it| Listener::new(Socket::Unix(it)))
                .map_err(|error| explain(format!("unix:{}", at.display()), error)),
        }
    }

    /// Whether `listener` is bound to exactly this.
    pub(crate) fn is_of(&self, listener: &Listener) -> bool {
        match (self, listener.socket()) {
            (Self::Tcp(wanted), Socket::Tcp(it)) => {
                it.local_addr().is_ok_and(|bound| bound == *wanted)
            }
            (Self::Unix(wanted), Socket::Unix(it)) => {
                it.local_addr().is_ok_and(|bound| bound.as_pathname() == Some(Path::new(wanted)))
            }
            (Self::Tcp(_), Socket::Unix(_)) | (Self::Unix(_), Socket::Tcp(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_spellings() {
        let tcp = Address::Tcp("127.0.0.1:3001".parse().unwrap());
        assert_eq!(Address::parse("tcp://127.0.0.1:3001").unwrap(), tcp);
        assert_eq!(Address::parse("127.0.0.1:3001").unwrap(), tcp);
        assert_eq!(
            Address::parse("unix:/run/x.sock").unwrap(),
            Address::Unix("/run/x.sock".into())
        );
        for wrong in ["", "3001", "tcp://", "unix:x.sock", "http://127.0.0.1:1"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_taken_address_is_named_in_the_error() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(first.local_addr().unwrap());
        let error = address.bind().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&first.local_addr().unwrap().to_string()));
    }
}
