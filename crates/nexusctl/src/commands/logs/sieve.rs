//! Which lines are shown: by pattern, by level, and those around them.

use std::collections::{HashMap, VecDeque};

use nexus_log::{Level, Record};
use regex::bytes::{Regex, RegexBuilder};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// The most memory that one pattern may take when it is compiled, in bytes.
const PATTERN_MAX: usize = 4 * 1024 * 1024;

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    grep: Vec<Regex>,
    not: Vec<Regex>,
    level: Option<Level>,
    around: usize,
}

/// A line that is shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) record: Record,
    pub(super) level: Option<Level>,
    /// False = it is there for the sake of one near it.
    pub(super) meant: bool,
    /// Lines were left out before it.
    pub(super) gap: bool,
}

/// Lets lines through as they come; remembers as many as may have to be shown later.
pub(super) struct Sieve {
    wanted: Wanted,
    /// The level of each file's last line that named one, and whether it was meant.
    before: HashMap<usize, (Option<Level>, bool)>,
    held: VecDeque<(Record, Option<Level>)>,
    /// Lines that follow one that was meant and are still to be shown.
    after: usize,
    /// Whether a line has been left out since the last one shown.
    gap: bool,
    shown: bool,
}

impl Wanted {
    /// As the flags say.
    ///
    /// # Errors
    /// A pattern that is none.
    pub(super) fn new(args: &cli::Logs) -> Result<Wanted, Failure> {
        let compile = |patterns: &[String]| -> Result<Vec<Regex>, Failure> {
            patterns.iter().map(|pattern| regex(pattern)).collect()
        };
        Ok(Wanted {
            grep: compile(&args.grep)?,
            not: compile(&args.not)?,
            level: args.level.map(level),
            around: usize::from(args.context),
        })
    }

    /// Whether every line is shown.
    pub(super) fn is_all(&self) -> bool {
        self.grep.is_empty() && self.not.is_empty() && self.level.is_none()
    }

    fn takes(&self, text: &[u8], level: Option<Level>) -> bool {
        let matches = |regex: &Regex| regex.is_match(text);
        self.level.is_none_or(|least| level.is_some_and(|level| level >= least))
            && (self.grep.is_empty() || self.grep.iter().any(matches))
            && !self.not.iter().any(matches)
    }
}

impl Sieve {
    pub(super) fn new(wanted: Wanted) -> Sieve {
        Sieve {
            wanted,
            before: HashMap::new(),
            held: VecDeque::new(),
            after: 0,
            gap: false,
            shown: false,
        }
    }

    /// The next line; what is to be shown now goes to `show`.
    pub(super) fn take(&mut self, record: Record, mut show: impl FnMut(Shown)) {
        let (level, meant) = self.judge(&record);
        if meant {
            for (record, level) in self.held.drain(..) {
                let gap = std::mem::take(&mut self.gap) && self.shown;
                self.shown = true;
                show(Shown { record, level, meant: false, gap });
            }
            self.after = self.wanted.around;
        } else if self.after > 0 {
            self.after -= 1;
        } else {
            self.held.push_back((record, level));
            if self.held.len() > self.wanted.around {
                self.held.pop_front();
                self.gap = true;
            }
            return;
        }
        let gap = std::mem::take(&mut self.gap) && self.shown;
        self.shown = true;
        show(Shown { record, level, meant, gap });
    }

    /// A line's level, and whether it is meant. One that goes on with the one before it in its file
    /// has the same level, and when levels are asked for, the same fate: a stack stays whole.
    fn judge(&mut self, record: &Record) -> (Option<Level>, bool) {
        let own = Level::of(&record.bytes);
        let goes_on = own.is_none() && Level::goes_on(&record.bytes);
        let before = self.before.get(&record.file).copied().filter(|_| goes_on);
        let level = own.or(before.and_then(|(level, _)| level));
        let goes_with = self.wanted.level.is_some() && before.is_some_and(|(_, meant)| meant);
        let excluded = || self.wanted.not.iter().any(|regex| regex.is_match(&record.bytes));
        let meant = self.wanted.takes(&record.bytes, level) || (goes_with && !excluded());
        self.before.insert(record.file, (level, meant));
        (level, meant)
    }
}

fn regex(pattern: &str) -> Result<Regex, Failure> {
    let built = RegexBuilder::new(pattern).size_limit(PATTERN_MAX).build();
    built.map_err(|error| {
        let title = format!("`{}` is no regular expression", crate::text::plain(pattern));
        // Its last line says what is wrong, those before it point at the place.
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::new(Exit::Usage, title)
            .cause(why)
            .help("`\\.` stands for a dot, `\\[` for a bracket")
    })
}

fn level(level: cli::Level) -> Level {
    match level {
        cli::Level::Trace => Level::Trace,
        cli::Level::Debug => Level::Debug,
        cli::Level::Info => Level::Info,
        cli::Level::Warn => Level::Warn,
        cli::Level::Error => Level::Error,
        cli::Level::Fatal => Level::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of these lines: `+` meant, `.` beside it, `--` a gap.
    fn shown(wanted: Wanted, lines: &[&str]) -> String {
        let mut sieve = Sieve::new(wanted);
        let mut text = String::new();
        for (at, line) in lines.iter().enumerate() {
            let record = Record {
                file: 0,
                time: None,
                bytes: line.as_bytes().to_vec(),
                offset: at as u64,
                complete: true,
                truncated: false,
            };
            sieve.take(record, |one| {
                let gap = if one.gap { "-- " } else { "" };
                let mark = if one.meant { '+' } else { '.' };
                text += &format!("{gap}{mark}{} ", String::from_utf8_lossy(&one.record.bytes));
            });
        }
        text.trim_end().to_owned()
    }

    fn wanted(grep: &[&str], not: &[&str], level: Option<Level>, around: usize) -> Wanted {
        let all = |some: &[&str]| some.iter().map(|one| regex(one).unwrap()).collect();
        Wanted { grep: all(grep), not: all(not), level, around }
    }

    const LINES: [&str; 8] = ["a1", "b2", "a3", "c4", "c5", "c6", "a7", "b8"];

    #[test]
    fn lines_are_shown_by_pattern_with_those_around() {
        assert_eq!(shown(wanted(&["a"], &[], None, 0), &LINES), "+a1 -- +a3 -- +a7");
        assert_eq!(shown(wanted(&["a", "b"], &["8"], None, 0), &LINES), "+a1 +b2 +a3 -- +a7");
        assert_eq!(shown(wanted(&["a"], &[], None, 1), &LINES), "+a1 .b2 +a3 .c4 -- .c6 +a7 .b8");
        assert_eq!(shown(wanted(&["c5"], &[], None, 2), &LINES), ".a3 .c4 +c5 .c6 .a7");
        assert_eq!(shown(wanted(&[], &["[abc]"], None, 0), &LINES), "");
    }

    #[test]
    fn a_stack_goes_with_its_first_line() {
        let lines = ["INFO up", "  quiet", "ERROR down", "  at x", "plain", "WARN hm"];
        assert_eq!(
            shown(wanted(&[], &[], Some(Level::Warn), 0), &lines),
            "+ERROR down +  at x -- +WARN hm"
        );
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        let failure = regex("a(b").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(regex(&"a{1000}".repeat(3).replace('a', "(a{1000})")).is_err());
    }
}
