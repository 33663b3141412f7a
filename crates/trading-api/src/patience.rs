//! How long a client may take: for the head of a request, and to read its answer.
//!
//! hyper's own header timeout runs on an idle connection too, so it would have to be as long as
//! idle connections should live. This one runs only from a head's first byte, and costs a timer
//! only when that head does not come in one piece.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A client that reads nothing of its answer for so long is cut off.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// What a connection waits for.
const HEAD: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;

/// Told by who handles the requests, read by who reads the bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage(Arc<AtomicU8>);

impl Stage {
    /// A request's head is complete.
    pub(crate) fn request_begins(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    /// Its answer is on the way; the next byte begins another request.
    pub(crate) fn request_ends(&self) {
        self.0.store(IDLE, Ordering::Relaxed);
    }

    fn is(&self, stage: u8) -> bool {
        self.0.load(Ordering::Relaxed) == stage
    }
}

/// A connection that fails with `TimedOut` when its client takes too long. The time for the first
/// head runs from the start, so that a client that says nothing is cut off too.
pub(crate) struct Patient<S> {
    stream: S,
    stage: Stage,
    head_limit: Duration,
    head: Option<Pin<Box<Sleep>>>,
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, stage: Stage, head_limit: Duration) -> Self {
        Self { stream, stage, head_limit, head: None, stall: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            if buffer.filled().len() > before && self.stage.is(IDLE) {
                self.stage.0.store(HEAD, Ordering::Relaxed);
                self.head = None;
            }
            return Poll::Ready(result);
        }
        if !self.stage.is(HEAD) {
            self.head = None;
            return Poll::Pending;
        }
        let limit = self.head_limit;
        let timer = self.head.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(context));
        tracing::debug!("a client took too long to send a request");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> Patient<S> {
    /// Passes `outcome` on; while it is pending, the client's time to read runs.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let timer = self.stall.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL)));
        ready!(timer.as_mut().poll(context));
        tracing::debug!("a client took too long to read its answer");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watched(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
