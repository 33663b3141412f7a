//! Numbers as JSON5 and YAML write them.

use crate::given::What;

/// The value of a number, if `text` is one: decimal, `0x`, `0o`, `0b`, with a sign, a point and an
/// exponent. `Infinity` and `NaN` are left to the caller.
pub(super) fn number(text: &str) -> Option<What> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    for (prefixes, base) in [(["0x", "0X"], 16), (["0o", "0O"], 8), (["0b", "0B"], 2)] {
        let Some(digits) = prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix)) else {
            continue;
        };
        let whole = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
        return whole.then(|| match i64::from_str_radix(digits, base) {
            Ok(value) => What::Int(if negative { -value } else { value }, base),
            Err(_) => What::HugeInt,
        });
    }
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at)?, digits.get(at + 1..)),
        None => (digits, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let exponent_is_right =
        exponent.is_none_or(|text| !unsigned(text).is_empty() && all_digits(&unsigned(text)));
    if (whole.is_empty() && fraction.is_empty())
        || !(all_digits(whole) && all_digits(fraction) && exponent_is_right)
    {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    if mantissa.contains('.') || exponent.is_some() {
        let exponent = exponent.unwrap_or("0");
        let value: f64 = format!("{sign}0{whole}.{fraction}0e{exponent}").parse().ok()?;
        // JavaScript has no integers: 1e3 and 1000.0 are 1000.
        let exact = value.fract() == 0.0 && value.abs() < 9e15;
        return Some(if exact { What::Int(value as i64, 10) } else { What::Float(value) });
    }
    Some(format!("{sign}{whole}").parse().map_or(What::HugeInt, |value| What::Int(value, 10)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_numbers() {
        for (text, value) in [
            ("0", 0),
            ("-12", -12),
            ("+7", 7),
            ("0x1F", 31),
            ("-0o17", -15),
            ("0b101", 5),
            ("1e3", 1000),
            ("1000.0", 1000),
            ("1.", 1),
        ] {
            assert!(matches!(number(text), Some(What::Int(read, _)) if read == value), "{text}");
        }
        for (text, value) in [("1.5", 1.5), (".5", 0.5), ("-2.5e-1", -0.25), ("1e300", 1e300)] {
            assert!(matches!(number(text), Some(What::Float(read)) if read == value), "{text}");
        }
        assert!(matches!(number("99999999999999999999"), Some(What::HugeInt)));
        for text in
            ["", "-", ".", "1.2.3", "0x", "0xg", "1e", "e1", "1e+", "0x-1", "--1", "1a", "é"]
        {
            assert!(number(text).is_none(), "{text}");
        }
    }
}
