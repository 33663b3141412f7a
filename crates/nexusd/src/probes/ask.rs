//! One question to a worker over a socket: does it answer, and how?

use std::io;

use nexus_spec::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is read of an answer at the most: its first lines say what is to be known.
const ANSWER_MAX: usize = 4_096;
/// What of it is told as evidence, in bytes.
const EVIDENCE_MAX: usize = 200;

/// A connection is taken.
pub(super) async fn tcp(endpoint: &Endpoint) -> Result<(), String> {
    connect(endpoint).await.map(drop)
}

/// A request is answered with 200 to 399.
pub(super) async fn http(endpoint: &Endpoint) -> Result<(), String> {
    let mut stream = connect(endpoint).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: nexus-check\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        endpoint.path, endpoint.authority
    );
    stream.write_all(request.as_bytes()).await.map_err(plain)?;
    let mut answer = Vec::with_capacity(ANSWER_MAX);
    let mut room = (&mut stream).take(ANSWER_MAX as u64);
    loop {
        // The body is read for its evidence, and only of an answer that is a failure.
        match status(&answer) {
            Some(Ok(code)) if (200..400).contains(&code) => return Ok(()),
            Some(Err(())) => return Err("no answer of HTTP".to_owned()),
            Some(Ok(_)) | None => {}
        }
        let read = room.read_buf(&mut answer).await;
        if matches!(read, Ok(0) | Err(_)) {
            return match (status(&answer), read) {
                (Some(Ok(code)), _) => Err(refused(code, &answer)),
                (Some(Err(())), _) => Err("no answer of HTTP".to_owned()),
                (None, Err(error)) => Err(plain(error)),
                (None, Ok(_)) => Err("the connection was closed without an answer".to_owned()),
            };
        }
    }
}

async fn connect(endpoint: &Endpoint) -> Result<TcpStream, String> {
    let mut failure = "no address".to_owned();
    for address in &endpoint.addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = plain(error),
        }
    }
    Err(failure)
}

/// The status of an answer whose first line is complete; `Err`: that line is none of HTTP.
fn status(answer: &[u8]) -> Option<Result<u16, ()>> {
    let line = answer.split(|&byte| byte == b'\n').next().filter(|line| line.len() < answer.len());
    let Some(line) = line else {
        let begins = answer.len().min(5);
        return (answer[..begins] != b"HTTP/"[..begins]).then_some(Err(()));
    };
    let text = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("HTTP/1."));
    let code = text.and_then(|rest| rest.split_ascii_whitespace().nth(1)?.parse().ok());
    Some(code.filter(|code| (100..600).contains(code)).ok_or(()))
}

/// `answers 503: {"db":"down"}`.
fn refused(code: u16, answer: &[u8]) -> String {
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| &answer[at + 4..]);
    let text = String::from_utf8_lossy(body.unwrap_or_default());
    match text.trim().lines().next().unwrap_or_default() {
        "" => format!("answers {code}"),
        line => format!("answers {code}: {}", shown(line)),
    }
}

/// In bounds, and harmless on a terminal.
pub(super) fn shown(text: &str) -> String {
    let cut = text.floor_char_boundary(EVIDENCE_MAX);
    text[..cut].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn plain(error: io::Error) -> String {
    crate::files::plain(&error)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What is told of a server that says this and closes.
    async fn told(says: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut head = [0; 1_024];
            let read = client.read(&mut head).await.unwrap();
            assert!(head[..read].starts_with(b"GET /up?x HTTP/1.1\r\nHost: "));
            client.write_all(says).await.unwrap();
        });
        let (authority, path) = (address.to_string(), "/up?x".to_owned());
        http(&Endpoint { addresses: vec![address], authority, path }).await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_is_judged_by_its_status() {
        let cases: [(&[u8], Result<(), &str>); 8] = [
            (b"HTTP/1.1 200 OK\r\n\r\n", Ok(())),
            (b"HTTP/1.0 204\r\n\r\n", Ok(())),
            (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", Ok(())),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", Err("answers 404")),
            (
                b"HTTP/1.1 503 No\r\nA: b\r\n\r\ndb \x1b[31mis down\nmore",
                Err("answers 503: db  [31mis down"),
            ),
            (b"SSH-2.0-x\r\n", Err("no answer of HTTP")),
            (b"HTTP/1.1 x\r\n", Err("no answer of HTTP")),
            (b"", Err("the connection was closed without an answer")),
        ];
        for (says, expected) in cases {
            assert_eq!(told(says).await, expected.map_err(str::to_owned));
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_port_that_nobody_has_takes_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ask =
            Endpoint { addresses: vec![address], authority: String::new(), path: String::new() };
        assert_eq!(tcp(&ask).await, Ok(()));
        drop(listener);
        assert_eq!(tcp(&ask).await, Err("Connection refused".to_owned()));
    }
}
