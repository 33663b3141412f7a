//! `send`: a line to the standard input of workers.

use std::process::ExitCode;

use nexus_proto::SendText;
use nexus_proto::client::fresh_key;

use super::signal;
use crate::cli::SendLine;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Do it.
pub(super) fn run(context: &Context, args: &SendLine) -> Result<ExitCode, Failure> {
    let key = fresh_key().map_err(|error| {
        Failure::new(Exit::Failed, "no random number for the request").cause(error.to_string())
    })?;
    let targets = vec![args.target.clone()];
    let asked = SendText { targets, text: args.text.join(" ") };
    signal::show(context, &context.client.send(&key, &asked)?)
}
