//! Settings of restarts after a change of files.

use toml::Value;

use super::program::strings;
use super::{Scope, Setting, get_table, set_table, time};
use crate::given::{Given, What};
use crate::read;
use crate::watch::Watch;
use crate::wrong::{Wrong, Wrongs};

pub(super) static ROWS: [Setting; 4] = [
    Setting::new(
        "watch",
        "true for `cwd`, false, or an array of paths and patterns relative to `cwd`, such as \"src\" or \"lib/**/*.js\"",
        "Replace the workers when a file changes: by a reload, so that a version that fails leaves the old one serving where the app has a passed socket.",
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
    .default("what begins with a dot, node_modules and target")
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
    Setting::new(
        "watch_options",
        "a table of `follow_symlinks`, `use_polling` and `interval`",
        "How files are watched.",
        |options, given| set_table(Scope::Watch, options, given),
        |app| get_table(Scope::Watch, app),
    ),
];

/// Why an option of PM2's watching library has no effect.
const ALWAYS: &str = "that is always so";
const OURS: &str = "changes that come together are one change, by `watch_delay`";

/// The keys of `watch_options`.
pub(super) static TABLE: [Setting; 12] = [
    Setting::new(
        "follow_symlinks",
        "true or false",
        "Watch what symbolic links to directories lead to.",
        |options, given| {
            options.follow_symlinks = Some(read::boolean(given)?);
            Ok(())
        },
        |app| (!app.watch.follow_symlinks).then(|| false.into()),
    )
    .default("true"),
    Setting::new(
        "use_polling",
        "true or false",
        "Look at all files at an interval: for network file systems, which tell of no changes.",
        |options, given| {
            options.use_polling = read::boolean(given)?;
            Ok(())
        },
        |app| app.watch.poll.map(|_| true.into()),
    )
    .default("false"),
    Setting::new(
        "interval",
        "a length of time",
        "How often to look, with `use_polling`.",
        |options, given| {
            options.poll_interval = Some(read::some_span(given)?);
            Ok(())
        },
        |app| time(app.watch.poll.unwrap_or(Watch::INTERVAL), Watch::INTERVAL),
    )
    .default("1s"),
    Setting::new(
        "ignored",
        "an array of patterns",
        "The same as `ignore_watch`.",
        |options, given| {
            options.ignore_watch = Some(patterns(given)?);
            Ok(())
        },
        |_| None,
    )
    .default("what `ignore_watch` says"),
    Setting::moot("persistent", "true or false", "Go on watching.", ALWAYS, false),
    Setting::moot("ignore_initial", "true or false", "What is there is no change.", ALWAYS, false),
    Setting::moot("ignore_permission_errors", "true or false", "Go on.", ALWAYS, false),
    Setting::moot("atomic", "true or false", "A file put in place is one change.", OURS, false),
    Setting::moot("await_write_finish", "true or a table", "Wait for its end.", OURS, false),
    Setting::moot("always_stat", "true or false", "For programs.", "nobody sees it", false),
    Setting::moot("cwd", "a path", "What paths are relative to.", "the app's `cwd` is", true),
    Setting::moot("depth", "a whole number", "How deep.", "all depths are watched", true),
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
