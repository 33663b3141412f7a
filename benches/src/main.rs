//! Nexus beside the bare limit: a loop that spawns, waits and copies, and does nothing else.
//!
//! Both sides run the same workers (this program, re-executed) in the same minute on the same
//! machine, turn about, so that a ratio means something where a time would not.

mod idle;
mod limit;
mod list;
mod logs;
mod managed;
mod report;
mod respawn;
mod stamps;
mod worker;

use std::path::Path;
use std::process::ExitCode;

use nexus_tests::Home;

use managed::Managed;
use report::Report;

const USAGE: &str = "\
nexus-benches [--page FILE]         both sides; --page rewrites the generated part of FILE
nexus-benches limit                 the bare limit only
";

/// Why a measurement did not come about: a sentence.
pub(crate) type Fault = String;

/// One measurement: the limit's side always, ours when there is a home; files go into the
/// directory.
type Part = fn(Option<&Managed>, &Path, &mut Report) -> Result<(), Fault>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["worker", stamps] => worker::stay(stamps),
        ["writer", stamps, lines] => worker::write(stamps, lines),
        ["limit"] => measure(None, None),
        [] => measure(Some(Managed::begin), None),
        ["--page", page] => measure(Some(Managed::begin), Some(page)),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("nexus-benches: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Measure everything that can be measured, print the table, and write the page if nothing is
/// missing from it.
fn measure(begin: Option<fn() -> Result<Managed, Fault>>, page: Option<&str>) -> Result<(), Fault> {
    let mut report = Report::default();
    let ours = match begin.map(|begin| begin()) {
        Some(Ok(ours)) => Some(ours),
        Some(Err(problem)) => {
            report.miss("nexus", problem);
            None
        }
        None => None,
    };
    let ours = ours.as_ref();
    let room = Home::new();
    let dir = ours.map_or(room.project(), Managed::dir);
    // At rest first: a pair that has done nothing else yet.
    for (name, part) in [
        ("idle", idle::at_rest as Part),
        ("restart", respawn::restart),
        ("200 up", respawn::many),
        ("logs", logs::throughput),
        ("list", list::wall_time),
    ] {
        eprintln!("measuring: {name}");
        if let Err(problem) = part(ours, &dir, &mut report) {
            report.miss(name, problem);
        }
    }
    print!("{}", report.text());
    if let Some(problem) = report.missing() {
        return Err(problem);
    }
    page.map_or(Ok(()), |page| report.write(page))
}
