//! Answers: JSON documents and problem documents (RFC 9457).

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body_util::StreamBody;
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use nexus_proto::{Code, Problem};
use serde::Serialize;
use tokio::sync::mpsc;

/// RFC 9457.
const PROBLEM: &str = "application/problem+json";
/// The longest sentence of the router's own, in bytes.
const SAID_MAX: usize = 4_096;

/// `200` (or another status) with a JSON document.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(bytes) => with_type(status, "application/json", Body::from(bytes)),
        Err(error) => problem(&Problem::new(Code::Internal, format!("cannot answer: {error}"))),
    }
}

/// A problem document.
pub(crate) fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bytes = serde_json::to_vec(problem).unwrap_or_default();
    with_type(status, PROBLEM, Body::from(bytes))
}

/// A document of another kind.
pub(crate) fn document(kind: &'static str, body: Body) -> Response {
    with_type(StatusCode::OK, kind, body)
}

/// More follow something than there are places for.
pub(crate) fn no_stream_left() -> Response {
    let title = format!("{} clients follow logs or events already", super::STREAMS_MAX);
    problem(&Problem::new(Code::TooMuch, title).help("end some of them, or ask without `follow`"))
}

/// JSON lines, as they come.
pub(crate) fn lines(queue: mpsc::Receiver<Bytes>) -> Response {
    let frames = futures_util::stream::unfold(queue, async |mut queue| {
        let line = queue.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(line)), queue))
    });
    let body = Body::new(StreamBody::new(frames));
    with_type(StatusCode::OK, "application/jsonl", body)
}

/// One line more; `None` = nobody reads any more.
pub(crate) async fn say(lines: &mpsc::Sender<Bytes>, line: &impl Serialize) -> Option<()> {
    let mut bytes = serde_json::to_vec(line).ok()?;
    bytes.push(b'\n');
    lines.send(bytes.into()).await.ok()
}

/// What the router refuses by itself (a query that cannot be read, a path that is no text), as a
/// problem document like every other refusal.
pub(crate) async fn refusal(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if status.is_success() || kind == Some(PROBLEM.as_bytes()) {
        return response;
    }
    let said = axum::body::to_bytes(response.into_body(), SAID_MAX).await.unwrap_or_default();
    let mut document = Problem::new(Code::BadRequest, "the request cannot be read".into())
        .help("GET /openapi.json                   says what each path takes");
    if !said.is_empty() {
        document = document.cause(String::from_utf8_lossy(&said));
    }
    document.status = status.as_u16();
    problem(&document)
}

/// The answer with our version on it.
pub(crate) fn of_us(mut response: Response) -> Response {
    let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    response.headers_mut().insert(nexus_proto::VERSION_HEADER, version);
    response
}

/// The daemon is on its way out.
pub(crate) fn ending() -> Response {
    problem(
        &Problem::new(Code::NoDaemon, "nexusd is ending".into())
            .help("try again: another one takes its place"),
    )
}

fn with_type(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
