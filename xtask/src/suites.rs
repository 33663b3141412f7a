//! `cargo xtask test`: every suite, one after another, and one total.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::packages;
use crate::tally::{Runner, Tally};
use crate::targets::{TestTarget, Workspace, cargo, workspace};

/// The whole-system tests' package.
const SYSTEM: &str = "nexus-tests";
/// The attacks on the pair, which take their time: a suite of their own, after all others.
pub(crate) const FAULTS: &str = "faults";
/// What runs inside a machine of its own only: `cargo xtask vm`.
const VM: &str = "vm";
/// Programs that the whole-system tests run.
const PROGRAMS: &[&str] = &["nexusctl", "trading-api"];

/// One line of the report.
struct Suite {
    name: &'static str,
    runs: Vec<Run>,
}

/// One command of a suite.
struct Run {
    args: Vec<String>,
    /// nextest does as well, and better: a process and a deadline for each test.
    nextest: bool,
}

/// Run everything. A suite that fails does not hide the later ones; the last line is the total.
pub(crate) fn test() -> Result<(), String> {
    let total = all();
    if let Err(problem) = &total {
        eprintln!("xtask: {problem}");
    }
    let total = total.unwrap_or(Tally::FAILURE);
    println!("{total}");
    if total.failed == 0 { Ok(()) } else { Err(String::new()) }
}

fn all() -> Result<Tally, String> {
    packages::ensure()?;
    let workspace = workspace()?;
    let mut total = Tally::default();
    let built = build();
    if let Err(problem) = &built {
        // The suites that need no program are still worth running.
        eprintln!("xtask: {problem}");
        total.add(Tally::FAILURE);
    }
    let nextest = packages::find("cargo-nextest").is_some();
    for suite in plan(&workspace) {
        let begin = Instant::now();
        println!("== {}", suite.name);
        let mut tally = Tally::default();
        for run in &suite.runs {
            tally.add(run.carry_out(nextest));
        }
        println!("== {}: {tally}, {:.1} s\n", suite.name, begin.elapsed().as_secs_f64());
        total.add(tally);
    }
    Ok(total)
}

/// Once, so that no suite waits for it and none runs an old program.
pub(crate) fn build() -> Result<(), String> {
    let mut programs = cargo();
    programs.arg("build");
    for program in PROGRAMS {
        programs.args(["-p", program]);
    }
    if std::env::var("NEXUS_TEST_PROFILE").as_deref() == Ok("release") {
        programs.arg("--release");
    }
    // Cargo builds examples beside tests only where no single test is asked for by name.
    let mut examples = cargo();
    examples.args(["build", "--workspace", "--examples"]);
    for mut command in [programs, examples] {
        let status = command.stdin(Stdio::null()).status().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("the programs do not build: {status}"));
        }
    }
    Ok(())
}

fn plan(workspace: &Workspace) -> Vec<Suite> {
    let units =
        Run { args: ["--workspace", "--lib", "--bins"].map(str::to_owned).to_vec(), nextest: true };
    let tests = workspace.tests.iter().filter(|test| test.name != VM).cloned();
    let (faults, tests): (Vec<_>, Vec<_>) = tests.partition(|test| test.name == FAULTS);
    let mine = |packages: &[&str]| targets(&tests, |name| packages.contains(&name));
    let apart = ["nexus-core", "nexus-keeper", SYSTEM];
    let others = targets(&tests, |name| !apart.contains(&name));
    let doc = Run { args: ["--workspace", "--doc"].map(str::to_owned).to_vec(), nextest: false };
    let suites = vec![
        Suite { name: "unit", runs: vec![units] },
        Suite { name: "simulation", runs: mine(&["nexus-core"]) },
        Suite { name: "contract", runs: mine(&["nexus-keeper"]) },
        Suite { name: "programs", runs: others },
        Suite { name: "whole-system", runs: mine(&[SYSTEM]) },
        Suite { name: FAULTS, runs: targets(&faults, |_| true) },
        Suite { name: "documentation", runs: vec![doc] },
    ];
    suites.into_iter().filter(|suite| !suite.runs.is_empty()).collect()
}

/// At most two commands: the targets that nextest can run, and those that only cargo can.
fn targets(all: &[TestTarget], chosen: impl Fn(&str) -> bool) -> Vec<Run> {
    [false, true]
        .into_iter()
        .filter_map(|own_main| {
            let mut args: Vec<String> = Vec::new();
            let hit = |test: &&TestTarget| test.own_main == own_main && chosen(&test.package);
            for test in all.iter().filter(hit) {
                args.extend(["-p", &test.package, "--test", &test.name].map(str::to_owned));
            }
            (!args.is_empty()).then_some(Run { args, nextest: !own_main })
        })
        .collect()
}

impl Run {
    /// Run it, show what it says as it says it, and count.
    fn carry_out(&self, nextest: bool) -> Tally {
        let mut command = cargo();
        let runner = if nextest && self.nextest { Runner::Nextest } else { Runner::CargoTest };
        if runner == Runner::Nextest {
            command.args(["nextest", "run", "--no-tests=pass", "--status-level=fail"]);
        } else {
            command.arg("test");
        }
        command.arg("--no-fail-fast").args(&self.args);
        match follow(runner, &mut command) {
            Ok((mut tally, success)) => {
                tally.close(success);
                tally
            }
            Err(problem) => {
                eprintln!("xtask: {problem}");
                Tally::FAILURE
            }
        }
    }
}

fn follow(runner: Runner, command: &mut Command) -> Result<(Tally, bool), String> {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(|error| format!("cargo: {error}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let tally = std::thread::scope(|scope| {
        let errors = scope.spawn(|| copy(runner, stderr, |line| eprint!("{line}")));
        let mut tally = copy(runner, stdout, |line| print!("{line}"));
        tally.add(errors.join().unwrap_or_default());
        tally
    });
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok((tally, status.success()))
}

fn copy(runner: Runner, from: Option<impl Read>, show: impl Fn(&str)) -> Tally {
    let mut tally = Tally::default();
    let Some(from) = from else { return tally };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        show(&text);
        tally.read(runner, &text);
        line.clear();
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_with_their_own_main_are_run_by_cargo() {
        let test = |package: &str, name: &str, own_main| TestTarget {
            package: package.to_owned(),
            name: name.to_owned(),
            own_main,
        };
        let all = [test("a", "x", false), test("a", "y", true), test("b", "z", false)];
        let runs = targets(&all, |package| package == "a");
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].args.join(" ").as_str(), runs[0].nextest), ("-p a --test x", true));
        assert_eq!((runs[1].args.join(" ").as_str(), runs[1].nextest), ("-p a --test y", false));
        assert!(targets(&all, |package| package == "c").is_empty());
    }
}
