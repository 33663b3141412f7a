//! Errors as clients see them: RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Longest part of a client's own words that is said back to it.
const ECHO_CHARS_MAX: usize = 64;

/// One problem document. `code` is stable; `detail` is for people.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Further members.
    more: Vec<(&'static str, Value)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), more: Vec::new() }
    }

    pub(crate) fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((member, value.into()));
        self
    }
}

/// A client's words, bounded, for use in a `detail`.
pub(crate) fn echo(words: &str) -> String {
    words.chars().take(ECHO_CHARS_MAX).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = json!({
            // The title is the status's own phrase, as "about:blank" asks for; `code` tells more.
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        for (member, value) in self.more {
            document[member] = value;
        }
        let kind = HeaderValue::from_static("application/problem+json");
        let fresh = HeaderValue::from_static("no-store");
        let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, fresh)];
        (self.status, headers, document.to_string()).into_response()
    }
}
