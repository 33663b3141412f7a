//! As much of HTTP/1.1 as one request on one connection needs, every size bounded.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use httparse::Status;

use super::Failure;

/// The longest response head, in bytes.
pub const HEAD_MAX: usize = 16 * 1024;
/// The most response headers.
const HEADERS_MAX: usize = 64;
/// The longest line that gives a chunk's size, extensions included; also of a trailer line.
const CHUNK_LINE_MAX: usize = 1024;
/// Bytes asked of the kernel at once.
const READ_SIZE: usize = 64 * 1024;

/// One request.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) body: Option<&'a [u8]>,
}

/// A response whose head has been read.
pub(super) struct Response {
    pub(super) status: u16,
    /// What the answer says of its daemon's version.
    pub(super) version: Option<String>,
    stream: UnixStream,
    deadline: Option<Instant>,
    /// Bytes that have come and have not been taken.
    buffer: Vec<u8>,
    framing: Framing,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// A chunk's size line is next.
    ChunkSize,
    /// So many bytes of a chunk are still to come, then CRLF.
    Chunk(u64),
    /// The CRLF after a chunk is next.
    ChunkEnd,
    /// Trailer lines, up to an empty one.
    Trailer,
    /// When the peer closes.
    Close,
    /// All has been read.
    Done,
}

/// Send `request` and read the head of the answer.
pub(super) fn exchange(
    mut stream: UnixStream,
    request: &Request<'_>,
    deadline: Option<Instant>,
) -> Result<Response, Failure> {
    stream.set_write_timeout(left(deadline)?).map_err(Failure::from_io)?;
    let sent = stream.write_all(&encode(request));
    let mut response = Response {
        status: 0,
        version: None,
        stream,
        deadline,
        buffer: Vec::new(),
        framing: Framing::Done,
    };
    match (response.read_head(), sent) {
        // A refusal of a large body may come before all of it was sent: the answer counts.
        (Ok(()), _) => Ok(response),
        (Err(_), Err(error)) => Err(Failure::from_io(error)),
        (Err(failure), Ok(())) => Err(failure),
    }
}

fn encode(request: &Request<'_>) -> Vec<u8> {
    let mut text = format!(
        "{} {} HTTP/1.1\r\nhost: nexus\r\naccept: application/json\r\nconnection: close\r\n",
        request.method, request.path
    );
    if let Some(key) = request.key {
        text.push_str(&format!("idempotency-key: {key}\r\n"));
    }
    let body = request.body.unwrap_or_default();
    if request.body.is_some() {
        text.push_str("content-type: application/json\r\n");
    }
    if request.method != "GET" {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What is left until the deadline; `None` = for ever.
fn left(deadline: Option<Instant>) -> Result<Option<Duration>, Failure> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Failure::TimedOut) } else { Ok(Some(left)) }
}

impl Response {
    /// From now on wait for ever: the body is a stream.
    pub(super) fn wait_for_ever(&mut self) {
        self.deadline = None;
    }

    /// The whole body, at most `max` bytes.
    pub(super) fn body(&mut self, max: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while self.more(&mut body)? {
            if body.len() > max {
                return Err(Failure::protocol(format!("the answer is longer than {max} bytes")));
            }
        }
        Ok(body)
    }

    /// Append the next piece of the body to `out`; false = the body has ended.
    pub(super) fn more(&mut self, out: &mut Vec<u8>) -> Result<bool, Failure> {
        loop {
            match self.framing {
                Framing::Done => return Ok(false),
                Framing::Length(0) => self.framing = Framing::Done,
                Framing::Chunk(0) => self.framing = Framing::ChunkEnd,
                Framing::Length(left) => {
                    let took = self.take(out, left)?;
                    self.framing = Framing::Length(left - took);
                    return Ok(true);
                }
                Framing::Chunk(left) => {
                    let took = self.take(out, left)?;
                    self.framing = Framing::Chunk(left - took);
                    return Ok(true);
                }
                Framing::Close => {
                    if self.buffer.is_empty() && self.fill()? == 0 {
                        self.framing = Framing::Done;
                    } else {
                        out.append(&mut self.buffer);
                        return Ok(true);
                    }
                }
                Framing::ChunkSize => {
                    let line = self.line()?;
                    self.framing = match chunk_size(&line)? {
                        0 => Framing::Trailer,
                        size => Framing::Chunk(size),
                    };
                }
                Framing::ChunkEnd => {
                    if !self.line()?.is_empty() {
                        return Err(Failure::protocol("a chunk is longer than it said"));
                    }
                    self.framing = Framing::ChunkSize;
                }
                Framing::Trailer => {
                    if self.line()?.is_empty() {
                        self.framing = Framing::Done;
                    }
                }
            }
        }
    }

    fn read_head(&mut self) -> Result<(), Failure> {
        loop {
            if !self.buffer.is_empty() && self.parse_head()? {
                return Ok(());
            }
            if self.buffer.len() > HEAD_MAX {
                return Err(Failure::protocol("the answer's head is too long"));
            }
            if self.fill()? == 0 {
                return Err(Failure::lost());
            }
        }
    }

    /// False = the head has not come whole.
    fn parse_head(&mut self) -> Result<bool, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(&self.buffer);
        let Status::Complete(length) =
            parsed.map_err(|error| Failure::protocol(format!("not an HTTP answer: {error}")))?
        else {
            return Ok(false);
        };
        self.status = head.code.unwrap_or(0);
        let mut framing = Framing::Close;
        for header in head.headers.iter() {
            let value = std::str::from_utf8(header.value).unwrap_or("").trim();
            if header.name.eq_ignore_ascii_case(crate::VERSION_HEADER) {
                self.version = Some(value.to_owned());
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err(Failure::protocol("an unknown transfer encoding"));
                }
                framing = Framing::ChunkSize;
            } else if header.name.eq_ignore_ascii_case("content-length")
                && framing != Framing::ChunkSize
            {
                let length = value.parse();
                framing = Framing::Length(
                    length.map_err(|_| Failure::protocol("a length that is no number"))?,
                );
            }
        }
        self.framing = if self.status == 204 { Framing::Done } else { framing };
        self.buffer.drain(..length);
        Ok(true)
    }

    /// Move at most `max` bytes to `out`; reads when there are none.
    fn take(&mut self, out: &mut Vec<u8>, max: u64) -> Result<u64, Failure> {
        if self.buffer.is_empty() && self.fill()? == 0 {
            return Err(Failure::lost());
        }
        let count = self.buffer.len().min(usize::try_from(max).unwrap_or(usize::MAX));
        out.extend(self.buffer.drain(..count));
        Ok(count as u64)
    }

    /// The next line without its CRLF.
    fn line(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if self.buffer.len() > CHUNK_LINE_MAX {
                return Err(Failure::protocol("a chunk's size is not a line"));
            }
            if self.fill()? == 0 {
                return Err(Failure::lost());
            }
        }
    }

    /// Read once into the buffer; 0 = the peer has closed.
    fn fill(&mut self) -> Result<usize, Failure> {
        let patience = left(self.deadline)?;
        self.stream.set_read_timeout(patience).map_err(Failure::from_io)?;
        let start = self.buffer.len();
        self.buffer.resize(start + READ_SIZE, 0);
        let read = loop {
            match self.stream.read(&mut self.buffer[start..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(start + read.as_ref().map_or(0, |count| *count));
        read.map_err(Failure::from_io)
    }
}

/// The size in a chunk's first line, extensions ignored.
fn chunk_size(line: &[u8]) -> Result<u64, Failure> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).unwrap_or("").trim();
    // `from_str_radix` would take a sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::protocol("a chunk's size is no number"));
    }
    u64::from_str_radix(text, 16).map_err(|_| Failure::protocol("a chunk's size is too large"))
}
