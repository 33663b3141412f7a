//! Settings of restarts after a change of files.

use toml::Value;

use super::program::strings;
use super::{Setting, time};
use crate::given::{Given, What};
use crate::read;
use crate::watch::Watch;
use crate::wrong::{Wrong, Wrongs};

pub(super) static ROWS: [Setting; 3] = [
    Setting::new(
        "watch",
        "true for `cwd`, false, or an array of paths relative to `cwd`",
        "Restart the app when a file changes.",
        |options, given| {
            options.watch = paths(given)?;
            Ok(())
        },
        |app| {
            let paths = app.watch.paths.iter().map(|path| path.to_string_lossy().into_owned());
            strings(&paths.collect::<Vec<_>>())
        },
    )
    .default("false"),
    Setting::new(
        "ignore_watch",
        "an array of patterns as `.gitignore` has them",
        "Files whose changes do not count; written, it takes the place of the default.",
        |options, given| {
            options.ignore_watch = Some(patterns(given)?);
            Ok(())
        },
        |app| {
            let ignore = &app.watch.ignore;
            let items = ignore.iter().map(|pattern| pattern.as_str().into());
            (*ignore != Watch::default().ignore).then(|| Value::Array(items.collect()))
        },
    )
    .default("what begins with a dot, and node_modules")
    .also(&["watch_ignore"]),
    Setting::new(
        "watch_delay",
        "a length of time",
        "Quiet for this long after a change, then one restart.",
        |options, given| {
            options.watch_delay = Some(read::span(given)?);
            Ok(())
        },
        |app| time(app.watch.delay, Watch::default().delay),
    )
    .default("200ms"),
];

/// The most directories and patterns of one app.
const MAX: usize = 256;

fn paths(given: &Given) -> Result<Vec<String>, Wrongs> {
    match &given.what {
        What::Bool(true) => return Ok(vec![".".to_owned()]),
        What::Bool(false) => return Ok(Vec::new()),
        What::Flag(text) if text == "true" => return Ok(vec![".".to_owned()]),
        What::Flag(text) if text == "false" => return Ok(Vec::new()),
        What::Text(_) | What::Flag(_) | What::List(_) => {}
        What::Int(..) | What::HugeInt | What::Float(_) | What::Date | What::Table(_) => {
            return Err(Wrong::form(given, "true, false or paths").into());
        }
    }
    bounded(given)?;
    let mut wrongs = Wrongs::default();
    let mut paths = Vec::new();
    for item in read::items(given) {
        let path = read::path(item).map_err(|wrong| read::in_array(given, item, wrong));
        paths.extend(wrongs.keep(path));
    }
    wrongs.unless(paths)
}

fn patterns(given: &Given) -> Result<Vec<String>, Wrongs> {
    bounded(given)?;
    let patterns = read::texts(given)?;
    match patterns.iter().any(|pattern| pattern.trim().is_empty()) {
        true => Err(Wrong::value(given, "has an empty pattern", "leave it out").into()),
        false => Ok(patterns),
    }
}

fn bounded(given: &Given) -> Result<(), Wrong> {
    match read::items(given).len() {
        count if count > MAX => {
            let problem = format!("has {count} items; {MAX} are read");
            Err(Wrong::value(given, problem, "write a directory in place of what is in it"))
        }
        _ => Ok(()),
    }
}
