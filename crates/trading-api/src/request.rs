//! What surrounds every request: its name, its bound, its log line, and the goodbye of a drain.

use std::convert::Infallible;
use std::process;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use tower_service::Service;

use crate::app::App;
use crate::problem::{Problem, echo};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;
/// No route reads a body; a client that announces more than this is refused unread. What it sends
/// unannounced is never read either: the connection closes after the answer.
const BODY_BYTES_MAX: u64 = 64 * 1_024;

/// Answers one request.
///
/// # Errors
/// None; the type is what hyper asks for.
pub(crate) async fn answer(
    app: Arc<App>,
    mut router: Router,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let began = Instant::now();
    let id = request_id(&app, request.headers());
    // Kept for the log line only, so taken only when there will be one.
    let asked =
        app.settings.access_log.then(|| (request.method().clone(), echo(request.uri().path())));

    let mut response = if announced_body(request.headers()) > BODY_BYTES_MAX {
        let detail = format!("a request may carry at most {BODY_BYTES_MAX} bytes");
        let refusal = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail);
        close_after(refusal.into_response())
    } else {
        router.call(request.map(Body::new)).await?
    };

    if let Some((method, path)) = asked {
        tracing::info!(
            method = method.as_str(),
            path,
            status = response.status().as_u16(),
            duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            request_id = id.to_str().unwrap_or_default(),
            "request"
        );
    }
    response.headers_mut().insert(REQUEST_ID, id);
    // Asked now, not when the request came: an answer that is made during a drain is the last on
    // its connection, so the client takes its next request elsewhere.
    Ok(if app.is_draining() { close_after(response) } else { response })
}

fn close_after(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The client's own id if it is a plain word, else one that is unique among all workers.
fn request_id(app: &App, headers: &HeaderMap) -> HeaderValue {
    let number = app.next_request();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    match headers.get(&REQUEST_ID) {
        Some(id)
            if (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
                && id.as_bytes().iter().all(plain) =>
        {
            id.clone()
        }
        Some(_) | None => HeaderValue::try_from(format!("{}-{number}", process::id()))
            .unwrap_or_else(|_| HeaderValue::from_static("unknown")),
    }
}

fn announced_body(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|value| value.parse().ok()).unwrap_or(0)
}
