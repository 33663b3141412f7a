//! Who may depend on whom: the table of crates, as a test.

use crate::graph::Graph;
use crate::settle;

/// What one of our crates may depend on. Dependencies of tests are free.
struct Rule {
    name: &'static str,
    /// Crates of ours.
    ours: &'static [&'static str],
    /// Crates of others.
    theirs: Theirs,
}

enum Theirs {
    /// These and no more: the crate is small so that it can be trusted.
    Only(&'static [&'static str]),
    /// All but these, also through others (reaching one is as bad as naming it).
    Without(&'static [&'static str]),
    /// All but these in its own manifest.
    NotDirectly(&'static [&'static str]),
}

use Theirs::{NotDirectly, Only, Without};

const RULES: &[Rule] = &[
    Rule {
        name: "nexus-spec",
        ours: &[],
        theirs: Without(&["tokio", "nix", "hyper", "tracing", "sysinfo"]),
    },
    Rule { name: "nexus-core", ours: &["nexus-spec"], theirs: Only(&[]) },
    Rule {
        name: "nexus-proto",
        ours: &["nexus-spec"],
        theirs: Without(&["tokio", "hyper", "axum", "sysinfo"]),
    },
    Rule {
        name: "nexus-log",
        ours: &[],
        theirs: Only(&["nix", "libc", "flate2", "memchr", "jiff"]),
    },
    Rule { name: "nexus-keeper", ours: &[], theirs: Only(&["nix", "libc"]) },
    Rule {
        name: "nexusd",
        ours: &[
            "nexus-core",
            "nexus-keeper",
            "nexus-log",
            "nexus-pm2",
            "nexus-proto",
            "nexus-spec",
        ],
        theirs: NotDirectly(&["clap"]),
    },
    Rule {
        name: "nexus-pm2",
        ours: &["nexus-proto", "nexus-spec"],
        theirs: Without(&["tokio", "hyper", "axum"]),
    },
    Rule {
        name: "nexusctl",
        ours: &[
            "nexus-core",
            "nexus-keeper",
            "nexus-log",
            "nexus-pm2",
            "nexus-proto",
            "nexus-spec",
            "nexusd",
        ],
        theirs: NotDirectly(&["tokio", "hyper", "axum"]),
    },
    Rule { name: "nexus-worker", ours: &[], theirs: Only(&["libc", "tokio"]) },
    Rule { name: "trading-api", ours: &["nexus-worker"], theirs: NotDirectly(&["clap"]) },
    Rule { name: "xtask", ours: &["nexus-spec"], theirs: Without(&["tokio"]) },
    Rule {
        name: "nexus-tests",
        ours: &["nexus-proto", "nexus-spec", "nexus-worker"],
        // nexus-worker has it for those who ask for it.
        theirs: NotDirectly(&["tokio"]),
    },
    Rule { name: "nexus-benches", ours: &["nexus-tests"], theirs: NotDirectly(&["tokio"]) },
];

/// Crates that nothing may bring in, with the reason.
pub(crate) const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "links a C library of the machine's; use rustls"),
    ("native-tls", "links a C library of the machine's; use rustls"),
    ("serde_yaml", "unmaintained"),
    ("yaml-rust", "unmaintained"),
    ("failure", "unmaintained; write the error as an enum"),
    ("chrono", "one crate for calendars is enough: jiff"),
    ("time", "one crate for calendars is enough: jiff"),
    ("atty", "unmaintained; std::io::IsTerminal does it"),
    ("daemonize", "the keeper owns that"),
    ("anyhow", "an error says who must act: Refusal or Failure, not a text"),
];

#[test]
fn the_arrows_are_those_of_the_table() {
    let graph = Graph::read();
    let mut faults = Vec::new();
    for package in graph.ours() {
        let Some(rule) = RULES.iter().find(|rule| rule.name == package.name) else {
            faults.push(format!("{}: give it a row in tests/tests/tidy/arrows.rs", package.name));
            continue;
        };
        let direct = graph.needs(package);
        let ours = |name: &str| RULES.iter().any(|rule| rule.name == name);
        for need in direct.iter().filter(|need| ours(need) && !rule.ours.contains(need)) {
            faults.push(format!("{} → {need}: no such arrow; move the code", rule.name));
        }
        let all = graph.reaches(package);
        let theirs: Vec<&str> = match rule.theirs {
            Only(names) => {
                direct.into_iter().filter(|name| !ours(name) && !names.contains(name)).collect()
            }
            Without(names) => all.into_iter().filter(|name| names.contains(name)).collect(),
            NotDirectly(names) => direct.into_iter().filter(|name| names.contains(name)).collect(),
        };
        faults.extend(theirs.iter().map(|name| format!("{} may not use {name}", rule.name)));
    }
    settle("dependencies between crates", &faults);
}

#[test]
fn nothing_brings_in_a_banned_crate() {
    let graph = Graph::read();
    let mut faults = Vec::new();
    for package in graph.theirs() {
        if let Some((name, reason)) = BANNED.iter().find(|(name, _)| *name == package.name) {
            faults.push(format!("{name}: {reason}; `cargo tree -i {name}` shows who uses it"));
        }
    }
    settle("banned crates", &faults);
}
