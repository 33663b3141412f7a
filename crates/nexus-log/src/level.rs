//! How grave a line of a log is, as far as it says so itself.
//!
//! Programs say it in a field (JSON, logfmt), in capitals near the beginning, in brackets or before
//! a colon. A word in the midst of a sentence says nothing, and neither does standard error.

use memchr::memmem;

/// How grave. The order is that of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// For who looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What may need a look.
    Warn,
    /// What went wrong.
    Error,
    /// What ended a program.
    Fatal,
}

/// How far into a line a word or a logfmt field is looked for, and a field of JSON.
const WORDS_MAX: usize = 160;
const JSON_MAX: usize = 4096;
/// Words at the beginning that may be of a time, a host, a program.
const LEADING_WORDS: usize = 16;

impl Level {
    /// The level that a line names. None = none that we know.
    #[must_use]
    pub fn of(line: &[u8]) -> Option<Level> {
        let line = line.trim_ascii_start();
        if line.first() == Some(&b'{') {
            return in_json(&line[..line.len().min(JSON_MAX)]);
        }
        let head = without_colours(&line[..line.len().min(WORDS_MAX)]);
        in_logfmt(&head).or_else(|| opening(&head)).or_else(|| in_words(&head))
    }

    /// Whether a line goes on with what the one before it began: a stack, a value in many lines.
    #[must_use]
    pub fn goes_on(line: &[u8]) -> bool {
        let indented = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'}' | b')'));
        indented || line.starts_with(b"Caused by")
    }

    /// Three letters, as columns show it.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Level::Trace => "TRC",
            Level::Debug => "DBG",
            Level::Info => "INF",
            Level::Warn => "WRN",
            Level::Error => "ERR",
            Level::Fatal => "FTL",
        }
    }

    /// Its name, in small letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    fn named(word: &[u8]) -> Option<Level> {
        const NAMES: [(&str, Level); 24] = [
            ("trace", Level::Trace),
            ("trc", Level::Trace),
            ("verbose", Level::Trace),
            ("silly", Level::Trace),
            ("debug", Level::Debug),
            ("dbg", Level::Debug),
            ("fine", Level::Debug),
            ("info", Level::Info),
            ("inf", Level::Info),
            ("information", Level::Info),
            ("notice", Level::Info),
            ("log", Level::Info),
            ("warn", Level::Warn),
            ("wrn", Level::Warn),
            ("warning", Level::Warn),
            ("error", Level::Error),
            ("err", Level::Error),
            ("severe", Level::Error),
            ("fatal", Level::Fatal),
            ("ftl", Level::Fatal),
            ("critical", Level::Fatal),
            ("crit", Level::Fatal),
            ("panic", Level::Fatal),
            ("emergency", Level::Fatal),
        ];
        NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, l)| *l)
    }

    /// As bunyan and pino number them.
    fn numbered(number: u32) -> Level {
        match number {
            0..=10 => Level::Trace,
            11..=20 => Level::Debug,
            21..=30 => Level::Info,
            31..=40 => Level::Warn,
            41..=50 => Level::Error,
            _ => Level::Fatal,
        }
    }
}

/// The value of the first field that is called as a level usually is.
fn in_json(line: &[u8]) -> Option<Level> {
    const KEYS: [&str; 5] =
        ["\"level\"", "\"severity\"", "\"lvl\"", "\"levelname\"", "\"log.level\""];
    let found = KEYS.iter().filter_map(|key| {
        // Behind a backslash it is text within text.
        let mut places = memmem::find_iter(line, key.as_bytes());
        let at = places.find(|at| *at == 0 || line[*at - 1] != b'\\')?;
        let value = line[at + key.len()..].trim_ascii_start().strip_prefix(b":")?;
        Some((at, value.trim_ascii_start()))
    });
    let (_, value) = found.min_by_key(|(at, _)| *at)?;
    if let Some(text) = value.strip_prefix(b"\"") {
        let end = text.iter().position(|byte| *byte == b'"')?;
        return Level::named(&text[..end]);
    }
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).take(4);
    let number = digits.fold(None, |number: Option<u32>, digit| {
        Some(number.unwrap_or(0) * 10 + u32::from(digit - b'0'))
    });
    number.map(Level::numbered)
}

fn in_logfmt(line: &[u8]) -> Option<Level> {
    [&b"level="[..], b"lvl=", b"severity="].into_iter().find_map(|key| {
        let at = memmem::find(line, key)?;
        let fresh = at == 0 || matches!(line[at - 1], b' ' | b'\t' | b'.');
        let value = line[at + key.len()..].trim_ascii_start();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let word = value.split(|byte| !byte.is_ascii_alphabetic()).next()?;
        Level::named(word).filter(|_| fresh)
    })
}

/// What only a beginning says.
fn opening(line: &[u8]) -> Option<Level> {
    const OPENINGS: [(&[u8], Level); 6] = [
        (b"Traceback (most recent call last)", Level::Error),
        (b"Uncaught ", Level::Error),
        (b"Unhandled", Level::Error),
        (b"Exception in thread", Level::Error),
        (b"panic: ", Level::Fatal),
        (b"npm ERR!", Level::Error),
    ];
    let opening = OPENINGS.iter().find(|(text, _)| line.starts_with(text)).map(|(_, level)| *level);
    let panicked = || {
        let rust = line.starts_with(b"thread '") && memmem::find(line, b"panicked at").is_some();
        rust.then_some(Level::Error)
    };
    // `TypeError: …`, `java.lang.IllegalStateException: …`
    let thrown = || {
        let word = line.split(|byte| *byte == b' ').next()?.strip_suffix(b":")?;
        let is = word.ends_with(b"Error") || word.ends_with(b"Exception");
        is.then_some(Level::Error)
    };
    opening.or_else(panicked).or_else(thrown).or_else(|| glog(line))
}

/// `E1123 14:02:29.918 …`: a letter, month and day.
fn glog(line: &[u8]) -> Option<Level> {
    let (letter, rest) = line.split_first()?;
    let dated = rest.len() > 4 && rest[..4].iter().all(u8::is_ascii_digit) && rest[4] == b' ';
    let level = match letter {
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' => Level::Fatal,
        _ => return None,
    };
    Some(level).filter(|_| dated)
}

/// A word in capitals, in brackets, or before a colon.
fn in_words(line: &[u8]) -> Option<Level> {
    let mut begin = 0;
    for _ in 0..LEADING_WORDS {
        let from = begin + line[begin..].iter().position(u8::is_ascii_alphanumeric)?;
        let word = line[from..].iter().take_while(|byte| is_of_word(**byte)).count();
        let word = &line[from..from + word];
        let before = from.checked_sub(1).map(|at| line[at]);
        let after = line.get(from + word.len());
        begin = from + word.len();
        let Some(level) = Level::named(word) else { continue };
        let capitals = word.iter().all(u8::is_ascii_uppercase);
        let bracketed = matches!(before, Some(b'[' | b'<' | b'(' | b'|'))
            && matches!(after, Some(b']' | b'>' | b')' | b'|'));
        let labelled = after == Some(&b':');
        // `LOG` in capitals is as often a part of a name.
        if bracketed || labelled || (capitals && word != b"LOG" && word != b"FINE") {
            return Some(level);
        }
    }
    None
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Without control sequences: `ESC [ … letter`.
fn without_colours(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memmem::find(rest, b"\x1b[") {
        plain.extend_from_slice(&rest[..at]);
        let end = rest[at + 2..].iter().position(|byte| (0x40..=0x7e).contains(byte));
        rest = end.map_or(&[][..], |end| &rest[at + 2 + end + 1..]);
    }
    plain.extend_from_slice(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_their_level() {
        use Level::{Debug, Error, Fatal, Info, Trace, Warn};
        for (line, level) in [
            ("{\"level\":30,\"time\":1,\"msg\":\"error\"}", Some(Info)),
            ("{\"time\":1,\"level\" : \"WARNING\"}", Some(Warn)),
            ("{\"msg\":\"\\\"level\\\":50\",\"severity\":\"ERROR\"}", Some(Error)),
            ("{\"msg\":\"no level\"}", None),
            ("{\"level\":60}", Some(Fatal)),
            ("time=1 level=debug msg=\"ERROR\"", Some(Debug)),
            ("2026-11-23T14:02:29Z  INFO api::http: error budget", Some(Info)),
            ("2026-11-23 14:02:29,918 [main] WARN  o.e.Server - x", Some(Warn)),
            ("\x1b[2m14:02\x1b[0m \x1b[31mERROR\x1b[0m it broke", Some(Error)),
            ("[error] 12#12: *1 open() failed", Some(Error)),
            ("2026/11/23 14:02:29 [crit] 12#12", Some(Fatal)),
            ("warning: unused variable", Some(Warn)),
            ("Error: cannot connect to redis", Some(Error)),
            ("TypeError: x is not a function", Some(Error)),
            ("Traceback (most recent call last):", Some(Error)),
            ("thread 'main' panicked at src/main.rs:3:5:", Some(Error)),
            ("panic: runtime error: index out of range", Some(Fatal)),
            ("E1123 14:02:29.918 1 server.go:1] no", Some(Error)),
            ("[TRACE] step", Some(Trace)),
            ("no error was found, and no warning", None),
            ("GET /error 200", None),
            ("the LOG is long", None),
            ("listening on 3000", None),
            ("", None),
        ] {
            assert_eq!(Level::of(line.as_bytes()), level, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_strange(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = (Level::of(&line), Level::goes_on(&line));
            let json = [b"{\"level\":".as_slice(), &line].concat();
            let _ = Level::of(&json);
        }
    }
}
