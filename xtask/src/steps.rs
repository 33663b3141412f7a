//! The other verbs: one command after another, each with its time.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::packages;
use crate::suites;
use crate::targets::{cargo, workspace};

/// What CI runs. A step that fails does not hide the later ones.
pub(crate) fn ci() -> Result<(), String> {
    let mut failed = Vec::new();
    let mut format = cargo();
    format.args(["fmt", "--all", "--check"]);
    let mut lint = cargo();
    lint.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let mut document = cargo();
    document.args(["doc", "--workspace", "--no-deps"]);
    document.env("RUSTDOCFLAGS", "-D warnings");
    for (name, mut command) in [("fmt", format), ("clippy", lint), ("doc", document)] {
        if step(name, &mut command).is_err() {
            failed.push(name);
        }
    }
    // Last, since its last line is the total that people and machines look for.
    if !failed.is_empty() {
        eprintln!("xtask: failed before the tests: {}", failed.join(", "));
    }
    let tested = suites::test();
    if failed.is_empty() { tested } else { Err(String::new()) }
}

/// The rules of the house.
pub(crate) fn tidy() -> Result<(), String> {
    let mut command = cargo();
    step("tidy", command.args(["test", "--quiet", "-p", "nexus-tests", "--test", "tidy"]))
}

/// Simulated lives.
pub(crate) fn sim(seeds: u64) -> Result<(), String> {
    let mut command = cargo();
    command.args(["test", "--release", "-p", "nexus-core", "--test", "sim", "--", "--nocapture"]);
    step("sim", command.env("SEEDS", seeds.to_string()))
}

/// What can be measured: us against the bare limit, beside other managers, with many workers,
/// how soon control is back after a death, how connections spread over workers, and what reloads
/// and deaths cost those who ask.
pub(crate) const PARTS: [&str; 6] = ["goals", "peers", "size", "recover", "fairness", "reload"];

/// Attack the pair: `what` is `random` or `sweep`, `args` are those of the test program.
pub(crate) fn faults(what: &str, args: &[&str]) -> Result<(), String> {
    suites::build()?;
    let mut command = cargo();
    command.args(["test", "--quiet", "-p", "nexus-tests", "--test", suites::FAULTS, "--", what]);
    step(what, command.args(args))
}

/// Measure, and write the page.
pub(crate) fn bench(parts: &[&str]) -> Result<(), String> {
    let workspace = workspace()?;
    if parts.contains(&"peers") {
        packages::ensure_peers(&workspace.target.join("peers"));
    }
    let mut build = cargo();
    step(
        "build",
        build.args([
            "build",
            "--release",
            "-p",
            "nexus-benches",
            "-p",
            "nexusctl",
            "-p",
            "trading-api",
        ]),
    )?;
    for part in parts {
        let mut measure = Command::new(workspace.target.join("release/nexus-benches"));
        measure.arg(part).arg(workspace.root.join("docs/BENCHMARKS.md"));
        step(part, &mut measure)?;
    }
    Ok(())
}

pub(crate) fn step(name: &str, command: &mut Command) -> Result<(), String> {
    println!("== {name}");
    let begin = Instant::now();
    let status = command.stdin(Stdio::null()).status();
    let status = status.map_err(|error| format!("{name}: {error}"))?;
    let took = begin.elapsed().as_secs_f64();
    println!("== {name}: {}, {took:.1} s\n", if status.success() { "ok" } else { "failed" });
    if status.success() { Ok(()) } else { Err(format!("{name} failed: {status}")) }
}
