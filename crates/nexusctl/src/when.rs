//! Moments as they are typed: `5m`, `13:58`, `2026-11-23T13:58Z`.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span as Length, Timestamp, Zoned};
use nexus_spec::Span;

use crate::exit::Exit;
use crate::failure::Failure;

/// A moment in milliseconds of Unix time: so long ago; a time of today (of yesterday, when that is
/// not over yet); a date and time, local unless it names its zone.
///
/// # Errors
/// A text that is none of these.
pub(crate) fn parse(text: &str) -> Result<i64, Failure> {
    moment(text, &Zoned::now()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` is no time"))
            .help("write 5m, 13:58, 2026-11-23, or 2026-11-23T13:58Z")
    })
}

fn moment(text: &str, now: &Zoned) -> Option<i64> {
    // A bare number is a length of time elsewhere; here it could as well be an hour or a year.
    let bare = text.bytes().all(|byte| byte.is_ascii_digit());
    if let (false, Ok(ago)) = (bare, Span::parse(text)) {
        return now.timestamp().as_millisecond().checked_sub(i64::try_from(ago.0).ok()?);
    }
    if let Ok(moment) = with_seconds(text).parse::<Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let zone = now.time_zone();
    if text.contains(':')
        && !text.contains('-')
        && let Ok(time) = text.parse::<Time>()
    {
        let today = now.date().to_datetime(time);
        let moment = at(today, zone)?;
        return if moment <= now.timestamp() {
            Some(moment.as_millisecond())
        } else {
            let yesterday = today.checked_sub(Length::new().days(1)).ok()?;
            Some(at(yesterday, zone)?.as_millisecond())
        };
    }
    let date = text.parse::<DateTime>().ok().filter(|_| text.contains('-'))?;
    Some(at(date, zone)?.as_millisecond())
}

fn at(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    Some(time.to_zoned(zone.clone()).ok()?.timestamp())
}

/// `…T13:58Z` → `…T13:58:00Z`: seconds may be left out.
fn with_seconds(text: &str) -> String {
    match text.strip_suffix('Z') {
        Some(rest) if rest.matches(':').count() == 1 => format!("{rest}:00Z"),
        Some(_) | None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-23T14:00:00Z").to_zoned(zone);
        let table = [
            ("5m", "2026-11-23T13:55:00Z"),
            ("14:30", "2026-11-23T13:30:00Z"),
            ("16:30:15", "2026-11-22T15:30:15Z"),
            ("2026-11-23T13:58Z", "2026-11-23T13:58:00Z"),
            ("2026-11-23T13:58:01.5Z", "2026-11-23T13:58:01.500Z"),
            ("2026-11-23T13:58", "2026-11-23T12:58:00Z"),
            ("2026-11-23", "2026-11-22T23:00:00Z"),
        ];
        for (text, moment_of) in table {
            assert_eq!(moment(text, &now), Some(at(moment_of).as_millisecond()), "{text}");
        }
        for text in ["", "soon", "25:00", "7", "2026-13-01"] {
            assert_eq!(moment(text, &now), None, "{text}");
        }
    }
}
