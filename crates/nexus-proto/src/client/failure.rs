//! Why a request has no answer.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::problem::{Code, Problem};

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens: there is no socket, or it refuses.
    NoDaemon {
        /// Where.
        socket: PathBuf,
        /// The socket's file exists, so a daemon was there and is gone.
        stale: bool,
        /// In words.
        cause: String,
    },
    /// The socket may not be used by us.
    NotPermitted {
        /// Which.
        socket: PathBuf,
    },
    /// The daemon answered with a problem.
    Problem(Box<Problem>),
    /// The connection ended before the answer did.
    Lost {
        /// In words.
        cause: String,
    },
    /// No answer in time.
    TimedOut,
    /// Something answered, but not as our daemon does.
    Protocol {
        /// What was wrong.
        what: String,
    },
}

impl Failure {
    pub(super) fn protocol(what: impl Into<String>) -> Failure {
        Failure::Protocol { what: what.into() }
    }

    pub(super) fn lost() -> Failure {
        Failure::Lost { cause: "the connection ended before the answer".to_owned() }
    }

    /// The daemon is going or has just gone; another may be on its way.
    pub fn is_passing(&self) -> bool {
        match self {
            Failure::Lost { .. } => true,
            Failure::Problem(problem) => problem.code == Code::NoDaemon,
            Failure::NoDaemon { .. }
            | Failure::NotPermitted { .. }
            | Failure::TimedOut
            | Failure::Protocol { .. } => false,
        }
    }

    /// An error while connected.
    pub(super) fn from_io(error: io::Error) -> Failure {
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            Failure::TimedOut
        } else {
            Failure::Lost { cause: error.to_string() }
        }
    }

    /// An error of `connect(2)`.
    pub(super) fn from_connect(socket: &Path, error: io::Error) -> Failure {
        let socket = socket.to_owned();
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return Failure::TimedOut;
        }
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Failure::NotPermitted { socket };
        }
        let stale = error.kind() == io::ErrorKind::ConnectionRefused;
        let cause = if stale {
            "connection refused: the daemon that made this socket is gone".to_owned()
        } else if error.kind() == io::ErrorKind::NotFound {
            "there is no socket".to_owned()
        } else {
            error.to_string()
        };
        Failure::NoDaemon { socket, stale, cause }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoDaemon { socket, cause, .. } => {
                write!(f, "cannot reach nexusd at {}: {cause}", socket.display())
            }
            Failure::NotPermitted { socket } => {
                write!(f, "not allowed to use {}", socket.display())
            }
            Failure::Problem(problem) => f.write_str(&problem.title),
            Failure::Lost { cause } => write!(f, "the daemon went away: {cause}"),
            Failure::TimedOut => f.write_str("the daemon did not answer in time"),
            Failure::Protocol { what } => write!(f, "the daemon's answer makes no sense: {what}"),
        }
    }
}

impl std::error::Error for Failure {}
