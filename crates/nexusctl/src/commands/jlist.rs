//! `jlist`: PM2's array, always valid JSON.

use std::process::ExitCode;

use super::fleet;
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::view::jlist;

/// Do it.
pub(super) fn run(context: &Context) -> Result<ExitCode, Failure> {
    out::json(&jlist(fleet(context)?.as_ref()), false)?;
    Ok(ExitCode::SUCCESS)
}
