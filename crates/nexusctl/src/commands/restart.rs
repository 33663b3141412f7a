//! `restart`: stop and start again; with a project file, as it says now.

use std::process::ExitCode;

use super::named;
use crate::cli::Named;
use crate::context::Context;
use crate::ensure::{STARTED, ensure};
use crate::failure::Failure;

/// Do it.
pub(super) fn run(context: &Context, args: &Named) -> Result<ExitCode, Failure> {
    ensure(context, STARTED)?;
    named::run(context, "restart", args, true)
}
