//! Amounts of memory and of disk, and how they are written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Size(pub u64);

/// The letters that may be written, largest first, each with its number of bytes. All are powers
/// of 1,024, `MB` as well as `MiB`: so PM2 reads its `M`, and limits of memory are never meant
/// otherwise.
const UNITS: [(char, u64); 4] = [('T', 1 << 40), ('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

impl Size {
    /// The largest amount that may be written: 2^53 bytes, which every reader of JSON can hold.
    pub const MAX: Size = Size(1 << 53);

    /// An amount as users write it: `512M`, `1.5G`, `64KiB`, `100MB`, or a bare number of bytes.
    ///
    /// # Errors
    /// A clause that says what is wrong: no number, no such unit, or more than [`Size::MAX`].
    pub fn parse(text: &str) -> Result<Size, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let scale = scale(unit.trim_start()).ok_or_else(no_size)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // Nine digits of a fraction are finer than a byte of a gigabyte.
        let digits =
            |text: &str, most| text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || fraction.is_empty() || !digits(fraction, 9) {
            return Err(no_size());
        }
        let whole: u64 = whole.parse().map_err(|_| too_much())?;
        let part = fraction.bytes().fold(0_u128, |sum, b| sum * 10 + u128::from(b - b'0'));
        let part = part * u128::from(scale) / 10_u128.pow(fraction.len() as u32);
        let bytes = u128::from(whole) * u128::from(scale) + part;
        u64::try_from(bytes).ok().map(Size).filter(|size| *size <= Size::MAX).ok_or_else(too_much)
    }
}

/// `""`, `B`, `K`, `KB`, `KiB`, in any case.
fn scale(unit: &str) -> Option<u64> {
    let upper = unit.to_ascii_uppercase();
    let mut letters = upper.chars();
    let Some(first) = letters.next() else { return Some(1) };
    let rest = letters.as_str();
    match UNITS.iter().find(|(letter, _)| *letter == first) {
        Some((_, scale)) if matches!(rest, "" | "B" | "IB") => Some(*scale),
        None if first == 'B' && rest.is_empty() => Some(1),
        Some(_) | None => None,
    }
}

fn no_size() -> String {
    "is not an amount of bytes".to_owned()
}

fn too_much() -> String {
    "is more than 8192 T".to_owned()
}

/// The largest unit that is exact: 1,536 bytes are `1536`, 2,048 are `2K`. It parses back to the
/// same.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, scale): &&(char, u64)| self.0 > 0 && self.0.is_multiple_of(*scale);
        match UNITS.iter().find(exact) {
            Some((letter, scale)) => f.pad(&format!("{}{letter}", self.0 / scale)),
            None => f.pad(&self.0.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_forms_and_their_bytes() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1_024),
            ("1K", 1_024),
            ("1k", 1_024),
            ("1KB", 1_024),
            ("1KiB", 1_024),
            ("100MB", 100 << 20),
            ("100m", 100 << 20),
            ("1.5G", 3 << 29),
            ("0.1K", 102),
            (" 2 G ", 2 << 30),
            ("12b", 12),
            ("8192T", Size::MAX.0),
        ] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount() {
        for (text, why) in [
            ("", "not an"),
            ("M", "not an"),
            ("-1M", "not an"),
            ("1.M", "not an"),
            ("1.2.3M", "not an"),
            ("1Mo", "not an"),
            ("10 elephants", "not an"),
            ("1e3", "not an"),
            ("8193T", "more"),
            ("99999999999999999999", "more"),
        ] {
            let flaw = Size::parse(text).unwrap_err();
            assert!(flaw.contains(why), "{text}: {flaw}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [0, 1, 1_023, 1_024, 1_536, 1 << 20, (1 << 20) + 1, 3 << 29, Size::MAX.0] {
            assert_eq!(Size::parse(&Size(bytes).to_string()), Ok(Size(bytes)));
        }
        assert_eq!(Size(300 << 20).to_string(), "300M");
    }
}
