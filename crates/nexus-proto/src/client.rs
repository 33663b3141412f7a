//! A blocking client of the control API, for programs that ask one thing at a time.
//!
//! One request is one connection. When the daemon goes away in the middle of a request, the
//! request is made again for [`RECONNECT`]: reading is harmless, and what changes something
//! carries an `Idempotency-Key`, so the same operation answers with its true result.

mod apps;
mod connect;
mod failure;
mod http;
mod lines;
mod patience;
mod skew;
mod text;

use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use failure::Failure;
pub use http::HEAD_MAX;
pub use lines::Lines;
pub use patience::{ANSWER, RECONNECT};
pub use skew::skew;
pub use text::{fresh_key, quote};

use crate::answer::{Events, Flushed, History, Logs, Saved, Targets, Version};
use crate::op::{AppVerb, FlushLogs, OpState, Operation, Start, UpgradeDaemon};
use crate::problem::Problem;
use crate::snapshot::{AppView, Snapshot};
use http::{Request, Response};
use patience::TRIES;

/// The longest answer that is one document.
pub const BODY_MAX: usize = 64 * 1024 * 1024;
/// The longest line of a stream.
pub const LINE_MAX: usize = 1024 * 1024;
/// How long one `GET /v1/operations/{key}` waits before it is asked again.
const POLL: Duration = Duration::from_secs(10);
/// While somebody waits, so many daemons may die under a question before it is given up. What
/// changes something is not asked so often: it might be what they die of.
const LOSSES_MAX: u32 = 1_000;
/// Between two tries to connect while nobody listens.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// A client of the daemon behind one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    answer: Duration,
    tries: u32,
    /// For how long a question is asked anew, however often that is.
    silence: Duration,
    reconnect: Duration,
    reviver: Option<Reviver>,
    /// What the last answer said of its daemon's version; one for all clones.
    heard: Arc<Mutex<Option<String>>>,
}

#[derive(Clone)]
struct Reviver(Arc<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Reviver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reviver")
    }
}

impl Client {
    /// A client of the daemon that listens at `socket`. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client {
            socket: socket.into(),
            answer: ANSWER,
            tries: TRIES,
            silence: Duration::ZERO,
            reconnect: RECONNECT,
            reviver: None,
            heard: Arc::default(),
        }
    }

    /// The same client, which brings back a daemon that was killed together with its keeper: the
    /// socket's file is there and nobody listens. `revive` returns whether one listens again.
    #[must_use]
    pub fn with_reviver(mut self, revive: impl Fn() -> bool + Send + Sync + 'static) -> Client {
        self.reviver = Some(Reviver(Arc::new(revive)));
        self
    }

    /// The same client, which brings nothing back.
    #[must_use]
    pub fn without_reviver(mut self) -> Client {
        self.reviver = None;
        self
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The version of the daemon that gave the last answer, if it said so.
    pub fn heard_version(&self) -> Option<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `GET /v1/version`.
    ///
    /// # Errors
    /// See [`Failure`]; so for every request below.
    pub fn version(&self) -> Result<Version, Failure> {
        self.get("/v1/version")
    }

    /// `GET /v1/apps`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn apps(&self) -> Result<Snapshot, Failure> {
        self.get("/v1/apps")
    }

    /// The next snapshot after `generation`, or the present one when `wait` is over.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn apps_after(&self, generation: u64, wait: Duration) -> Result<Snapshot, Failure> {
        let path = format!("/v1/apps?newer_than={generation}&wait_ms={}", wait.as_millis());
        self.get_waiting(&path, wait)
    }

    /// `GET /v1/apps/{name}`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn app(&self, name: &str) -> Result<AppView, Failure> {
        self.get(&format!("/v1/apps/{}", quote(name)))
    }

    /// `GET /v1/apps/{name}/history`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn history(&self, name: &str) -> Result<History, Failure> {
        self.get(&format!("/v1/apps/{}/history", quote(name)))
    }

    /// `GET /v1/targets`: what the typed words stand for.
    ///
    /// # Errors
    /// See [`Failure`]; a `Problem` with the nearest names when a word stands for nothing.
    pub fn targets(&self, typed: &[String]) -> Result<Targets, Failure> {
        let query: Vec<String> = typed.iter().map(|word| format!("t={}", quote(word))).collect();
        self.get(&format!("/v1/targets?{}", query.join("&")))
    }

    /// `GET /v1/events` with a ready-made query (`app=api&last=5`).
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn events(&self, query: &str) -> Result<Events, Failure> {
        self.get(&format!("/v1/events?{query}"))
    }

    /// `GET /v1/logs` with a query.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn logs(&self, path: &str) -> Result<Logs, Failure> {
        self.get(path)
    }

    /// A stream of JSON lines: `GET path`, which should have `follow=true` in its query.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn follow(&self, path: &str) -> Result<Lines, Failure> {
        let request = Request { method: "GET", path, key: None, body: None };
        let mut response = self.once(&request, self.answer * self.tries)?;
        response.wait_for_ever();
        Ok(Lines::new(response))
    }

    /// `POST /v1/apps`: begin to start apps. The operation may be far from its end.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn start(&self, key: &str, start: &Start) -> Result<Operation, Failure> {
        self.post("/v1/apps", key, Some(start))
    }

    /// `POST /v1/apps/{verb}`: begin `start`, `stop`, `restart` or `delete` of known apps.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn verb(&self, key: &str, verb: &str, body: &AppVerb) -> Result<Operation, Failure> {
        self.post(&format!("/v1/apps/{}", quote(verb)), key, Some(body))
    }

    /// `POST /v1/apps/flush`: empty the log files of apps, or rotate them.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn flush(&self, key: &str, flush: &FlushLogs) -> Result<Flushed, Failure> {
        self.post("/v1/apps/flush", key, Some(flush))
    }

    /// `POST /v1/resurrect`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn resurrect(&self, key: &str) -> Result<Operation, Failure> {
        self.post("/v1/resurrect", key, None::<&()>)
    }

    /// `POST /v1/daemon/kill`: stop all apps, then the daemon.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn kill(&self, key: &str) -> Result<Operation, Failure> {
        self.post("/v1/daemon/kill", key, None::<&()>)
    }

    /// `POST /v1/daemon/stop`: end the daemon, leave the workers running.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn stop_daemon(&self, key: &str) -> Result<(), Failure> {
        let request =
            Request { method: "POST", path: "/v1/daemon/stop", key: Some(key), body: None };
        // Not asked again: a daemon that goes away after this has done what was asked.
        match self.once(&request, self.answer * self.tries) {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_passing() => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// `POST /v1/daemon/upgrade`: begin to put another program in the place of both.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn upgrade_daemon(&self, key: &str, asked: &UpgradeDaemon) -> Result<Operation, Failure> {
        self.post("/v1/daemon/upgrade", key, Some(asked))
    }

    /// `POST /v1/save`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn save(&self, key: &str) -> Result<Saved, Failure> {
        self.post("/v1/save", key, None::<&()>)
    }

    /// The operation that `key` began, when it has ended; or how far it is when `patience` is
    /// over (`None` = wait for its end, however long it takes).
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn settle(&self, key: &str, patience: Option<Duration>) -> Result<Operation, Failure> {
        let begun = Instant::now();
        loop {
            let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
            let wait = left.unwrap_or(POLL).min(POLL);
            let path = format!("/v1/operations/{}?wait_ms={}", quote(key), wait.as_millis());
            let operation: Operation = self.get_waiting(&path, wait)?;
            if operation.state == OpState::Ended || left.is_some_and(|left| left <= wait) {
                return Ok(operation);
            }
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.get_waiting(path, Duration::ZERO)
    }

    fn get_waiting<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, Failure> {
        let request = Request { method: "GET", path, key: None, body: None };
        self.document(&request, self.answer + wait)
    }

    fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        body: Option<&B>,
    ) -> Result<T, Failure> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| Failure::protocol(format!("cannot be said: {error}")))?;
        let request = Request { method: "POST", path, key: Some(key), body: body.as_deref() };
        self.document(&request, self.answer)
    }

    /// The answer as one document; asked again while the daemon is being replaced.
    fn document<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        patience: Duration,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        let mut lost_at: Option<Instant> = None;
        let (mut losses, mut tries) = (0, 1);
        loop {
            let answer =
                self.once(request, patience).and_then(|mut response| response.body(BODY_MAX));
            match answer {
                Ok(body) => {
                    return serde_json::from_slice(&body).map_err(|error| {
                        let what = format!("not the answer to {}: {error}", request.path);
                        Failure::protocol(self.explained(what))
                    });
                }
                Err(Failure::TimedOut) if tries < self.tries || begun.elapsed() < self.silence => {
                    tries += 1;
                }
                Err(failure) => {
                    let lost = failure.is_passing();
                    let gone = matches!(failure, Failure::NoDaemon { .. });
                    // Each loss is of a daemon that was there: the time without one begins anew.
                    let asks = request.key.is_none() && losses < LOSSES_MAX;
                    if lost && (lost_at.is_none() || asks) {
                        lost_at = Some(Instant::now());
                        losses += 1;
                    }
                    // Nobody there from the beginning is an answer; nobody there after a
                    // connection was lost is a daemon that is being replaced.
                    match lost_at {
                        Some(at) if (lost || gone) && at.elapsed() < self.reconnect => {
                            std::thread::sleep(RETRY_PAUSE);
                        }
                        Some(_) | None => return Err(failure),
                    }
                }
            }
        }
    }

    fn connect(&self, patience: Duration) -> Result<UnixStream, Failure> {
        let open = || {
            connect::open(&self.socket, patience)
                .map_err(|error| Failure::from_connect(&self.socket, error))
        };
        match (open(), &self.reviver) {
            (Err(Failure::NoDaemon { stale: true, .. }), Some(Reviver(revive))) if revive() => {
                open()
            }
            (opened, _) => opened,
        }
    }

    /// One try: connect, ask, read the head; a problem document is a failure.
    fn once(&self, request: &Request<'_>, patience: Duration) -> Result<Response, Failure> {
        let deadline = Instant::now() + patience;
        let stream = self.connect(patience)?;
        let mut response = http::exchange(stream, request, Some(deadline))?;
        if response.version.is_some() {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.clone_from(&response.version);
        }
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        let status = response.status;
        let body = response.body(BODY_MAX)?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(Failure::Problem(Box::new(self.with_skew(problem)))),
            Err(_) => {
                let what = format!("HTTP status {status} without a reason");
                Err(Failure::protocol(self.explained(what)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
