//! The fleet: asked for with a long poll, so that a change comes at once and moving figures once a
//! second. Tells when the daemon does not answer, and goes on asking.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use nexus_proto::Snapshot;
use nexus_proto::client::{Client, Failure};

use super::super::link::pause_ms;
use super::super::model::{Msg, NoAnswer};
use super::{Tell, tell};

/// Moving figures come at least so often, in milliseconds; slower for a large fleet.
const QUIET_MS: u64 = 1_000;
/// The slowest.
const QUIET_MAX_MS: u64 = 15_000;
/// Between two answers at least.
const PACE_MS: u64 = 100;
/// What an instance costs the daemon and us, in microseconds an answer, roughly.
const INSTANCE_US: u64 = 50;
/// At most one part in so many of the time goes into answers.
const SHARE: u64 = 20;

/// Ask from now on. What is sent to the answer means: try at once.
pub(in crate::monit) fn watch(client: Client, to: Tell) -> Sender<()> {
    let (retry, retries) = channel();
    std::thread::spawn(move || run(&client, &to, &retries));
    retry
}

fn run(client: &Client, to: &Tell, retries: &Receiver<()>) {
    let mut seen: Option<u64> = None;
    let mut instances = 0;
    let mut tries = 0;
    loop {
        let wait = seen.map_or(Duration::ZERO, |_| quiet(instances));
        let (msg, pause) = match client.apps_after(seen.unwrap_or(0), wait) {
            Ok(snapshot) => {
                instances = count(&snapshot);
                seen = Some(snapshot.generation);
                tries = 0;
                (Msg::Fleet(Box::new(snapshot)), pace(instances))
            }
            Err(failure) => {
                seen = None;
                tries += 1;
                let again_in_ms = pause_ms(tries);
                let killed = matches!(failure, Failure::NoDaemon { stale: true, .. });
                let why = failure.to_string();
                let answer = NoAnswer { why, killed, tries, again_in_ms };
                (Msg::Lost(answer), Duration::from_millis(again_in_ms))
            }
        };
        if !tell(to, msg) {
            return;
        }
        // A wish to try at once is one wish, however often it was made.
        while retries.try_recv().is_ok() {}
        match retries.recv_timeout(pause) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn count(snapshot: &Snapshot) -> u64 {
    snapshot.apps.iter().map(|app| app.instances.len() as u64).sum()
}

/// How long to wait for a change.
fn quiet(instances: u64) -> Duration {
    Duration::from_millis((instances * INSTANCE_US * SHARE / 1_000).clamp(QUIET_MS, QUIET_MAX_MS))
}

/// How long to leave the daemon alone after an answer.
fn pace(instances: u64) -> Duration {
    Duration::from_millis((instances * INSTANCE_US * SHARE / 1_000).clamp(PACE_MS, QUIET_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_fleet_is_asked_for_less_often() {
        assert_eq!(
            [0, 200, 4_000, 99_999].map(|n| quiet(n).as_millis()),
            [1_000, 1_000, 4_000, 15_000]
        );
        assert_eq!([0, 200, 4_000].map(|n| pace(n).as_millis()), [100, 200, 1_000]);
    }
}
