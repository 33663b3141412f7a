//! A question that tells whether a worker serves: how it is written, and whom it asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// `http`: `http://HOST:PORT/PATH`, or `/PATH` at the worker's PORT; it answers with 200 to
    /// 399.
    Http(String),
    /// `tcp`: a `HOST:PORT` that takes a connection.
    Tcp(String),
    /// `exec`: a shell command that exits with 0.
    Exec(String),
    /// `event_loop_lag`: nobody is asked; the worker reports over Node's channel how late its event
    /// loop is, and that is no more than this.
    Lag(Span),
}

/// Where a check connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// To be tried one after another: `localhost` has two.
    pub addresses: Vec<SocketAddr>,
    /// `HOST:PORT` as written, for the `Host` of a request.
    pub authority: String,
    /// The path and the query of a request, from `/` on.
    pub path: String,
}

/// What the variables in an address stand for.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Check {
    /// As its address or command is shown: `http://127.0.0.1:3001/up`, `tcp://127.0.0.1:3001`,
    /// `exec:./check`.
    pub fn written(&self) -> String {
        match self {
            Check::Http(address) => address.clone(),
            Check::Tcp(address) => format!("tcp://{address}"),
            Check::Exec(command) => format!("exec:{command}"),
            Check::Lag(most) => format!("event loop lag up to {most}"),
        }
    }

    /// Where it connects to, its variables filled in; `None` for who connects to nothing.
    ///
    /// # Errors
    /// A clause that says what is wrong with the address.
    pub fn endpoint(&self, lookup: Lookup<'_>) -> Result<Option<Endpoint>, String> {
        match self {
            Check::Exec(_) | Check::Lag(_) => Ok(None),
            Check::Tcp(address) => {
                let address = address.strip_prefix("tcp://").unwrap_or(address);
                let address = filled(address, lookup)?;
                let addresses = addresses(&address, None)?;
                Ok(Some(Endpoint { addresses, authority: address, path: String::new() }))
            }
            Check::Http(address) => http(address, lookup).map(Some),
        }
    }
}

fn http(address: &str, lookup: Lookup<'_>) -> Result<Endpoint, String> {
    if address.starts_with("https://") {
        return Err("asks by HTTPS; a worker is asked by plain HTTP, or by a command".to_owned());
    }
    let whole = match address.starts_with('/') {
        true => format!("http://127.0.0.1:$PORT{address}"),
        false => address.to_owned(),
    };
    let rest = whole.strip_prefix("http://").ok_or("is no address of HTTP")?;
    let rest = filled(rest, lookup)?;
    if rest.contains(|c: char| c.is_control() || c == ' ' || !c.is_ascii()) {
        return Err("has a character that an address cannot have".to_owned());
    }
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest.as_str(), "/"),
    };
    let path = path.split('#').next().unwrap_or(path);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let addresses = addresses(authority, Some(80))?;
    Ok(Endpoint { addresses, authority: authority.to_owned(), path })
}

/// `HOST:PORT`, the host an IP address or `localhost`: a name service could hold a check up.
fn addresses(text: &str, port: Option<u16>) -> Result<Vec<SocketAddr>, String> {
    let of_host = |host: &str, port: u16| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let ips = match host {
            "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            _ => match host.parse::<IpAddr>() {
                Ok(ip) => vec![ip],
                Err(_) => return Err(format!("asks `{host}`, no IP address or `localhost`")),
            },
        };
        Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    };
    let bare = text.ends_with(']') || !text.contains(':');
    match (text.rsplit_once(':').filter(|_| !bare), port) {
        (Some((host, port)), _) => match port.parse::<u16>() {
            Ok(port) if port > 0 => of_host(host, port),
            Ok(_) | Err(_) => Err(format!("has `{port}` as its port; it is 1 to 65535")),
        },
        (None, Some(port)) => of_host(text, port),
        (None, None) => Err("has no port".to_owned()),
    }
}

/// `$NAME` and `${NAME}` replaced by what they stand for.
fn filled(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, tail) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or("has a `${` without its `}`")?,
            None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
        };
        if name.is_empty() {
            return Err("has a `$` without a name".to_owned());
        }
        let value = lookup(name).ok_or_else(|| {
            format!("asks for `${name}`, which neither `env` nor `increment_var` sets")
        })?;
        whole.push_str(&value);
        rest = tail;
    }
    whole.push_str(rest);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "PORT").then(|| "3001".to_owned())
    }

    fn asks(check: &Check) -> Result<String, String> {
        check.endpoint(&lookup).map(|endpoint| {
            let Endpoint { addresses, authority, path } = endpoint.unwrap();
            let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("{} {authority} {path}", all.join(","))
        })
    }

    #[test]
    fn whom_an_address_asks() {
        for (text, asked) in [
            ("http://127.0.0.1:80/up?x=1#y", "127.0.0.1:80 127.0.0.1:80 /up?x=1"),
            ("http://[::1]:81", "[::1]:81 [::1]:81 /"),
            ("http://[::1]/a", "[::1]:80 [::1] /a"),
            ("http://127.0.0.1?q", "127.0.0.1:80 127.0.0.1 /?q"),
            ("/health", "127.0.0.1:3001 127.0.0.1:3001 /health"),
            ("http://localhost:${PORT}/", "127.0.0.1:3001,[::1]:3001 localhost:3001 /"),
        ] {
            assert_eq!(asks(&Check::Http(text.into())), Ok(asked.into()), "{text}");
        }
        assert_eq!(
            asks(&Check::Tcp("127.0.0.1:$PORT".into())),
            Ok("127.0.0.1:3001 127.0.0.1:3001 ".into())
        );
        assert_eq!(Check::Exec("true".into()).endpoint(&lookup), Ok(None));
    }

    #[test]
    fn what_no_check_can_ask() {
        for (text, clause) in [
            ("https://127.0.0.1/", "HTTPS"),
            ("http://example.org/", "no IP address"),
            ("http://127.0.0.1:0/", "1 to 65535"),
            ("http://127.0.0.1:x/", "1 to 65535"),
            ("http://127.0.0.1:$ADMIN/", "`$ADMIN`"),
            ("http://127.0.0.1:$/", "without a name"),
            ("http://127.0.0.1:${PORT/", "without its `}`"),
            ("http://127.0.0.1/a b", "a character"),
            ("ftp://127.0.0.1/", "no address of HTTP"),
        ] {
            let flaw = asks(&Check::Http(text.into())).unwrap_err();
            assert!(flaw.contains(clause), "{text}: {flaw}");
        }
        assert!(asks(&Check::Tcp("127.0.0.1".into())).unwrap_err().contains("no port"));
    }
}
