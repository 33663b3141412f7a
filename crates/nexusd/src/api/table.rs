//! Every path of the control API: what it takes, what it answers, and who answers. The router and
//! the OpenAPI document are both made of this table, so neither knows a path that the other does
//! not.

use axum::routing::{MethodRouter, get, post};
use nexus_spec::Role;

use super::{events, figures, logs, openapi, routes, upgrade, whole, wish};
use crate::command::Front;

/// One method of one path.
pub(super) struct Row {
    pub(super) method: Method,
    /// `{…}` stands for one part.
    pub(super) path: &'static str,
    /// One sentence.
    pub(super) says: &'static str,
    pub(super) query: &'static [Parameter],
    /// The type of the body.
    pub(super) takes: Option<&'static str>,
    pub(super) gives: Gives,
    /// Who may: decided by the harm that it can do. Whoever can have any program run as the
    /// daemon's user, or can undo or hide what others did, is an admin.
    pub(super) needs: Role,
    /// A changing request, known by its `Idempotency-Key`.
    pub(super) keyed: bool,
    /// `None` = `POST /v1/apps/{verb}` answers, which looks for the verb here.
    pub(super) handler: Option<fn() -> MethodRouter<Front>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// A parameter of the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `integer`, `string`, `boolean`, `array` (of strings: it may be repeated).
    pub(super) kind: &'static str,
    pub(super) says: &'static str,
}

/// What a path answers when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// 200 and a document of this type.
    Document(&'static str),
    /// 202 and a document of this type: what was asked for has begun.
    Accepted(&'static str),
    /// 200 and a document of this type; with `follow=true` JSON lines of the other.
    Stream(&'static str, &'static str),
    /// 200 and text of this media type.
    Text(&'static str),
    /// 200 and the OpenAPI document.
    OpenApi,
}

/// The row of `POST /v1/apps/{verb}`.
pub(super) fn of_verb(verb: &str) -> Option<&'static Row> {
    let path = |row: &&Row| row.handler.is_none() && row.path.strip_prefix(APPS) == Some(verb);
    ROWS.iter().find(path)
}

const APPS: &str = "/v1/apps/";

const NEWER: Parameter = Parameter {
    name: "newer_than",
    kind: "integer",
    says: "Answer when the generation is another one, or after `wait_ms`.",
};
const WAIT: Parameter = Parameter {
    name: "wait_ms",
    kind: "integer",
    says: "How long the answer may be held back, in milliseconds; 60,000 at most.",
};
const INSTANCE: Parameter =
    Parameter { name: "instance", kind: "integer", says: "Which instance; default the first." };
const REVEAL: Parameter =
    Parameter { name: "reveal", kind: "boolean", says: "Whether secrets are shown." };
const WORDS: Parameter =
    Parameter { name: "t", kind: "array", says: "What was typed; may be repeated." };
const EVENTS: &[Parameter] = &[
    Parameter { name: "app", kind: "string", says: "Only of this app." },
    Parameter {
        name: "after",
        kind: "integer",
        says: "Only those with a higher `id`: what came since the last one that was read.",
    },
    Parameter {
        name: "since_unix_ms",
        kind: "integer",
        says: "Only from then on, in milliseconds of Unix time.",
    },
    Parameter { name: "last", kind: "integer", says: "Only so many; 10,000 at most." },
    Parameter { name: "follow", kind: "boolean", says: "Go on with JSON lines as they come." },
];

const LOGS: &[Parameter] = &[
    Parameter {
        name: "t",
        kind: "array",
        says: "Apps or instances; default all; may be repeated.",
    },
    Parameter { name: "stream", kind: "string", says: "Only `out`, or only `err`." },
    Parameter {
        name: "since_unix_ms",
        kind: "integer",
        says: "Only from then on, in milliseconds of Unix time.",
    },
    Parameter { name: "last", kind: "integer", says: "Only so many; default 100, at most 10,000." },
    Parameter { name: "follow", kind: "boolean", says: "Go on with JSON lines as they come." },
];

pub(super) static ROWS: [Row; 32] = [
    read("/openapi.json", "This document.").gives(Gives::OpenApi).by(|| get(openapi::document)),
    read("/v1/version", "Who answers, and since when.").of("Version").by(|| get(routes::version)),
    read("/v1/healthz", "Whether the daemon answers.").of("Health").by(|| get(routes::healthz)),
    read("/v1/apps", "The whole fleet.")
        .query(&[NEWER, WAIT])
        .of("Snapshot")
        .by(|| get(routes::apps)),
    begin("/v1/apps", "Start these apps.").takes("Start").by(|| post(routes::start)),
    read("/v1/apps/{app}", "One app.").of("AppView").by(|| get(routes::app).post(routes::verb)),
    begin("/v1/apps/start", "Start apps that are known.").operator().takes("AppVerb"),
    begin("/v1/apps/stop", "Stop apps; they stay known.").operator().takes("AppVerb"),
    begin("/v1/apps/restart", "Stop and start again, with what the body changes.")
        .operator()
        .takes("AppVerb"),
    begin("/v1/apps/reload", "Replace workers one after another; a failure keeps the old ones.")
        .operator()
        .takes("AppVerb"),
    begin("/v1/apps/rollback", "Reload to a configuration of before.").operator().takes("AppVerb"),
    begin("/v1/apps/scale", "More instances or fewer.").operator().takes("AppVerb"),
    begin("/v1/apps/abort", "Call a reload or a scaling off.").operator().takes("AppVerb"),
    begin("/v1/apps/reset", "Count restarts from 0 again.").operator().takes("AppVerb"),
    begin("/v1/apps/delete", "Stop apps and forget them.").takes("AppVerb"),
    begin("/v1/apps/signal", "Send a signal to main processes.").operator().takes("SignalApps"),
    begin("/v1/apps/send", "Send a line to the stdin of workers.").takes("SendText"),
    begin("/v1/apps/flush", "Empty log files, or rotate them.")
        .operator()
        .takes("FlushLogs")
        .of("Flushed"),
    read("/v1/apps/{app}/env", "What an instance was born with, secrets hidden.")
        .operator()
        .query(&[INSTANCE, REVEAL])
        .of("Environment")
        .by(|| get(routes::env)),
    read("/v1/apps/{app}/history", "CPU and memory of the last quarter of an hour.")
        .of("History")
        .by(|| get(figures::history)),
    read("/v1/targets", "What typed words stand for.")
        .query(&[WORDS])
        .of("Targets")
        .by(|| get(routes::targets)),
    read(
        "/v1/operations/{key}",
        "How far an operation is; it is forgotten ten minutes after its end.",
    )
    .query(&[WAIT])
    .of("Operation")
    .by(|| get(routes::operation)),
    read("/v1/events", "What happened, when, and who asked for it.")
        .query(EVENTS)
        .gives(Gives::Stream("Events", "EventView"))
        .by(|| get(events::events)),
    read("/v1/logs", "The last lines of the apps' output, merged by time.")
        .query(LOGS)
        .gives(Gives::Stream("Logs", "LogLine"))
        .by(|| get(logs::logs)),
    read("/v1/metrics", "The fleet for Prometheus.")
        .gives(Gives::Text("application/openmetrics-text"))
        .by(|| get(figures::metrics)),
    Row { keyed: false, ..begin("/v1/diff", "What differs between these apps and what runs.") }
        .takes("Apply")
        .of("Diff")
        .by(|| post(wish::diff)),
    begin("/v1/apply", "Make what runs the same as these apps.")
        .takes("Apply")
        .by(|| post(wish::apply)),
    Row { keyed: false, ..begin("/v1/save", "Keep the list of apps for `resurrect`.") }
        .of("Saved")
        .by(|| post(whole::save)),
    begin("/v1/resurrect", "Start what was saved.").by(|| post(whole::resurrect)),
    Row { keyed: false, ..begin("/v1/daemon/stop", "End the daemon; the workers stay.") }
        .gives(Gives::Accepted("Health"))
        .by(|| post(whole::leave)),
    begin("/v1/daemon/kill", "Stop all apps, then the daemon.").by(|| post(whole::kill)),
    begin("/v1/daemon/upgrade", "Put another program in the place of nexusd and its keeper.")
        .takes("UpgradeDaemon")
        .by(|| post(upgrade::upgrade)),
];

const fn read(path: &'static str, says: &'static str) -> Row {
    Row {
        method: Method::Get,
        path,
        says,
        query: &[],
        takes: None,
        gives: Gives::OpenApi,
        needs: Role::Viewer,
        keyed: false,
        handler: None,
    }
}

/// A changing request: it begins an operation, and is an admin's, unless something else is said.
const fn begin(path: &'static str, says: &'static str) -> Row {
    let (gives, needs) = (Gives::Accepted("Operation"), Role::Admin);
    Row { method: Method::Post, gives, needs, keyed: true, ..read(path, says) }
}

impl Row {
    /// What it is called when it is refused: `stop`, `daemon/upgrade`.
    pub(super) fn name(&self) -> &'static str {
        let path = self.path.strip_prefix(APPS).or_else(|| self.path.strip_prefix("/v1/"));
        match (self.method, path) {
            (Method::Post, Some("apps")) => "to start new apps",
            (Method::Get, Some("{app}/env")) => "env",
            (_, path) => path.unwrap_or("to look"),
        }
    }

    const fn operator(self) -> Row {
        Row { needs: Role::Operator, ..self }
    }

    const fn query(self, query: &'static [Parameter]) -> Row {
        Row { query, ..self }
    }

    const fn takes(self, body: &'static str) -> Row {
        Row { takes: Some(body), ..self }
    }

    const fn of(self, document: &'static str) -> Row {
        self.gives(Gives::Document(document))
    }

    const fn gives(self, gives: Gives) -> Row {
        Row { gives, ..self }
    }

    const fn by(self, handler: fn() -> MethodRouter<Front>) -> Row {
        Row { handler: Some(handler), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out, so that nobody gives a role away by adding a row. A path that is not here is
    /// for admins alone, or only looks.
    const OPERATORS: [&str; 11] = [
        "/v1/apps/start",
        "/v1/apps/stop",
        "/v1/apps/restart",
        "/v1/apps/reload",
        "/v1/apps/rollback",
        "/v1/apps/scale",
        "/v1/apps/abort",
        "/v1/apps/reset",
        "/v1/apps/signal",
        "/v1/apps/flush",
        "/v1/apps/{app}/env",
    ];

    #[test]
    fn every_path_needs_the_role_that_its_harm_asks_for() {
        for row in &ROWS {
            let role = match row.method {
                _ if OPERATORS.contains(&row.path) => Role::Operator,
                Method::Get => Role::Viewer,
                Method::Post => Role::Admin,
            };
            assert_eq!(row.needs, role, "{}", row.path);
        }
    }

    #[test]
    fn no_path_has_two_roles_for_one_method() {
        for row in ROWS.iter().filter(|row| row.handler.is_some()) {
            let same = |other: &&Row| other.path == row.path && other.handler.is_some();
            let others = ROWS.iter().filter(same).filter(|other| other.method == row.method);
            assert_eq!(others.count(), 1, "{}", row.path);
        }
    }
}
