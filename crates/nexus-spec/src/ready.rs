//! What counts as ready, and how it is written.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// What counts as ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// Nothing was said: alive for one second.
    #[default]
    Default,
    /// Alive for this long.
    Delay(Span),
    /// The worker says `READY=1` on its NOTIFY_SOCKET (`sd_notify(3)`).
    Notify,
}

/// Why a text is not a readiness rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyFlaw {
    /// A rule of ours that is not carried out yet.
    NotYet,
    /// No rule at all: a clause that says what is wrong.
    Wrong(String),
}

/// How rules begin that are named but not carried out yet.
const NOT_YET: [&str; 7] = ["fd", "ipc", "http://", "https://", "tcp://", "log:", "exec:"];

impl Ready {
    /// `default`, `notify` or `delay:TIME`.
    ///
    /// # Errors
    /// When `text` is none of these.
    pub fn parse(text: &str) -> Result<Ready, ReadyFlaw> {
        match text {
            "default" => return Ok(Ready::Default),
            "notify" => return Ok(Ready::Notify),
            _ => {}
        }
        if let Some(time) = text.strip_prefix("delay:") {
            let wrong = |clause| ReadyFlaw::Wrong(format!("has a delay that {clause}"));
            return Span::parse(time).map(Ready::Delay).map_err(wrong);
        }
        let begins = |rule: &&&str| match rule.ends_with(['/', ':']) {
            true => text.starts_with(**rule),
            false => text == **rule,
        };
        match NOT_YET.iter().find(begins) {
            Some(_) => Err(ReadyFlaw::NotYet),
            None => Err(ReadyFlaw::Wrong("is not a rule for readiness".to_owned())),
        }
    }
}

/// As [`Ready::parse`] reads it.
impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ready::Default => f.write_str("default"),
            Ready::Delay(span) => write!(f, "delay:{span}"),
            Ready::Notify => f.write_str("notify"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_forms() {
        for (text, ready) in [
            ("default", Ready::Default),
            ("notify", Ready::Notify),
            ("delay:2s", Ready::Delay(Span(2_000))),
            ("delay:0s", Ready::Delay(Span(0))),
        ] {
            assert_eq!(Ready::parse(text), Ok(ready));
            assert_eq!(ready.to_string(), text);
        }
        for text in ["fd", "ipc", "http://127.0.0.1/ok", "tcp://127.0.0.1:1", "log:/up/", "exec:x"]
        {
            assert_eq!(Ready::parse(text), Err(ReadyFlaw::NotYet), "{text}");
        }
        for text in ["", "fdx", "delay:", "delay:soon", "NOTIFY"] {
            assert!(matches!(Ready::parse(text), Err(ReadyFlaw::Wrong(_))), "{text}");
        }
    }
}
