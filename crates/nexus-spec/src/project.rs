//! A project file into apps, or into everything that is wrong with it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::app::AppSpec;
use crate::conflicts;
use crate::daemon::DaemonSpec;
use crate::depend;
use crate::door::Door;
use crate::environment::Pattern;
use crate::flaw::{Code, Flaw, Flaws, Lines, Related};
use crate::given::{Given, Key, What};
use crate::layout;
use crate::name::Name;
use crate::options::Options;
use crate::parse::{self, Format};
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
    /// `[daemon]`, if the file has one.
    pub daemon: Option<DaemonSpec>,
    /// The profiles that some app has an `env_<profile>` for, in the order of their names.
    pub profiles: Vec<String>,
    /// What was not taken as it is written; none in a file of ours that has no settings of PM2's.
    pub warnings: Option<Flaws>,
    /// What was read, to show a place of it.
    pub(crate) marks: Marks,
}

/// A file's text, and where in it each entry of `depends_on` is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    file: PathBuf,
    text: String,
    entries: Vec<(Name, Name, Range<usize>)>,
}

/// Where something was written is no part of what was asked for.
impl PartialEq for Marks {
    fn eq(&self, _: &Marks) -> bool {
        true
    }
}

impl Eq for Marks {}

impl Project {
    /// What is wrong with an entry of `depends_on`, drawn at its place; `None`: the file has no such
    /// entry.
    pub fn wrong_dependency(
        &self,
        app: &Name,
        on: &Name,
        problem: String,
        remedy: String,
    ) -> Option<Flaws> {
        let Marks { file, text, entries } = &self.marks;
        let entry = entries.iter().find(|(of, name, _)| of == app && name == on)?;
        let place = Lines::of(text).place(&entry.2);
        let (code, key) = (Code::Dependency, format!("{app}.depends_on"));
        let flaw = Flaw { code, place, key, problem, remedy, related: Vec::new() };
        Some(Flaws::new(file, text, vec![flaw]))
    }
}

/// How a project file is read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The file's name, for flaws.
    pub file: &'a Path,
    /// How it is written; TOML comes through our door, all else through PM2's.
    pub format: Format,
    /// What relative paths are relative to (absolute): the file's directory for ours, the caller's
    /// for PM2's.
    pub base_dir: &'a Path,
    /// Whether a path is a file, as in [`Options::finish`].
    pub exists: &'a dyn Fn(&Path) -> bool,
    /// Whose `env_<profile>` is put on top of `env`; an app without it keeps its `env`.
    pub profile: Option<&'a str>,
}

/// Reads the text of a project file, by the format that its name says (TOML where it says none),
/// without a profile. See [`Reading`].
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn project(
    text: &str,
    file: &Path,
    base_dir: &Path,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Project, Flaws> {
    let format = Format::of(file).unwrap_or(Format::Toml);
    Reading { file, format, base_dir, exists, profile: None }.project(text)
}

impl Reading<'_> {
    /// Reads the text of a project file.
    ///
    /// # Errors
    /// Everything that is wrong with the file, at once. Unknown keys and what is not carried out
    /// are errors in a file of ours, warnings in one of PM2's.
    pub fn project(&self, text: &str) -> Result<Project, Flaws> {
        let door = if self.format == Format::Toml { Door::Ours } else { Door::Pm2 };
        let lines = Lines::of(text);
        let (flaws, profiles, secret_names) = (Vec::new(), BTreeSet::new(), Vec::new());
        let (daemon, entries) = (None, Vec::new());
        let mut walk =
            Walk { lines, reading: self, door, flaws, daemon, profiles, secret_names, entries };
        let apps = if text.len() > TEXT_MAX {
            let problem = format!("the file has {} bytes; {TEXT_MAX} are read", text.len());
            walk.flaws.push(walk.flaw(Code::Value, "", &(0..0), problem, "split it".to_owned()));
            Vec::new()
        } else {
            walk.file(text)
        };
        let (warnings, errors): (Vec<_>, Vec<_>) =
            walk.flaws.into_iter().partition(|flaw| flaw.code.is_warning(door));
        if !errors.is_empty() {
            // Warnings would hide what has to be mended.
            return Err(Flaws::new(self.file, text, errors).hiding(walk.secret_names));
        }
        let told = (!warnings.is_empty()).then(|| Flaws::new(self.file, text, warnings));
        let warnings = told.map(|flaws| flaws.of_no_harm().hiding(walk.secret_names));
        let profiles = walk.profiles.into_iter().collect();
        let marks =
            Marks { file: self.file.to_owned(), text: text.to_owned(), entries: walk.entries };
        Ok(Project { apps, daemon: walk.daemon, profiles, warnings, marks })
    }
}

struct Walk<'a> {
    lines: Lines<'a>,
    reading: &'a Reading<'a>,
    door: Door,
    flaws: Vec<Flaw>,
    daemon: Option<DaemonSpec>,
    profiles: BTreeSet<String>,
    /// Of all apps together.
    secret_names: Vec<Pattern>,
    /// Of `depends_on`.
    entries: Vec<(Name, Name, Range<usize>)>,
}

/// An app's options and where in the file they are.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) options: Options,
    /// The place of each value.
    pub(crate) values: HashMap<String, Range<usize>>,
    /// The places of the addresses, in order.
    pub(crate) listen: Vec<Range<usize>>,
    /// The places of what it depends on, by name.
    pub(crate) depends_on: HashMap<String, Range<usize>>,
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
        let root = match parse::parse(self.reading.format, text) {
            Ok(root) => root,
            Err(broken) => {
                let flaw = |broken: parse::Broken| {
                    self.flaw(Code::Syntax, "", &broken.at, broken.problem, broken.remedy)
                };
                self.flaws = broken.into_iter().map(flaw).collect();
                return Vec::new();
            }
        };
        let entries = layout::entries(self.reading.format, root);
        let mut of_file = Options::through(self.door);
        let wrongs = settings::set_all(Scope::File, &mut of_file, &entries);
        self.note("", wrongs, &(0..0));
        let value =
            |key: &str| entries.iter().find(|(of, _)| of.text == key).map(|(_, given)| given);
        self.daemon = value("daemon").map(|_| of_file.daemon);
        let defaults = match value("defaults") {
            Some(given) => self.defaults(given),
            None => Draft::new(self.door),
        };
        let mut drafted = self.apps(value("apps"), &defaults);
        if self.door == Door::Pm2 {
            layout::part_namespaces(&mut drafted);
        }
        for clash in conflicts::find(&drafted) {
            let place = self.lines.place(&clash.first);
            let flaw =
                self.flaw(clash.code, &clash.key, &clash.second, clash.problem, clash.remedy);
            let related = match clash.label.is_empty() {
                true => Vec::new(),
                false => vec![Related { place, label: clash.label }],
            };
            self.flaws.push(Flaw { related, ..flaw });
        }
        for app in &drafted {
            let Some(spec) = &app.spec else { continue };
            let entry = |on: &Name| {
                let at = app.draft.depends_on.get(on.as_str()).unwrap_or(&app.at).clone();
                (spec.name.clone(), on.clone(), at)
            };
            self.entries.extend(spec.depends_on.keys().map(entry));
        }
        drafted.into_iter().filter_map(|app| app.spec).collect()
    }

    fn defaults(&mut self, given: &Given) -> Draft {
        let mut draft = Draft::new(self.door);
        if !matches!(given.what, What::Table(_)) {
            let wrong = Wrong::form(given, "a table").of_key("defaults");
            self.note("", wrong.into(), &given.at);
            return draft;
        }
        let (own, shared): (Vec<_>, Vec<_>) =
            given.entries().iter().cloned().partition(|(key, _)| {
                settings::find(self.door, Scope::App, &key.text).is_ok_and(|row| row.own)
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
        let misspelled =
            self.door == Door::Ours && self.flaws.iter().any(|flaw| flaw.code == Code::UnknownKey);
        if tables.is_empty() && !misspelled {
            let at = given.map_or(0..0, |given| given.at.clone());
            let remedy = match self.reading.format {
                Format::Toml => "write `[[apps]]`, and below it `script = \"...\"`",
                Format::Json | Format::Yaml => "write a list of apps under `apps`",
                Format::Package => "write a list of apps under `pm2`",
            };
            let remedy = remedy.to_owned();
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
        let reading = self.reading;
        let mut draft = defaults.clone();
        let wrongs = draft.take(given.entries());
        self.profiles.extend(draft.options.profiles.keys().cloned());
        self.secret_names.extend(draft.options.secret_names.iter().cloned());
        let refused = Refused::of(&wrongs, self.door);
        self.note(&path, wrongs, &given.at);
        let spec = match draft.options.assemble(reading.base_dir, reading.profile, reading.exists) {
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
    fn of(wrongs: &Wrongs, door: Door) -> Refused {
        let error = |wrong: &&Wrong| !wrong.code.is_warning(door);
        let unknown = |wrong: &&Wrong| error(wrong) && wrong.code == Code::UnknownKey;
        let told = |wrong: &&Wrong| error(wrong) && wrong.code != Code::UnknownKey;
        let key = |wrong: &Wrong| wrong.key.split('.').next().unwrap_or("").to_owned();
        Refused {
            keys: wrongs.0.iter().filter(told).map(key).collect(),
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
    fn new(door: Door) -> Draft {
        Draft {
            options: Options::through(door),
            values: HashMap::new(),
            listen: Vec::new(),
            depends_on: HashMap::new(),
        }
    }

    /// Reads the keys of a table over what is there.
    fn take(&mut self, entries: &[(Key, Given)]) -> Wrongs {
        for (key, given) in entries {
            let row = settings::find(self.options.door, Scope::App, &key.text);
            let name = row.map_or(key.text.as_str(), |row| row.key);
            self.values.insert(name.to_owned(), given.at.clone());
            if name == "depends_on" {
                self.depends_on = depend::places(given);
            }
            if name == "listen" {
                self.listen = read::items(given).iter().map(|item| item.at.clone()).collect();
            }
        }
        settings::set_all(Scope::App, &mut self.options, entries)
    }
}
