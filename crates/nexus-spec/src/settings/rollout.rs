//! Settings around starts, checks and reloads.

use toml::Value;

use super::{NONE, Scope, Setting, get_table, set_table, time};

use crate::check::Check;
use crate::given::{Given, What};
use crate::name::Name;
use crate::read;
use crate::rollout::{Canary, Dependencies, Health, Until};
use crate::span::Span;
use crate::wrong::{Wrong, Wrongs};

pub(super) static ROWS: [Setting; 11] = [
    Setting::new(
        "health",
        "a table of one of `http`, `tcp`, `exec` and `event_loop_lag`, and of `interval`, `timeout`, \
         `failures`, `successes` and `start_period`",
        "A check that is repeated while a worker is online; one that keeps failing is replaced.",
        |options, given| {
            options.health = Some(health(given)?);
            Ok(())
        },
        |app| app.health.as_ref().map(health_value),
    )
    .also(&["healthcheck", "health_check"]),
    Setting::new(
        "watchdog",
        "a length of time",
        "How often a worker says WATCHDOG=1 on NOTIFY_SOCKET; one that does not is replaced.",
        |options, given| {
            options.watchdog = Some(read::some_span(given)?);
            Ok(())
        },
        |app| app.watchdog.map(|span| span.to_string().into()),
    ),
    Setting::new(
        "depends_on",
        "names of apps (`ready`), or a table such as `{ db = \"healthy\" }`: started, ready, healthy \
         or completed",
        "What has to be up before the app is started; see DEPENDENCIES.md.",
        |options, given| {
            options.depends_on = depends_on(given)?;
            Ok(())
        },
        |app| {
            let entry = |(name, until): (&Name, &Until)| {
                (name.to_string(), Value::String(until.to_string()))
            };
            let all = &app.depends_on;
            (!all.is_empty()).then(|| Value::Table(all.iter().map(entry).collect()))
        },
    ),
    Setting::new(
        "drain_timeout",
        "a length of time",
        "How long a worker that serves has, once told to go, to finish what it has begun; then it is \
         told again, and `kill_timeout` runs.",
        |options, given| {
            options.drain_timeout = read::span(given)?;
            Ok(())
        },
        |app| time(app.drain_timeout, Span(0)),
    )
    .default("0s"),
    Setting::new(
        "canary",
        "a number of workers, or a part such as \"25%\"",
        "How many workers a reload replaces first; they are watched for `soak`, then the others follow.",
        |options, given| {
            options.rollout.canary = Some(canary(given)?);
            Ok(())
        },
        |app| app.rollout.canary.map(|canary| canary.to_string().into()),
    ),
    Setting::new(
        "soak",
        "a length of time",
        "How long new workers are watched in a reload before the next: with `canary` the first ones, \
         else each. One that ends or is beyond a limit meanwhile takes the reload back.",
        |options, given| {
            options.rollout.soak = Some(read::span(given)?);
            Ok(())
        },
        |app| app.rollout.soak.map(|span| span.to_string().into()),
    ),
    Setting::new(
        "rollback_on",
        "a table of `restarts`, `health`, `watchdog`, `log` and `memory`",
        "What of a worker that `canary` or `soak` watches takes the reload back.",
        |options, given| set_table(Scope::Rollback, options, given),
        |app| get_table(Scope::Rollback, app),
    ),
    Setting::new(
        "shared_memory",
        "an amount of bytes, such as \"64M\", or \"none\"",
        "Memory that all workers of the app share, as the descriptor NEXUS_SHM_FD.",
        |options, given| {
            options.shared_memory = read::some_size(given)?;
            Ok(())
        },
        |app| super::size(app.shared_memory, None),
    )
    .default(NONE),
    Setting::new(
        "protected",
        "true or false",
        "Whether stopping or deleting the app needs a confirmation.",
        |options, given| {
            options.protected = read::boolean(given)?;
            Ok(())
        },
        |app| app.protected.then_some(Value::Boolean(true)),
    )
    .default("false"),
    Setting::new(
        "autostart",
        "true or false",
        "Whether a start of the file starts the app; otherwise it is listed as stopped.",
        |options, given| {
            options.autostart = read::boolean(given)?;
            Ok(())
        },
        |app| (!app.autostart).then_some(Value::Boolean(false)),
    )
    .default("true"),
    Setting::new(
        "pid_file",
        "a path relative to `cwd`",
        "A file that holds the process id of the first instance.",
        |options, given| {
            options.pid_file = Some(read::path(given)?);
            Ok(())
        },
        |app| app.pid_file.as_ref().map(|file| file.to_string_lossy().into_owned().into()),
    )
    .also(&["pid"]),
];

fn health(given: &Given) -> Result<Health, Wrongs> {
    if !matches!(given.what, What::Table(_)) {
        return Err(Wrong::form(given, "a table").into());
    }
    let mut wrongs = Wrongs::default();
    let mut checks = Vec::new();
    // The check itself is put in when all keys are read.
    let mut health = Health::new(Check::Exec(String::new()));
    for (key, value) in given.entries() {
        let named = |wrong: Wrong| wrong.of_key(&key.text);
        let text = || read::some_text(value).map(str::to_owned);
        let check = match key.text.as_str() {
            "http" => text().and_then(|address| reaching(value, Check::Http(address))),
            "tcp" => text().and_then(|address| reaching(value, Check::Tcp(address))),
            "exec" => text().map(Check::Exec),
            "event_loop_lag" => read::some_span(value).map(Check::Lag),
            other => {
                wrongs.keep(figure(&mut health, other, value).map_err(|wrong| {
                    let at = wrong.at.clone().or_else(|| Some(key.at.clone()));
                    Wrong { at, ..wrong.of_key(other) }
                }));
                continue;
            }
        };
        checks.extend(wrongs.keep(check.map_err(named)));
    }
    match (checks.pop(), checks.is_empty()) {
        (Some(check), true) => health.check = check,
        (None, _) if !wrongs.0.is_empty() => {}
        (Some(_) | None, _) => {
            let problem = "asks not exactly one of `http`, `tcp`, `exec` and `event_loop_lag`";
            wrongs.0.push(Wrong::value(given, problem, "write one of them"));
        }
    }
    wrongs.unless(health)
}

/// A check whose address can be asked. Whether its variables are there is seen with the app.
fn reaching(given: &Given, check: Check) -> Result<Check, Wrong> {
    let remedy = "write `http = \"http://127.0.0.1:3001/health\"` or `tcp = \"127.0.0.1:3001\"`";
    match check.endpoint(&|_| Some("1".to_owned())) {
        Ok(_) => Ok(check),
        Err(clause) => Err(Wrong::value(given, clause, remedy)),
    }
}

/// One of the lengths of time or counts of a check.
fn figure(health: &mut Health, key: &str, given: &Given) -> Result<(), Wrong> {
    let count = || read::integer(given, 1, 1_000).map(|count| u16::try_from(count).unwrap_or(1));
    match key {
        "interval" => health.interval = read::some_span(given)?,
        "timeout" => health.timeout = read::some_span(given)?,
        "start_period" => health.start_period = read::span(given)?,
        "failures" => health.failures = count()?,
        "successes" => health.successes = count()?,
        _ => {
            let remedy = "`health` has http, tcp, exec, event_loop_lag, interval, timeout, failures, \
                          successes and start_period";
            return Err(Wrong::of("", crate::flaw::Code::UnknownKey, "unknown key", remedy));
        }
    }
    Ok(())
}

fn health_value(health: &Health) -> Value {
    let default = Health::new(health.check.clone());
    let (key, check) = match &health.check {
        Check::Http(address) => ("http", address.clone()),
        Check::Tcp(address) => ("tcp", address.clone()),
        Check::Exec(command) => ("exec", command.clone()),
        Check::Lag(most) => ("event_loop_lag", most.to_string()),
    };
    let count = |count: u16, default: u16| (count != default).then(|| i64::from(count).into());
    let entries = [
        (key, Some(check.into())),
        ("interval", time(health.interval, default.interval)),
        ("timeout", time(health.timeout, default.timeout)),
        ("failures", count(health.failures, default.failures)),
        ("successes", count(health.successes, default.successes)),
        ("start_period", time(health.start_period, default.start_period)),
    ];
    let written = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Table(written.collect())
}

fn depends_on(given: &Given) -> Result<Dependencies, Wrongs> {
    let mut wrongs = Wrongs::default();
    let mut all = Dependencies::new();
    if let What::Table(entries) = &given.what {
        for (key, value) in entries {
            let at = Given { at: key.at.clone(), what: What::Text(key.text.clone()) };
            let until = wrongs.keep(until(value).map_err(|wrong| wrong.of_key(&key.text)));
            if let (Some(name), Some(until)) = (wrongs.keep(name(&at, &key.text)), until) {
                all.insert(name, until);
            }
        }
        return wrongs.unless(all);
    }
    for item in read::items(given) {
        let entry = match &item.what {
            What::Table(_) => dependency(item),
            What::Text(_)
            | What::Flag(_)
            | What::Int(..)
            | What::HugeInt
            | What::Float(_)
            | What::Bool(_)
            | What::Date
            | What::List(_) => {
                let text = read::text(item).map_err(|wrong| read::in_array(given, item, wrong));
                text.and_then(|text| name(item, text)).map(|name| (name, Until::Ready))
            }
        };
        all.extend(wrongs.keep(entry));
    }
    wrongs.unless(all)
}

/// `{ name = "db", condition = "healthy" }`.
fn dependency(given: &Given) -> Result<(Name, Until), Wrong> {
    let remedy = "write `{ name = \"db\", condition = \"ready\" }`";
    let (mut of, mut far) = (None, Until::Ready);
    for (key, value) in given.entries() {
        match key.text.as_str() {
            "name" => of = Some(name(value, read::text(value)?)?),
            "condition" => far = until(value)?,
            other => {
                let wrong = Wrong::of("", crate::flaw::Code::UnknownKey, "unknown key", remedy);
                return Err(Wrong { at: Some(key.at.clone()), ..wrong.of_key(other) });
            }
        }
    }
    let of = of.ok_or_else(|| Wrong::value(given, "has an entry without a `name`", remedy))?;
    Ok((of, far))
}

fn name(at: &Given, text: &str) -> Result<Name, Wrong> {
    Name::new(text).map_err(|flaw| Wrong::value(at, flaw.problem, ""))
}

/// The word, by itself or as the `condition` of a table.
fn until(given: &Given) -> Result<Until, Wrong> {
    let remedy = "write \"started\", \"ready\", \"healthy\" or \"completed\"";
    if let What::Table(entries) = &given.what {
        return match entries.as_slice() {
            [(key, value)] if key.text == "condition" => until(value),
            _ => Err(Wrong::value(given, "is no table of one `condition`", remedy)),
        };
    }
    let word = read::text(given)?;
    let known = Until::ALL.into_iter().find(|(known, _)| *known == word);
    let known = known.map(|(_, until)| until);
    known.ok_or_else(|| Wrong::value(given, "is nothing to wait for", remedy))
}

fn canary(given: &Given) -> Result<Canary, Wrong> {
    if let What::Text(text) | What::Flag(text) = &given.what
        && let Some(digits) = text.trim().strip_suffix('%')
    {
        let percent = digits.trim().parse().ok().filter(|percent| (1..=100).contains(percent));
        return percent
            .map(Canary::Percent)
            .ok_or_else(|| Wrong::value(given, "is not between 1% and 100%", ""));
    }
    let flag = match &given.what {
        What::Text(text) => Given { at: given.at.clone(), what: What::Flag(text.clone()) },
        What::Flag(_)
        | What::Int(..)
        | What::HugeInt
        | What::Float(_)
        | What::Bool(_)
        | What::Date
        | What::List(_)
        | What::Table(_) => given.clone(),
    };
    read::integer(&flag, 1, i64::from(u16::MAX))
        .map(|count| Canary::Count(u16::try_from(count).unwrap_or(1)))
}
