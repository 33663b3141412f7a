//! Settings of where output goes.

use toml::Value;

use super::{Setting, Work};
use crate::given::Given;
use crate::read;
use crate::wrong::Wrong;

/// Where output goes that nobody wants.
const NOWHERE: &str = "/dev/null";

pub(super) static ROWS: [Setting; 3] = [
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
                options.merge_logs = read::boolean(given)?;
                Ok(())
            },
            get: |app| app.log.merge_logs.then_some(Value::Boolean(true)),
        },
    },
];

/// A log file. PM2's word for nowhere is kept: nobody wants a file called `NULL`.
fn file(given: &Given) -> Result<String, Wrong> {
    let path = read::path(given)?;
    if path == "NULL" {
        return Ok(NOWHERE.to_owned());
    }
    if path.ends_with('/') {
        return Err(Wrong::value(given, "is the path of a directory", "write the path of a file"));
    }
    Ok(path)
}
