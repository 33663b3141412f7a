//! The key that was probably meant.

use crate::flaw::Code;
use crate::settings::{self, Scope, Setting};
use crate::wrong::Wrong;

/// How alike two keys must be (Jaro-Winkler, 0 to 1) for one to be suggested for the other.
const ALIKE: f64 = 0.82;

/// The longest key that is compared; what is longer resembles nothing.
const KEY_MAX: usize = 64;

/// The flaw of a key that is in no row of `scope`, with the nearest one that is.
pub(crate) fn unknown(scope: Scope, key: &str) -> Wrong {
    let remedy = match (spelled(scope, key), elsewhere(scope, key)) {
        (Some(row), _) => name(scope, row),
        (None, Some(place)) => format!("`{key}` stands {place}"),
        (None, None) => {
            nearest(scope, key).map_or_else(|| "leave it out".to_owned(), |row| name(scope, row))
        }
    };
    Wrong::of(key, Code::UnknownKey, "unknown key", remedy)
}

fn name(scope: Scope, row: &Setting) -> String {
    match row.carried_out(scope) {
        true => format!("write `{}`", row.key),
        false => format!("`{}` has such a name, but is not carried out yet", row.key),
    }
}

/// The row of which `key` is another spelling.
pub(crate) fn spelled(scope: Scope, key: &str) -> Option<&'static Setting> {
    let snake = snake(key);
    let leads =
        |row: &&Setting| row.key == snake || row.also.contains(&key) || row.also.contains(&&*snake);
    settings::of(scope).find(leads)
}

/// The most similar row, if any is similar enough. Of two equals the one that is carried out.
fn nearest(scope: Scope, key: &str) -> Option<&'static Setting> {
    if key.len() > KEY_MAX {
        return None;
    }
    let snake = snake(key);
    let likeness = |row: &Setting| {
        let names = std::iter::once(&row.key).chain(row.also);
        names.map(|name| strsim::jaro_winkler(name, &snake)).fold(0.0, f64::max)
    };
    settings::of(scope)
        .map(|row| (likeness(row), row))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, x), (b, y)| {
            a.total_cmp(b).then(x.carried_out(scope).cmp(&y.carried_out(scope)))
        })
        .map(|(_, row)| row)
}

/// Where a key would be right that is wrong here.
fn elsewhere(scope: Scope, key: &str) -> Option<&'static str> {
    let known = settings::settings().find(|(of, row)| *of != scope && row.key == key);
    known.map(|(of, _)| match of {
        Scope::File => "at the top of the file",
        Scope::Daemon => "in `daemon`",
        Scope::App => "in an app, below `[[apps]]`",
        Scope::Backoff => "in `backoff`",
        Scope::Memory => "in `memory`",
        Scope::Rollback => "in `rollback_on`",
        Scope::Log => "in `log`",
        Scope::Watch => "in `watch_options`",
    })
}

/// `maxMemoryRestart`, `max-memory-restart` → `max_memory_restart`.
fn snake(key: &str) -> String {
    let mut snake = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        match c {
            '-' => snake.push('_'),
            _ if c.is_ascii_uppercase() => {
                if !snake.is_empty() && !snake.ends_with('_') {
                    snake.push('_');
                }
                snake.push(c.to_ascii_lowercase());
            }
            _ => snake.push(c),
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_name_the_right_key() {
        for (scope, key, remedy) in [
            (Scope::App, "max_restart", "write `max_restarts`"),
            (Scope::App, "maxRestarts", "write `max_restarts`"),
            (Scope::App, "kill-timeout", "write `kill_timeout`"),
            (Scope::App, "exec_interpreter", "write `interpreter`"),
            (Scope::App, "execInterpreter", "write `interpreter`"),
            (Scope::App, "exec", "write `script`"),
            (Scope::App, "output", "write `out_file`"),
            (Scope::App, "err", "write `error_file`"),
            (Scope::App, "combine_logs", "write `merge_logs`"),
            (Scope::App, "uid", "write `user`"),
            (Scope::App, "gid", "write `group`"),
            (Scope::App, "max_memry_restart", "write `max_memory_restart`"),
            (Scope::App, "cron", "write `cron_restart`"),
            (Scope::App, "pid", "`pid_file` has such a name, but is not carried out yet"),
            (Scope::App, "min", "`min` stands in `backoff`"),
            (Scope::App, "factor", "`factor` stands in `backoff`"),
            (Scope::File, "script", "`script` stands in an app, below `[[apps]]`"),
            (Scope::File, "app", "write `apps`"),
            (Scope::Backoff, "reset", "write `reset_after`"),
            (Scope::App, "zzz", "leave it out"),
        ] {
            assert_eq!(unknown(scope, key).remedy, remedy, "{key}");
        }
    }
}
