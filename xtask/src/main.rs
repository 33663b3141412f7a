//! Developer commands: `cargo xtask <verb>`.

mod docs;
mod fuzz;
mod packages;
mod steps;
mod suites;
mod tally;
mod targets;
mod vm;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test          install what the tests need, build, run every suite, print one total
cargo xtask ci            exactly what CI runs: fmt, clippy, doc, then test
cargo xtask tidy          the rules of the house only
cargo xtask sim [SEEDS]   simulated lives of the core, in release; default 1000000
cargo xtask faults        random kills under load for a minute; --seed N, --seconds N, --kills N
cargo xtask soak          the same for ten minutes
cargo xtask sweep         a death at every system call of every change; --seed N --points N for some
cargo xtask vm [PART]     in a virtual machine: Linux 6.1, its clock set, its power cut;
                          parts: suites, clock, cuts; --seed N;
                          suites --only FILTER: these whole-system tests
cargo xtask fuzz [TARGET] libFuzzer for a minute each; --seconds N (needs a C++ compiler)
cargo xtask docs          write docs/CONFIGURATION.md from the tables of settings
cargo xtask bench [PART]  measure, rewrite docs/BENCHMARKS.md; parts: goals, peers, size, recover,
                          fairness, reload (NEXUS_BENCH_PART=10: a tenth of it)
";

/// Seeds of `sim` when none are given.
const SEEDS: u64 = 1_000_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["test"] => suites::test(),
        ["ci"] => steps::ci(),
        ["tidy"] => steps::tidy(),
        ["sim"] => steps::sim(SEEDS),
        ["sim", seeds] => match seeds.replace('_', "").parse() {
            Ok(seeds) => steps::sim(seeds),
            Err(_) => Err(format!("{seeds} is not a number of seeds")),
        },
        ["bench"] => steps::bench(&steps::PARTS),
        ["bench", part] if steps::PARTS.contains(part) => steps::bench(&[part]),
        ["faults", args @ ..] => steps::faults("random", args),
        ["soak", args @ ..] => {
            steps::faults("random", &[&["--seconds", "600", "--kills", "1000"], args].concat())
        }
        ["fuzz"] => fuzz::fuzz(None, None),
        ["fuzz", "--seconds", seconds] => fuzz::fuzz(None, seconds.parse().ok()),
        ["fuzz", target] => fuzz::fuzz(Some(target), None),
        ["fuzz", target, "--seconds", seconds] => fuzz::fuzz(Some(target), seconds.parse().ok()),
        ["sweep"] => steps::faults("sweep", &["--all"]),
        ["sweep", args @ ..] => steps::faults("sweep", args),
        ["vm", args @ ..] => vm::vm(args),
        ["docs"] => docs::write(),
        ["help" | "-h" | "--help"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            if !problem.is_empty() {
                eprintln!("xtask: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}
