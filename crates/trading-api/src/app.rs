//! What every request may look at, and the table of routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use tokio::sync::watch;

use crate::dataset::Dataset;
use crate::health::{self, Gauge};
use crate::market;
use crate::problem::{Problem, echo};
use crate::settings::Settings;

/// Every route, also told to who asks for another.
const ROUTES: [&str; 5] = [
    "/api/health",
    "/live",
    "/ready",
    "/api/trading/market/{symbol}",
    "/api/market/historical/{symbol}",
];

/// A worker's life, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Accepts and answers.
    Serving,
    /// Accepts no more; answers what comes on open connections, each for the last time.
    Draining,
    /// Idle connections are closed; answers under way are finished.
    Closing,
}

/// Shared by all requests of this worker.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) data: Dataset,
    pub(crate) started: Instant,
    /// The port of the first TCP listener.
    pub(crate) port: Option<u16>,
    pub(crate) memory: Gauge,
    pub(crate) phase: watch::Sender<Phase>,
    requests: AtomicU64,
}

impl App {
    pub(crate) fn new(
        settings: Settings,
        data: Dataset,
        port: Option<u16>,
        started: Instant,
    ) -> Self {
        Self {
            settings,
            data,
            started,
            port,
            memory: Gauge::default(),
            phase: watch::Sender::new(Phase::Serving),
            requests: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() > Phase::Serving
    }

    /// The number of the next request, from 1.
    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many requests have come so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// The table of routes; whatever it does not know is a problem document too.
pub(crate) fn router(app: Arc<App>) -> Router {
    let [health, live, ready, quote, history] = ROUTES;
    Router::new()
        .route(health, get(health::health))
        .route(live, get(health::live))
        .route(ready, get(health::ready))
        .route(quote, get(market::quote))
        .route(history, get(market::history))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

async fn unknown_route(uri: Uri) -> Problem {
    let detail = format!("there is no {:?}", echo(uri.path()));
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", detail).with("routes", ROUTES.to_vec())
}

async fn wrong_method() -> Problem {
    let detail = "this route answers GET and HEAD";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}
