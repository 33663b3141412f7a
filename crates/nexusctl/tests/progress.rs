//! What is told while an operation runs, by a daemon whose fleet changes.

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code, reason = "test code")]

mod fake;

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use fake::{Home, app, fleet, operation, version};
use serde_json::{Value, json};

/// A daemon that builds `api`, then starts it, one step for each snapshot that is asked for.
fn building(log: PathBuf, verdict: &'static str) -> Home {
    let step = AtomicUsize::new(0);
    Home::with(Box::new(move |asked| {
        let path = asked.split(['?', ' ']).nth(1).unwrap_or_default();
        let now = step.load(Ordering::SeqCst);
        Some(match path {
            "/v1/version" => (200, version()),
            "/v1/apps" if asked.starts_with("POST") => {
                step.store(1, Ordering::SeqCst);
                (202, operation("start", &[]))
            }
            "/v1/apps" if now == 0 => (200, fleet(&[])),
            // The snapshots of the watcher; the one after the end is asked for without a wait.
            "/v1/apps" => {
                write(&log, now);
                step.fetch_add(1, Ordering::SeqCst);
                (200, state(&log, now))
            }
            // Long polls stay open until the build has ended.
            path if path.starts_with("/v1/operations/") && asked.contains("wait_ms=0") => {
                (200, operation("start", if now > 4 { end(verdict) } else { &[] }))
            }
            // The long poll answers at once, over and over: the one who waits asks again.
            path if path.starts_with("/v1/operations/") => {
                (200, operation("start", if now > 4 { end(verdict) } else { &[] }))
            }
            _ => (404, json!(null)),
        })
    }))
}

fn end(verdict: &'static str) -> &'static [(&'static str, &'static str)] {
    if verdict == "done" { &[("api", "done")] } else { &[("api", "build_failed")] }
}

fn write(log: &std::path::Path, step: usize) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    match step {
        1 => file.write_all(b"Compiling one\n").unwrap(),
        2 => file.write_all(b"Compiling two\n").unwrap(),
        3 => file.write_all(b"Finished \x1b]0;title\x07it\n").unwrap(),
        _ => {}
    }
}

fn state(log: &std::path::Path, step: usize) -> Value {
    let status = match step {
        1..=3 => "building",
        4 => "starting",
        _ => "online",
    };
    let mut app = app("api", status, std::path::Path::new("/h"));
    app["build_log"] = json!(log);
    let mut fleet = fleet(&[app]);
    fleet["generation"] = json!(step + 10);
    fleet
}

fn project(home: &Home) {
    let text = "[[apps]]\nname = \"api\"\nscript = \"/bin/true\"\nready = \"notify\"\nbuild = \"make all\"\n";
    std::fs::write(home.path().join("ecosystem.toml"), text).unwrap();
}

#[test]
fn a_build_is_shown_as_it_goes_then_the_start_then_readiness() {
    let scratch = tempfile::tempdir().unwrap();
    let home = building(scratch.path().join("api-build.log"), "done");
    project(&home);
    let output = home.run(&["start"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let begin = "building api: make all\n  Compiling one\n  Compiling two\n  Finished it\n\
                 starting api: 1 instance, ready = notify within 30s\n  ready 1 of 1 in ";
    assert!(text.starts_with(begin), "{text}");
}

#[test]
fn a_failed_build_is_shown_once() {
    let scratch = tempfile::tempdir().unwrap();
    let home = building(scratch.path().join("api-build.log"), "build_failed");
    project(&home);
    let output = home.run(&["start"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("  Compiling two\n"), "{text}");
    assert!(text.contains("error[NX0302]: the build of `api` failed\n"), "{text}");
    assert!(!text.contains("output:"), "{text}");
}
