//! A calendar day, written as RFC 3339 writes it.

use std::fmt;

use serde::{Serialize, Serializer};

/// A day that exists, between the years 0001 and 9999. Orders as the calendar does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(u32);

impl Day {
    /// Reads `YYYY-MM-DD` and nothing looser; `None` also for days that do not exist.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |from: usize, to: usize| {
            let digits = &bytes[from..to];
            digits.iter().all(u8::is_ascii_digit).then(|| {
                digits.iter().fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'))
            })
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        (year >= 1 && (1..=days_in(year, month)).contains(&day))
            .then_some(Self(year * 10_000 + month * 100 + day))
    }
}

/// 0 for a month that does not exist.
fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_that_exist_in_only_one_spelling() {
        for text in ["2000-02-29", "2013-03-01", "0001-01-01", "9999-12-31"] {
            assert_eq!(Day::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "2001-02-29",
            "1900-02-29",
            "2000-13-01",
            "2000-00-10",
            "2000-01-00",
            "2000-1-01",
            "20000101",
            "0000-01-01",
            "2000-01-01T00:00:00Z",
            "2000/01/01",
            "+200-01-01",
            "２０００-1",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_order_as_the_calendar_does() {
        assert!(Day::parse("1999-12-31") < Day::parse("2000-01-01"));
        assert!(Day::parse("2000-01-31") < Day::parse("2000-02-01"));
    }
}
