//! Nexus beside the bare limit, measure by measure, with what is to be reached.

use std::path::Path;

use nexus_tests::Home;

use crate::managed::Managed;
use crate::report::Report;
use crate::{Fault, idle, list, logs, respawn};

/// One measurement: the limit's side always, ours when there is a home; files go into the
/// directory.
type Part = fn(Option<&Managed>, &Path, &mut Report) -> Result<(), Fault>;

/// The bare limit only.
pub(crate) fn limit() -> Result<(), Fault> {
    let report = all(None, Report::new());
    print!("{}", report.text());
    report.missing().map_or(Ok(()), Err)
}

/// Both sides; an error if anything is missing.
pub(crate) fn measure() -> Result<String, Fault> {
    let ours = Managed::begin()?;
    let report = all(Some(&ours), Report::new());
    match report.missing() {
        Some(problem) => Err(format!("{}\n{problem}", report.text())),
        None => Ok(report.text()),
    }
}

fn all(ours: Option<&Managed>, mut report: Report) -> Report {
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
    report
}
