//! HTTP/1.1 by hand, so that nothing of the programs under test is needed to ask them.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::home::Home;

/// How long one answer may take; longer than a daemon's replacement.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
    /// Its `Content-Type`, in small letters.
    pub kind: String,
    /// Whether the server closes the connection after it.
    pub close: bool,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Read one answer with a `Content-Length`.
    ///
    /// # Errors
    /// The stream's; `UnexpectedEof` when it ends early, also before the first byte;
    /// `InvalidData` when it is no HTTP.
    pub fn read(from: &mut impl BufRead) -> io::Result<Answer> {
        let (mut status, mut length, mut close) = (None, 0, false);
        let mut kind = String::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().and_then(|code| code.parse().ok());
            } else if let Some(number) = line.strip_prefix("content-length: ") {
                length = number.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            } else if let Some(name) = line.strip_prefix("content-type: ") {
                kind = name.to_owned();
            } else if line == "connection: close" {
                close = true;
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), kind, close })
    }
}

/// `GET path` on 127.0.0.1, on a connection of its own.
///
/// # Errors
/// The connection's.
pub fn get(port: u16, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(request("GET", path, "", "").as_bytes())?;
    Answer::read(&mut BufReader::new(stream))
}

/// A whole request that asks for the connection to be closed. `headers` end with a line end each.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: nexus\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
}

impl Home {
    /// A connection to the control socket.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(self.path().join("nexus.sock"))?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(stream)
    }

    /// Ask the control API.
    ///
    /// # Errors
    /// Nobody listens, or the connection ends before the answer does.
    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        stream.write_all(request(method, path, headers, body).as_bytes())?;
        Answer::read(&mut BufReader::new(stream))
    }

    /// A `GET` that must be answered with 200 and JSON; tried again while a daemon is replaced.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn api(&self, path: &str) -> Value {
        let answer = crate::wait_for(crate::PROMPT, &format!("an answer to {path}"), || {
            self.ask("GET", path, "", "").ok().filter(|answer| answer.status != 503)
        });
        assert!(answer.status == 200, "{path}: {answer:?}");
        answer.json()
    }
}
