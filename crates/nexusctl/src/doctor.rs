//! What is wrong, or will be: facts are gathered, judged, and told with a remedy each.
//!
//! Gathering reads and asks, and changes nothing; no daemon is started for it. Judging is pure.

mod facts;
mod judge;
mod pair;
mod pipes;
mod processes;
#[cfg(test)]
mod tests;

use serde_json::json;

use crate::human::{count, waited};
use crate::look::{Look, Role};
use crate::text::{plain, width};

pub(crate) use facts::Facts;
pub(crate) use judge::judge;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and some day it will not.
    Warn,
    /// It does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// One word, by which scripts find it.
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    pub(crate) says: String,
    /// A command or a sentence; every finding that is not well has one.
    pub(crate) fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Finding {
        Finding { check, level: Level::Ok, says: says.into(), fix: None }
    }

    fn warn(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { check, level: Level::Warn, says: says.into(), fix: Some(fix.into()) }
    }

    fn fail(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { check, level: Level::Fail, says: says.into(), fix: Some(fix.into()) }
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warning",
            Level::Fail => "failure",
        }
    }

    fn role(self) -> Role {
        match self {
            Level::Ok => Role::Good,
            Level::Warn => Role::Busy,
            Level::Fail => Role::Bad,
        }
    }
}

/// How many are of a level.
pub(crate) fn number(findings: &[Finding], level: Level) -> u64 {
    findings.iter().filter(|finding| finding.level == level).count() as u64
}

/// For people.
pub(crate) fn page(findings: &[Finding], took_ms: u64, look: &Look) -> String {
    let widest = findings.iter().map(|finding| width(finding.check)).max().unwrap_or(0);
    let mut text = String::new();
    for Finding { check, level, says, fix } in findings {
        let word = look.paint(level.role(), &format!("{:<4}", level.word()));
        text.push_str(&format!("  {word}  {check:<widest$}  {}\n", plain(says)));
        if let Some(fix) = fix {
            let fix = look.paint(Role::Note, &plain(fix));
            text.push_str(&format!("  {:<4}  {:<widest$}  fix: {fix}\n", "", ""));
        }
    }
    let [ok, warnings, failures] =
        [Level::Ok, Level::Warn, Level::Fail].map(|level| number(findings, level));
    text.push_str(&format!(
        "\n{ok} ok, {}, {}, in {}\n",
        count(warnings, "warning"),
        count(failures, "failure"),
        waited(took_ms)
    ));
    text
}

/// For programs.
pub(crate) fn document(findings: &[Finding]) -> serde_json::Value {
    json!({
        "schema": "nexus.doctor/1",
        "ok": number(findings, Level::Ok),
        "warnings": number(findings, Level::Warn),
        "failures": number(findings, Level::Fail),
        "checks": findings.iter().map(object).collect::<Vec<_>>(),
    })
}

/// One of them for programs.
pub(crate) fn object(finding: &Finding) -> serde_json::Value {
    let Finding { check, level, says, fix } = finding;
    json!({"check": check, "level": level.key(), "says": says, "fix": fix})
}
