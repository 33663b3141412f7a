//! What Nexus costs: beside the bare limit (a loop that spawns, waits and copies, and does nothing
//! else), beside other process managers, and with many workers.
//!
//! All sides run the same workers (this program, re-executed) in the same minutes on the same
//! machine, turn about, so that a ratio means something where a time would not.

mod beside;
mod fairness;
mod goals;
mod idle;
mod limit;
mod list;
mod logs;
mod managed;
mod manager;
mod peers;
mod recover;
mod reload;
mod report;
mod respawn;
mod served;
mod size;
mod stamps;
mod table;
mod worker;

use std::process::ExitCode;

const USAGE: &str = "\
nexus-benches goals|peers|size|recover|fairness|reload [PAGE]
                                        one part; PAGE's own section for it is rewritten
nexus-benches limit                     the bare limit only
";

/// Why a measurement did not come about: a sentence.
pub(crate) type Fault = String;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["worker", stamps] => worker::stay(stamps),
        ["writer", stamps, lines] => worker::write(stamps, lines),
        ["writer-stays", stamps, lines] => worker::write_and_stay(stamps, lines),
        ["limit"] => goals::limit(),
        ["goals", page @ ..] if page.len() < 2 => show("goals", page, goals::measure()),
        ["peers", page @ ..] if page.len() < 2 => {
            show("peers", page, beside::measure().map(|table| table.text()))
        }
        ["size", page @ ..] if page.len() < 2 => {
            show("size", page, size::measure().map(|table| table.text()))
        }
        ["recover", page @ ..] if page.len() < 2 => {
            show("recover", page, recover::measure().map(|table| table.text()))
        }
        ["fairness", page @ ..] if page.len() < 2 => {
            show("fairness", page, fairness::measure().map(|table| table.text()))
        }
        ["reload", page @ ..] if page.len() < 2 => {
            show("reload", page, reload::measure().map(|table| table.text()))
        }
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

/// Print what was measured, and write it into its page, if there is one.
fn show(part: &str, page: &[&str], measured: Result<String, Fault>) -> Result<(), Fault> {
    let text = measured?;
    print!("{text}");
    page.first().map_or(Ok(()), |page| table::write(page, part, &text))
}
