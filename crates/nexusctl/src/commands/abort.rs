//! `abort`: call a reload or a scaling off.

use std::process::ExitCode;

use nexus_proto::AppVerb;

use crate::cli::Abort;
use crate::context::Context;
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::{out, settled};

/// Do it.
pub(super) fn run(context: &Context, args: &Abort) -> Result<ExitCode, Failure> {
    if args.change.dry_run {
        let line = |target: &String| format!("would abort what is under way: {target}\n");
        out::result(&args.targets.iter().map(line).collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let body = AppVerb { targets: args.targets.clone(), ..AppVerb::default() };
    let outcome = operate(context, Ask::Verb("abort", &body), &args.change)?;
    settled::show(context, &outcome, &args.change)
}
