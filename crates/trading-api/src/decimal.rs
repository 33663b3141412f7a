//! Exact decimal numbers: what the dataset writes is what an answer says, digit by digit.

use std::fmt;

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

/// A number with at most `PLACES` digits after the point, kept as an integer of that unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal<const PLACES: u32>(i64);

/// Dollars in micro-units, as traded.
pub(crate) type Price = Decimal<6>;

/// An adjusted close: dollars scaled by later splits and dividends. The dataset writes it with up
/// to 15 places, all of which fit up to 9,223 dollars.
pub(crate) type Adjusted = Decimal<15>;

/// Per cent, to four places.
pub(crate) type Percent = Decimal<4>;

impl<const PLACES: u32> Decimal<PLACES> {
    pub(crate) const fn from_units(units: i64) -> Self {
        Self(units)
    }

    pub(crate) const fn units(self) -> i64 {
        self.0
    }

    /// Reads `digits[.digits]`. `None`: it is written otherwise, has more places than fit, or is
    /// too large.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let written = u32::try_from(part.len()).ok()?;
        if !digits(whole) || !digits(part) || written > PLACES {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let part: i64 = part.parse().ok()?;
        let scaled = part.checked_mul(10_i64.pow(PLACES - written))?;
        whole.checked_mul(10_i64.pow(PLACES))?.checked_add(scaled).map(Self)
    }
}

impl<const PLACES: u32> fmt::Display for Decimal<PLACES> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(PLACES);
        let (whole, mut part) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(out, "{sign}{whole}")?;
        if part == 0 {
            return Ok(());
        }
        let mut width = PLACES as usize;
        while part.is_multiple_of(10) {
            part /= 10;
            width -= 1;
        }
        write!(out, ".{part:0width$}")
    }
}

/// A JSON number, not a string, and never by way of a float.
impl<const PLACES: u32> Serialize for Decimal<PLACES> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(to)
    }
}

/// `value × numerator ÷ denominator`, rounded half away from zero; `None` when the denominator is
/// 0 or the result does not fit.
pub(crate) fn ratio(value: i64, numerator: i64, denominator: i64) -> Option<i64> {
    if denominator == 0 {
        return None;
    }
    let product = i128::from(value) * i128::from(numerator);
    let divisor = i128::from(denominator);
    let half = divisor.abs() / 2;
    let away = if (product < 0) == (divisor < 0) { half } else { -half };
    let rounded = (product + if divisor < 0 { -away } else { away }) / divisor;
    i64::try_from(rounded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_written() {
        for text in ["0", "118.56", "0.000001", "806.85", "25.7501", "9223"] {
            assert_eq!(Price::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Price::parse("130.00").unwrap().to_string(), "130");
        assert_eq!(Adjusted::parse("24.6843424191").unwrap().to_string(), "24.6843424191");
        let json = serde_json::to_string(&[Price::parse("0.1").unwrap()]).unwrap();
        assert_eq!(json, "[0.1]");
        assert_eq!(Percent::from_units(-518_692).to_string(), "-51.8692");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", ".5", "5.", "-1", "+1", "1e3", "1.0000001", "nan", "99999999999999", "1,5"]
        {
            assert_eq!(Price::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_ratio_is_rounded_half_away_from_zero() {
        assert_eq!(ratio(1, 1, 2), Some(1));
        assert_eq!(ratio(-1, 1, 2), Some(-1));
        assert_eq!(ratio(1, -1, 2), Some(-1));
        assert_eq!(ratio(1, 1, -2), Some(-1));
        assert_eq!(ratio(-1, 1, -2), Some(1));
        assert_eq!(ratio(10, 1, 4), Some(3));
        assert_eq!(ratio(9, 1, 4), Some(2));
        assert_eq!(ratio(7, 0, 3), Some(0));
        assert_eq!(ratio(1, 1, 0), None);
        assert_eq!(ratio(i64::MAX, 2, 1), None);
    }
}
