//! Settings of what takes a watched reload back: the keys of `rollback_on`.

use toml::Value;

use super::{Setting, size};
use crate::read;
use crate::ready::pattern;
use crate::rollout::RollbackOn;
use crate::wrong::Wrong;

pub(super) static TABLE: [Setting; 5] = [
    Setting::new(
        "restarts",
        "a whole number",
        "So many ends of watched workers by themselves. One that is never ready is too many.",
        |options, given| {
            let count = read::integer(given, 1, 1_000)?;
            options.rollout.rollback_on.restarts = u16::try_from(count).unwrap_or(1);
            Ok(())
        },
        |app| {
            let count = app.rollout.rollback_on.restarts;
            (count != RollbackOn::default().restarts).then(|| i64::from(count).into())
        },
    )
    .default("1"),
    Setting::new(
        "health",
        "true or false",
        "That the health check finds one ill; otherwise it is replaced once the reload is over.",
        |options, given| {
            options.rollout.rollback_on.health = read::boolean(given)?;
            Ok(())
        },
        |app| (!app.rollout.rollback_on.health).then_some(Value::Boolean(false)),
    )
    .default("true"),
    Setting::new(
        "watchdog",
        "true or false",
        "That one does not say that it is alive, as `watchdog` asks for.",
        |options, given| {
            options.rollout.rollback_on.watchdog = read::boolean(given)?;
            Ok(())
        },
        |app| (!app.rollout.rollback_on.watchdog).then_some(Value::Boolean(false)),
    )
    .default("true"),
    Setting::new(
        "log",
        "a regular expression such as \"/panic|FATAL/\"",
        "A line that one writes to its output matches. The workers of before may write such lines.",
        |options, given| {
            let remedy = "write it between slashes: \"/panic|FATAL/\", or \"/fatal/i\"";
            let read = pattern(read::some_text(given)?);
            let wrong = |clause| Wrong::value(given, clause, remedy);
            options.rollout.rollback_on.log = Some(read.map_err(wrong)?);
            Ok(())
        },
        |app| app.rollout.rollback_on.log.as_ref().map(|text| format!("/{text}/").into()),
    ),
    Setting::new(
        "memory",
        "an amount of bytes, such as \"500M\"",
        "One uses more than this, below the limits of `memory`, which take a reload back anyway.",
        |options, given| {
            options.rollout.rollback_on.memory = read::some_size(given)?;
            Ok(())
        },
        |app| size(app.rollout.rollback_on.memory, None),
    ),
];
