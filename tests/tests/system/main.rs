//! The whole system against the real kernel: each test has a pair, apps and a home of its own.

#![allow(clippy::unwrap_used, reason = "test code: a panic is its report")]

mod altered;
mod apply;
mod asking;
mod autoscale;
mod bad_state;
mod bad_workers;
mod beginning;
mod build;
mod channels;
mod cold;
mod crash;
mod credentials;
mod cron;
mod daemon;
mod default_ready;
mod depends;
mod disk_errors;
mod doctor;
mod doors;
mod draining;
mod dressed;
mod every_action;
mod exec;
mod fairness;
mod farewell;
mod figures;
mod flooded;
mod forks;
mod guide;
mod health;
mod hostile;
mod hung;
mod hung_disk;
mod hung_fuse;
mod in_flight;
mod instances;
mod limits;
mod listen;
mod log_lines;
mod logs;
mod logs_api;
mod logs_chosen;
mod mainpid;
mod manual;
mod metrics;
mod midway;
mod monit;
mod names;
mod openapi;
mod output;
mod project;
mod readiness;
mod readme;
mod refused;
mod reload;
mod reload_fails;
mod resources;
mod reuse_port;
mod roles;
mod rollback;
mod rollback_on;
mod room;
mod rotation;
mod saved;
mod scale;
mod secrets;
mod several;
mod signals;
mod socket;
mod start;
mod stdin;
mod stopping;
mod strangers;
mod surroundings;
mod survive;
mod systemd;
mod tree;
mod trial;
mod upgrade;
mod user_limits;
mod watch;

use nexus_tests::program;

/// An app of a project file: `script` with these arguments, and more settings, a line each.
fn app(name: &str, script: &str, args: &[&str], more: &str) -> String {
    // An array of strings is written alike in JSON and in TOML.
    let args = serde_json::to_string(args).unwrap();
    format!("[[apps]]\nname = \"{name}\"\nscript = \"{script}\"\nargs = {args}\n{more}\n\n")
}

/// An app of the test worker.
fn worker(name: &str, args: &[&str], more: &str) -> String {
    app(name, &program("nexus-test-worker").display().to_string(), args, more)
}

/// An app that is a line of shell.
fn shell(name: &str, line: &str, more: &str) -> String {
    app(name, "/bin/sh", &["-c", line], more)
}

/// Ready at once.
const AT_ONCE: &str = "ready = \"delay:0s\"";
