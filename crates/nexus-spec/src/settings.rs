//! The table of settings: every key of a project file, what it takes, and who reads it.
//!
//! A row is all there is to know of a key. The walk over a file, the flags of the command line,
//! the suggestions, the writer and the reference page all read the same rows.

mod autoscale;
mod daemon;
mod environment;
mod later_ours;
mod later_pm2;
mod life;
mod limits;
mod log;
mod memory;
mod moot;
mod not_yet;
mod output;
mod pm2;
mod program;
mod restart;
mod rollback;
mod rollout;
mod schedule;
mod sockets;
mod watch;

use std::fmt;

use crate::app::AppSpec;
use crate::door::Door;
use crate::flaw::Code;
use crate::given::{Given, Key, What};
use crate::options::Options;
use crate::read;
use crate::size::Size;
use crate::span::Span;
use crate::suggest;
use crate::wrong::{Wrong, Wrongs};

/// Which table of the file a key stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The top of the file.
    File,
    /// `[daemon]` at the top of the file.
    Daemon,
    /// `[[apps]]`, and `[defaults]` as far as it may be shared.
    App,
    /// `backoff` within an app.
    Backoff,
    /// `memory` within an app.
    Memory,
    /// `log` within an app.
    Log,
    /// `rollback_on` within an app.
    Rollback,
    /// `watch_options` within an app.
    Watch,
}

impl Scope {
    /// The tables within an app.
    const INNER: [Scope; 5] =
        [Scope::Backoff, Scope::Memory, Scope::Log, Scope::Rollback, Scope::Watch];

    /// The key that the table stands under; empty for the two outer ones.
    pub fn table(self) -> &'static str {
        match self {
            Scope::File | Scope::App => "",
            Scope::Daemon => "daemon",
            Scope::Backoff => "backoff",
            Scope::Memory => "memory",
            Scope::Log => "log",
            Scope::Rollback => "rollback_on",
            Scope::Watch => "watch_options",
        }
    }
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
    /// Known by its name alone.
    Named,
    /// Nothing to act upon, and why. `missed`: whoever asks for it will miss something.
    Moot { why: &'static str, missed: bool },
}

/// Reads a value into the options.
pub(crate) type Set = fn(&mut Options, &Given) -> Result<(), Wrongs>;

/// The value to write, `None` for the default.
type Get = fn(&AppSpec) -> Option<toml::Value>;

impl Setting {
    /// A row that is read into the options.
    const fn new(
        key: &'static str,
        takes: &'static str,
        doc: &'static str,
        set: Set,
        get: Get,
    ) -> Setting {
        let work = Work::Done { set, get };
        Setting { key, takes, default: "none", doc, also: &[], own: false, work }
    }

    /// A row of what is known by its name alone.
    const fn named(key: &'static str, takes: &'static str, doc: &'static str) -> Setting {
        Setting { key, takes, default: "none", doc, also: &[], own: false, work: Work::Named }
    }

    /// A row of what has no effect.
    const fn moot(
        key: &'static str,
        takes: &'static str,
        doc: &'static str,
        why: &'static str,
        missed: bool,
    ) -> Setting {
        Setting { work: Work::Moot { why, missed }, ..Setting::named(key, takes, doc) }
    }

    const fn default(self, default: &'static str) -> Setting {
        Setting { default, ..self }
    }

    const fn also(self, also: &'static [&'static str]) -> Setting {
        Setting { also, ..self }
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
    Setting::new(
        "daemon",
        "a table",
        "Who may reach the daemon besides its owner and root; carried out by `start` and `apply`.",
        daemon::table,
        |_| None,
    ),
    Setting::named("alerts", "a table", "Whom to tell of what."),
    Setting::named("deploy", "a table", "Deployment over ssh, by environment."),
    Setting::named("static", "an array of tables", "Directories to serve over HTTP."),
];

/// All tables of rows, in the order of the reference page, each with its title there.
static TABLES: [(Scope, &str, &[Setting]); 21] = [
    (Scope::File, "At the top of the file", &FILE),
    (Scope::Daemon, "", &daemon::TABLE),
    (Scope::App, "What runs", &program::ROWS),
    (Scope::App, "Environment", &environment::ROWS),
    (Scope::App, "A worker's life", &life::ROWS),
    (Scope::App, "After an exit", &restart::ROWS),
    (Scope::Backoff, "", &restart::BACKOFF),
    (Scope::App, "Memory", &memory::ROWS),
    (Scope::Memory, "", &memory::TABLE),
    (Scope::App, "Limits, priority, standard input", &limits::ROWS),
    (Scope::App, "Output", &output::ROWS),
    (Scope::Log, "", &log::TABLE),
    (Scope::App, "Watched files", &watch::ROWS),
    (Scope::Watch, "", &watch::TABLE),
    (Scope::App, "Set times", &schedule::ROWS),
    (Scope::App, "Starts, checks and reloads", &rollout::ROWS),
    (Scope::Rollback, "", &rollback::TABLE),
    (Scope::App, "PM2's other words", &pm2::ROWS),
    (Scope::App, "Without effect", &moot::ROWS),
    (Scope::App, "", &later_ours::ROWS),
    (Scope::App, "", &later_pm2::ROWS),
];

/// Every setting with the table that it stands in.
pub fn settings() -> impl Iterator<Item = (Scope, &'static Setting)> {
    TABLES.iter().flat_map(|(scope, _, rows)| rows.iter().map(|row| (*scope, row)))
}

/// The rows of the reference page: scope, title, rows.
pub(crate) fn tables() -> impl Iterator<Item = (Scope, &'static str, &'static [Setting])> {
    TABLES.iter().copied()
}

/// The settings of one table.
pub(crate) fn of(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    settings().filter(move |(of, _)| *of == scope).map(|(_, row)| row)
}

/// The row of a key, or why there is none. PM2's files may spell a key in every way that PM2 takes.
pub(crate) fn find(door: Door, scope: Scope, key: &str) -> Result<&'static Setting, Wrong> {
    if let Some(row) = of(scope).find(|row| row.key == key) {
        return Ok(row);
    }
    if let (Door::Pm2, Some(row)) = (door, suggest::spelled(scope, key)) {
        return Ok(row);
    }
    let of_profiles = |row: &&Setting| row.key == environment::PROFILE && profile(key).is_some();
    of(scope).find(of_profiles).ok_or_else(|| suggest::unknown(scope, key))
}

/// The profile that a key holds variables for.
fn profile(key: &str) -> Option<&str> {
    key.strip_prefix("env_").filter(|profile| !profile.is_empty())
}

/// Reads one value into the options. `key` may reach into a table: `backoff.min`.
pub(crate) fn set(options: &mut Options, key: &str, given: &Given) -> Result<(), Wrongs> {
    let (table, inner) = key.split_once('.').unwrap_or(("", key));
    let (scope, key) = match Scope::INNER.into_iter().find(|scope| scope.table() == table) {
        Some(scope) => (scope, inner),
        None => (Scope::App, key),
    };
    let in_table = |wrong: Wrong| wrong.of_key(scope.table());
    let row = find(options.door, scope, key).map_err(in_table)?;
    row.read(scope, key, options, given).map_err(|wrongs| wrongs.map(in_table))
}

/// Reads the keys of a table into the options and tells everything that is wrong.
pub(crate) fn set_all(scope: Scope, options: &mut Options, entries: &[(Key, Given)]) -> Wrongs {
    let mut wrongs = Wrongs::default();
    for (key, given) in entries {
        let at_key = |wrong: Wrong| Wrong { at: Some(key.at.clone()), ..wrong };
        let row = match find(options.door, scope, &key.text) {
            Ok(row) => row,
            Err(wrong) => {
                wrongs.0.push(at_key(wrong));
                continue;
            }
        };
        if let Err(found) = row.read(scope, &key.text, options, given) {
            wrongs.0.extend(found.0.into_iter().map(|wrong| match wrong.at {
                Some(_) => wrong,
                None => at_key(wrong),
            }));
        }
    }
    wrongs
}

/// Reads a table within an app.
fn set_table(scope: Scope, options: &mut Options, given: &Given) -> Result<(), Wrongs> {
    match &given.what {
        What::Table(entries) => set_all(scope, options, entries).unless(()),
        What::Text(_)
        | What::Flag(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::List(_) => Err(Wrong::form(given, "a table").into()),
    }
}

/// What a table within an app is written as.
fn get_table(scope: Scope, app: &AppSpec) -> Option<toml::Value> {
    let table = written(scope, app);
    (!table.is_empty()).then_some(toml::Value::Table(table))
}

impl Setting {
    /// Whether a value is acted upon; otherwise it is refused by name.
    pub fn carried_out(&self, scope: Scope) -> bool {
        let table = || not_yet::find(Scope::App, scope.table());
        not_yet::find(scope, self.key).is_none() && table().is_none()
    }

    /// Why it is without effect, if it is.
    pub(crate) fn without_effect(&self) -> Option<&'static str> {
        match self.work {
            Work::Moot { why, .. } => Some(why),
            Work::Done { .. } | Work::Walked | Work::Named => None,
        }
    }

    /// Reads a value that was written under `key`, which is this row's.
    fn read(
        &self,
        scope: Scope,
        key: &str,
        options: &mut Options,
        given: &Given,
    ) -> Result<(), Wrongs> {
        if let Some(instead) = not_yet::find(scope, self.key) {
            return Err(not_yet::wrong(key, instead).into());
        }
        let variables = matches!(self.key, "env" | environment::PROFILE);
        let lenient = (options.door == Door::Pm2).then(|| match variables {
            true => given.lenient().flat(),
            false => given.lenient(),
        });
        let given = lenient.as_ref().unwrap_or(given);
        match &self.work {
            Work::Done { set, .. } => {
                set(options, given)
                    .map_err(|wrongs| wrongs.map(|wrong| self.complete(wrong, key)))?;
            }
            Work::Moot { why, missed } => {
                let off = matches!(given.what, What::Bool(false));
                if options.door == Door::Ours || (*missed && !off) {
                    let problem = format!("is without effect: {why}");
                    return Err(Wrong::of(key, Code::NoEffect, problem, "leave it out").into());
                }
            }
            Work::Walked | Work::Named => {}
        }
        if let (environment::PROFILE, Some(profile)) = (self.key, profile(key)) {
            let variables = read::variables(given)?;
            options.profiles.entry(profile.to_owned()).or_default().extend(variables);
        }
        Ok(())
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

/// What of an app differs from the defaults, as it is written in a file, in the order of the rows.
pub(crate) fn written(scope: Scope, app: &AppSpec) -> toml::Table {
    let value = |row: &Setting| match row.work {
        Work::Done { get, .. } => get(app).map(|value| (row.key.to_owned(), value)),
        Work::Walked | Work::Named | Work::Moot { .. } => None,
    };
    of(scope).filter_map(value).collect()
}

/// A length of time as it is written, unless it is the default.
fn time(span: Span, default: Span) -> Option<toml::Value> {
    (span != default).then(|| span.to_string().into())
}

/// An amount of bytes as it is written, unless it is the default.
fn size(size: Option<Size>, default: Option<Size>) -> Option<toml::Value> {
    (size != default).then(|| size.map_or_else(|| NONE.to_owned(), |size| size.to_string()).into())
}

/// The word for no limit.
const NONE: &str = "none";

#[cfg(test)]
mod tests;
