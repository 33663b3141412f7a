//! The keys of `log`: how much of the output is kept, and in which form.

use toml::Value;

use super::{NONE, Setting, size};
use crate::given::{Given, What};
use crate::log::{LogFiles, LogFormat, OnFull};
use crate::read;
use crate::wrong::Wrong;

pub(super) static TABLE: [Setting; 8] = [
    Setting::new(
        "max_size",
        "an amount of bytes, such as \"100M\", or \"none\"",
        "A log file that has grown to this is rotated.",
        |options, given| {
            options.log.max_size = read::some_size(given)?;
            Ok(())
        },
        |app| size(app.log.max_size, LogFiles::default().max_size),
    )
    .default("10M"),
    Setting::new(
        "max_age",
        "a length of time, such as \"1d\", or \"none\"",
        "A log file that was begun this long ago is rotated.",
        |options, given| {
            options.log.max_age = match none(given) {
                true => None,
                false => Some(read::some_span(given)?),
            };
            Ok(())
        },
        |app| app.log.max_age.map(|age| age.to_string().into()),
    ),
    Setting::new(
        "keep",
        "a whole number",
        "How many rotated files of one log are kept.",
        |options, given| {
            options.log.keep = u32::try_from(read::integer(given, 0, 10_000)?).unwrap_or(0);
            Ok(())
        },
        |app| (app.log.keep != LogFiles::default().keep).then(|| i64::from(app.log.keep).into()),
    )
    .default("30")
    .also(&["retain"]),
    Setting::new(
        "total",
        "an amount of bytes, such as \"1G\", or \"none\"",
        "What all log files of the app may take, rotated ones included; the oldest go first.",
        |options, given| {
            options.log.total = read::some_size(given)?;
            Ok(())
        },
        |app| size(app.log.total, LogFiles::default().total),
    )
    .default("500M"),
    Setting::new(
        "compress",
        "true or false",
        "Whether rotated files are compressed with gzip.",
        |options, given| {
            options.log.compress = read::boolean(given)?;
            Ok(())
        },
        |app| (!app.log.compress).then_some(Value::Boolean(false)),
    )
    .default("true"),
    Setting::new(
        "rate",
        "a number of lines a second, also written \"1000/s\", or \"none\"",
        "Lines of one stream of a worker that are kept in a second; the rest is counted.",
        |options, given| {
            options.log.rate = rate(given)?;
            Ok(())
        },
        |app| app.log.rate.map(|rate| i64::from(rate).into()),
    ),
    Setting::new(
        "on_full",
        "\"wait\" or \"drop\"",
        "While the disk is full: the writer waits, or lines are left out and counted.",
        |options, given| {
            options.log.on_full = match read::text(given)? {
                "wait" => OnFull::Wait,
                "drop" => OnFull::Drop,
                _ => return Err(Wrong::value(given, "is no answer to a full disk", "").into()),
            };
            Ok(())
        },
        |app| (app.log.on_full == OnFull::Drop).then(|| "drop".into()),
    )
    .default("wait"),
    Setting::new(
        "format",
        "\"raw\" or \"json\"",
        "What a line looks like: as the app wrote it, or an object with its time and origin.",
        |options, given| {
            options.log.format = format(given)?;
            Ok(())
        },
        |app| (app.log.format == LogFormat::Json).then(|| "json".into()),
    )
    .default("raw"),
];

fn none(given: &Given) -> bool {
    matches!(&given.what, What::Text(text) | What::Flag(text) if text == NONE)
}

fn rate(given: &Given) -> Result<Option<u32>, Wrong> {
    if none(given) {
        return Ok(None);
    }
    let lines = match &given.what {
        What::Text(text) | What::Flag(text) => {
            let digits = text.trim().trim_end_matches("/s").trim_end();
            let number = Given::flag(digits);
            read::integer(&Given { at: given.at.clone(), ..number }, 1, i64::from(u32::MAX))
        }
        What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::List(_)
        | What::Table(_) => read::integer(given, 1, i64::from(u32::MAX)),
    };
    Ok(u32::try_from(lines?).ok())
}

/// `raw` or `json`.
pub(super) fn format(given: &Given) -> Result<LogFormat, Wrong> {
    match read::text(given)? {
        "raw" => Ok(LogFormat::Raw),
        "json" => Ok(LogFormat::Json),
        _ => Err(Wrong::value(given, "is no form of a log file", "")),
    }
}
