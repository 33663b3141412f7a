//! `instances` as a table: as many workers as their load asks for.

use toml::Value;

use super::time;
use crate::flaw::Code;
use crate::given::Given;
use crate::instances::{Autoscale, Instances};
use crate::read;
use crate::wrong::{Wrong, Wrongs};

/// What can be written.
const REMEDY: &str = "write `instances = { min = 2, max = 8, target_cpu = 70 }`";

/// Reads the table.
pub(super) fn read(given: &Given) -> Result<Autoscale, Wrongs> {
    let (mut min, mut max, mut target) = (1, None, None);
    let (mut up_after, mut down_after) = (Autoscale::UP_AFTER, Autoscale::DOWN_AFTER);
    let mut wrongs = Wrongs::default();
    for (key, value) in given.entries() {
        let count = || read::integer(value, 1, Instances::LIMIT.into());
        let small = |number: i64| u16::try_from(number).unwrap_or(1);
        let read = match key.text.as_str() {
            "min" => count().map(|number| min = small(number)),
            "max" => count().map(|number| max = Some(small(number))),
            "target_cpu" => read::integer(value, 1, Autoscale::TARGET_MAX.into())
                .map(|number| target = Some(small(number))),
            "up_after" => read::some_span(value).map(|span| up_after = span),
            "down_after" => read::some_span(value).map(|span| down_after = span),
            _ => Err(Wrong::of("", Code::UnknownKey, "unknown key", REMEDY)),
        };
        wrongs.keep(read.map_err(|wrong| {
            let at = wrong.at.clone().or_else(|| Some(key.at.clone()));
            Wrong { at, ..wrong.of_key(&key.text) }
        }));
    }
    let (Some(max), Some(target_cpu)) = (max, target) else {
        if wrongs.0.is_empty() {
            wrongs.0.push(Wrong::value(given, "has no `max`, or no `target_cpu`", REMEDY));
        }
        return Err(wrongs);
    };
    if min > max {
        wrongs.0.push(Wrong::value(given, "has a `min` above its `max`", REMEDY));
    }
    wrongs.unless(Autoscale { min, max, target_cpu, up_after, down_after })
}

/// As it is written.
pub(super) fn written(rule: &Autoscale) -> Value {
    let count = |number: u16| Some(i64::from(number).into());
    let entries = [
        ("min", count(rule.min)),
        ("max", count(rule.max)),
        ("target_cpu", count(rule.target_cpu)),
        ("up_after", time(rule.up_after, Autoscale::UP_AFTER)),
        ("down_after", time(rule.down_after, Autoscale::DOWN_AFTER)),
    ];
    let written = entries.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Table(written.collect())
}
