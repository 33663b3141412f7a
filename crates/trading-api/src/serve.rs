//! Accepts, serves, and when asked to stop, drains.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_worker::{Stop, TokioListener, TokioStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::app::{App, Phase, router};
use crate::listening::Doors;
use crate::patience::{Patient, Stage};
use crate::request::answer;

/// Pause of the accept loop when the kernel has no descriptor or memory for a connection: they
/// come back as connections end, and the clients wait in the queue.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// Such trouble is logged at most this often.
const EXHAUSTED_LOG_EVERY: Duration = Duration::from_secs(5);
/// Before something is closed: time to notice what has just come in on it.
const LAST_LOOK: Duration = Duration::from_millis(5);
/// hyper's buffer for the head of a request, and so the longest head (431 beyond).
const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// Serves until `stop` is requested and the drain is over.
///
/// # Errors
/// The stop descriptor cannot be watched.
pub(crate) async fn serve(app: Arc<App>, doors: Doors, stop: Stop) -> io::Result<()> {
    let stop_requested = Receiver::from_owned_fd(stop.as_fd().try_clone_to_owned()?)?;
    let limits = app.settings.limits;
    let slots = Arc::new(Semaphore::new(limits.connections));
    let router = router(Arc::clone(&app));

    let mut accepting = JoinSet::new();
    for door in doors.doors {
        let host =
            Host { app: Arc::clone(&app), router: router.clone(), slots: Arc::clone(&slots) };
        accepting.spawn(host.receive(door, doors.kept));
    }
    stop_requested.readable().await?;

    let asked = Instant::now();
    tracing::info!(signal = stop.signal(), "draining");
    if let Err(error) = nexus_worker::stopping() {
        tracing::warn!(%error, "cannot tell the manager that this worker stops");
    }
    app.phase.send_replace(Phase::Draining);
    while accepting.join_next().await.is_some() {}

    // Every connection holds a slot: when all are back, all are gone.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if timeout_at(asked + limits.drain_window, slots.acquire_many(all)).await.is_err() {
        app.phase.send_replace(Phase::Closing);
        let deadline = asked + limits.drain_timeout.max(limits.drain_window);
        if timeout_at(deadline, slots.acquire_many(all)).await.is_err() {
            let cut = limits.connections - slots.available_permits();
            tracing::warn!(connections = cut, "drain timed out; cutting off who is left");
        }
    }
    tracing::info!(requests = app.requests(), "stopped");
    Ok(())
}

/// What a connection needs from its worker.
#[derive(Clone)]
struct Host {
    app: Arc<App>,
    router: Router,
    slots: Arc<Semaphore>,
}

impl Host {
    /// Accepts until the drain begins.
    async fn receive(self, door: TokioListener, kept: bool) {
        let mut phase = self.app.phase.subscribe();
        let mut last_logged: Option<Instant> = None;
        loop {
            // The slot first: a connection that could not be served stays in the queue, where
            // another worker can take it.
            let accepted = async {
                let slot = Arc::clone(&self.slots).acquire_owned().await;
                (door.accept(|| self.open() - 1).await, slot)
            };
            tokio::select! {
                biased;
                () = reached(&mut phase, Phase::Draining) => break,
                (visitor, slot) = accepted => match (visitor, slot) {
                    (Ok(visitor), Ok(slot)) => self.admit(visitor, slot),
                    (Ok(_), Err(_)) => break,
                    (Err(error), _) => {
                        if !is_about_one_client(&error) {
                            pause(&error, &mut last_logged).await;
                        }
                    }
                }
            }
            // A worker does not empty the shared queue in one go while its siblings idle.
            yield_now().await;
        }
        if !kept {
            self.empty_the_queue(&door).await;
        }
    }

    /// Connections, with the place that each door keeps free for its next one.
    fn open(&self) -> usize {
        self.app.settings.limits.connections - self.slots.available_permits()
    }

    /// Nobody else has this socket: who is in its queue would be reset when it closes.
    async fn empty_the_queue(&self, door: &TokioListener) {
        while let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
            && let Ok(Ok(visitor)) = timeout(LAST_LOOK, door.accept(|| 0)).await
        {
            self.admit(visitor, slot);
        }
    }

    fn admit(&self, visitor: TokioStream, slot: OwnedSemaphorePermit) {
        let host = self.clone();
        match visitor {
            TokioStream::Tcp(stream) => {
                // An answer is written at once; waiting to fill a segment would only delay it.
                // It fails on a client that has gone, which the first read will tell.
                let _gone = stream.set_nodelay(true);
                tokio::spawn(host.attend(stream, slot))
            }
            TokioStream::Unix(stream) => tokio::spawn(host.attend(stream, slot)),
        };
    }

    /// One connection, to its end.
    async fn attend<S>(self, stream: S, slot: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.app.settings.limits;
        let mut phase = self.app.phase.subscribe();
        let stage = Stage::default();
        let io = TokioIo::new(Patient::new(stream, stage.clone(), limits.header));
        let service = service_fn(move |request| {
            stage.request_begins();
            let (stage, answer) =
                (stage.clone(), answer(Arc::clone(&self.app), self.router.clone(), request));
            async move {
                let response = answer.await;
                stage.request_ends();
                response
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = reached(&mut phase, Phase::Closing) => {
                match timeout(LAST_LOOK, connection.as_mut()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(slot);
    }
}

/// Waits until the worker's life has come to `phase`, or past it.
async fn reached(now: &mut watch::Receiver<Phase>, phase: Phase) {
    // It fails when the sender has gone, which `App` keeps; then the life is over too.
    let _phase = now.wait_for(|now| *now >= phase).await;
}

/// Whether an error of accept(2) concerns only a client that has gone again.
fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Waits for descriptors or memory to come back.
async fn pause(error: &io::Error, last_logged: &mut Option<Instant>) {
    if last_logged.is_none_or(|last| last.elapsed() >= EXHAUSTED_LOG_EVERY) {
        *last_logged = Some(Instant::now());
        tracing::error!(%error, "cannot accept; clients wait");
    }
    sleep(EXHAUSTED_PAUSE).await;
}
