//! `flush`: log files are emptied, or begun anew.

use std::process::ExitCode;

use nexus_proto::FlushLogs;
use nexus_proto::client::fresh_key;

use super::named::plan;
use crate::cli::{Flush, Format};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::human::size;
use crate::out;

/// Do it.
pub(super) fn run(context: &Context, args: &Flush) -> Result<ExitCode, Failure> {
    if args.dry_run {
        let all = [String::from("all")];
        let typed = if args.targets.is_empty() { &all[..] } else { &args.targets };
        let targets = context.client.targets(typed)?.targets;
        return plan(context, if args.rotate { "rotate the logs of" } else { "flush" }, &targets);
    }
    let key = fresh_key().map_err(|error| {
        Failure::new(Exit::Failed, "no random number for the request").cause(error.to_string())
    })?;
    let asked = FlushLogs { targets: args.targets.clone(), rotate: args.rotate };
    let flushed = context.client.flush(&key, &asked)?;
    match context.format {
        Format::Json | Format::Jsonl => context.document(&flushed)?,
        Format::Name => {
            let lines = flushed.apps.iter().map(|one| format!("{}\n", one.app));
            out::result(&lines.collect::<String>())?;
        }
        Format::Table | Format::Wide if context.quiet => {}
        Format::Table | Format::Wide => {
            let lines = flushed.apps.iter().map(|one| {
                if flushed.rotated {
                    format!("{}: new log files begun\n", one.app)
                } else {
                    format!("{}: {} of logs deleted\n", one.app, size(one.freed_bytes))
                }
            });
            out::result(&lines.collect::<String>())?;
        }
    }
    if flushed.apps.is_empty() {
        context.note("no apps");
    }
    Ok(ExitCode::SUCCESS)
}
