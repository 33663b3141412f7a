//! What is not carried out yet: refused by name, so that nobody relies on it.
//!
//! A line is taken out of the table by whoever carries the setting out; none is added.

use super::Scope;
use crate::flaw::Code;
use crate::wrong::Wrong;

/// A setting that is not carried out, and what to write in its place, or nothing.
type Later = (Scope, &'static str, &'static str);

static NOT_YET: &[Later] = &[
    (Scope::File, "alerts", ""),
    (Scope::File, "deploy", ""),
    (Scope::File, "static", ""),
    (Scope::App, "shared_memory", ""),
    (Scope::App, "cpu", ""),
    (Scope::App, "sandbox", ""),
    (Scope::App, "hooks", ""),
    (Scope::App, "protected", ""),
    (Scope::App, "log_file", ""),
    (Scope::App, "pid_file", ""),
    (Scope::App, "autostart", ""),
    (Scope::App, "post_update", ""),
    (Scope::App, "exec_timeout", ""),
    (Scope::App, "container", ""),
    (Scope::App, "dist", ""),
    (Scope::App, "image_name", ""),
    (Scope::App, "node_version", ""),
    (Scope::App, "fresh", ""),
    (Scope::App, "dockerdaemon", ""),
];

/// What to write in place of a setting that is not carried out; `None`: it is.
pub(super) fn find(scope: Scope, key: &str) -> Option<&'static str> {
    NOT_YET
        .iter()
        .find(|(of, known, _)| *of == scope && *known == key)
        .map(|(.., instead)| *instead)
}

/// The flaw of a key that is known and not acted upon.
pub(super) fn wrong(key: &str, instead: &str) -> Wrong {
    let remedy = if instead.is_empty() { "leave it out" } else { instead };
    Wrong::of(key, Code::NotYet, "is not carried out yet", remedy)
}
