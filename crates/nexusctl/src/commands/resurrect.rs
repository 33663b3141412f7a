//! `resurrect`: start what was saved.

use std::process::ExitCode;

use crate::cli::{Change, Format};
use crate::context::Context;
use crate::ensure::{STARTED, ensure};
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::{out, settled};

/// Do it.
pub(super) fn run(context: &Context, args: &Change) -> Result<ExitCode, Failure> {
    if args.dry_run {
        return dry_run(context);
    }
    ensure(context, STARTED)?;
    let outcome = operate(context, Ask::Resurrect, args)?;
    settled::show(context, &outcome, args)
}

/// What is saved is the daemon's to know: without asking it, no more can be said.
fn dry_run(context: &Context) -> Result<ExitCode, Failure> {
    match context.format {
        Format::Json | Format::Jsonl => context.document(
            &serde_json::json!({"schema": "nexus.plan/1", "verb": "resurrect", "targets": null}),
        )?,
        Format::Name => {}
        Format::Table | Format::Wide => {
            out::result("would start every app of the last `nexusctl save`\n")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
