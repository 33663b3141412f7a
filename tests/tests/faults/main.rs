//! Attacks on the pair, each with a seed that is printed and can be given again.
//!
//! `cargo xtask faults` kills at random under load; `cargo xtask sweep` kills at every system call
//! of every change. Without a word both run, as long as CI has time for.

#![allow(clippy::unwrap_used, reason = "a test, though without the harness")]

mod chance;
mod change;
mod journal;
mod random;
mod stage;
mod sweep;
mod threads;
mod trap;

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A run in CI: seconds, and kills at the least.
const SECONDS: u64 = 60;
const KILLS: u64 = 200;

/// Points of a sweep in CI, and how many of each victim's are tried with a halt as well.
const POINTS: u64 = 60;
const HALTS: usize = 1;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        // Runners that want single tests find none: this takes minutes, and is asked for by name.
        return ExitCode::SUCCESS;
    }
    let seed = number(&args, "--seed").unwrap_or_else(fresh_seed);
    let time = Duration::from_secs(number(&args, "--seconds").unwrap_or(SECONDS));
    let kills = usize::try_from(number(&args, "--kills").unwrap_or(KILLS)).unwrap_or(usize::MAX);
    let given = |word: &str| args.iter().any(|arg| arg == word);
    let asked = |word: &str| given(word) || !["random", "sweep"].into_iter().any(given);
    let mut results = Vec::new();
    if asked("random") {
        results.push(report("random kills under load", seed, || random::run(seed, time, kills)));
    }
    if asked("sweep") {
        let points = number(&args, "--points").unwrap_or(POINTS);
        let points = usize::try_from(points).ok().filter(|_| !given("--all"));
        let name = "a death at every system call";
        let only = sweep::Only {
            change: value(&args, "--only"),
            victim: value(&args, "--victim"),
            at: number(&args, "--at"),
            later: number(&args, "--later").and_then(|steps| u32::try_from(steps).ok()),
        };
        results.push(report(name, seed, || sweep::run(seed, points, HALTS, &only)));
    }
    let failed = results.iter().filter(|passed| !**passed).count();
    let (passed, verdict) = (results.len() - failed, if failed == 0 { "ok" } else { "FAILED" });
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Run one of them, and say what came of it.
fn report(name: &str, seed: u64, run: impl FnOnce() -> Result<String, String>) -> bool {
    println!("{name}, seed {seed} …");
    let begin = Instant::now();
    let done = attempt(run);
    let took = begin.elapsed().as_secs_f64();
    match &done {
        Ok(text) => println!("test {name} ... ok, {took:.0} s: {text}"),
        Err(why) => println!("test {name} ... FAILED after {took:.0} s, seed {seed}: {why}"),
    }
    done.is_ok()
}

/// A panic is a failure like another: what was lost should be looked at before it is gone.
pub(crate) fn attempt<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    done.unwrap_or_else(|_| Err("it panicked, see above".into()))
}

fn number(args: &[String], word: &str) -> Option<u64> {
    value(args, word)?.replace('_', "").parse().ok()
}

fn value<'a>(args: &'a [String], word: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| arg == word)?;
    args.get(at + 1).map(String::as_str)
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_micros() as u64 % 1_000_000)
}
