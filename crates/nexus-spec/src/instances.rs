//! How many workers, as written.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// How many workers, as written; the daemon resolves it against its own CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// Exactly so many, at least 1.
    Count(u16),
    /// One per CPU that the daemon may use (affinity and cgroup quota respected).
    Max,
    /// One per CPU but so many; at least one remains.
    AllBut(u16),
    /// As many as their load asks for.
    Auto(Autoscale),
}

/// How many workers follow their load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Autoscale {
    /// `min`: at least so many; 1 at the least.
    pub min: u16,
    /// `max`: at most so many.
    pub max: u16,
    /// `target_cpu`: what each is to use on the average, in percent of one CPU.
    pub target_cpu: u16,
    /// `up_after`: more than that for so long, and there are more of them; default 5 s.
    pub up_after: Span,
    /// `down_after`: less for so long, and there is one fewer; default 1 m.
    pub down_after: Span,
}

impl Autoscale {
    /// `up_after`, where nothing is said.
    pub const UP_AFTER: Span = Span(5_000);
    /// `down_after`, where nothing is said.
    pub const DOWN_AFTER: Span = Span(60_000);

    /// The most that `target_cpu` may be, in percent of one CPU.
    pub const TARGET_MAX: u16 = 10_000;

    /// The number nearest to this one that it allows.
    pub fn allowed(&self, instances: u16) -> u16 {
        instances.clamp(self.min, self.max)
    }
}

/// A rule as somebody sends it.
#[derive(Deserialize)]
#[serde(rename = "Autoscale")]
struct Unchecked {
    min: u16,
    max: u16,
    target_cpu: u16,
    up_after: Span,
    down_after: Span,
}

impl TryFrom<Unchecked> for Autoscale {
    type Error = &'static str;

    fn try_from(rule: Unchecked) -> Result<Autoscale, &'static str> {
        let Unchecked { min, max, target_cpu, up_after, down_after } = rule;
        if min == 0 || min > max || max > Instances::LIMIT {
            return Err("`min` and `max` are no numbers of workers, from the fewest to the most");
        }
        if !(1..=Autoscale::TARGET_MAX).contains(&target_cpu) {
            return Err("`target_cpu` is no part of a CPU in percent");
        }
        Ok(Autoscale { min, max, target_cpu, up_after, down_after })
    }
}

impl Instances {
    /// The most workers that one app may ask for: what a keeper has room for.
    pub const LIMIT: u16 = 16_384;

    /// `max`, a count, or a negative number for "one per CPU but so many".
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Instances, String> {
        let text = text.trim();
        if text == "max" {
            return Ok(Instances::Max);
        }
        match text.parse::<i64>() {
            Ok(number) => Instances::from_number(number),
            Err(_) => Err("is not a number of workers".to_owned()),
        }
    }

    /// A count, or a negative number for "one per CPU but so many".
    ///
    /// # Errors
    /// A clause that says what is wrong: 0, or beyond [`Instances::LIMIT`].
    pub fn from_number(number: i64) -> Result<Instances, String> {
        let size = u16::try_from(number.unsigned_abs()).ok().filter(|size| *size <= Self::LIMIT);
        match size {
            Some(0) => Err("is not a number of workers".to_owned()),
            Some(size) if number < 0 => Ok(Instances::AllBut(size)),
            Some(size) => Ok(Instances::Count(size)),
            None => Err(format!("is beyond the limit of {} workers", Self::LIMIT)),
        }
    }
}

impl Default for Instances {
    fn default() -> Instances {
        Instances::Count(1)
    }
}

/// As [`Instances::parse`] reads it, but for those that follow their load. All but none is `max`.
impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instances::Count(count) => write!(f, "{count}"),
            Instances::Max | Instances::AllBut(0) => f.write_str("max"),
            Instances::AllBut(count) => write!(f, "-{count}"),
            Instances::Auto(rule) => write!(f, "{} to {}", rule.min, rule.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_cannot_be_followed_is_not_read() {
        let read = |min: u16, max: u16, target: u16| {
            serde_json::from_value::<Autoscale>(serde_json::json!({
                "min": min, "max": max, "target_cpu": target, "up_after": 0, "down_after": 0
            }))
        };
        assert_eq!(read(1, 4, 70).unwrap().max, 4);
        for (min, max, target) in
            [(0, 4, 70), (5, 4, 70), (1, 16_385, 70), (1, 4, 0), (1, 4, 10_001)]
        {
            assert!(read(min, max, target).is_err(), "{min} to {max}, {target} %");
        }
    }

    #[test]
    fn written_forms() {
        for (text, value) in [
            ("1", Instances::Count(1)),
            ("16384", Instances::Count(16_384)),
            ("max", Instances::Max),
            ("-2", Instances::AllBut(2)),
        ] {
            assert_eq!(Instances::parse(text), Ok(value));
            assert_eq!(value.to_string(), text);
        }
        for text in ["0", "-0", "16385", "-16385", "many", "", "1.5", "9223372036854775808"] {
            assert!(Instances::parse(text).is_err(), "{text}");
        }
        assert!(Instances::from_number(i64::MIN).is_err());
    }
}
