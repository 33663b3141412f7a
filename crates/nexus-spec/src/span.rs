//! Lengths of time, and how they are written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A length of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub u64);

/// The units that may be written, longest first, each with its length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Digits after the point that are read; more could only be finer than a millisecond.
const FRACTION_MAX: usize = 9;

impl Span {
    /// The longest time that may be written: ten years. Sums with a clock cannot overflow.
    pub const MAX: Span = Span(3_650 * 86_400_000);

    /// A length of time as users write it: `250ms`, `10s`, `1.5m`, `2h`, `1d`, or a bare number
    /// of milliseconds.
    ///
    /// # Errors
    /// A clause that says what is wrong: no number, no such unit, finer than a millisecond, or
    /// longer than [`Span::MAX`].
    pub fn parse(text: &str) -> Result<Span, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let scale = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, scale)) => *scale,
            None if unit.is_empty() => 1,
            None => return Err("is not a length of time".to_owned()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
            return Err("is not a length of time".to_owned());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > FRACTION_MAX {
            return Err("is finer than a millisecond".to_owned());
        }
        let whole: u64 = whole.parse().map_err(|_| too_long())?;
        let divisor = 10_u64.pow(fraction.len() as u32);
        let part = fraction.bytes().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        // At most 10^9 × 86,400,000: below u64::MAX.
        if !(part * scale).is_multiple_of(divisor) {
            return Err("is finer than a millisecond".to_owned());
        }
        whole
            .checked_mul(scale)
            .and_then(|ms| ms.checked_add(part * scale / divisor))
            .map(Span)
            .filter(|span| *span <= Span::MAX)
            .ok_or_else(too_long)
    }
}

fn too_long() -> String {
    "is longer than ten years".to_owned()
}

/// The shortest exact form: `1500ms` is `1.5s`, `90s` stays `90s`. It parses back to the same.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = UNITS
            .iter()
            .filter(|(_, scale)| self.0 >= *scale)
            .filter_map(|(unit, scale)| Some(format!("{}{unit}", decimal(self.0, *scale)?)))
            .min_by_key(String::len);
        f.pad(shortest.as_deref().unwrap_or("0s"))
    }
}

/// `value / scale` as an exact decimal of at most three digits after the point.
fn decimal(value: u64, scale: u64) -> Option<String> {
    let thousandths = u128::from(value % scale) * 1_000;
    if !thousandths.is_multiple_of(u128::from(scale)) {
        return None;
    }
    let (whole, part) = (value / scale, thousandths / u128::from(scale));
    if part == 0 {
        return Some(whole.to_string());
    }
    Some(format!("{whole}.{part:03}").trim_end_matches('0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_forms_and_their_milliseconds() {
        for (text, ms) in [
            ("0", 0),
            ("250", 250),
            ("250ms", 250),
            ("10s", 10_000),
            ("1.5s", 1_500),
            ("0.5s", 500),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0.001s", 1),
            ("1.500s", 1_500),
            (" 3 s ", 3_000),
            ("3650d", Span::MAX.0),
        ] {
            assert_eq!(Span::parse(text), Ok(Span(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time() {
        let wrong = [
            ("", "not a"),
            ("s", "not a"),
            ("-1s", "not a"),
            ("1.s", "not a"),
            (".5s", "not a"),
            ("1.2.3s", "not a"),
            ("10 parsecs", "not a"),
            ("1S", "not a"),
            ("1e3", "not a"),
            ("1m30s", "not a"),
            ("0.5ms", "finer"),
            ("0.0000000001d", "finer"),
            ("3651d", "longer"),
            ("99999999999999999999999d", "longer"),
            ("18446744073709551615d", "longer"),
        ];
        for (text, why) in wrong {
            let flaw = Span::parse(text).unwrap_err();
            assert!(flaw.contains(why), "{text}: {flaw}");
        }
    }

    #[test]
    fn the_shortest_exact_form_is_shown() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (100, "100ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (1_234, "1234ms"),
            (90_000, "90s"),
            (60_000, "1m"),
            (86_400_000, "1d"),
            (5_400_000, "90m"),
        ] {
            let shown = Span(ms).to_string();
            assert_eq!(Span::parse(&shown), Ok(Span(ms)));
            assert!(shown.len() <= text.len(), "{shown} for {ms}, longer than {text}");
        }
        assert_eq!(Span(1_500).to_string(), "1.5s");
        assert_eq!(Span(90_000).to_string(), "90s");
        assert_eq!(Span(100).to_string(), "100ms");
    }
}
