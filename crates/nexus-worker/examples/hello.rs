//! A worker in thirty lines: takes the socket, says it is ready, serves, drains.

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use nexus_worker::{Stop, Stream, listen_or_bind, ready, status, stopping};

fn main() -> io::Result<()> {
    let stop = Stop::install()?;
    let listener = listen_or_bind("127.0.0.1:8080")?;
    ready()?;
    status("serving")?;
    // The scope ends when every client that was accepted has its answer: that is the drain.
    thread::scope(|clients| {
        while let Some(client) = listener.accept_until(stop)? {
            clients.spawn(|| answer(client));
        }
        drop(listener); // our copy only: who is still queued goes to another worker
        stopping().map(|_| ())
    })
}

fn answer(mut client: Stream) -> io::Result<()> {
    client.set_timeout(Some(Duration::from_secs(5)))?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8_192 && client.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let body = format!("hello from {}\n", std::process::id());
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    client.write_all((head + &body).as_bytes())
}
