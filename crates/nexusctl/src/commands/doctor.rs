//! `doctor`: what is wrong, or will be, and what to do about it.

use std::process::ExitCode;
use std::time::Instant;

use crate::cli::Format;
use crate::context::Context;
use crate::doctor::{self, Facts, Level};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out;

/// Do it: exit 1 if something does not work.
pub(super) fn run(context: &Context) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let findings = doctor::judge(&Facts::of(context));
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match context.format {
        Format::Json => context.document(&doctor::document(&findings))?,
        Format::Jsonl => {
            findings.iter().try_for_each(|one| out::json(&doctor::object(one), false))?;
        }
        Format::Name => {
            let wrong = findings.iter().filter(|one| one.level != Level::Ok);
            out::result(&wrong.map(|one| format!("{}\n", one.check)).collect::<String>())?;
        }
        Format::Table | Format::Wide => {
            out::result(&doctor::page(&findings, took, &context.out))?;
        }
    }
    let failed = doctor::number(&findings, Level::Fail) > 0;
    let exit = if failed { Exit::Failed } else { Exit::Done };
    Ok(ExitCode::from(exit.code()))
}
