//! `logs`: the apps' own output, merged by time, read from the files by ourselves.

mod newcomers;
mod printer;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_log::{LogFile, Query, Stream};

use super::fleet;
use crate::cli::Logs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log_files::{Source, of_directory, of_fleet, select};
use crate::{out, when};
use printer::Printer;

/// Lines that are shown when nothing is said.
const LAST: usize = 50;

/// Do it.
pub(super) fn run(context: &Context, args: &Logs) -> Result<ExitCode, Failure> {
    let mut sources = sources(context, args)?;
    sources.retain(|source| wanted(source, args));
    if args.follow {
        out::leave_with_reader();
        newcomers::watch(context, args, &sources);
    } else if sources.is_empty() {
        context.note("no logs yet");
        return Ok(ExitCode::SUCCESS);
    }
    let since = args.since.as_deref().map(when::parse).transpose()?.map(system_time);
    let last = args.lines.or(if since.is_some() { None } else { Some(LAST) });
    let files: Vec<LogFile> = sources.iter().map(|source| source.file.clone()).collect();
    let query = Query { files, last, since, until: None, follow: args.follow };
    let mut reader = query.read().map_err(|error| unreadable(&error))?;
    let printer = Printer::new(context, sources.clone());
    let mut batch = String::new();
    let mut lines = 0;
    for record in reader.by_ref() {
        batch.push_str(&printer.line(&record.map_err(|error| unreadable(&error))?));
        lines += 1;
        if batch.len() > 64 * 1024 {
            out::result(&std::mem::take(&mut batch))?;
        }
    }
    out::result(&batch)?;
    if !args.follow {
        afterwards(context, &sources, &reader.untimed(), lines);
        return Ok(ExitCode::SUCCESS);
    }
    let mut follow = reader.follow().map_err(|error| unreadable(&error))?;
    loop {
        let records = follow.wait(None).map_err(|error| unreadable(&error))?;
        let text: String = records.iter().map(|record| printer.line(record)).collect();
        out::result(&text)?;
    }
}

/// Whether its stream was asked for.
fn wanted(source: &Source, args: &Logs) -> bool {
    match source.file.stream {
        Stream::Out => !args.err,
        Stream::Err => !args.out,
    }
}

/// The files: as the daemon tells, else by their names.
fn sources(context: &Context, args: &Logs) -> Result<Vec<Source>, Failure> {
    let Some(snapshot) = fleet(context)? else {
        context.note("no daemon runs; reading the files");
        return select(of_directory(&context.home.logs())?, &args.targets);
    };
    if args.targets.is_empty() {
        return Ok(of_fleet(&snapshot, None));
    }
    let targets = context.client.targets(&args.targets)?.targets;
    Ok(of_fleet(&snapshot, Some(&targets)))
}

/// What a reader should know of what is not there.
fn afterwards(context: &Context, sources: &[Source], untimed: &[usize], lines: usize) {
    for file in untimed {
        if let Some(source) = sources.get(*file) {
            let path = crate::text::plain(&source.file.path.display().to_string());
            context.note(&format!("lines of {path} without a known time were left out"));
        }
    }
    if lines == 0 {
        context.note("no lines");
    } else if context.out.terminal {
        context.note("follow with -f");
    }
}

fn system_time(unix_ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0))
}

fn unreadable(error: &std::io::Error) -> Failure {
    let exit = if error.kind() == std::io::ErrorKind::PermissionDenied {
        Exit::NotPermitted
    } else {
        Exit::Failed
    };
    Failure::new(exit, "cannot read the logs").cause(error.to_string())
}
