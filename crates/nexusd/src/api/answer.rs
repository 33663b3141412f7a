//! Answers: JSON documents and problem documents (RFC 9457).

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use nexus_proto::{Code, Problem};
use serde::Serialize;

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
    with_type(status, "application/problem+json", Body::from(bytes))
}

/// Text of some kind.
pub(crate) fn text(kind: &'static str, text: String) -> Response {
    with_type(StatusCode::OK, kind, Body::from(text))
}

/// JSON lines, as they come.
pub(crate) fn stream(body: Body) -> Response {
    with_type(StatusCode::OK, "application/jsonl", body)
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
