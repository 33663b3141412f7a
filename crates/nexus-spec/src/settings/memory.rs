//! Settings of how much memory a worker may use.

use super::{Scope, Setting, get_table, set_table, size, time};
use crate::memory::Memory;
use crate::read;

pub(super) static ROWS: [Setting; 2] = [
    Setting::new(
        "memory",
        "a table of `high`, `max` and `for`",
        "Limits of the memory of a worker's whole process tree; beyond, it is replaced gracefully.",
        |options, given| set_table(Scope::Memory, options, given),
        |app| get_table(Scope::Memory, app),
    ),
    Setting::new(
        "max_memory_restart",
        "an amount of bytes, such as \"512M\"",
        "The same as `memory.max`.",
        |options, given| {
            options.memory.max = read::some_size(given)?;
            Ok(())
        },
        |_| None,
    )
    .also(&["max_memory"]),
];

/// The keys of `memory`.
pub(super) static TABLE: [Setting; 3] = [
    Setting::new(
        "high",
        "an amount of bytes, such as \"400M\"",
        "A worker that uses more for as long as `for` is replaced.",
        |options, given| {
            options.memory.high = read::some_size(given)?;
            Ok(())
        },
        |app| size(app.memory.high, None),
    ),
    Setting::new(
        "max",
        "an amount of bytes, such as \"512M\"",
        "A worker that uses more is replaced at once.",
        |options, given| {
            options.memory.max = read::some_size(given)?;
            Ok(())
        },
        |app| size(app.memory.max, None),
    )
    .also(&["limit"]),
    Setting::new(
        "for",
        "a length of time",
        "How long `high` has to be exceeded.",
        |options, given| {
            options.memory.hold = read::span(given)?;
            Ok(())
        },
        |app| time(app.memory.hold, Memory::default().hold),
    )
    .default("10s")
    .also(&["hold"]),
];
