//! The end of an operation, as it is shown: failures beside, the result on stdout, the exit code.

use std::process::ExitCode;

use nexus_proto::{OpState, Operation, Verdict};

use crate::cli::{Change, Format};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::span;
use crate::operate::Outcome;
use crate::out;
use crate::view::{Rows, list};

/// Show it all; gives what to exit with.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn show(
    context: &Context,
    outcome: &Outcome,
    change: &Change,
) -> Result<ExitCode, Failure> {
    let operation = &outcome.operation;
    for result in &operation.results {
        let shown = outcome.shown.contains(&result.app) && result.verdict == Verdict::BuildFailed;
        if let Some(failure) = Failure::of_result(result, shown) {
            context.tell(&failure);
        }
    }
    if operation.state == OpState::Running {
        return running(context, operation, change);
    }
    match context.format {
        Format::Json => context.document(operation)?,
        Format::Jsonl => lines(operation)?,
        Format::Name => names(operation)?,
        Format::Table | Format::Wide => table(context, outcome)?,
    }
    Ok(ExitCode::from(Exit::of_operation(operation).code()))
}

/// It goes on without us.
pub(crate) fn running(
    context: &Context,
    operation: &Operation,
    change: &Change,
) -> Result<ExitCode, Failure> {
    match context.format {
        Format::Json | Format::Jsonl => context.document(operation)?,
        Format::Name => out::result(&format!("{}\n", operation.key))?,
        Format::Table | Format::Wide => out::result(&format!("operation {}\n", operation.key))?,
    }
    match change.timeout {
        Some(time) if !change.no_wait => {
            let waiting: Vec<&str> = operation.waiting.iter().map(|app| app.as_str()).collect();
            let waiting =
                if waiting.is_empty() { &[operation.verb.as_str()] } else { &waiting[..] };
            let title = format!("not done after {}: {}", span(time.0), waiting.join(", "));
            context.tell(
                &Failure::new(Exit::TimedOut, title)
                    .cause(format!("it goes on as operation {}", operation.key))
                    .help("nexusctl list"),
            );
            Ok(ExitCode::from(Exit::TimedOut.code()))
        }
        Some(_) | None => Ok(ExitCode::SUCCESS),
    }
}

fn table(context: &Context, outcome: &Outcome) -> Result<(), Failure> {
    let Some(snapshot) = outcome.snapshot.as_ref().filter(|_| !context.quiet) else {
        return Ok(());
    };
    let wide = context.format == Format::Wide;
    let page = list(snapshot, &context.out, Rows { instances: false, wide });
    out::result(&page.text)?;
    context.hidden(page.hidden);
    Ok(())
}

fn lines(operation: &Operation) -> Result<(), Failure> {
    for result in &operation.results {
        let mut line = serde_json::to_value(result).unwrap_or_default();
        if let Some(fields) = line.as_object_mut() {
            fields.insert("schema".to_owned(), "nexus.result/1".into());
            fields.insert("operation".to_owned(), operation.key.clone().into());
        }
        out::json(&line, false)?;
    }
    Ok(())
}

fn names(operation: &Operation) -> Result<(), Failure> {
    let done = |verdict| Exit::of_verdict(verdict) == Exit::Done;
    let done = operation.results.iter().filter(|result| done(result.verdict));
    out::result(&done.map(|result| format!("{}\n", result.app)).collect::<String>())
}
