//! Set times by the calendar: what a cron expression means in a time zone.
//!
//! Where clocks are put forward, a time that does not exist is due at the first moment after the
//! gap; where they are put back, a time that exists twice is due once (croner, by the rules of
//! Vixie's cron).

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use nexus_core::{Calendar, Chime, Wall};
use nexus_spec::{AppSpec, Cron, Name};

/// When something is due.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    cron: croner::Cron,
    zone: TimeZone,
}

impl Times {
    /// What an expression means in a zone (`None`: the daemon's own).
    ///
    /// # Errors
    /// What is wrong with it, in a clause.
    pub(crate) fn new(cron: &Cron, zone: Option<&str>) -> Result<Times, String> {
        let zone = match zone {
            None => TimeZone::system(),
            // Also where the machine has no list of zones.
            Some("UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                format!("`timezone`: this machine knows no `{name}`; is its tzdata installed?")
            })?,
        };
        let cron = croner::Cron::from_str(cron.as_str())
            .map_err(|error| format!("`{cron}` is not understood: {error}"))?;
        Ok(Times { cron, zone })
    }

    /// The first time strictly after this one, if there is any.
    pub(crate) fn next(&self, after: Wall) -> Option<Wall> {
        let after = i64::try_from(after.0).ok()?;
        let after = Timestamp::from_millisecond(after).ok()?.to_zoned(self.zone.clone());
        let next: Zoned = self.cron.find_next_occurrence(&after, false).ok()?;
        u64::try_from(next.timestamp().as_millisecond()).ok().map(Wall)
    }

    /// `2026-11-29 03:00:00 CET`.
    pub(crate) fn told(&self, at: Wall) -> String {
        let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let at = at.map(|at| at.to_zoned(self.zone.clone()));
        at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()).unwrap_or_default()
    }
}

/// The set times of all apps.
#[derive(Debug, Default)]
pub(crate) struct Agenda(pub(crate) BTreeMap<(Name, Chime), Times>);

impl Calendar for Agenda {
    fn next(&self, app: &Name, chime: Chime, after: Wall) -> Option<Wall> {
        self.0.get(&(app.clone(), chime))?.next(after)
    }
}

/// The expression of an app for this, if it has one.
pub(crate) fn cron(spec: &AppSpec, chime: Chime) -> Option<&Cron> {
    match chime {
        Chime::Restart => spec.cron_restart.as_ref().filter(|_| spec.schedule.cron.is_none()),
        Chime::Run => spec.schedule.cron.as_ref(),
    }
}

/// What of an app's set times cannot be.
pub(crate) fn flaw(spec: &AppSpec, now: Wall) -> Option<String> {
    [Chime::Restart, Chime::Run].into_iter().find_map(|chime| {
        let cron = cron(spec, chime)?;
        let times = match Times::new(cron, spec.schedule.timezone.as_deref()) {
            Ok(times) => times,
            Err(clause) => return Some(clause),
        };
        times.next(now).is_none().then(|| format!("`{cron}` never comes true"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next times after a moment in a zone, as they are told.
    fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let times = Times::new(&Cron::parse(cron).unwrap(), Some(zone)).unwrap();
        let after = after.parse::<Timestamp>().unwrap().as_millisecond();
        let mut at = Wall(u64::try_from(after).unwrap());
        let mut told = Vec::new();
        while told.len() < count
            && let Some(next) = times.next(at)
        {
            told.push(times.told(next));
            at = next;
        }
        told
    }

    #[test]
    fn a_zone_has_its_own_midnight() {
        let told = next("0 0 * * *", "America/New_York", "2026-06-01T00:00:00Z", 1);
        assert_eq!(told, ["2026-06-01 00:00:00 EDT"]);
        let told = next("*/30 * * * * *", "UTC", "2026-06-01T00:00:15.5Z", 2);
        assert_eq!(told, ["2026-06-01 00:00:30 UTC", "2026-06-01 00:01:00 UTC"]);
        let told = next("0 12 L * *", "UTC", "2028-02-01T00:00:00Z", 1);
        assert_eq!(told, ["2028-02-29 12:00:00 UTC"]);
    }

    #[test]
    fn where_clocks_are_put_forward_what_would_be_left_out_is_due_after() {
        let told = next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2);
        assert_eq!(told, ["2026-03-29 03:00:00 CEST", "2026-03-30 02:30:00 CEST"]);
        let told = next("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2);
        assert_eq!(told, ["2026-03-29 01:30:00 CET", "2026-03-29 03:30:00 CEST"]);
    }

    #[test]
    fn where_clocks_are_put_back_a_time_that_comes_twice_is_due_once() {
        let told = next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(told, ["2026-10-25 02:30:00 CEST", "2026-10-26 02:30:00 CET"]);
        let told = next("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4);
        assert_eq!(
            told,
            [
                "2026-10-25 02:00:00 CEST",
                "2026-10-25 02:00:00 CET",
                "2026-10-25 03:00:00 CET",
                "2026-10-25 04:00:00 CET"
            ]
        );
    }

    #[test]
    fn what_can_never_be_is_found() {
        assert_eq!(next("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", 1), [""; 0]);
        let zone = Times::new(&Cron::parse("@daily").unwrap(), Some("Mars/Base")).unwrap_err();
        assert!(zone.contains("knows no `Mars/Base`"), "{zone}");
    }
}
