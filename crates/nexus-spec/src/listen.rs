//! Addresses to bind, and how they are written.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One address to bind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listen {
    /// `tcp://HOST:PORT`, the host an IP address.
    Tcp(SocketAddr),
    /// `unix:/PATH`.
    Unix(PathBuf),
}

/// The longest path of a Unix socket, in bytes: `sockaddr_un` less its closing NUL (`unix(7)`).
const UNIX_MAX: usize = 107;

impl Listen {
    /// An address as users write it: `tcp://127.0.0.1:3001`, `tcp://[::1]:3001`,
    /// `unix:/run/x.sock`. Port 0 lets the kernel choose.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Listen, String> {
        if let Some(address) = text.strip_prefix("tcp://") {
            return address.parse().map(Listen::Tcp).map_err(|_| tcp_flaw(address));
        }
        let Some(path) = text.strip_prefix("unix:") else {
            return Err("does not begin with `tcp://` or `unix:`".to_owned());
        };
        // `unix:///run/x.sock` is the URL spelling of the same.
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            Err("has a relative path; a socket's path begins with `/`".to_owned())
        } else if path.len() > UNIX_MAX {
            Err(format!("has a path of {} bytes; a socket's has at most {UNIX_MAX}", path.len()))
        } else if path.chars().any(char::is_control) {
            Err("has a control character in its path".to_owned())
        } else if path.ends_with('/') {
            Err("is the path of a directory".to_owned())
        } else {
            Ok(Listen::Unix(PathBuf::from(path)))
        }
    }

    /// Whether the kernel would refuse to bind both: the same address, or the same port with one
    /// of the two on every address of the family.
    pub fn conflicts(&self, other: &Listen) -> bool {
        match (self, other) {
            (Listen::Tcp(a), Listen::Tcp(b)) => {
                let one_is_any = a.ip().is_unspecified() || b.ip().is_unspecified();
                a.port() != 0
                    && a.port() == b.port()
                    && a.is_ipv4() == b.is_ipv4()
                    && (a.ip() == b.ip() || one_is_any)
            }
            (Listen::Unix(a), Listen::Unix(b)) => a == b,
            (Listen::Tcp(_), Listen::Unix(_)) | (Listen::Unix(_), Listen::Tcp(_)) => false,
        }
    }
}

fn tcp_flaw(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains(':') => {
            "names its host by something else than an IP address".to_owned()
        }
        Some((_, port)) if port.parse::<u16>().is_err() => {
            "does not end with a port, 0 to 65535".to_owned()
        }
        Some(_) | None => "is not an IP address and a port".to_owned(),
    }
}

/// As [`Listen::parse`] reads it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => write!(f, "tcp://{address}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_forms_read_back() {
        for text in
            ["tcp://127.0.0.1:3001", "tcp://[::1]:3001", "tcp://0.0.0.0:0", "unix:/run/x.sock"]
        {
            assert_eq!(Listen::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Listen::parse("unix:///run/x"), Ok(Listen::Unix("/run/x".into())));
    }

    #[test]
    fn what_is_no_address() {
        let long = format!("unix:/{}", "x".repeat(107));
        for (text, why) in [
            ("3001", "begin with"),
            ("http://127.0.0.1:3001", "begin with"),
            ("tcp://localhost:3001", "IP address"),
            ("tcp://:3001", "IP address"),
            ("tcp://127.0.0.1", "IP address"),
            ("tcp://127.0.0.1:70000", "port"),
            ("tcp://127.0.0.1:", "port"),
            ("tcp://::1:3001", "IP address"),
            ("unix:x.sock", "relative"),
            ("unix:", "relative"),
            ("unix:/run/", "directory"),
            ("unix:/a\0b", "control"),
            (&long, "bytes"),
        ] {
            let flaw = Listen::parse(text).unwrap_err();
            assert!(flaw.contains(why), "{text}: {flaw}");
        }
    }

    #[test]
    fn a_wildcard_takes_the_port_of_its_family() {
        let conflict = |a, b| Listen::parse(a).unwrap().conflicts(&Listen::parse(b).unwrap());
        assert!(conflict("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"));
        assert!(conflict("tcp://0.0.0.0:1", "tcp://127.0.0.1:1"));
        assert!(conflict("tcp://[::1]:1", "tcp://[::]:1"));
        assert!(conflict("unix:/a", "unix:/a"));
        assert!(!conflict("tcp://127.0.0.2:1", "tcp://127.0.0.1:1"));
        assert!(!conflict("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"));
        assert!(!conflict("tcp://[::]:1", "tcp://127.0.0.1:1"));
        assert!(!conflict("unix:/a", "unix:/b"));
        assert!(!conflict("unix:/a", "tcp://127.0.0.1:1"));
    }
}
