//! Settings of what happens at set times.

use toml::Value;

use super::{Setting, time};
use crate::cron::{Cron, Missed, Overlap};
use crate::given::{Given, What};
use crate::read;
use crate::span::Span;
use crate::wrong::Wrong;

pub(super) static ROWS: [Setting; 6] = [
    Setting::new(
        "cron_restart",
        "a cron expression such as \"0 3 * * *\", or 0 for none",
        "Restart the app at set times.",
        |options, given| {
            let never = matches!(given.what, What::Int(0, _));
            options.cron_restart = if never { None } else { cron(given)? };
            Ok(())
        },
        |app| app.cron_restart.as_ref().map(|cron| cron.as_str().into()),
    )
    .also(&["cron"]),
    Setting::new(
        "schedule",
        "a cron expression such as \"*/5 * * * *\"",
        "Makes the app a job: it runs at set times and is done when it exits.",
        |options, given| {
            options.schedule.cron = cron(given)?;
            Ok(())
        },
        |app| app.schedule.cron.as_ref().map(|cron| cron.as_str().into()),
    ),
    Setting::new(
        "timezone",
        "the name of a time zone, such as \"Europe/Berlin\" or \"UTC\"",
        "The time zone of `schedule` and `cron_restart`.",
        |options, given| {
            options.schedule.timezone = Some(zone(given)?);
            Ok(())
        },
        |app| app.schedule.timezone.as_deref().map(Value::from),
    )
    .default("the daemon's time zone")
    .also(&["time_zone", "tz"]),
    Setting::new(
        "overlap",
        "\"skip\", \"queue\" or \"replace\"",
        "What a run does that is due while the one before still runs.",
        |options, given| {
            options.schedule.overlap = match read::text(given)? {
                "skip" => Overlap::Skip,
                "queue" => Overlap::Queue,
                "replace" => Overlap::Replace,
                _ => return Err(Wrong::value(given, "is no rule for overlapping runs", "").into()),
            };
            Ok(())
        },
        |app| match app.schedule.overlap {
            Overlap::Skip => None,
            Overlap::Queue => Some("queue".into()),
            Overlap::Replace => Some("replace".into()),
        },
    )
    .default("skip"),
    Setting::new(
        "jitter",
        "a length of time",
        "Each run of `schedule` starts up to this much later.",
        |options, given| {
            options.schedule.jitter = read::span(given)?;
            Ok(())
        },
        |app| time(app.schedule.jitter, Span(0)),
    )
    .default("0s"),
    Setting::new(
        "missed",
        "\"skip\" or \"once\"",
        "What becomes of runs that were due while the daemon was not there.",
        |options, given| {
            options.schedule.missed = match read::text(given)? {
                "skip" => Missed::Skip,
                "once" => Missed::Once,
                _ => return Err(Wrong::value(given, "is no rule for missed runs", "").into()),
            };
            Ok(())
        },
        |app| match app.schedule.missed {
            Missed::Skip => None,
            Missed::Once => Some("once".into()),
        },
    )
    .default("skip"),
];

fn cron(given: &Given) -> Result<Option<Cron>, Wrong> {
    let remedy = "write minute, hour, day, month and weekday: \"30 3 * * MON-FRI\"";
    let text = read::text(given)?;
    if text.trim() == "0" {
        return Ok(None);
    }
    Cron::parse(text).map(Some).map_err(|clause| Wrong::value(given, clause, remedy))
}

/// Whether the machine has it is seen by the daemon.
fn zone(given: &Given) -> Result<String, Wrong> {
    let text = read::some_text(given)?;
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "/_+-".contains(c));
    match text.contains(odd) || text.starts_with('/') {
        true => Err(Wrong::value(given, "is no name of a time zone", "")),
        false => Ok(text.to_owned()),
    }
}
