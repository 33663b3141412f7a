//! Settings of what runs: the program, its arguments, its surroundings and its rights.

use toml::Value;

use super::{Setting, Work, time};
use crate::app::{AppSpec, interpreter_of};
use crate::door::Door;
use crate::flaw::Code;
use crate::given::{Given, What};
use crate::name::Name;
use crate::read;
use crate::words;
use crate::wrong::{Wrong, Wrongs};

/// The word that selects every app on the command line, so that no app can be called so.
const EVERY_APP: &str = "all";

pub(super) static ROWS: [Setting; 12] = [
    Setting {
        key: "name",
        takes: "a string of letters, digits and `._@+-`, at most 64",
        default: "the script's file name without its extension",
        doc: "What the app is called; no two apps of a home share a name.",
        also: &["app_name"],
        own: true,
        work: Work::Done {
            set: |options, given| {
                let (name, changed) = name(options.door, given)?;
                options.name = Some(name);
                changed.map_or(Ok(()), |wrong| Err(wrong.into()))
            },
            get: |app| Some(app.name.as_str().into()),
        },
    },
    Setting {
        key: "namespace",
        takes: "a string of letters, digits and `._@+-`, at most 64",
        default: "default",
        doc: "A label to select several apps by.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                let (name, changed) = name(options.door, given)?;
                options.namespace = Some(name.as_str().to_owned());
                changed.map_or(Ok(()), |wrong| Err(wrong.into()))
            },
            get: |app| (app.namespace != AppSpec::NAMESPACE).then(|| app.namespace.as_str().into()),
        },
    },
    Setting {
        key: "script",
        takes: "a string",
        default: "none: every app needs one",
        doc: "The program or file to run: a path relative to `cwd`, or a word to find in PATH.",
        also: &["exec", "cmd", "command"],
        own: true,
        work: Work::Done {
            set: |options, given| {
                options.script = Some(read::path(given)?);
                Ok(())
            },
            get: |app| Some(app.script.to_string_lossy().into_owned().into()),
        },
    },
    Setting {
        key: "args",
        takes: "an array of strings, or one string split into words as a shell does",
        default: "none",
        doc: "Arguments after the script.",
        also: &["arguments"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.args = read::words(given)?;
                Ok(())
            },
            get: |app| strings(&app.args),
        },
    },
    Setting {
        key: "interpreter",
        takes: "\"node --flag\", \"none\" for the script itself, or an array of strings",
        default: "by the script's extension: node, bun, python3, ruby, php, perl, bash; else none",
        doc: "The program that runs the script, and its own arguments.",
        also: &["exec_interpreter"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.interpreter = Some(interpreter(given)?);
                Ok(())
            },
            get: |app| match &*app.interpreter {
                words if words == interpreter_of(&app.script) => None,
                [] => Some("none".into()),
                words => strings(words),
            },
        },
    },
    Setting {
        key: "cwd",
        takes: "a string: a path, relative to the project file's directory",
        default: "the project file's directory",
        doc: "The directory that the workers start in.",
        also: &["dir", "workdir", "working_directory"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.cwd = Some(read::path(given)?);
                Ok(())
            },
            get: |app| Some(app.cwd.to_string_lossy().into_owned().into()),
        },
    },
    Setting {
        key: "env",
        takes: "a table of strings, numbers and booleans",
        default: "none",
        doc: "Variables for the workers, on top of the base environment.",
        also: &["environment", "vars"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.env.extend(read::variables(given)?);
                Ok(())
            },
            get: |app| {
                let entry = |(key, value): (&String, &String)| (key.clone(), value.as_str().into());
                (!app.env.is_empty()).then(|| Value::Table(app.env.iter().map(entry).collect()))
            },
        },
    },
    Setting {
        key: "build",
        takes: "a string: a command for the shell; or an array: a program and its arguments",
        default: "none",
        doc: "Run before the first start, and before a reload or a restart with a new configuration, \
              with the app's user, directory and environment; its failure changes nothing. Of several \
              lines the first that fails is the last.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.build = Some(build(given)?);
                Ok(())
            },
            get: |app| app.build.as_deref().map(Value::from),
        },
    },
    Setting {
        key: "build_timeout",
        takes: "a length of time",
        default: "30m",
        doc: "A build that runs for longer is ended, and has failed.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.build_timeout = Some(read::some_span(given)?);
                Ok(())
            },
            get: |app| time(app.build_timeout, AppSpec::BUILD_TIMEOUT),
        },
    },
    Setting {
        key: "user",
        takes: "a string or a number: a user's name or id",
        default: "the daemon's user",
        doc: "Whose rights the workers have; the user's groups come with it.",
        also: &["uid"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.run_as.user = Some(read::account(given)?);
                Ok(())
            },
            get: |app| app.run_as.user.as_deref().map(Value::from),
        },
    },
    Setting {
        key: "group",
        takes: "a string or a number: a group's name or id",
        default: "the user's group",
        doc: "The group of the workers, in place of the user's own.",
        also: &["gid"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.run_as.group = Some(read::account(given)?);
                Ok(())
            },
            get: |app| app.run_as.group.as_deref().map(Value::from),
        },
    },
    Setting {
        key: "umask",
        takes: "a string of octal digits such as \"027\", or an octal number such as 0o027",
        default: "the daemon's umask",
        doc: "The permission bits that files of the workers do not get.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.run_as.umask = Some(read::mode(given)?);
                Ok(())
            },
            get: |app| app.run_as.umask.map(|mask| format!("{mask:03o}").into()),
        },
    },
];

/// An array of strings; `None` when there are none.
pub(super) fn strings(items: &[String]) -> Option<Value> {
    (!items.is_empty())
        .then(|| Value::Array(items.iter().map(|item| item.as_str().into()).collect()))
}

/// A name. PM2's may hold any characters: those that a name may not have become `-`, and that is
/// said.
pub(super) fn name(door: Door, given: &Given) -> Result<(Name, Option<Wrong>), Wrong> {
    let text = read::text(given)?;
    if text == EVERY_APP {
        let problem = "is `all`, the word that selects every app";
        return Err(Wrong::value(given, problem, "choose another name"));
    }
    match Name::new(text) {
        Ok(name) => Ok((name, None)),
        Err(flaw) => match Name::near(text).filter(|_| door == Door::Pm2) {
            None => Err(Wrong::value(given, flaw.problem, "")),
            Some(name) => {
                let problem = format!("{}: it is called `{name}` here", flaw.problem);
                let wrong = Wrong::value(given, problem, "name it so to be rid of this warning");
                Ok((name, Some(Wrong { code: Code::Changed, ..wrong })))
            }
        },
    }
}

/// A command for the shell; words are one that it takes as they stand.
fn build(given: &Given) -> Result<String, Wrongs> {
    match &given.what {
        What::List(_) => match &*read::words(given)? {
            [] => {
                let remedy = "write a program, or leave the key out";
                Err(Wrong::value(given, "is empty", remedy).into())
            }
            words => Ok(words::join(words)),
        },
        What::Text(_)
        | What::Flag(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::Table(_) => Ok(read::some_text(given)?.to_owned()),
    }
}

fn interpreter(given: &Given) -> Result<Vec<String>, Wrongs> {
    if matches!(given.what, What::Text(_) | What::Flag(_)) && read::text(given)?.trim() == "none" {
        return Ok(Vec::new());
    }
    let words = read::words(given)?;
    match words.first() {
        None => {
            let remedy = "write \"none\" to execute the script itself";
            Err(Wrong::value(given, "is empty", remedy).into())
        }
        Some(program) if program.trim().is_empty() => {
            Err(Wrong::value(given, "has an empty program", "").into())
        }
        Some(program) if program.starts_with("node@") => {
            let problem = "asks for a version of node, which is not carried out yet";
            let remedy = "write the path of that version's program";
            Err(Wrong { code: Code::NotYet, ..Wrong::value(given, problem, remedy) }.into())
        }
        Some(_) => Ok(words),
    }
}
