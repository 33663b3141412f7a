//! Settings of what follows an exit that nobody asked for.

use toml::Value;

use super::{Scope, Setting, Work, get_table, set_table, time};
use crate::door::Door;
use crate::given::{Given, What};
use crate::read;
use crate::restart::{Backoff, Restart};
use crate::wrong::{Wrong, Wrongs};

/// The slowest and the fastest growth of waits, in percent.
const FACTOR: std::ops::RangeInclusive<i64> = 100..=10_000;

pub(super) static ROWS: [Setting; 7] = [
    Setting {
        key: "autorestart",
        takes: "true or false",
        default: "true",
        doc: "Whether a worker that exits is started again.",
        also: &["auto_restart"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.auto = read::boolean(given)?;
                Ok(())
            },
            get: |app| (!app.restart.auto).then_some(Value::Boolean(false)),
        },
    },
    Setting {
        key: "restart_delay",
        takes: "a length of time",
        default: "0s",
        doc: "Wait before every restart.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.delay = read::span(given)?;
                Ok(())
            },
            get: |app| time(app.restart.delay, Restart::default().delay),
        },
    },
    Setting {
        key: "backoff",
        takes: "a table of `min`, `max`, `factor`, `jitter` and `reset_after`",
        default: "waits of 100 ms, doubled up to 15 s",
        doc: "Waits that grow with each unstable exit in a row, on top of `restart_delay`.",
        also: &["back_off"],
        own: false,
        work: Work::Done {
            set: |options, given| set_table(Scope::Backoff, options, given),
            get: |app| get_table(Scope::Backoff, app),
        },
    },
    Setting {
        key: "max_restarts",
        takes: "a whole number",
        default: "16",
        doc: "More unstable exits than this within `restart_window`, and a worker is given up.",
        also: &["max_retries"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                let max = read::integer(given, 0, i64::from(u32::MAX))?;
                let max = u32::try_from(max).unwrap_or(u32::MAX);
                // PM2 counts the exit with which it gives up.
                let counted = u32::from(options.door == Door::Pm2);
                options.restart.max = max.saturating_sub(counted);
                Ok(())
            },
            get: |app| {
                let max = app.restart.max;
                (max != Restart::default().max).then(|| i64::from(max).into())
            },
        },
    },
    Setting {
        key: "restart_window",
        takes: "a length of time",
        default: "15m",
        doc: "The sliding window of `max_restarts`.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.window = read::some_span(given)?;
                Ok(())
            },
            get: |app| time(app.restart.window, Restart::default().window),
        },
    },
    Setting {
        key: "min_uptime",
        takes: "a length of time",
        default: "1s",
        doc: "A worker that was online for less has exited unstably.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.min_uptime = read::span(given)?;
                Ok(())
            },
            get: |app| time(app.restart.min_uptime, Restart::default().min_uptime),
        },
    },
    Setting {
        key: "stop_exit_codes",
        takes: "an array of exit codes, 0 to 255, or one of them",
        default: "none",
        doc: "Exit codes after which a worker stays down.",
        also: &["stop_exit_code"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.stop_exit_codes = exit_codes(given)?;
                Ok(())
            },
            get: |app| {
                let codes = &app.restart.stop_exit_codes;
                let items = codes.iter().map(|code| i64::from(*code).into());
                (!codes.is_empty()).then(|| Value::Array(items.collect()))
            },
        },
    },
];

/// The keys of `backoff`.
pub(super) static BACKOFF: [Setting; 5] = [
    Setting {
        key: "min",
        takes: "a length of time",
        default: "100ms",
        doc: "The first wait.",
        also: &["initial"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.backoff.min = read::span(given)?;
                Ok(())
            },
            get: |app| time(app.restart.backoff.min, Backoff::default().min),
        },
    },
    Setting {
        key: "max",
        takes: "a length of time",
        default: "15s",
        doc: "The longest wait.",
        also: &["limit"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.backoff.max = read::span(given)?;
                Ok(())
            },
            get: |app| time(app.restart.backoff.max, Backoff::default().max),
        },
    },
    Setting {
        key: "factor",
        takes: "a number from 1 to 100, such as 2 or 1.5",
        default: "2",
        doc: "How much longer each wait is than the one before.",
        also: &["multiplier"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                let percent = read::hundredths(given)?;
                if !FACTOR.contains(&percent) {
                    return Err(Wrong::value(given, "is not between 1 and 100", "").into());
                }
                options.restart.backoff.factor_percent = u32::try_from(percent).unwrap_or(100);
                Ok(())
            },
            get: |app| {
                let percent = app.restart.backoff.factor_percent;
                let value = match percent.is_multiple_of(100) {
                    true => Value::Integer(i64::from(percent / 100)),
                    false => Value::Float(f64::from(percent) / 100.0),
                };
                (percent != Backoff::default().factor_percent).then_some(value)
            },
        },
    },
    Setting {
        key: "jitter",
        takes: "a part of the wait, such as 0.1 or \"10%\"",
        default: "10%",
        doc: "Spread of the waits, so that workers that died together do not return together.",
        also: &["spread"],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.backoff.jitter_percent = jitter(given)?;
                Ok(())
            },
            get: |app| {
                let percent = app.restart.backoff.jitter_percent;
                (percent != Backoff::default().jitter_percent).then(|| format!("{percent}%").into())
            },
        },
    },
    Setting {
        key: "reset_after",
        takes: "a length of time",
        default: "10s",
        doc: "Online for this long, and earlier unstable exits in a row are forgotten.",
        also: &[],
        own: false,
        work: Work::Done {
            set: |options, given| {
                options.restart.backoff.reset_after = read::span(given)?;
                Ok(())
            },
            get: |app| time(app.restart.backoff.reset_after, Backoff::default().reset_after),
        },
    },
];

fn exit_codes(given: &Given) -> Result<Vec<u8>, Wrongs> {
    if let What::Flag(text) = &given.what {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        return words.map(|word| Ok(exit_code(&Given::flag(word))?)).collect();
    }
    let mut wrongs = Wrongs::default();
    let mut codes = Vec::new();
    for item in read::items(given) {
        let code = exit_code(item).map_err(|wrong| read::in_array(given, item, wrong));
        codes.extend(wrongs.keep(code));
    }
    wrongs.unless(codes)
}

fn exit_code(given: &Given) -> Result<u8, Wrong> {
    Ok(u8::try_from(read::integer(given, 0, 255)?).unwrap_or(u8::MAX))
}

fn jitter(given: &Given) -> Result<u32, Wrong> {
    let percent = match &given.what {
        What::Text(text) | What::Flag(text) if text.trim().ends_with('%') => {
            let digits = text.trim().trim_end_matches('%').trim_end();
            digits.parse().map_err(|_| Wrong::value(given, "is not a percentage", ""))?
        }
        What::Text(_)
        | What::Flag(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::List(_)
        | What::Table(_) => read::hundredths(given)?,
    };
    u32::try_from(percent)
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| Wrong::value(given, "is not between 0 and 1", ""))
}
