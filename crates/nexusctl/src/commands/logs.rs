//! `logs`: the apps' own output, merged by time, read from the files by ourselves.

mod guest;
mod newcomers;
mod printer;
mod sieve;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_log::{LogFile, Query, Reader, Stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::fleet;
use crate::cli::Logs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log_files::{Source, of_directory, of_fleet, select};
use crate::{out, when};
use printer::Printer;
use sieve::{Shown, Sieve, Wanted};

/// Lines that are shown when nothing is said.
const LAST: usize = 50;
/// Bytes that are written at once.
const BATCH: usize = 64 * 1024;
/// When lines are chosen: so many times as many are looked at first, and then so many times more.
const LOOK_FIRST: usize = 20;
const LOOK_MORE: usize = 10;

/// Do it.
pub(super) fn run(context: &Context, args: &Logs) -> Result<ExitCode, Failure> {
    let chosen = Wanted::new(args)?;
    if context.guest {
        return guest::run(context, args, chosen);
    }
    open_many_files();
    let since = args.since.as_deref().map(when::parse).transpose()?.map(system_time);
    let until = args.until.as_deref().map(when::parse).transpose()?.map(system_time);
    let mut sources = sources(context, args)?;
    sources.retain(|source| wanted(source, args));
    if args.follow {
        out::leave_with_reader();
        newcomers::watch(context, args, &chosen, &sources);
    } else if sources.is_empty() {
        context.note("no logs yet");
        return Ok(ExitCode::SUCCESS);
    }
    let last = args.lines.or(if since.is_some() { None } else { Some(LAST) });
    let files: Vec<LogFile> = sources.iter().map(|source| source.file.clone()).collect();
    let query = Query { files, last, since, until, follow: args.follow };
    let mut printer = Printer::new(context, args, sources.clone());
    let mut sieve = Sieve::new(chosen.clone());
    let (reader, lines) = match last {
        Some(last) if !chosen.is_all() => {
            show_last(&query, last, &chosen, &mut sieve, &mut printer)?
        }
        Some(_) | None => show_all(&query, &mut sieve, &mut printer)?,
    };
    printer.flush()?;
    if !args.follow {
        afterwards(context, &sources, &reader.untimed(), lines);
        return Ok(ExitCode::SUCCESS);
    }
    let mut follow = reader.follow().map_err(|error| unreadable(&error))?;
    loop {
        for record in follow.wait(None).map_err(|error| unreadable(&error))? {
            sieve.take(record, |shown| printer.line(&shown));
        }
        printer.flush()?;
    }
}

/// Each log has several files, and a fleet has thousands of logs: take what the system allows.
fn open_many_files() {
    let limit = Resource::RLIMIT_NOFILE;
    if let Ok((soft, hard)) = getrlimit(limit)
        && soft < hard
    {
        // Refused: then it is as it was, and a file that cannot be opened is told of.
        let _ = setrlimit(limit, hard, hard);
    }
}

/// Show what the query finds and the sieve lets through, as it is read.
fn show_all(
    query: &Query,
    sieve: &mut Sieve,
    printer: &mut Printer,
) -> Result<(Reader, usize), Failure> {
    let mut reader = query.read().map_err(|error| unreadable(&error))?;
    let mut lines = 0;
    for record in reader.by_ref() {
        let record = record.map_err(|error| unreadable(&error))?;
        sieve.take(record, |shown| {
            lines += 1;
            printer.line(&shown);
        });
        if printer.holds() > BATCH {
            printer.flush()?;
        }
    }
    Ok((reader, lines))
}

/// Show the last lines that the sieve lets through: looks at ever more until there are enough.
fn show_last(
    query: &Query,
    last: usize,
    wanted: &Wanted,
    sieve: &mut Sieve,
    printer: &mut Printer,
) -> Result<(Reader, usize), Failure> {
    let mut window = last.saturating_mul(LOOK_FIRST).max(1_000);
    loop {
        let query = Query { last: Some(window), ..query.clone() };
        let mut reader = query.read().map_err(|error| unreadable(&error))?;
        *sieve = Sieve::new(wanted.clone());
        let (mut looked, mut meant) = (0, 0);
        let mut kept: VecDeque<Shown> = VecDeque::new();
        for record in reader.by_ref() {
            looked += 1;
            sieve.take(record.map_err(|error| unreadable(&error))?, |shown| {
                meant += usize::from(shown.meant);
                kept.push_back(shown);
            });
            while meant > last
                && let Some(dropped) = kept.pop_front()
            {
                meant -= usize::from(dropped.meant);
            }
        }
        if meant < last && looked == window {
            window = window.saturating_mul(LOOK_MORE);
            continue;
        }
        if let Some(first) = kept.front_mut() {
            first.gap = false;
        }
        kept.iter().for_each(|shown| printer.line(shown));
        return Ok((reader, kept.len()));
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
