//! Times as day.js writes them: `YYYY-MM-DD HH:mm:ss.SSS Z`, the letters that `log_date_format` is
//! written in.

use std::fmt::Write;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A pattern, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Text(String),
    Token(&'static str),
}

/// All tokens, the longer ones first: one begins as another does.
const TOKENS: [&str; 27] = [
    "YYYY", "MMMM", "dddd", "MMM", "ddd", "SSS", "YY", "MM", "DD", "Do", "dd", "HH", "hh", "mm",
    "ss", "ZZ", "M", "D", "d", "H", "h", "m", "s", "Z", "A", "a", "X",
];

impl Pattern {
    /// Any text is a pattern: what is no token stands for itself, and so does what is in brackets.
    #[must_use]
    pub fn new(text: &str) -> Pattern {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some((inside, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
                plain.push_str(inside);
                rest = after;
            } else if let Some(token) = TOKENS.iter().find(|token| rest.starts_with(**token)) {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Token(token));
                rest = &rest[token.len()..];
            } else {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Pattern(pieces)
    }

    /// A moment, as a clock of that zone shows it.
    #[must_use]
    pub fn format(&self, time: Timestamp, zone: &TimeZone) -> String {
        let time = time.to_zoned(zone.clone());
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Token(token) => write(&mut text, token, &time),
            }
        }
        text
    }
}

fn write(text: &mut String, token: &str, time: &Zoned) {
    let twelve = || (time.hour() + 11) % 12 + 1;
    let named = |format| time.strftime(format).to_string();
    // Writing to a string does not fail.
    let _ = match token {
        "YYYY" => write!(text, "{:04}", time.year()),
        "YY" => write!(text, "{:02}", time.year().rem_euclid(100)),
        "M" => write!(text, "{}", time.month()),
        "MM" => write!(text, "{:02}", time.month()),
        "MMM" => write!(text, "{}", named("%b")),
        "MMMM" => write!(text, "{}", named("%B")),
        "D" => write!(text, "{}", time.day()),
        "DD" => write!(text, "{:02}", time.day()),
        "Do" => write!(text, "{}{}", time.day(), ordinal(time.day())),
        "d" => write!(text, "{}", time.weekday().to_sunday_zero_offset()),
        "dd" => write!(text, "{:.2}", named("%a")),
        "ddd" => write!(text, "{}", named("%a")),
        "dddd" => write!(text, "{}", named("%A")),
        "H" => write!(text, "{}", time.hour()),
        "HH" => write!(text, "{:02}", time.hour()),
        "h" => write!(text, "{}", twelve()),
        "hh" => write!(text, "{:02}", twelve()),
        "m" => write!(text, "{}", time.minute()),
        "mm" => write!(text, "{:02}", time.minute()),
        "s" => write!(text, "{}", time.second()),
        "ss" => write!(text, "{:02}", time.second()),
        "SSS" => write!(text, "{:03}", time.millisecond()),
        "Z" => write!(text, "{}", named("%:z")),
        "ZZ" => write!(text, "{}", named("%z")),
        "A" => write!(text, "{}", if time.hour() < 12 { "AM" } else { "PM" }),
        "a" => write!(text, "{}", if time.hour() < 12 { "am" } else { "pm" }),
        "X" => write!(text, "{}", time.timestamp().as_second()),
        other => write!(text, "{other}"),
    };
}

fn ordinal(day: i8) -> &'static str {
    match (day % 10, day) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_written_as_day_js_writes_it() {
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        let time: Timestamp = "2026-11-03T19:04:09.018Z".parse().unwrap();
        for (pattern, wanted) in [
            ("YYYY-MM-DD HH:mm:ss.SSS Z", "2026-11-03 14:04:09.018 -05:00"),
            ("YYYY-MM-DDTHH:mm:ss", "2026-11-03T14:04:09"),
            ("ddd MMM D YY, h:m:s a ZZ", "Tue Nov 3 26, 2:4:9 pm -0500"),
            ("dddd, MMMM Do [at] hhA", "Tuesday, November 3rd at 02PM"),
            ("dd d X", "Tu 2 1793732649"),
            ("[", "["),
            ("", ""),
        ] {
            assert_eq!(Pattern::new(pattern).format(time, &zone), wanted, "{pattern}");
        }
    }
}
