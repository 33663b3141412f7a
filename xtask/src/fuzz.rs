//! `cargo xtask fuzz`: libFuzzer on everything that reads what others wrote.

use std::path::Path;
use std::process::Command;

use crate::steps::step;
use crate::targets::{cargo, workspace};

/// The fuzzers, each in a file of its own in `fuzz/src`, with seeds in `fuzz/seeds`.
const TARGETS: [&str; 5] = ["project", "front", "wire", "lines", "state"];
/// How long each is run, unless something else is asked for.
const SECONDS: u64 = 60;
/// Edges, comparisons and where they are in the code, for libFuzzer to go by; with the compiler
/// that we have, not a nightly one.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Run one of them, or all. What one finds is put beside its seeds, where the tests of the crate
/// try it from then on.
pub(crate) fn fuzz(target: Option<&str>, seconds: Option<u64>) -> Result<(), String> {
    let chosen: Vec<&str> =
        TARGETS.into_iter().filter(|one| target.is_none_or(|target| target == *one)).collect();
    if chosen.is_empty() {
        return Err(format!("there are only these: {}", TARGETS.join(", ")));
    }
    let workspace = workspace()?;
    let (fuzz, built) = (workspace.root.join("fuzz"), workspace.target.join("fuzz"));
    let host = host()?;
    let mut build = cargo();
    build.args(["build", "--release", "--manifest-path"]).arg(fuzz.join("Cargo.toml"));
    // With a target named, the flags are for it alone, not for the programs that build it.
    build.args(["--target", &host]);
    build.env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &built);
    step("build the fuzzers", &mut build)?;
    let mut failed = Vec::new();
    let built = built.join(host);
    for target in chosen {
        let seconds = seconds.unwrap_or(SECONDS);
        if step(target, &mut run(&fuzz, &built, target, seconds)?).is_err() {
            failed.push(target);
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(format!("found something: {}; see fuzz/seeds", failed.join(", "))),
    }
}

/// This machine, as rustc calls it.
fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc).arg("-vV").output().map_err(|e| format!("rustc: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| format!("rustc does not name its host: {text}"))
}

fn run(fuzz: &Path, built: &Path, target: &str, seconds: u64) -> Result<Command, String> {
    let (corpus, seeds) = (built.join("corpus").join(target), fuzz.join("seeds").join(target));
    std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let mut command = Command::new(built.join("release").join(target));
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]);
    command.arg(format!("-artifact_prefix={}/found-", seeds.display()));
    command.args([corpus, seeds]);
    Ok(command)
}
