//! What is done to a line on its way into a file, where more is asked for than its bytes: a time
//! before it, an object around it, a limit to their number.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::pattern::Pattern;
use crate::read::Stream;

/// What a line of a file looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// As it came.
    #[default]
    Raw,
    /// A time, a colon and a space before it.
    Stamped(Pattern),
    /// One JSON object.
    Json(Origin),
}

/// What a JSON object says of a line, besides its text and its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `app_name`.
    pub app: Arc<str>,
    /// `process_id`: the number of its slot.
    pub id: u32,
    /// `type`.
    pub stream: Stream,
    /// `timestamp`; None = RFC 3339 in UTC with milliseconds.
    pub time: Option<Pattern>,
}

/// What happens to lines while the file takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnFull {
    /// They wait in the pipe; when that is full, their writer waits.
    #[default]
    Wait,
    /// They are left out and counted; nobody waits.
    Drop,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dress {
    /// What a line looks like.
    pub form: Form,
    /// Lines a second that are kept; the rest is left out and counted. None = all.
    pub rate: Option<u32>,
    /// What happens while the file takes nothing.
    pub on_full: OnFull,
}

impl Dress {
    /// Whether bytes may go straight from the pipe into the file.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Dress::default()
    }
}

/// How far a line's dressing is; kept where a kill does not reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last piece had no line end.
    pub(crate) mid_line: bool,
    /// The line that we are in is left out.
    pub(crate) skipping: bool,
    /// The second that is counted: its beginning, and its lines so far.
    pub(crate) second_ns: u64,
    pub(crate) lines: u64,
    /// Lines left out and not told of: for their number, and because the file took none.
    pub(crate) skipped: u64,
    pub(crate) dropped: u64,
}

pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// Lines at work: of one arrival, so of one time.
pub(crate) struct Dresser<'a> {
    dress: &'a Dress,
    time_ns: u64,
    stamp: String,
    out: Vec<u8>,
    /// Lines that were begun and not left out.
    kept: u64,
}

impl<'a> Dresser<'a> {
    pub(crate) fn new(dress: &'a Dress, time_ns: u64, zone: &TimeZone) -> Dresser<'a> {
        let time = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
        let stamp = match &dress.form {
            Form::Raw => String::new(),
            Form::Stamped(pattern) => format!("{}: ", pattern.format(time, zone)),
            Form::Json(origin) => match &origin.time {
                Some(pattern) => pattern.format(time, zone),
                None => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            },
        };
        Dresser { dress, time_ns, stamp, out: Vec::new(), kept: 0 }
    }

    /// Say first what was left out before, if it is time for that: `marks` = the file takes bytes
    /// again, or the second is over though nothing more has come.
    pub(crate) fn begin(&mut self, progress: &mut Progress) {
        self.turn_second(progress);
        if progress.dropped > 0 && !progress.mid_line {
            let count = std::mem::take(&mut progress.dropped);
            self.mark(count, "the file took none");
        }
    }

    /// The pieces of a chunk. The same bytes at the same time give the same bytes.
    pub(crate) fn take(&mut self, bytes: &[u8], progress: &mut Progress) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let (piece, after) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            rest = after;
            if !progress.mid_line {
                self.turn_second(progress);
                progress.skipping =
                    self.dress.rate.is_some_and(|rate| progress.lines >= u64::from(rate));
                if progress.skipping {
                    progress.skipped += 1;
                } else {
                    progress.lines += 1;
                    self.kept += 1;
                }
            }
            if !progress.skipping {
                self.piece(piece, end.is_some(), progress.mid_line);
            }
            progress.mid_line = end.is_none();
        }
    }

    /// What goes into the file, and the lines in it.
    pub(crate) fn finish(self) -> (Vec<u8>, u64) {
        (self.out, self.kept)
    }

    fn turn_second(&mut self, progress: &mut Progress) {
        if self.dress.rate.is_none() && progress.skipped == 0 {
            return;
        }
        // A clock that was set back begins a new second, too.
        if self.time_ns.wrapping_sub(progress.second_ns) < SECOND_NS {
            return;
        }
        let skipped = std::mem::take(&mut progress.skipped);
        (progress.second_ns, progress.lines) = (self.time_ns, 0);
        if skipped > 0 {
            let rate = self.dress.rate.map_or(String::new(), |rate| format!(" {rate}"));
            self.mark(skipped, &format!("more than{rate} in a second"));
        }
    }

    fn mark(&mut self, lines: u64, why: &str) {
        let noun = if lines == 1 { "line" } else { "lines" };
        let text = format!("[nexus: {lines} {noun} left out: {why}]\n");
        self.piece(text.as_bytes(), true, false);
    }

    fn piece(&mut self, piece: &[u8], ends: bool, goes_on: bool) {
        match &self.dress.form {
            Form::Raw => self.out.extend_from_slice(piece),
            Form::Stamped(_) => {
                if !goes_on {
                    self.out.extend_from_slice(self.stamp.as_bytes());
                }
                self.out.extend_from_slice(piece);
            }
            Form::Json(origin) => {
                let text = piece.strip_suffix(b"\n").unwrap_or(piece);
                object(&mut self.out, text, &self.stamp, origin, ends);
            }
        }
    }
}

/// One line of JSON, with the fields that readers of PM2's know. A line that came in pieces says so
/// in all but its last.
fn object(out: &mut Vec<u8>, text: &[u8], stamp: &str, origin: &Origin, ends: bool) {
    out.extend_from_slice(b"{\"message\":");
    string(out, &String::from_utf8_lossy(text));
    out.extend_from_slice(b",\"timestamp\":");
    string(out, stamp);
    let stream = match origin.stream {
        Stream::Out => "out",
        Stream::Err => "err",
    };
    out.extend_from_slice(
        format!(",\"type\":\"{stream}\",\"process_id\":{}", origin.id).as_bytes(),
    );
    out.extend_from_slice(b",\"app_name\":");
    string(out, &origin.app);
    out.extend_from_slice(if ends { b"}\n" } else { b",\"partial\":true}\n" });
}

/// A JSON string (RFC 8259, 7): runs of what needs no escape are copied whole.
fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f);
    while let Some(at) = rest.iter().position(is_special) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dressed(dress: &Dress, chunks: &[(u64, &str)]) -> String {
        let mut progress = Progress::default();
        let mut all = Vec::new();
        for (time_ms, text) in chunks {
            let mut dresser = Dresser::new(dress, time_ms * 1_000_000, &TimeZone::UTC);
            dresser.begin(&mut progress);
            dresser.take(text.as_bytes(), &mut progress);
            all.extend(dresser.finish().0);
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_stamp_stands_before_each_line_and_not_within_it() {
        let dress =
            Dress { form: Form::Stamped(Pattern::new("YYYY-MM-DDTHH:mm:ss")), ..Dress::default() };
        assert_eq!(
            dressed(&dress, &[(0, "one\ntw"), (1_000, "o\n\n"), (61_000, "three\n")]),
            "1970-01-01T00:00:00: one\n1970-01-01T00:00:00: two\n1970-01-01T00:00:01: \n\
             1970-01-01T00:01:01: three\n"
        );
    }

    #[test]
    fn an_object_tells_text_time_and_origin() {
        let origin = Origin { app: "a\"pi".into(), id: 3, stream: Stream::Err, time: None };
        let dress = Dress { form: Form::Json(origin), ..Dress::default() };
        assert_eq!(
            dressed(&dress, &[(1, "say \"x\\y\"\t\u{1}\nha"), (2, "lf\n")]),
            concat!(
                r#"{"message":"say \"x\\y\"\t\u0001","timestamp":"1970-01-01T00:00:00.001Z","type":"err","process_id":3,"app_name":"a\"pi"}"#,
                "\n",
                r#"{"message":"ha","timestamp":"1970-01-01T00:00:00.001Z","type":"err","process_id":3,"app_name":"a\"pi","partial":true}"#,
                "\n",
                r#"{"message":"lf","timestamp":"1970-01-01T00:00:00.002Z","type":"err","process_id":3,"app_name":"a\"pi"}"#,
                "\n",
            )
        );
    }

    #[test]
    fn lines_beyond_the_rate_are_left_out_whole_and_counted() {
        let dress = Dress { rate: Some(2), ..Dress::default() };
        assert_eq!(
            dressed(
                &dress,
                &[
                    (5_000, "a\nb\nc\nd"),
                    (5_100, "d\ne\n"),
                    (6_000, "f\n"),
                    (6_500, "g\n"),
                    (9_000, "h\n")
                ]
            ),
            "a\nb\n[nexus: 3 lines left out: more than 2 in a second]\nf\ng\nh\n"
        );
        assert_eq!(
            dressed(&dress, &[(5_000, "a\nb\nc\n"), (6_000, "")]),
            "a\nb\n[nexus: 1 line left out: more than 2 in a second]\n"
        );
    }
}
