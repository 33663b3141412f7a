//! Settings of where output goes, and in which form.

use toml::Value;

use super::{Scope, Setting, Work, get_table, set_table};
use crate::given::Given;
use crate::log::LogFiles;
use crate::read;
use crate::wrong::Wrong;

pub(super) static ROWS: [Setting; 7] = [
    Setting {
        key: "out_file",
        takes: "a string: a path relative to `cwd`, or \"/dev/null\" for none",
        default: "the app's name and `-out.log` in the logs of the home",
        doc: "Where standard output goes.",
        also: &["out", "output", "out_log"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.out_file = Some(file(given)?);
                Ok(())
            },
            get: |app| {
                app.log.out_file.as_ref().map(|file| file.to_string_lossy().into_owned().into())
            },
        },
    },
    Setting {
        key: "error_file",
        takes: "a string: a path relative to `cwd`, or \"/dev/null\" for none",
        default: "the app's name and `-error.log` in the logs of the home",
        doc: "Where standard error goes.",
        also: &["error", "err", "err_file", "err_log", "error_log"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.error_file = Some(file(given)?);
                Ok(())
            },
            get: |app| {
                app.log.error_file.as_ref().map(|file| file.to_string_lossy().into_owned().into())
            },
        },
    },
    Setting {
        key: "merge_logs",
        takes: "true or false",
        default: "false",
        doc: "Whether all instances write into one file.",
        also: &["combine_logs"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.log.merge_logs = read::boolean(given)?;
                Ok(())
            },
            get: |app| app.log.merge_logs.then_some(Value::Boolean(true)),
        },
    },
    Setting::new(
        "log",
        "a table of `max_size`, `max_age`, `keep`, `total`, `compress`, `rate`, `on_full` and `format`",
        "How much of the output is kept, and in which form.",
        |options, given| set_table(Scope::Log, options, given),
        |app| get_table(Scope::Log, app),
    ),
    Setting::new(
        "log_type",
        "\"raw\" or \"json\"",
        "The same as `log.format`.",
        |options, given| {
            options.log.format = super::log::format(given)?;
            Ok(())
        },
        |_| None,
    )
    .default("raw"),
    Setting::new(
        "log_date_format",
        "a string such as \"YYYY-MM-DD HH:mm:ss.SSS Z\"",
        "A time before each line of the log files.",
        |options, given| {
            options.log.date_format = Some(read::some_text(given)?.to_owned());
            Ok(())
        },
        |app| app.log.date_format.as_deref().map(Value::from),
    ),
    Setting::new(
        "time",
        "true or false",
        "The same as `log_date_format = \"YYYY-MM-DDTHH:mm:ss\"`, which wins over it.",
        |options, given| {
            options.time = read::boolean(given)?;
            Ok(())
        },
        |_| None,
    )
    .default("false"),
];

/// A log file. PM2's word for nowhere is kept: nobody wants a file called `NULL`.
fn file(given: &Given) -> Result<String, Wrong> {
    let path = read::path(given)?;
    if path == "NULL" {
        return Ok(LogFiles::NOWHERE.to_owned());
    }
    if path.ends_with('/') {
        return Err(Wrong::value(given, "is the path of a directory", "write the path of a file"));
    }
    Ok(path)
}
