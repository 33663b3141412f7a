//! What apps use: their history, and metrics for Prometheus.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use hyper::header::ACCEPT;
use hyper::{HeaderMap, StatusCode};

use super::{answer, routes};
use crate::command::{Command, Front};
use crate::metrics::{self, Format};

/// `GET /v1/apps/{app}/history`.
pub(super) async fn history(State(front): State<Front>, Path(name): Path<String>) -> Response {
    match front.ask(|reply| Command::Named(name, reply)).await {
        Some(Ok(name)) => answer::json(StatusCode::OK, &front.board.history(&name)),
        Some(Err(problem)) => answer::problem(&problem),
        None => answer::ending(),
    }
}

/// `GET /v1/metrics`.
pub(super) async fn metrics(State(front): State<Front>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::of(accept);
    let Some(snapshot) = routes::snapshot(&front).await else { return answer::ending() };
    // Thousands of apps are megabytes of text: not on this thread.
    match tokio::task::spawn_blocking(move || metrics::render(snapshot, format)).await {
        Ok(text) => answer::document(format.content_type(), Body::from(text)),
        Err(_) => answer::ending(),
    }
}
