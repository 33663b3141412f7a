//! Records of log files as lines: time, app, stream, text.

use std::time::{SystemTime, UNIX_EPOCH};

use nexus_log::{Record, Stream, printable};
use serde_json::json;

use crate::context::Context;
use crate::log_files::Source;
use crate::look::{Look, Role};
use crate::text::{pad, width};
use crate::view::clock_ms;

/// The widest prefix that lines are aligned to.
const LABEL_MAX: usize = 24;
/// `14:02:29.918`.
const CLOCK_WIDTH: usize = 12;

/// Records as lines.
#[derive(Clone, Debug)]
pub(super) struct Printer {
    look: Look,
    json: bool,
    sources: Vec<Source>,
    label_width: usize,
}

impl Printer {
    /// For the records of these sources.
    pub(super) fn new(context: &Context, sources: Vec<Source>) -> Printer {
        let widest = sources.iter().map(|source| width(&source.file.label)).max().unwrap_or(0);
        Printer {
            look: context.out.clone(),
            json: context.is_json(),
            sources,
            label_width: widest.min(LABEL_MAX),
        }
    }

    /// One record with its line end.
    pub(super) fn line(&self, record: &Record) -> String {
        let Some(source) = self.sources.get(record.file) else { return String::new() };
        if self.json { json_line(source, record) } else { self.text_line(source, record) }
    }

    fn text_line(&self, source: &Source, record: &Record) -> String {
        let look = &self.look;
        let time = record.time.and_then(unix_ms).map(|ms| clock_ms(ms, &look.zone));
        let time = time.unwrap_or_else(|| pad("-", CLOCK_WIDTH, false));
        let label = pad(&source.file.label, self.label_width, false);
        let mark = match source.file.stream {
            Stream::Out => "   ".to_owned(),
            Stream::Err => look.paint(Role::Bad, "err"),
        };
        let cut = if record.truncated { look.ellipsis() } else { "" };
        let text = printable(&record.bytes, look.color);
        let (time, label) = (look.paint(Role::Off, &time), look.paint(tag(&source.app), &label));
        format!("{time} {label} {mark} {text}{cut}\n")
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
