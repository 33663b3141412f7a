//! What is wrong with a project file, each flaw with its place and its remedy.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::door::Door;
use crate::environment::Pattern;

/// The kind of a flaw: a stable code. All of them end a command with exit code 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Code {
    /// The text is not of its format.
    #[serde(rename = "NX0602")]
    Syntax,
    /// A key that means nothing here.
    #[serde(rename = "NX0603")]
    UnknownKey,
    /// A key or a value that is known and not carried out yet.
    #[serde(rename = "NX0604")]
    NotYet,
    /// A value of the wrong form.
    #[serde(rename = "NX0605")]
    Type,
    /// A value of the right form that cannot be.
    #[serde(rename = "NX0606")]
    Value,
    /// Something that has to be there.
    #[serde(rename = "NX0607")]
    Missing,
    /// Two apps of one name.
    #[serde(rename = "NX0608")]
    NameTwice,
    /// One address for two.
    #[serde(rename = "NX0609")]
    AddressTwice,
    /// A file without an app.
    #[serde(rename = "NX0610")]
    NoApps,
    /// A value of PM2's that was changed to one that can be.
    #[serde(rename = "NX0611")]
    Changed,
    /// A setting of PM2's that has nothing to act upon here.
    #[serde(rename = "NX0612")]
    NoEffect,
    /// A dependency that can never be.
    #[serde(rename = "NX0613")]
    Dependency,
}

impl Code {
    /// All of them, with what each says.
    pub(crate) const ALL: [(Code, &'static str); 12] = [
        (Code::Syntax, "the text is not of its format"),
        (Code::UnknownKey, "a key that means nothing here; a warning in PM2's files"),
        (Code::NotYet, "known and not carried out yet; a warning in PM2's files"),
        (Code::Type, "a value of the wrong form"),
        (Code::Value, "a value of the right form that cannot be"),
        (Code::Missing, "something that has to be there"),
        (Code::NameTwice, "two apps of one name"),
        (Code::AddressTwice, "one address for two"),
        (Code::NoApps, "a file without an app"),
        (Code::Changed, "a value of PM2's that was changed to one that can be; a warning"),
        (Code::NoEffect, "a setting of PM2's that has nothing to act upon here; a warning"),
        (Code::Dependency, "a dependency that can never be"),
    ];

    /// Whether a file of a door is taken with it.
    pub(crate) fn is_warning(self, door: Door) -> bool {
        match self {
            Code::Changed | Code::NoEffect => true,
            Code::UnknownKey | Code::NotYet => door == Door::Pm2,
            Code::Syntax
            | Code::Type
            | Code::Value
            | Code::Missing
            | Code::NameTwice
            | Code::AddressTwice
            | Code::NoApps
            | Code::Dependency => false,
        }
    }

    /// The code as shown: `NX0603`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Syntax => "NX0602",
            Code::UnknownKey => "NX0603",
            Code::NotYet => "NX0604",
            Code::Type => "NX0605",
            Code::Value => "NX0606",
            Code::Missing => "NX0607",
            Code::NameTwice => "NX0608",
            Code::AddressTwice => "NX0609",
            Code::NoApps => "NX0610",
            Code::Changed => "NX0611",
            Code::NoEffect => "NX0612",
            Code::Dependency => "NX0613",
        }
    }
}

/// Where in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes of the file.
    #[serde(flatten)]
    pub span: Bytes,
}

/// Bytes of a file, from `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bytes {
    /// The first.
    pub start: usize,
    /// The one after the last.
    pub end: usize,
}

/// One thing wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Of which kind.
    pub code: Code,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which key: `apps[0].backoff.min`; empty when it concerns none.
    pub key: String,
    /// What is wrong, as a sentence without a full stop.
    pub problem: String,
    /// What to write; may be empty.
    pub remedy: String,
    /// Other places that have to do with it.
    pub related: Vec<Related>,
}

/// Another place that has to do with a flaw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What to say of it.
    pub label: String,
}

/// Everything wrong with a file, in the order of the places. As JSON it is an object of `file`,
/// `flaws` and `left_out`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Flaws {
    /// The file, as it was named.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The flaws, at most [`Flaws::MAX`].
    pub flaws: Vec<Flaw>,
    /// How many more there are.
    pub left_out: usize,
    #[serde(skip)]
    pub(crate) text: String,
    /// They are warnings: the file was taken.
    #[serde(skip)]
    pub(crate) harmless: bool,
    /// Whose values are not shown, besides those that look like secrets.
    #[serde(skip)]
    pub(crate) secret_names: Vec<Pattern>,
}

impl Flaws {
    /// How many flaws are told; the rest is counted.
    pub const MAX: usize = 100;

    /// The flaws of a file, put in order.
    pub(crate) fn new(file: &Path, text: &str, mut flaws: Vec<Flaw>) -> Flaws {
        flaws.sort_by(|a, b| a.place.cmp(&b.place));
        let left_out = flaws.len().saturating_sub(Flaws::MAX);
        flaws.truncate(Flaws::MAX);
        Flaws {
            file: file.to_owned(),
            flaws,
            left_out,
            text: text.to_owned(),
            harmless: false,
            secret_names: Vec::new(),
        }
    }

    /// The same, with the values of these variables hidden in the drawings.
    pub(crate) fn hiding(self, secret_names: Vec<Pattern>) -> Flaws {
        Flaws { secret_names, ..self }
    }

    /// The same, told as warnings.
    pub(crate) fn of_no_harm(self) -> Flaws {
        Flaws { harmless: true, ..self }
    }

    /// How many flaws there are.
    pub fn count(&self) -> usize {
        self.flaws.len() + self.left_out
    }

    /// "3 errors in ecosystem.toml".
    pub fn summary(&self) -> String {
        let file = crate::visible::visible(&self.file.to_string_lossy(), false);
        let noun = if self.harmless { "warning" } else { "error" };
        match self.count() {
            1 => format!("1 {noun} in {file}"),
            count => format!("{count} {noun}s in {file}"),
        }
    }
}

fn lossy<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

impl fmt::Debug for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flaws").field("file", &self.file).field("flaws", &self.flaws).finish()
    }
}

/// Plain text, as [`Flaws::render`] without colour.
impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false, false))
    }
}

impl std::error::Error for Flaws {}

/// A text and where its lines begin, to turn bytes into places.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Lines<'a> {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The place of some bytes; what lies outside the text or within a character is moved to the
    /// nearest place that does not.
    pub(crate) fn place(&self, bytes: &Range<usize>) -> Place {
        let start = self.text.floor_char_boundary(bytes.start);
        let end = self.text.ceil_char_boundary(bytes.end.max(start).min(self.text.len()));
        let line = self.starts.partition_point(|line| *line <= start);
        let line_start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column =
            self.text.get(line_start..start).map_or(0, |before| before.chars().count()) + 1;
        Place { line, column, span: Bytes { start, end } }
    }
}
