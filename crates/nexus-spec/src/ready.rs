//! What counts as ready, and how it is written.

use std::fmt;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::span::Span;

/// What counts as ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// Nothing was said: its first listening socket, or a word of its own; else alive for one second.
    #[default]
    Default,
    /// Alive for this long.
    Delay(Span),
    /// The worker writes a newline on the descriptor NEXUS_READY_FD.
    Fd,
    /// A Node program calls `process.send('ready')`.
    Ipc,
    /// The worker writes a line that this pattern matches.
    Log(String),
    /// The worker says `READY=1` on its NOTIFY_SOCKET (`sd_notify(3)`).
    Notify,
    /// A check succeeds.
    Probe(Check),
}

impl Ready {
    /// `default`, `notify`, `fd`, `ipc`, `delay:TIME`, `http://…`, `tcp://…`, `log:/PATTERN/` or
    /// `exec:COMMAND`.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Ready, String> {
        match text {
            "default" => return Ok(Ready::Default),
            "notify" => return Ok(Ready::Notify),
            "fd" => return Ok(Ready::Fd),
            "ipc" => return Ok(Ready::Ipc),
            _ => {}
        }
        let wrong = |clause: &str| Err(clause.to_owned());
        if let Some(time) = text.strip_prefix("delay:") {
            let wrong = |clause| format!("has a delay that {clause}");
            return Span::parse(time).map(Ready::Delay).map_err(wrong);
        }
        if let Some(pattern) = text.strip_prefix("log:") {
            return log(pattern);
        }
        if let Some(command) = text.strip_prefix("exec:") {
            return match command.trim() {
                "" => wrong("has no command after `exec:`"),
                command => Ok(Ready::Probe(Check::Exec(command.to_owned()))),
            };
        }
        let check = match text.strip_prefix("tcp://") {
            Some(address) => Check::Tcp(address.to_owned()),
            None if text.starts_with("http:") || text.starts_with("https:") => {
                Check::Http(text.to_owned())
            }
            None => return wrong("is not a rule for readiness"),
        };
        // Whether its variables are there is seen with the app; what they hold, at each start.
        check.endpoint(&|_| Some("1".to_owned())).map(|_| Ready::Probe(check))
    }

    /// Something has to say so, the worker or a check, within `ready_timeout`; otherwise it only
    /// has to stay alive.
    pub fn is_said(&self) -> bool {
        match self {
            Ready::Default | Ready::Delay(_) => false,
            Ready::Fd | Ready::Ipc | Ready::Log(_) | Ready::Notify | Ready::Probe(_) => true,
        }
    }

    /// Whether it is ready when something says so, whatever else makes it ready.
    pub fn may_be_said(&self) -> bool {
        self.is_said() || *self == Ready::Default
    }
}

fn log(text: &str) -> Result<Ready, String> {
    match pattern(text) {
        Ok(pattern) => Ok(Ready::Log(pattern)),
        Err(clause) if clause == NO_PATTERN => Err(format!("{clause} after `log:`")),
        Err(clause) => Err(clause),
    }
}

const NO_PATTERN: &str = "has no pattern between slashes";

/// `/PATTERN/` or `/PATTERN/i`, as a regular expression.
pub(crate) fn pattern(text: &str) -> Result<String, String> {
    let inner = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    let pattern = match inner {
        Some((pattern, "")) if !pattern.is_empty() => pattern.to_owned(),
        Some((pattern, "i")) if !pattern.is_empty() => format!("(?i){pattern}"),
        Some(_) | None => return Err(NO_PATTERN.to_owned()),
    };
    match Regex::new(&pattern) {
        Ok(_) => Ok(pattern),
        Err(error) => Err(format!("has a pattern that is none: {error}")),
    }
}

/// As [`Ready::parse`] reads it.
impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ready::Default => f.write_str("default"),
            Ready::Delay(span) => write!(f, "delay:{span}"),
            Ready::Fd => f.write_str("fd"),
            Ready::Ipc => f.write_str("ipc"),
            Ready::Log(pattern) => write!(f, "log:/{pattern}/"),
            Ready::Notify => f.write_str("notify"),
            Ready::Probe(check) => f.write_str(&check.written()),
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
            ("fd", Ready::Fd),
            ("ipc", Ready::Ipc),
            ("delay:2s", Ready::Delay(Span(2_000))),
            ("delay:0s", Ready::Delay(Span(0))),
            ("log:/up/", Ready::Log("up".into())),
            ("log:/a/b/", Ready::Log("a/b".into())),
            ("exec:./check -x", Ready::Probe(Check::Exec("./check -x".into()))),
            ("tcp://127.0.0.1:1", Ready::Probe(Check::Tcp("127.0.0.1:1".into()))),
            (
                "http://localhost:$PORT/ok",
                Ready::Probe(Check::Http("http://localhost:$PORT/ok".into())),
            ),
        ] {
            assert_eq!(Ready::parse(text), Ok(ready.clone()));
            assert_eq!(ready.to_string(), text);
        }
        assert_eq!(Ready::parse("log:/Up/i"), Ok(Ready::Log("(?i)Up".into())));
        for text in [
            "",
            "fdx",
            "delay:",
            "delay:soon",
            "NOTIFY",
            "log:up",
            "log://",
            "log:/(/",
            "exec:",
            "tcp://x:1",
            "https://127.0.0.1/",
            "http://127.0.0.1:99999/",
        ] {
            assert!(Ready::parse(text).is_err(), "{text}");
        }
    }
}
