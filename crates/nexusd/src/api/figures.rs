//! What apps use: their history.

use axum::extract::{Path, State};
use axum::response::Response;
use hyper::StatusCode;

use super::answer;
use crate::command::{Command, Front};

/// `GET /v1/apps/{app}/history`.
pub(super) async fn history(State(front): State<Front>, Path(name): Path<String>) -> Response {
    match front.ask(|reply| Command::Named(name, reply)).await {
        Some(Ok(name)) => answer::json(StatusCode::OK, &front.board.history(&name)),
        Some(Err(problem)) => answer::problem(&problem),
        None => answer::ending(),
    }
}
