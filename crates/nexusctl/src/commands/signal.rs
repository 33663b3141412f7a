//! `signal`: to main processes; what is wanted of them stays as it is.

use std::process::ExitCode;

use nexus_proto::client::fresh_key;
use nexus_proto::{Operation, SignalApps};

use super::named::plan;
use crate::cli::{Format, SignalTo};
use crate::context::Context;
use crate::exit::{Exit, code_of};
use crate::failure::Failure;
use crate::{out, text};

/// Do it.
pub(super) fn run(context: &Context, args: &SignalTo) -> Result<ExitCode, Failure> {
    if args.dry_run {
        let targets = context.client.targets(&args.targets)?.targets;
        return plan(context, &format!("send {} to", args.signal), &targets);
    }
    let key = fresh_key().map_err(|error| {
        Failure::new(Exit::Failed, "no random number for the request").cause(error.to_string())
    })?;
    let asked = SignalApps { targets: args.targets.clone(), signal: args.signal.to_string() };
    let operation = context.client.signal(&key, &asked)?;
    show(context, &operation)
}

/// What was done at once: a line for each app.
pub(super) fn show(context: &Context, operation: &Operation) -> Result<ExitCode, Failure> {
    let (done, failed): (Vec<_>, Vec<_>) =
        operation.results.iter().partition(|result| code_of(result.verdict).is_none());
    for result in failed {
        let exit = Exit::of_verdict(result.verdict);
        context.tell(&Failure::new(exit, result.message.clone()));
    }
    match context.format {
        Format::Json | Format::Jsonl => context.document(operation)?,
        Format::Name => {
            out::result(&done.iter().map(|one| format!("{}\n", one.app)).collect::<String>())?;
        }
        Format::Table | Format::Wide if context.quiet => {}
        Format::Table | Format::Wide => {
            let line = |one: &&nexus_proto::AppResult| format!("{}\n", text::plain(&one.message));
            out::result(&done.iter().map(line).collect::<String>())?;
        }
    }
    Ok(ExitCode::from(Exit::of_operation(operation).code()))
}
