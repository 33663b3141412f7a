//! The machine's clocks: one that only moves forward, for decisions; one for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_core::Time;
use nix::time::{ClockId, clock_gettime};

/// Now, on the clock that decisions are made by (`CLOCK_BOOTTIME`).
pub(crate) fn now() -> Time {
    Time(millis(ClockId::CLOCK_BOOTTIME))
}

/// Now, in milliseconds of Unix time: to be shown, never to be decided by.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The Unix time at which the boot clock showed `at`, by today's difference between the two.
pub(crate) fn unix_ms_of(at: Time) -> u64 {
    unix_ms().saturating_sub(now().0.saturating_sub(at.0))
}

/// A moment of the boot clock for tokio's timers.
pub(crate) fn instant_of(at: Time) -> tokio::time::Instant {
    let wait = at.0.saturating_sub(now().0);
    tokio::time::Instant::now() + Duration::from_millis(wait)
}

fn millis(clock: ClockId) -> u64 {
    // Both clocks exist on every kernel that we run on; a failure would be a bug of ours.
    clock_gettime(clock)
        .map_or(0, |now| (now.tv_sec() as u64) * 1_000 + (now.tv_nsec() as u64) / 1_000_000)
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(unix_ms: u64) -> String {
    let (days, of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil(days as i64);
    let (seconds, ms) = (of_day / 1_000, of_day % 1_000);
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

/// The date that is `days` after 1970-01-01 in the Gregorian calendar: years are counted from
/// March, so that the leap day is the last of its year, in cycles of 400 years.
fn civil(days: i64) -> (i64, u64, u64) {
    let from_0000_03_01 = days + 719_468;
    let cycle = from_0000_03_01.div_euclid(146_097);
    let of_cycle = from_0000_03_01.rem_euclid(146_097) as u64;
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year as i64 + cycle * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Comes after this long, if at all.
pub(crate) async fn pause(after: Option<std::time::Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
