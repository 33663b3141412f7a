//! Seats for clients: bounded, and never all of it taken by those who ask for nothing.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// Connections at once; more wait in the socket's backlog.
const CONNECTIONS_MAX: usize = 512;
/// Of them, so many may follow logs or events for as long as they like: the others are for those
/// who ask one thing and go.
pub(crate) const STREAMS_MAX: usize = 384;
/// Of all, so many may be others than the daemon's own user and root.
pub(crate) const GUESTS_MAX: usize = 256;

/// So long a client may take to say its first word, whoever else waits.
const GRACE: Duration = Duration::from_millis(50);
/// What ends a connection takes a turn.
const A_MOMENT: Duration = Duration::from_millis(1);

/// All places.
pub(super) struct Seats {
    free: Arc<Semaphore>,
    taken: Mutex<VecDeque<Client>>,
}

/// A connection as it is seated.
struct Client {
    requests: Requests,
    task: AbortHandle,
    since: Instant,
}

/// How many requests of a connection are being answered.
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<AtomicUsize>);

impl Seats {
    pub(super) fn new() -> Seats {
        Seats { free: Arc::new(Semaphore::new(CONNECTIONS_MAX)), taken: Mutex::default() }
    }

    /// A place for one who has come. When there is none, the one that has sat there longest and
    /// asks nothing goes; when all ask something, the first to end leaves its place.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
                return Some(place);
            }
            let patience = self.make_room();
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(place) = tokio::time::timeout(patience, free).await {
                return place.ok();
            }
        }
    }

    /// It has a place now.
    pub(super) fn seat(&self, requests: Requests, task: AbortHandle) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= CONNECTIONS_MAX {
            taken.retain(|client| !client.task.is_finished());
        }
        taken.push_back(Client { requests, task, since: Instant::now() });
    }

    /// Have one go. How long it is until another might.
    fn make_room(&self) -> Duration {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|client| !client.task.is_finished());
        let idle = taken.iter().position(|client| client.requests.0.load(Ordering::Relaxed) == 0);
        let Some(client) = idle.and_then(|idle| taken.get(idle)) else { return GRACE };
        let young = GRACE.saturating_sub(client.since.elapsed());
        if young.is_zero() {
            client.task.abort();
        }
        young.max(A_MOMENT)
    }
}

impl Requests {
    /// One more is being answered, as long as this lives.
    pub(super) fn one(&self) -> Request {
        self.0.fetch_add(1, Ordering::Relaxed);
        Request(Arc::clone(&self.0))
    }
}

/// A request that is being answered.
pub(super) struct Request(Arc<AtomicUsize>);

impl Request {
    /// The answer's body, which ends when it has been given to the connection.
    pub(super) fn with(self, body: Body) -> Body {
        Body::new(Answer { body, _request: self })
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Answer {
    body: Body,
    _request: Request,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
