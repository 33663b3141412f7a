//! Paths of project files as the wish of what runs.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::{HeaderMap, StatusCode};
use nexus_proto::Apply;

use super::answer;
use super::routes::{Who, begin, read};
use crate::command::{Command, Front, What};

pub(super) async fn diff(State(front): State<Front>, body: Body) -> Response {
    let asked = match read::<Apply>(body).await {
        Ok(asked) => asked,
        Err(problem) => return answer::problem(&problem),
    };
    match front.ask(|reply| Command::Diff(asked, reply)).await {
        Some(Ok(diff)) => answer::json(StatusCode::OK, &diff),
        Some(Err(problem)) => answer::problem(&problem),
        None => answer::ending(),
    }
}

pub(super) async fn apply(
    State(front): State<Front>,
    Extension(peer): Who,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read::<Apply>(body).await {
        Ok(body) => begin(&front, &peer, &headers, What::Apply(body)).await,
        Err(problem) => answer::problem(&problem),
    }
}
