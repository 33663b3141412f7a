//! `logs`: the apps' own output, merged by time, read from the files by ourselves.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_log::{LogFile, Query, Record, Stream, printable};
use serde_json::json;

use super::fleet;
use crate::cli::{Format, Logs};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log_files::{Source, of_directory, of_fleet, select};
use crate::look::Role;
use crate::text::{pad, width};
use crate::view::clock_ms;
use crate::{out, when};

/// Lines that are shown when nothing is said.
const LAST: usize = 50;
/// The widest prefix that lines are aligned to.
const LABEL_MAX: usize = 24;

/// Do it.
pub(super) fn run(context: &Context, args: &Logs) -> Result<ExitCode, Failure> {
    let mut sources = sources(context, args)?;
    sources.retain(|source| match source.file.stream {
        Stream::Out => !args.err,
        Stream::Err => !args.out,
    });
    if sources.is_empty() {
        context.note("no logs yet");
        return Ok(ExitCode::SUCCESS);
    }
    let since = args.since.as_deref().map(when::parse).transpose()?.map(system_time);
    let last = args.lines.or(if since.is_some() { None } else { Some(LAST) });
    let files: Vec<LogFile> = sources.iter().map(|source| source.file.clone()).collect();
    let query = Query { files, last, since, until: None, follow: args.follow };
    let mut reader = query.read().map_err(|error| unreadable(&error))?;
    let mut printer = Printer::new(context, &sources);
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

/// Records as lines.
struct Printer<'a> {
    context: &'a Context,
    sources: &'a [Source],
    label_width: usize,
    colours: BTreeMap<&'a str, Role>,
}

impl<'a> Printer<'a> {
    fn new(context: &'a Context, sources: &'a [Source]) -> Printer<'a> {
        let widest = sources.iter().map(|source| width(&source.file.label)).max().unwrap_or(0);
        let colours = sources.iter().map(|source| (source.app.as_str(), tag(&source.app)));
        let label_width = widest.min(LABEL_MAX);
        Printer { context, sources, label_width, colours: colours.collect() }
    }

    fn line(&mut self, record: &Record) -> String {
        let Some(source) = self.sources.get(record.file) else { return String::new() };
        match self.context.format {
            Format::Json | Format::Jsonl => json_line(source, record),
            Format::Table | Format::Wide | Format::Name => self.text_line(source, record),
        }
    }

    fn text_line(&self, source: &Source, record: &Record) -> String {
        let look = &self.context.out;
        let time = record.time.and_then(unix_ms).map(|ms| clock_ms(ms, &look.zone));
        let time = time.unwrap_or_else(|| pad("-", 12, false));
        let role = self.colours.get(source.app.as_str()).copied().unwrap_or(Role::Tag(0));
        let label = pad(&source.file.label, self.label_width, false);
        let mark = match source.file.stream {
            Stream::Out => "   ".to_owned(),
            Stream::Err => look.paint(Role::Bad, "err"),
        };
        let cut = if record.truncated { look.ellipsis() } else { "" };
        let text = printable(&record.bytes, look.color);
        format!(
            "{} {} {mark} {text}{cut}\n",
            look.paint(Role::Off, &time),
            look.paint(role, &label)
        )
    }
}

fn json_line(source: &Source, record: &Record) -> String {
    let time = record.time.and_then(unix_ms);
    let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let line = json!({
        "schema": "nexus.log/1",
        "ts": time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        "app": source.app,
        "instance": source.instance,
        "stream": match source.file.stream { Stream::Out => "out", Stream::Err => "err" },
        "msg": String::from_utf8_lossy(&record.bytes),
    });
    format!("{line}\n")
}

fn unix_ms(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// One of six colours by the name (FNV-1a), the same on every machine.
fn tag(app: &str) -> Role {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = app.bytes().fold(0x811c_9dc5, mix);
    Role::Tag(u8::try_from(hash % 6).unwrap_or(0))
}
