//! A client against daemons that die or hang.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn a_question_outlives_every_daemon_that_dies_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let reconnect = Duration::from_millis(50);
    let server = std::thread::spawn(move || {
        for death in 0..3 {
            let (mut client, _) = listener.accept().unwrap();
            let _asked = client.read(&mut [0; 1024]);
            if death == 2 {
                let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue";
                client.write_all(text.as_bytes()).unwrap();
            } else {
                // It lives on for longer than one that went away would be waited for.
                client.set_read_timeout(Some(2 * reconnect)).unwrap();
                let _nothing = client.read(&mut [0; 1]);
            }
        }
    });
    let client = Client::new(&socket).with_reconnect(reconnect);
    assert_eq!(client.get::<bool>("/"), Ok(true));
    server.join().unwrap();
}

#[test]
fn what_is_not_answered_is_asked_for_anew() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        // The first one hangs with the question read; the second client is a sign to its peer.
        let (_hangs, _) = listener.accept().unwrap();
        let (mut client, _) = listener.accept().unwrap();
        let _asked = client.read(&mut [0; 1024]);
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue").unwrap();
    });
    let mut client = Client::new(&socket);
    client.answer = Duration::from_millis(50);
    assert_eq!(client.post::<(), bool>("/", "key", None), Ok(true));
    server.join().unwrap();
}
