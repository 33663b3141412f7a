//! What is asked of the whole: keep the list, start it again, end the daemon, with its apps or
//! without.

use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::{HeaderMap, StatusCode};
use nexus_proto::Health;

use super::answer;
use super::routes::{Who, begin};
use crate::command::{Command, Front, What};

pub(super) async fn resurrect(
    State(front): State<Front>,
    Extension(peer): Who,
    head: HeaderMap,
) -> Response {
    begin(&front, &peer, &head, What::Resurrect).await
}

pub(super) async fn kill(
    State(front): State<Front>,
    Extension(peer): Who,
    head: HeaderMap,
) -> Response {
    begin(&front, &peer, &head, What::Kill).await
}

pub(super) async fn save(State(front): State<Front>, Extension(peer): Who) -> Response {
    match front.ask(|reply| Command::Save(peer.actor, reply)).await {
        Some(Ok(apps)) => answer::json(
            StatusCode::OK,
            &serde_json::json!({
                "schema": "nexus.save/1",
                "path": front.state.join(crate::saved::FILE),
                "apps": apps,
            }),
        ),
        Some(Err(problem)) => answer::problem(&problem),
        None => answer::ending(),
    }
}

pub(super) async fn leave(State(front): State<Front>, Extension(peer): Who) -> Response {
    match front.ask(|reply| Command::Leave(Some(peer.actor), reply)).await {
        Some(()) => answer::json(StatusCode::ACCEPTED, &Health { status: "leaving".into() }),
        None => answer::ending(),
    }
}
