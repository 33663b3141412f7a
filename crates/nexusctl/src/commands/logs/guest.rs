//! The logs of a daemon that is another user's: its files are not ours to read, so it reads them.

use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use nexus_log::{LogFile, Record, Stream};
use nexus_proto::{LogLine, Logs as Answer, client};

use super::printer::Printer;
use super::sieve::{Sieve, Wanted};
use super::wanted;
use crate::cli::Logs;
use crate::context::Context;
use crate::failure::Failure;
use crate::log_files::Source;
use crate::out;

/// Lines that are asked for when some of them are to be chosen: all that one answer has.
const LOOK_AT: usize = 10_000;

/// Show them, and go on with `--follow`.
pub(super) fn run(context: &Context, args: &Logs, chosen: Wanted) -> Result<ExitCode, Failure> {
    let since = args.since.as_deref().map(crate::when::parse).transpose()?;
    let until = args.until.as_deref().map(crate::when::parse).transpose()?;
    let last = args.lines.or(if since.is_some() { None } else { Some(super::LAST) });
    let asked = if chosen.is_all() && until.is_none() { last } else { None }.unwrap_or(LOOK_AT);
    let mut path = format!("/v1/logs?last={}", asked.min(LOOK_AT));
    since.iter().for_each(|ms| path.push_str(&format!("&since_unix_ms={ms}")));
    args.targets.iter().for_each(|one| path.push_str(&format!("&t={}", client::quote(one))));
    let mut show = Show { context, args, printer: Printer::new(context, args, Vec::new()) };
    let mut sieve = Sieve::new(chosen);
    if args.follow {
        out::leave_with_reader();
        for line in context.client.follow(&format!("{path}&follow=true"))? {
            let line: LogLine = serde_json::from_slice(&line?).map_err(|error| odd(&error))?;
            show.take(&mut sieve, line, |printer, shown| printer.line(&shown));
            show.printer.flush()?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let answer: Answer = context.client.logs(&path)?;
    let mut kept = std::collections::VecDeque::new();
    for line in answer.lines {
        if until.is_some_and(|until| time(&line).is_none_or(|at| at > until)) {
            continue;
        }
        show.take(&mut sieve, line, |_, shown| kept.push_back(shown));
    }
    let skip = last.map_or(0, |last| kept.len().saturating_sub(last));
    let lines = kept.len() - skip;
    kept.into_iter().skip(skip).for_each(|shown| show.printer.line(&shown));
    show.printer.flush()?;
    if lines == 0 {
        context.note("no lines");
    }
    Ok(ExitCode::SUCCESS)
}

struct Show<'a> {
    context: &'a Context,
    args: &'a Logs,
    printer: Printer,
}

impl Show<'_> {
    /// One line through the sieve, unless its stream was not asked for.
    fn take(
        &mut self,
        sieve: &mut Sieve,
        line: LogLine,
        mut then: impl FnMut(&mut Printer, super::Shown),
    ) {
        let source = source(self.context, &line);
        if !wanted(&source, self.args) {
            return;
        }
        let record = Record {
            file: self.printer.file_of(source),
            time: time(&line).and_then(|ms| {
                let since = std::time::Duration::from_millis(u64::try_from(ms).ok()?);
                UNIX_EPOCH.checked_add(since)
            }),
            bytes: line.msg.into_bytes(),
            offset: 0,
            complete: true,
            truncated: line.truncated,
        };
        let printer = &mut self.printer;
        sieve.take(record, |shown| then(printer, shown));
    }
}

fn time(line: &LogLine) -> Option<i64> {
    let stamp: jiff::Timestamp = line.ts.as_ref()?.parse().ok()?;
    Some(stamp.as_millisecond())
}

/// What stands for the file that a line is from: it is known by app, instance and stream.
fn source(context: &Context, line: &LogLine) -> Source {
    let label = match line.instance {
        Some(instance) => format!("{}/{instance}", line.app),
        None => line.app.clone(),
    };
    let stream = if line.stream == "err" { Stream::Err } else { Stream::Out };
    let path = context.client.socket().join(&label).join(&line.stream);
    let file = LogFile { path, label, stream };
    Source { app: line.app.clone(), instance: line.instance, file }
}

fn odd(error: &serde_json::Error) -> Failure {
    client::Failure::Protocol { what: error.to_string() }.into()
}
