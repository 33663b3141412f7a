//! `stop`: the apps stay known.

use std::process::ExitCode;

use super::named;
use crate::cli::Named;
use crate::context::Context;
use crate::failure::Failure;

/// Do it.
pub(super) fn run(context: &Context, args: &Named) -> Result<ExitCode, Failure> {
    named::run(context, "stop", args, false)
}
