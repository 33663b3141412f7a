//! Records of log files as lines: time, app, level, text.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use nexus_log::{Level, Stream, printable};
use serde_json::{Value, json};

use super::sieve::Shown;
use crate::cli::Logs;
use crate::context::Context;
use crate::failure::Failure;
use crate::log_files::Source;
use crate::look::{Look, Role, tag};
use crate::out;
use crate::text::{pad, width};
use crate::view::clock_ms;

/// The widest prefix that lines are aligned to.
const LABEL_MAX: usize = 24;
/// `14:02:29.918`.
const CLOCK_WIDTH: usize = 12;

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// With time, app and level.
    Text,
    /// An object.
    Json,
    /// As it was written; on a terminal, made harmless.
    Raw,
}

/// Records as lines, collected until they are written.
#[derive(Debug)]
pub(super) struct Printer {
    look: Look,
    form: Form,
    sources: Vec<Source>,
    label_width: usize,
    batch: Vec<u8>,
}

impl Printer {
    /// For the records of these sources.
    pub(super) fn new(context: &Context, args: &Logs, sources: Vec<Source>) -> Printer {
        let widest = sources.iter().map(|source| width(&source.file.label)).max().unwrap_or(0);
        let mut look = context.out.clone();
        if args.utc {
            look.zone = TimeZone::UTC;
        }
        let form = match (args.raw, context.is_json()) {
            (true, _) => Form::Raw,
            (false, true) => Form::Json,
            (false, false) => Form::Text,
        };
        Printer { look, form, sources, label_width: widest.min(LABEL_MAX), batch: Vec::new() }
    }

    /// The number of a file; one that is new becomes the last.
    pub(super) fn file_of(&mut self, source: Source) -> usize {
        let known = self.sources.iter().position(|known| known.file.path == source.file.path);
        known.unwrap_or_else(|| {
            self.label_width = self.label_width.max(width(&source.file.label).min(LABEL_MAX));
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    /// Bytes that are not written yet.
    pub(super) fn holds(&self) -> usize {
        self.batch.len()
    }

    /// One line more.
    pub(super) fn line(&mut self, shown: &Shown) {
        let Some(source) = self.sources.get(shown.record.file) else { return };
        if shown.gap && self.form != Form::Json {
            self.batch.extend(self.look.paint(Role::Off, "--").bytes().chain([b'\n']));
        }
        match self.form {
            Form::Text => self.batch.extend(self.text_line(source, shown).bytes()),
            Form::Json => self.batch.extend(json_line(source, shown).bytes()),
            Form::Raw if self.look.terminal => {
                self.batch.extend(printable(&shown.record.bytes, self.look.color).bytes());
                self.batch.push(b'\n');
            }
            Form::Raw => {
                self.batch.extend_from_slice(&shown.record.bytes);
                self.batch.push(b'\n');
            }
        }
    }

    /// Write what is collected.
    ///
    /// # Errors
    /// As [`out::result`].
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let written = out::bytes(&self.batch);
        self.batch.clear();
        written
    }

    fn text_line(&self, source: &Source, shown: &Shown) -> String {
        let (look, record) = (&self.look, &shown.record);
        let time = record.time.and_then(unix_ms).map(|ms| clock_ms(ms, &look.zone));
        let time = time.unwrap_or_else(|| pad("-", CLOCK_WIDTH, false));
        let label = pad(&source.file.label, self.label_width, false);
        let mark = match (shown.level, source.file.stream) {
            (Some(level), _) => look.paint(role(level), level.tag()),
            (None, Stream::Out) => "   ".to_owned(),
            // That it came by standard error makes it no error.
            (None, Stream::Err) => look.paint(Role::Off, "err"),
        };
        let cut = if record.truncated { look.ellipsis() } else { "" };
        let text = printable(&record.bytes, look.color);
        let (time, label) = (look.paint(Role::Off, &time), look.paint(tag(&source.app), &label));
        format!("{time} {label} {mark} {text}{cut}\n")
    }
}

fn role(level: Level) -> Role {
    match level {
        Level::Trace | Level::Debug => Role::Off,
        Level::Info => Role::Good,
        Level::Warn => Role::Busy,
        Level::Error | Level::Fatal => Role::Bad,
    }
}

fn json_line(source: &Source, shown: &Shown) -> String {
    let record = &shown.record;
    let time = record.time.and_then(unix_ms);
    let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    // What the app wrote as JSON is a value, not text within text.
    let is_object = record.bytes.first() == Some(&b'{') && !record.truncated;
    let object = is_object.then(|| serde_json::from_slice::<Value>(&record.bytes).ok()).flatten();
    let line = json!({
        "schema": "nexus.log/1",
        "ts": time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()),
        "app": source.app,
        "instance": source.instance,
        "stream": match source.file.stream { Stream::Out => "out", Stream::Err => "err" },
        "level": shown.level.map(Level::name),
        "msg": String::from_utf8_lossy(&record.bytes),
        "json": object,
    });
    format!("{}\n", out::spelled_out(&line.to_string()))
}

fn unix_ms(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}
