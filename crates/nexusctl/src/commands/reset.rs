//! `reset`: restarts are counted from 0 again.

use std::process::ExitCode;

use nexus_proto::AppVerb;

use super::named;
use crate::cli::Reset;
use crate::context::Context;
use crate::failure::Failure;
use crate::operate::{Ask, operate};
use crate::settled;

/// Do it.
pub(super) fn run(context: &Context, args: &Reset) -> Result<ExitCode, Failure> {
    let typed = &args.targets.targets;
    if args.change.dry_run {
        return named::plan(context, "reset", &context.client.targets(typed)?.targets);
    }
    let body = AppVerb { targets: typed.clone(), ..AppVerb::default() };
    let outcome = operate(context, Ask::Verb("reset", &body), &args.change)?;
    settled::show(context, &outcome, &args.change)
}
