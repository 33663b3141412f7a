//! Paths of project files as the wish of what runs, and of what is sent to workers.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::{HeaderMap, StatusCode};
use nexus_proto::{Apply, SendText};

use super::routes::{Who, begin, begun, key, read};
use super::{Peer, answer};
use crate::command::{Command, Front, Sending, What};

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

pub(super) async fn send(
    front: &Front,
    peer: &Peer,
    headers: &HeaderMap,
    asked: SendText,
) -> Response {
    let key = match key(headers) {
        Ok(key) => key,
        Err(problem) => return answer::problem(&problem),
    };
    let sending = Sending { key, by: peer.actor.clone(), asked };
    begun(front, front.ask(|reply| Command::Send(sending, reply)).await).await
}
