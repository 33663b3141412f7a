//! `GET /v1/events`: the journal, and what is added to it.

use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use hyper::StatusCode;
use nexus_proto::{Code, EventView, Problem};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{answer, routes};
use crate::command::{Command, Front};
use crate::journal::{Journal, Past};

/// Events of one answer, unless fewer are asked for.
const LAST_MAX: usize = 10_000;
/// Lines that may wait for a client that follows; for a slower one the reading waits.
const QUEUE_MAX: usize = 256;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Wanted {
    app: Option<String>,
    #[serde(default)]
    after: u64,
    since_unix_ms: Option<u64>,
    last: Option<usize>,
    #[serde(default)]
    follow: bool,
}

impl Wanted {
    fn takes(&self, event: &EventView) -> bool {
        let of_app = self
            .app
            .as_ref()
            .is_none_or(|app| event.app.as_ref().is_some_and(|name| name.as_str() == app.as_str()));
        // RFC 3339 in UTC with fixed width sorts as time does.
        let since = self.since_unix_ms.map(crate::clock::rfc3339);
        of_app && event.id > self.after && since.is_none_or(|since| event.at >= since)
    }
}

pub(super) async fn events(
    State(front): State<Front>,
    Extension(peer): routes::Who,
    wanted: Query<Wanted>,
) -> Response {
    let Query(wanted) = wanted;
    let state = front.state.clone();
    let filter = wanted.clone();
    let read = tokio::task::spawn_blocking(move || {
        let last = filter.last.unwrap_or(LAST_MAX).min(LAST_MAX);
        Journal::read(&state, filter.after, last, |event| filter.takes(event))
    });
    match read.await {
        Ok(Ok(past)) if wanted.follow => match peer.seat(&front) {
            Some(seat) => follow(front, seat, wanted, past),
            None => answer::no_stream_left(),
        },
        Ok(Ok(Past { events, .. })) => {
            let document = serde_json::json!({"schema": "nexus.events/1", "events": events});
            answer::json(StatusCode::OK, &document)
        }
        Ok(Err(error)) => answer::problem(
            &Problem::new(Code::Internal, "the journal of events cannot be read".into())
                .cause(error.to_string()),
        ),
        Err(error) => answer::problem(&Problem::new(Code::Internal, error.to_string())),
    }
}

/// What is there, then what comes, one JSON line each.
fn follow(
    front: Front,
    seat: tokio::sync::OwnedSemaphorePermit,
    wanted: Wanted,
    Past { events: past, newest: mut seen }: Past,
) -> Response {
    let (lines, queue) = mpsc::channel::<Bytes>(QUEUE_MAX);
    tokio::spawn(async move {
        let _seat = seat;
        let mut newest = front.events.clone();
        for event in &past {
            if answer::say(&lines, event).await.is_none() {
                return;
            }
        }
        loop {
            let Some(events) = front.ask(|reply| Command::Events(seen, reply)).await else {
                return;
            };
            for event in events {
                seen = event.id;
                if wanted.takes(&event) && answer::say(&lines, &event).await.is_none() {
                    return;
                }
            }
            let more = newest.wait_for(|&id| id > seen);
            tokio::select! {
                more = more => if more.is_err() { return },
                () = lines.closed() => return,
            }
        }
    });
    answer::lines(queue)
}
