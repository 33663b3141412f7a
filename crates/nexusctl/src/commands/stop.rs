//! `stop`: the apps stay known.

use std::process::ExitCode;

use nexus_proto::Switch;

use super::named;
use crate::cli::Stop;
use crate::context::Context;
use crate::failure::Failure;

/// Do it.
pub(super) fn run(context: &Context, args: &Stop) -> Result<ExitCode, Failure> {
    let mut body = named::body(context, &args.named, false)?;
    body.watch = args.watch.then_some(Switch::Off);
    named::ask(context, "stop", &args.named, body)
}
