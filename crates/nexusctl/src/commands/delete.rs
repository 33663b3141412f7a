//! `delete`: stop, then forget.

use std::process::ExitCode;

use super::named;
use crate::cli::Named;
use crate::confirm::confirm;
use crate::context::Context;
use crate::failure::Failure;

/// Do it.
pub(super) fn run(context: &Context, args: &Named) -> Result<ExitCode, Failure> {
    let all = args.targets.iter().any(|typed| typed == "all");
    if all && !args.yes && !args.change.dry_run {
        confirm("stop and forget all apps?", "nexusctl delete all --yes")?;
    }
    named::run(context, "delete", args, false)
}
