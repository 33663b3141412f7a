//! A project file into apps, or into everything that is wrong with it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use crate::app::AppSpec;
use crate::conflicts;
use crate::flaw::{Code, Flaw, Flaws, Lines, Related};
use crate::given::{Given, Key, What, entries_of};
use crate::options::Options;
use crate::read;
use crate::settings::{self, Scope};
use crate::wrong::{Wrong, Wrongs};

/// The longest project file, in bytes.
const TEXT_MAX: usize = 1 << 20;

/// What a project file asks for. No two apps share a name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The apps, in the order of the file, at least one.
    pub apps: Vec<AppSpec>,
}

/// Reads the text of a project file (TOML). `file` is its name, for flaws; `base_dir` (absolute)
/// is what relative paths are relative to. `exists` tells whether a path is a file, as in
/// [`Options::finish`].
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn project(
    text: &str,
    file: &Path,
    base_dir: &Path,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Project, Flaws> {
    let mut walk = Walk { lines: Lines::of(text), base_dir, exists, flaws: Vec::new() };
    let apps = if text.len() > TEXT_MAX {
        let problem = format!("the file has {} bytes; {TEXT_MAX} are read", text.len());
        walk.flaws.push(walk.flaw(Code::Value, "", &(0..0), problem, "split it".to_owned()));
        Vec::new()
    } else {
        walk.file(text)
    };
    if walk.flaws.is_empty() {
        Ok(Project { apps })
    } else {
        Err(Flaws::new(file, text, walk.flaws))
    }
}

struct Walk<'a> {
    lines: Lines<'a>,
    base_dir: &'a Path,
    exists: &'a dyn Fn(&Path) -> bool,
    flaws: Vec<Flaw>,
}

/// An app's options and where in the file they are.
#[derive(Clone, Default)]
pub(crate) struct Draft {
    pub(crate) options: Options,
    /// The place of each value.
    pub(crate) values: HashMap<String, Range<usize>>,
    /// The places of the addresses, in order.
    pub(crate) listen: Vec<Range<usize>>,
}

/// An app, with what the checks across apps need.
pub(crate) struct Drafted {
    pub(crate) draft: Draft,
    /// Its header.
    pub(crate) at: Range<usize>,
    /// The app, unless something is wrong with it.
    pub(crate) spec: Option<AppSpec>,
}

impl Walk<'_> {
    fn file(&mut self, text: &str) -> Vec<AppSpec> {
        let (table, errors) = DeTable::parse_recoverable(text);
        // What a broken file means is a guess: nothing more is said of it.
        if !errors.is_empty() {
            self.flaws = errors.iter().map(|error| self.syntax(error, text.len())).collect();
            return Vec::new();
        }
        let entries = entries_of(table.get_ref());
        let wrongs = settings::set_all(Scope::File, &mut Options::default(), &entries);
        self.note("", wrongs, &(0..0));
        let value =
            |key: &str| entries.iter().find(|(of, _)| of.text == key).map(|(_, given)| given);
        let defaults = value("defaults").map(|given| self.defaults(given)).unwrap_or_default();
        let drafted = self.apps(value("apps"), &defaults);
        for clash in conflicts::find(&drafted) {
            let place = self.lines.place(&clash.first);
            let flaw =
                self.flaw(clash.code, &clash.key, &clash.second, clash.problem, clash.remedy);
            let related = vec![Related { place, label: clash.label }];
            self.flaws.push(Flaw { related, ..flaw });
        }
        drafted.into_iter().filter_map(|app| app.spec).collect()
    }

    fn syntax(&self, error: &toml::de::Error, end: usize) -> Flaw {
        let at = error.span().unwrap_or(end..end);
        let problem = error.message().lines().collect::<Vec<_>>().join("; ");
        self.flaw(Code::Syntax, "", &at, problem, String::new())
    }

    fn defaults(&mut self, given: &Given) -> Draft {
        let mut draft = Draft::default();
        if !matches!(given.what, What::Table(_)) {
            let wrong = Wrong::form(given, "a table").of_key("defaults");
            self.note("", wrong.into(), &given.at);
            return draft;
        }
        let (own, shared): (Vec<_>, Vec<_>) =
            given.entries().iter().cloned().partition(|(key, _)| {
                settings::find(Scope::App, &key.text).is_ok_and(|row| row.own)
            });
        for (key, _) in own {
            let remedy = "write it below `[[apps]]`";
            let wrong = Wrong::of(&key.text, Code::Value, "belongs to one app alone", remedy);
            self.note("defaults", wrong.into(), &key.at);
        }
        let wrongs = draft.take(&shared);
        self.note("defaults", wrongs, &given.at);
        draft
    }

    fn apps(&mut self, given: Option<&Given>, defaults: &Draft) -> Vec<Drafted> {
        let tables = match given {
            None => &[],
            Some(Given { what: What::List(items), .. }) => items.as_slice(),
            Some(given) => {
                let wrong = Wrong::form(given, "tables, each under `[[apps]]`").of_key("apps");
                let remedy = "write `[[apps]]` above each app".to_owned();
                self.note("", Wrong { remedy, ..wrong }.into(), &given.at);
                return Vec::new();
            }
        };
        // A key that nobody knows may have been meant for `apps`.
        let misspelled = self.flaws.iter().any(|flaw| flaw.code == Code::UnknownKey);
        if tables.is_empty() && !misspelled {
            let at = given.map_or(0..0, |given| given.at.clone());
            let remedy = "write `[[apps]]`, and below it `script = \"...\"`".to_owned();
            let problem = "the file asks for no app".to_owned();
            self.flaws.push(self.flaw(Code::NoApps, "apps", &at, problem, remedy));
        }
        let tables = tables.iter().enumerate();
        tables.filter_map(|(index, table)| self.app(index, table, defaults)).collect()
    }

    fn app(&mut self, index: usize, given: &Given, defaults: &Draft) -> Option<Drafted> {
        let path = format!("apps[{index}]");
        if !matches!(given.what, What::Table(_)) {
            let wrong = Wrong::form(given, "tables, each under `[[apps]]`").of_key("apps");
            self.note("", wrong.into(), &given.at);
            return None;
        }
        let mut draft = defaults.clone();
        let wrongs = draft.take(given.entries());
        let refused = Refused::of(&wrongs);
        self.note(&path, wrongs, &given.at);
        let spec = match draft.options.assemble(self.base_dir, self.exists) {
            Ok(spec) => Some(spec).filter(|_| !refused.key("name")),
            Err(wrongs) => {
                for wrong in wrongs.0.into_iter().filter(|wrong| !refused.explains(wrong)) {
                    let values = &draft.values;
                    let at = values.get(&wrong.key).or_else(|| match wrong.key.as_str() {
                        "name" => values.get("script"),
                        _ => None,
                    });
                    self.note(&path, wrong.into(), at.unwrap_or(&given.at));
                }
                None
            }
        };
        Some(Drafted { draft, at: given.at.clone(), spec })
    }

    /// Gives what is wrong its place: its own, or else `at`.
    fn note(&mut self, path: &str, wrongs: Wrongs, at: &Range<usize>) {
        for wrong in wrongs.0 {
            let key = match path {
                "" => wrong.key.clone(),
                path => format!("{path}.{}", wrong.key),
            };
            let at = wrong.at.as_ref().unwrap_or(at);
            self.flaws.push(self.flaw(wrong.code, &key, at, wrong.sentence(), wrong.remedy));
        }
    }

    fn flaw(
        &self,
        code: Code,
        key: &str,
        at: &Range<usize>,
        problem: String,
        remedy: String,
    ) -> Flaw {
        let place = self.lines.place(at);
        Flaw { code, place, key: key.to_owned(), problem, remedy, related: Vec::new() }
    }
}

/// What was refused of an app: it must not be missed, or judged by its default, a second time.
struct Refused {
    keys: HashSet<String>,
    /// A key that nobody knows may have been meant for one that is missing.
    unknown: bool,
}

impl Refused {
    fn of(wrongs: &Wrongs) -> Refused {
        let unknown = |wrong: &&Wrong| wrong.code == Code::UnknownKey;
        let key = |wrong: &Wrong| wrong.key.split('.').next().unwrap_or("").to_owned();
        Refused {
            keys: wrongs.0.iter().filter(|wrong| !unknown(wrong)).map(key).collect(),
            unknown: wrongs.0.iter().any(|wrong| unknown(&wrong)),
        }
    }

    fn key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    fn explains(&self, wrong: &Wrong) -> bool {
        let by_others = wrong.key == "script" && wrong.code == Code::Value;
        self.key(&wrong.key)
            || (self.unknown && wrong.code == Code::Missing)
            || (by_others && (self.key("cwd") || self.key("interpreter")))
    }
}

impl Draft {
    /// Reads the keys of a table over what is there.
    fn take(&mut self, entries: &[(Key, Given)]) -> Wrongs {
        for (key, given) in entries {
            self.values.insert(key.text.clone(), given.at.clone());
            if key.text == "listen" {
                self.listen = read::items(given).iter().map(|item| item.at.clone()).collect();
            }
        }
        settings::set_all(Scope::App, &mut self.options, entries)
    }
}
