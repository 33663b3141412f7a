//! What fuzzing reaches of this crate, and what it has found, kept as a test.

use std::io::{self, Read, Write};
use std::time::Duration;

use nexus_core::{ChildId, Roll};
use tokio::sync::{mpsc, watch};

use crate::command::Front;
use crate::records::Entry;
use crate::sampling::Sampling;
use crate::store::Image;

/// How long an answer may take: nothing waits for anything here.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A file of intents with any lines in it, joined with an empty roll.
pub fn state(bytes: &[u8]) {
    let lines = bytes.split(|&byte| byte == b'\n');
    let entries = lines.filter_map(|line| serde_json::from_slice::<Vec<Entry>>(line).ok());
    let image = Image::of(entries.flatten());
    let (intents, ..) = image.intents();
    let roll = Roll { living: Vec::new(), cold: true, last_child: ChildId(image.last_child) };
    let (state, _) = nexus_core::resume(intents, roll, nexus_core::Time(1_000_000));
    drop(state);
}

/// Any bytes from a client; the daemon behind the door is ending.
///
/// # Errors
/// When there is no room for a runtime or a socket.
pub fn front(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut client, server) = std::os::unix::net::UnixStream::pair()?;
    server.set_nonblocking(true)?;
    client.write_all(bytes.get(..bytes.len().min(64 << 10)).unwrap_or_default())?;
    client.shutdown(std::net::Shutdown::Write)?;
    let served = runtime.block_on(async {
        let server = tokio::net::UnixStream::from_std(server)?;
        tokio::time::timeout(ANSWER_MAX, crate::api::one(server, ending()))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
    });
    assert!(served.is_ok(), "a request without an end to come is not let go");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The door of a daemon whose loop has gone.
fn ending() -> Front {
    let commands = mpsc::channel(1).0;
    Front {
        board: Sampling::new(None, commands.clone()).board(),
        commands,
        generation: watch::channel(0).1,
        operations: watch::channel(0).1,
        events: watch::channel(0).1,
        synced: watch::channel(0).1,
        state: std::path::PathBuf::from("/nowhere"),
        streams: std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
        guests: std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
        admitted: watch::channel(crate::admission::Admitted::default()).1,
    }
}

#[cfg(test)]
mod tests {
    fn seeds(target: &str) -> impl Iterator<Item = Vec<u8>> {
        let seeds = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(seeds).unwrap();
        entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
    }

    #[test]
    fn what_fuzzing_found_in_state_stays_mended() {
        seeds("state").for_each(|bytes| super::state(&bytes));
    }

    #[test]
    fn what_fuzzing_found_at_the_front_door_stays_mended() {
        for bytes in seeds("front") {
            let answer = super::front(&bytes).unwrap();
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "));
        }
    }
}
