//! Settings of what a worker finds in its environment.

use std::collections::BTreeMap;

use toml::Value;

use super::Setting;
use crate::app::AppSpec;
use crate::environment::{Inherit, Pattern, Source};
use crate::given::{Given, What};
use crate::read;
use crate::wrong::{Wrong, Wrongs};

/// The row of every `env_…` that is no setting of its own.
pub(super) const PROFILE: &str = "env_<profile>";

pub(super) static ROWS: [Setting; 10] = [
    // Read with its key by the walk: which profile it is stands in the key.
    Setting::new(
        PROFILE,
        "a table of strings, numbers and booleans",
        "Variables on top of `env`, for `--env <profile>`.",
        |_, given| read::variables(given).map(drop),
        |_| None,
    ),
    Setting::new(
        "env_file",
        "a path relative to `cwd`, or an array of them",
        "Files of NAME=value lines, below `env`, read again at each start; all of it is secret.",
        |options, given| {
            options.env_file = paths(given)?;
            Ok(())
        },
        |app| {
            let files = app.env_file.iter().map(|file| file.to_string_lossy().into_owned());
            super::program::strings(&files.collect::<Vec<_>>())
        },
    )
    .also(&["dotenv", "env_files"]),
    Setting::new(
        "inherit_env",
        "true, false, or an array of names such as [\"AWS_*\"]",
        "What of the caller's environment goes to the workers besides HOME, USER, LOGNAME, \
         SHELL, PATH, LANG, LC_*, TZ and TMPDIR.",
        |options, given| {
            inherit(&mut options.inherit, given)?;
            Ok(())
        },
        |app| match (app.inherit.all, patterns_value(&app.inherit.names)) {
            (true, _) => Some(Value::Boolean(true)),
            (false, names) => names,
        },
    )
    .default("false"),
    Setting::new(
        "filter_env",
        "true for nothing but the base, a name, or an array of parts of names",
        "Variables of the caller that do not go to the workers.",
        |options, given| {
            filter(&mut options.inherit, given)?;
            Ok(())
        },
        |app| patterns_value(&app.inherit.without),
    ),
    Setting::new(
        "secrets",
        "a table of sources: `{ DB_PASS = \"file:/run/secrets/db\", KEY = \"credential:key\", \
         PIN = \"command:pass show pin\" }`",
        "Variables on top of all others, from a file, from a credential of systemd's, or from what \
         a command prints; only the source is kept.",
        |options, given| {
            options.secrets.extend(secrets(given)?);
            Ok(())
        },
        |app| {
            let entry = |(name, source): (&String, &Source)| {
                (name.clone(), Value::String(source.to_string()))
            };
            (!app.secrets.is_empty()).then(|| Value::Table(app.secrets.iter().map(entry).collect()))
        },
    ),
    Setting::new(
        "secret_names",
        "an array of names such as [\"*_PIN\"]",
        "Variables to treat as secrets, besides *KEY*, *TOKEN*, *SECRET*, *PASS*, *CREDENTIAL*, \
         *_DSN and *DATABASE_URL.",
        |options, given| {
            options.secret_names = patterns(given)?;
            Ok(())
        },
        |app| patterns_value(&app.secret_names),
    ),
    Setting::new(
        "not_secret",
        "an array of names such as [\"KEYBOARD\"]",
        "Variables that are no secrets, whatever their names.",
        |options, given| {
            options.not_secret = patterns(given)?;
            Ok(())
        },
        |app| patterns_value(&app.not_secret),
    ),
    Setting::new(
        "instance_var",
        "a string: the name of a variable",
        "The variable that holds an instance's number.",
        |options, given| {
            options.instance_var = Some(variable(given)?);
            Ok(())
        },
        |app| {
            let name = app.instance_var.as_str();
            (name != AppSpec::INSTANCE_VAR).then(|| name.into())
        },
    )
    .default("NODE_APP_INSTANCE"),
    Setting::new(
        "increment_var",
        "a string: the name of a variable",
        "A variable that is its value in `env`, or 0, and one more with each instance.",
        |options, given| {
            options.increment_var = Some(variable(given)?);
            Ok(())
        },
        |app| app.increment_var.as_deref().map(Value::from),
    ),
    Setting::new(
        "port",
        "a whole number from 0 to 65535",
        "The same as `env.PORT`, which wins over it.",
        |options, given| {
            options.port = Some(read::integer(given, 0, 65_535)?.to_string());
            Ok(())
        },
        |_| None,
    ),
];

/// The longest name of a variable that numbers the instances, in bytes.
const VARIABLE_MAX: usize = 64;

/// The most names of one list.
const NAMES_MAX: usize = 256;

fn patterns(given: &Given) -> Result<Vec<Pattern>, Wrongs> {
    if read::items(given).len() > NAMES_MAX {
        let problem = format!("has more than {NAMES_MAX} names");
        return Err(Wrong::value(given, problem, "write patterns with `*`").into());
    }
    let mut wrongs = Wrongs::default();
    let mut patterns = Vec::new();
    for item in read::items(given) {
        let pattern = read::text(item)
            .map_err(|wrong| read::in_array(given, item, wrong))
            .and_then(|text| Pattern::parse(text).map_err(|clause| Wrong::value(item, clause, "")));
        patterns.extend(wrongs.keep(pattern));
    }
    wrongs.unless(patterns)
}

fn patterns_value(patterns: &[Pattern]) -> Option<Value> {
    let items: Vec<_> = patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    super::program::strings(&items)
}

fn inherit(inherit: &mut Inherit, given: &Given) -> Result<(), Wrongs> {
    let (all, names) = match &given.what {
        What::Bool(all) => (*all, Vec::new()),
        What::Flag(text) if text == "true" || text == "false" => (text == "true", Vec::new()),
        What::Text(_) | What::Flag(_) | What::List(_) => (false, patterns(given)?),
        What::Int(..) | What::HugeInt | What::Float(_) | What::Date | What::Table(_) => {
            return Err(Wrong::form(given, "true, false or names").into());
        }
    };
    (inherit.all, inherit.names) = (all, names);
    Ok(())
}

/// PM2's rule: a name is that name, but names in an array are parts of names.
fn filter(inherit: &mut Inherit, given: &Given) -> Result<(), Wrongs> {
    match &given.what {
        What::Bool(true) => (inherit.all, inherit.names) = (false, Vec::new()),
        What::Flag(text) if text == "true" => (inherit.all, inherit.names) = (false, Vec::new()),
        What::Bool(false) => {}
        What::Flag(text) if text == "false" => {}
        What::List(_) => {
            let part = |pattern: Pattern| match pattern.as_str().contains('*') {
                true => Ok(pattern),
                false => Pattern::parse(&format!("*{}*", pattern.as_str())),
            };
            let parts: Result<_, String> = patterns(given)?.into_iter().map(part).collect();
            inherit.without = parts.map_err(|clause| Wrong::value(given, clause, ""))?;
        }
        What::Text(_) | What::Flag(_) => inherit.without = patterns(given)?,
        What::Int(..) | What::HugeInt | What::Float(_) | What::Date | What::Table(_) => {
            return Err(Wrong::form(given, "true or names").into());
        }
    }
    Ok(())
}

fn paths(given: &Given) -> Result<Vec<String>, Wrongs> {
    let mut wrongs = Wrongs::default();
    let mut paths = Vec::new();
    for item in read::items(given) {
        let path = read::path(item).map_err(|wrong| read::in_array(given, item, wrong));
        paths.extend(wrongs.keep(path));
    }
    wrongs.unless(paths)
}

/// Sources, never quoted in a flaw: who writes the secret itself here must not find it on the
/// screen.
fn secrets(given: &Given) -> Result<BTreeMap<String, Source>, Wrongs> {
    let remedy = "write \"file:/run/secrets/name\", \"credential:name\" or \"command:…\"";
    let mut wrongs = Wrongs::default();
    let mut sources = BTreeMap::new();
    for (name, text) in read::variables(given)? {
        match Source::parse(&text) {
            Ok(source) => drop(sources.insert(name, source)),
            Err(clause) => {
                let at = given.entries().iter().find(|(key, _)| key.text == name);
                let value = at.map_or(given, |(_, value)| value);
                wrongs.0.push(Wrong::value(value, clause, remedy).of_key(&name));
            }
        }
    }
    wrongs.unless(sources)
}

fn variable(given: &Given) -> Result<String, Wrong> {
    let text = read::some_text(given)?;
    let odd = |c: char| c == '=' || c.is_control();
    match text.contains(odd) || text.len() > VARIABLE_MAX {
        true => Err(Wrong::value(given, "cannot name a variable", "")),
        false => Ok(text.to_owned()),
    }
}
