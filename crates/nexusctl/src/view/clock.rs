//! Clock times of the daemon (RFC 3339, UTC) as the reader's clock shows them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `14:02:30`; with the day before it when it is not `today`'s (`generated_at` of the answer).
pub(crate) fn clock(at: &str, today: Option<&str>, zone: &TimeZone) -> String {
    let Ok(moment) = at.parse::<Timestamp>() else { return "-".to_owned() };
    let local = moment.to_zoned(zone.clone());
    let today = today.and_then(|text| text.parse::<Timestamp>().ok());
    let other_day = today.is_some_and(|now| now.to_zoned(zone.clone()).date() != local.date());
    let form = if other_day { "%m-%d %H:%M:%S" } else { "%H:%M:%S" };
    local.strftime(form).to_string()
}

/// `14:02:29.918` of a moment in milliseconds of Unix time.
pub(crate) fn clock_ms(unix_ms: i64, zone: &TimeZone) -> String {
    let Ok(moment) = Timestamp::from_millisecond(unix_ms) else { return "-".to_owned() };
    moment.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_day_is_named() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let at = "2026-11-23T23:30:00.250Z";
        assert_eq!(clock(at, Some("2026-11-24T08:00:00.000Z"), &zone), "00:30:00");
        assert_eq!(clock(at, Some("2026-11-25T08:00:00.000Z"), &zone), "11-24 00:30:00");
        assert_eq!(clock("yesterday", None, &zone), "-");
        assert_eq!(clock_ms(1_250, &zone), "01:00:01.250");
    }
}
