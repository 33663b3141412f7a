//! A listening socket of an app: its address, and how it is made.

use serde::{Deserialize, Serialize};

use crate::listen::Listen;

/// One socket that is bound and kept for an app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Socket {
    /// `address`.
    #[serde(flatten)]
    pub address: Listen,
    /// `name`: as workers find it in LISTEN_FDNAMES; default: the address, its colons as `_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `backlog`: connections that wait for a worker (`listen(2)`); default 4096, as far as
    /// `net.core.somaxconn` allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<u32>,
    /// `mode` of the file of a Unix socket; default: as the daemon's umask leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// `user` that owns the file of a Unix socket, by name or number; default: the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `group` of the file of a Unix socket, by name or number; default: the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `reuse_port`: each instance has a TCP socket of its own at this address (SO_REUSEPORT), and
    /// the kernel chooses between them; default: all share one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reuse_port: bool,
}

impl From<Listen> for Socket {
    fn from(address: Listen) -> Socket {
        Socket {
            address,
            name: None,
            backlog: None,
            mode: None,
            user: None,
            group: None,
            reuse_port: false,
        }
    }
}

impl Socket {
    /// As workers find it in LISTEN_FDNAMES, which colons separate (sd_listen_fds(3)).
    pub fn fd_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string().replace(':', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_is_stored_as_it_always_was() {
        let listen = Listen::parse("tcp://127.0.0.1:80").unwrap();
        let plain = Socket::from(listen.clone());
        let stored = serde_json::to_string(&listen).unwrap();
        assert_eq!(serde_json::to_string(&plain).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Socket>(&stored).unwrap(), plain);
        let named = Socket { name: Some("http".into()), backlog: Some(7), ..plain.clone() };
        let apart = Socket { reuse_port: true, ..plain.clone() };
        for socket in [&named, &apart] {
            let text = serde_json::to_string(socket).unwrap();
            assert_eq!(serde_json::from_str::<Socket>(&text).unwrap(), *socket);
        }
        assert_eq!(
            (plain.fd_name(), named.fd_name()),
            ("tcp_//127.0.0.1_80".into(), "http".into())
        );
    }
}
