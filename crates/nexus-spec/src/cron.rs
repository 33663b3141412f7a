//! Set times: what is written, and jobs that run at them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// A cron expression that can come true: five fields, or six with seconds first, or a nickname
/// such as `@daily`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron(String);

/// A one-shot job that runs at set times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// `schedule`: when the job runs; default never: the app is no job.
    pub cron: Option<Cron>,
    /// `timezone`, of `cron_restart` as well: a name of the time zone database; default the
    /// daemon's.
    pub timezone: Option<String>,
    /// `overlap`; default skip.
    pub overlap: Overlap,
    /// `jitter`: each run starts up to this much later; default 0.
    pub jitter: Span,
    /// `missed`; default skip.
    pub missed: Missed,
}

/// What happens when a run is due and the one before still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The new run is left out.
    #[default]
    Skip,
    /// The new run begins when the other has ended; at most one waits.
    Queue,
    /// The other run is stopped.
    Replace,
}

/// What happens to runs that were due while the daemon was not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are left out.
    #[default]
    Skip,
    /// However many they are, one run makes up for them.
    Once,
}

/// A field: its name, its lowest and highest number, and words for its numbers from the lowest.
struct Field {
    name: &'static str,
    range: std::ops::RangeInclusive<u32>,
    words: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", range: 0..=59, words: &[] };
const FIELDS: [Field; 5] = [
    Field { name: "minute", range: 0..=59, words: &[] },
    Field { name: "hour", range: 0..=23, words: &[] },
    Field { name: "day of the month", range: 1..=31, words: &[] },
    Field {
        name: "month",
        range: 1..=12,
        words: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    },
    Field {
        name: "day of the week",
        range: 0..=7,
        words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

const NICKNAMES: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// The longest expression, in bytes.
const TEXT_MAX: usize = 256;

impl Cron {
    /// An expression as users write it.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Cron, String> {
        let text = text.trim();
        if text.len() > TEXT_MAX {
            return Err(format!("is longer than {TEXT_MAX} bytes"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        if let [nickname] = fields.as_slice()
            && NICKNAMES.iter().any(|known| known.eq_ignore_ascii_case(nickname))
        {
            return Ok(Cron(nickname.to_ascii_lowercase()));
        }
        let rules: Vec<&Field> = match fields.len() {
            5 => FIELDS.iter().collect(),
            6 => std::iter::once(&SECOND).chain(&FIELDS).collect(),
            count => return Err(format!("has {count} fields; a cron expression has 5 or 6")),
        };
        for (rule, written) in rules.into_iter().zip(&fields) {
            rule.check(written)?;
        }
        Ok(Cron(fields.join(" ")))
    }

    /// The expression, its fields a space apart.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Field {
    fn check(&self, written: &str) -> Result<(), String> {
        written.split(',').try_for_each(|item| self.item(item))
    }

    /// `*`, `?`, `7`, `1-5`, `*/10`, `1-30/2`, `MON`; of days also `L`, `15W`, `5L` and `MON#2`.
    fn item(&self, item: &str) -> Result<(), String> {
        let bad = || format!("has `{item}` as its {}", self.name);
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        if let Some(step) = step {
            let step: u32 = step.parse().map_err(|_| bad())?;
            if step == 0 || step > *self.range.end() {
                return Err(bad());
            }
        }
        match range.split_once('-') {
            Some((low, high)) => {
                let (low, high) =
                    (self.number(low).ok_or_else(bad)?, self.number(high).ok_or_else(bad)?);
                if low > high { Err(bad()) } else { Ok(()) }
            }
            None if matches!(range, "*" | "?") => Ok(()),
            None if self.number(range).is_some() || (step.is_none() && self.special(range)) => {
                Ok(())
            }
            None => Err(bad()),
        }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let word = word.and_then(|at| u32::try_from(at).ok()).map(|at| at + self.range.start());
        let digits = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
        word.or_else(|| digits().flatten()).filter(|number| self.range.contains(number))
    }

    fn special(&self, text: &str) -> bool {
        let upper = text.to_ascii_uppercase();
        let number = |text: &str| self.number(text).is_some();
        match self.name {
            "day of the month" => {
                matches!(&*upper, "L" | "LW") || upper.strip_suffix('W').is_some_and(number)
            }
            "day of the week" => {
                let nth = |(day, nth): (&str, &str)| {
                    number(day) && matches!(nth, "1" | "2" | "3" | "4" | "5" | "L")
                };
                upper.strip_suffix('L').is_some_and(number)
                    || upper.split_once('#').is_some_and(nth)
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Cron {
    type Error = String;

    fn try_from(text: String) -> Result<Cron, String> {
        Cron::parse(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> String {
        cron.0
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_written() {
        for text in [
            "* * * * *",
            "*/5 0-23/2 1,15 JAN-mar 1-5",
            "0 30 4 ? * MON",
            "0 0 L * *",
            "0 0 15W * *",
            "0 0 * * 5L",
            "0 0 * * fri#2",
            "0 0 * * 7",
            "@daily",
        ] {
            assert_eq!(Cron::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(Cron::parse(" 0  0 * *\t* ").unwrap().as_str(), "0 0 * * *");
    }

    #[test]
    fn what_can_never_come_true() {
        for (text, why) in [
            ("", "0 fields"),
            ("* * *", "3 fields"),
            ("* * * * * * *", "7 fields"),
            ("60 * * * *", "`60` as its minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "day of the week"),
            ("5-1 * * * *", "`5-1`"),
            ("*/0 * * * *", "`*/0`"),
            ("+1 * * * *", "`+1`"),
            ("1, * * * *", "``"),
            ("L * * * *", "`L`"),
            ("* * * * MON#6", "MON#6"),
            ("@never", "1 fields"),
        ] {
            let flaw = Cron::parse(text).unwrap_err();
            assert!(flaw.contains(why), "{text}: {flaw}");
        }
    }
}
