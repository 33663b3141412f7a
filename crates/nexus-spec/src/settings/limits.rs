//! Settings of what the kernel grants a worker, and of what it reads.

use std::collections::BTreeMap;

use toml::Value;

use super::Setting;
use crate::app::Stdin;
use crate::flaw::Code;
use crate::given::{Given, Key, What};
use crate::limits::{Bound, Rlimit};
use crate::read;
use crate::wrong::{Wrong, Wrongs};

/// The word for a limit that is none.
const UNLIMITED: &str = "unlimited";

pub(super) static ROWS: [Setting; 6] = [
    Setting::new(
        "nice",
        "a whole number from -20 (first) to 19 (last)",
        "The workers' priority for the processors; below the daemon's own only root may go.",
        |options, given| {
            options.limits.nice = i8::try_from(read::integer(given, -20, 19)?).ok();
            Ok(())
        },
        |app| app.limits.nice.map(|nice| i64::from(nice).into()),
    )
    .default("the caller's own")
    .also(&["priority"]),
    Setting::new(
        "rlimits",
        "a table: `{ nofile = 65536, core = \"unlimited\", nproc = { soft = 100, hard = 200 } }`",
        "Limits of the kernel's, as `ulimit` sets them; only root may raise a hard one.",
        |options, given| {
            options.limits.rlimits.extend(rlimits(given)?);
            Ok(())
        },
        |app| {
            let limits = &app.limits.rlimits;
            let entry = |(limit, bound): (&Rlimit, &Bound)| (limit.to_string(), bound_value(bound));
            (!limits.is_empty()).then(|| Value::Table(limits.iter().map(entry).collect()))
        },
    )
    .default("the caller's own")
    .also(&["limits", "ulimit", "ulimits"]),
    Setting::new(
        "oom_score_adj",
        "a whole number from -1000 (never killed) to 1000 (killed first)",
        "The workers' place before the kernel when memory runs out; only root may lower it.",
        |options, given| {
            options.limits.oom_score_adj = i16::try_from(read::integer(given, -1_000, 1_000)?).ok();
            Ok(())
        },
        |app| app.limits.oom_score_adj.map(|adj| i64::from(adj).into()),
    )
    .default("the caller's own")
    .also(&["oom_score", "oom_score_adjust"]),
    Setting::new(
        "no_new_privs",
        "true or false",
        "Whether setuid programs and file capabilities are powerless for the workers.",
        |options, given| {
            options.limits.no_new_privs = read::boolean(given)?;
            Ok(())
        },
        |app| app.limits.no_new_privs.then_some(Value::Boolean(true)),
    )
    .default("false")
    .also(&["no_new_privileges"]),
    Setting::new(
        "cpu",
        "a number of processors, such as 2 or 0.5",
        "The most of the processors that a worker's tree may use.",
        |options, given| {
            let percent = read::hundredths(given)?;
            if !(1..=1_000_000).contains(&percent) {
                return Err(Wrong::value(given, "is not between 0.01 and 10000", "").into());
            }
            options.limits.cpu_percent = u32::try_from(percent).ok();
            Ok(())
        },
        |app| {
            let percent = app.limits.cpu_percent?;
            Some(match percent.is_multiple_of(100) {
                true => Value::Integer(i64::from(percent / 100)),
                false => Value::Float(f64::from(percent) / 100.0),
            })
        },
    ),
    Setting::new(
        "stdin",
        "\"null\", or true for a pipe that `nexusctl send` writes to",
        "What a worker reads as its standard input.",
        |options, given| {
            options.stdin = Some(stdin(given)?);
            Ok(())
        },
        |app| (app.stdin == Stdin::Pipe).then_some(Value::Boolean(true)),
    )
    .default("null"),
];

fn stdin(given: &Given) -> Result<Stdin, Wrong> {
    match &given.what {
        What::Bool(true) => Ok(Stdin::Pipe),
        What::Bool(false) => Ok(Stdin::Null),
        What::Text(text) | What::Flag(text) => match text.as_str() {
            "null" | "false" => Ok(Stdin::Null),
            "pipe" | "true" => Ok(Stdin::Pipe),
            _ => Err(Wrong::value(given, "is no standard input", "write true, or leave it out")),
        },
        What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Date
        | What::List(_)
        | What::Table(_) => Err(Wrong::form(given, "\"null\" or true")),
    }
}

fn rlimits(given: &Given) -> Result<BTreeMap<Rlimit, Bound>, Wrongs> {
    if !matches!(given.what, What::Table(_)) {
        return Err(Wrong::form(given, "a table").into());
    }
    let mut wrongs = Wrongs::default();
    let mut limits = BTreeMap::new();
    for (key, value) in given.entries() {
        let Some(limit) = wrongs.keep(rlimit(key)) else { continue };
        let bound = bound(limit, value);
        let named = |wrongs: Wrongs| wrongs.map(|wrong| wrong.of_key(limit.name()));
        if let Some(bound) = wrongs.keep(bound.map_err(named)) {
            limits.insert(limit, bound);
        }
    }
    wrongs.unless(limits)
}

fn rlimit(key: &Key) -> Result<Rlimit, Wrong> {
    let plain = key.text.to_ascii_lowercase();
    let name = plain.strip_prefix("rlimit_").unwrap_or(&plain);
    let known = Rlimit::ALL.into_iter().find(|limit| limit.name() == key.text);
    known.ok_or_else(|| {
        let names: Vec<&str> = Rlimit::ALL.into_iter().map(Rlimit::name).collect();
        let remedy = match names.iter().find(|known| **known == name) {
            Some(known) => format!("write `{known}`"),
            None => format!("write one of {}", names.join(", ")),
        };
        let wrong = Wrong::of(&key.text, Code::UnknownKey, "unknown key", remedy);
        Wrong { at: Some(key.at.clone()), ..wrong }
    })
}

fn bound(limit: Rlimit, given: &Given) -> Result<Bound, Wrongs> {
    if !matches!(given.what, What::Table(_)) {
        let both = amount(limit, given)?;
        return Ok(Bound { soft: both, hard: both });
    }
    let mut wrongs = Wrongs::default();
    let (mut soft, mut hard) = (None, None);
    for (key, value) in given.entries() {
        let place = match key.text.as_str() {
            "soft" => &mut soft,
            "hard" => &mut hard,
            _ => {
                let remedy = "write `soft` and `hard`";
                let wrong = Wrong::of(&key.text, Code::UnknownKey, "unknown key", remedy);
                wrongs.0.push(Wrong { at: Some(key.at.clone()), ..wrong });
                continue;
            }
        };
        *place = wrongs.keep(amount(limit, value).map_err(|wrong| wrong.of_key(&key.text)));
    }
    let (Some(soft), Some(hard)) = (soft, hard) else {
        if wrongs.0.is_empty() {
            let problem = "has only one of `soft` and `hard`";
            wrongs.0.push(Wrong::value(given, problem, "write both, or one number for both"));
        }
        return Err(wrongs);
    };
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        let wrong = Wrong::value(given, "has a `soft` above its `hard`", "raise `hard`");
        wrongs.0.push(wrong);
    }
    wrongs.unless(Bound { soft, hard })
}

/// A number, an amount of bytes where bytes are limited, or `unlimited`.
fn amount(limit: Rlimit, given: &Given) -> Result<Option<u64>, Wrong> {
    let bytes = match limit {
        Rlimit::As
        | Rlimit::Core
        | Rlimit::Data
        | Rlimit::Fsize
        | Rlimit::Memlock
        | Rlimit::Msgqueue
        | Rlimit::Stack => true,
        Rlimit::Cpu
        | Rlimit::Locks
        | Rlimit::Nice
        | Rlimit::Nofile
        | Rlimit::Nproc
        | Rlimit::Rss
        | Rlimit::Rtprio
        | Rlimit::Rttime
        | Rlimit::Sigpending => false,
    };
    match &given.what {
        What::Text(text) | What::Flag(text) if text == UNLIMITED => Ok(None),
        What::Text(_) if bytes => read::size(given).map(|size| Some(size.0)),
        What::Text(_) => Err(Wrong::value(
            given,
            "is neither a number nor \"unlimited\"",
            "write a whole number, or \"unlimited\"",
        )),
        What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::List(_)
        | What::Table(_)
        | What::Flag(_) => {
            read::integer(given, 0, i64::MAX).map(|number| Some(number.unsigned_abs()))
        }
    }
}

fn bound_value(bound: &Bound) -> Value {
    // Written as a number: an amount of bytes is only another way to write one.
    let amount = |amount: Option<u64>| match amount.map(i64::try_from) {
        Some(Ok(number)) => Value::Integer(number),
        Some(Err(_)) | None => UNLIMITED.into(),
    };
    match bound.soft == bound.hard {
        true => amount(bound.soft),
        false => Value::Table(toml::Table::from_iter([
            ("soft".to_owned(), amount(bound.soft)),
            ("hard".to_owned(), amount(bound.hard)),
        ])),
    }
}
