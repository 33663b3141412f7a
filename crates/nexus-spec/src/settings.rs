//! The table of settings: every key of a project file, what it takes, and who reads it.
//!
//! A row is all there is to know of a key. The walk over a file, the flags of the command line,
//! the suggestions, the writer and the reference page all read the same rows.

mod later_ours;
mod later_pm2;
mod life;
mod output;
mod program;
mod restart;

use std::fmt;

use crate::app::AppSpec;
use crate::flaw::Code;
use crate::given::{Given, Key};
use crate::options::Options;
use crate::span::Span;
use crate::suggest;
use crate::wrong::{Wrong, Wrongs};

/// Which table of the file a key stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The top of the file.
    File,
    /// `[[apps]]`, and `[defaults]` as far as it may be shared.
    App,
    /// `backoff` within an app.
    Backoff,
}

/// One key.
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What it takes, with its article: "a length of time".
    pub takes: &'static str,
    /// What holds when it is not written; a literal can be written as it stands.
    pub default: &'static str,
    /// What it means, in one line.
    pub doc: &'static str,
    /// Other spellings, PM2's among them, that lead here. The camelCase of `key` is always one.
    pub also: &'static [&'static str],
    /// Belongs to one app: not for `[defaults]`.
    pub own: bool,
    pub(crate) work: Work,
}

/// What is done with a value.
pub(crate) enum Work {
    /// Read into the options, written from the app (`None`: the default).
    Done { set: Set, get: fn(&AppSpec) -> Option<toml::Value> },
    /// Read by the walk over the file itself.
    Walked,
    /// Not carried out yet; what to write in its place, or nothing.
    Later { instead: &'static str },
}

/// Reads a value into the options.
pub(crate) type Set = fn(&mut Options, &Given) -> Result<(), Wrongs>;

impl Setting {
    /// Whether a value is acted upon; otherwise it is refused by name.
    pub fn carried_out(&self) -> bool {
        !matches!(self.work, Work::Later { .. })
    }

    /// A row of what is not carried out yet.
    const fn later(key: &'static str, takes: &'static str, doc: &'static str) -> Setting {
        let work = Work::Later { instead: "" };
        Setting { key, takes, default: "none", doc, also: &[], own: false, work }
    }

    const fn default(self, default: &'static str) -> Setting {
        Setting { default, ..self }
    }

    const fn also(self, also: &'static [&'static str]) -> Setting {
        Setting { also, ..self }
    }

    const fn instead(self, instead: &'static str) -> Setting {
        Setting { work: Work::Later { instead }, ..self }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The keys of the top of a file.
static FILE: [Setting; 6] = [
    Setting {
        key: "apps",
        takes: "tables, each under `[[apps]]`",
        default: "none",
        doc: "The apps, at least one.",
        also: &["app", "pm2"],
        own: false,
        work: Work::Walked,
    },
    Setting {
        key: "defaults",
        takes: "a table",
        default: "none",
        doc: "Options for every app that does not set them; `env` and `backoff` are joined.",
        also: &["default"],
        own: false,
        work: Work::Walked,
    },
    Setting::later("daemon", "a table", "The daemon's own settings."),
    Setting::later("alerts", "a table", "Whom to tell of what."),
    Setting::later("deploy", "a table", "Deployment over ssh, by environment."),
    Setting::later("static", "an array of tables", "Directories to serve over HTTP."),
];

/// All tables of rows.
static TABLES: [(Scope, &[Setting]); 8] = [
    (Scope::File, &FILE),
    (Scope::App, &program::ROWS),
    (Scope::App, &life::ROWS),
    (Scope::App, &restart::ROWS),
    (Scope::App, &output::ROWS),
    (Scope::App, &later_ours::ROWS),
    (Scope::App, &later_pm2::ROWS),
    (Scope::Backoff, &restart::BACKOFF),
];

/// Every setting with the table that it stands in: what is carried out first, then the rest.
pub fn settings() -> impl Iterator<Item = (Scope, &'static Setting)> {
    TABLES.iter().flat_map(|(scope, rows)| rows.iter().map(|row| (*scope, row)))
}

/// The settings of one table.
pub(crate) fn of(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    settings().filter(move |(of, _)| *of == scope).map(|(_, row)| row)
}

/// The row of a key, or why there is none.
pub(crate) fn find(scope: Scope, key: &str) -> Result<&'static Setting, Wrong> {
    if let Some(row) = of(scope).find(|row| row.key == key) {
        return Ok(row);
    }
    let profile = |row: &&Setting| row.key == later_ours::PROFILE && key.starts_with("env_");
    of(scope).find(profile).ok_or_else(|| suggest::unknown(scope, key))
}

/// Reads one value into the options. `key` may reach into a table: `backoff.min`.
pub(crate) fn set(options: &mut Options, key: &str, given: &Given) -> Result<(), Wrongs> {
    let (scope, key) = match key.split_once('.') {
        Some(("backoff", key)) => (Scope::Backoff, key),
        Some(_) | None => (Scope::App, key),
    };
    let parent = if scope == Scope::Backoff { "backoff" } else { "" };
    let row = find(scope, key).map_err(|wrong| wrong.of_key(parent))?;
    row.read(key, options, given).map_err(|wrongs| wrongs.map(|wrong| wrong.of_key(parent)))
}

/// Reads the keys of a table into the options and tells everything that is wrong.
pub(crate) fn set_all(scope: Scope, options: &mut Options, entries: &[(Key, Given)]) -> Wrongs {
    let mut wrongs = Wrongs::default();
    for (key, given) in entries {
        let at_key = |wrong: Wrong| Wrong { at: Some(key.at.clone()), ..wrong };
        let row = match find(scope, &key.text) {
            Ok(row) => row,
            Err(wrong) => {
                wrongs.0.push(at_key(wrong));
                continue;
            }
        };
        if let Err(found) = row.read(&key.text, options, given) {
            wrongs.0.extend(found.0.into_iter().map(|wrong| match wrong.at {
                Some(_) => wrong,
                None => at_key(wrong),
            }));
        }
    }
    wrongs
}

impl Setting {
    /// Reads a value that was written under `key`, which is this row's.
    fn read(&self, key: &str, options: &mut Options, given: &Given) -> Result<(), Wrongs> {
        match &self.work {
            Work::Done { set, .. } => {
                set(options, given).map_err(|wrongs| wrongs.map(|wrong| self.complete(wrong, key)))
            }
            Work::Later { instead } => Err(not_yet(key, instead).into()),
            Work::Walked => Ok(()),
        }
    }

    /// Names the key, and says what it takes where the reader had no better remedy.
    fn complete(&self, wrong: Wrong, key: &str) -> Wrong {
        let mut wrong = wrong.of_key(key);
        if wrong.remedy.is_empty() {
            wrong.remedy = format!("`{}` takes {}", self.key, self.takes);
        }
        wrong
    }
}

/// The flaw of a key that is known and not acted upon.
pub(crate) fn not_yet(key: &str, instead: &str) -> Wrong {
    let remedy = if instead.is_empty() { "leave it out" } else { instead };
    Wrong::of(key, Code::NotYet, "is not carried out yet", remedy)
}

/// What of an app differs from the defaults, as it is written in a file, in the order of the rows.
pub(crate) fn written(scope: Scope, app: &AppSpec) -> toml::Table {
    let value = |row: &Setting| match row.work {
        Work::Done { get, .. } => get(app).map(|value| (row.key.to_owned(), value)),
        Work::Walked | Work::Later { .. } => None,
    };
    of(scope).filter_map(value).collect()
}

/// A length of time as it is written, unless it is the default.
fn time(span: Span, default: Span) -> Option<toml::Value> {
    (span != default).then(|| span.to_string().into())
}
