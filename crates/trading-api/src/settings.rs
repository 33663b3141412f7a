//! The environment, read once and checked.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

/// Connections served at once unless `MAX_CONNECTIONS` says otherwise; more wait in the kernel's
/// queue, where other workers find them.
const CONNECTIONS_DEFAULT: usize = 4_096;
const CONNECTIONS_MAX: usize = 1_000_000;
/// Descriptors that are not connections: log pipes, listeners, the reactor, files of /proc.
const DESCRIPTORS_SPARE: usize = 32;
/// Longest duration that any setting takes.
const MILLISECONDS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// What the operator may decide.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where to listen when no socket was handed over: 127.0.0.1 and `PORT`.
    pub(crate) address: SocketAddr,
    /// `ENVIRONMENT`, else `NODE_ENV`; told by `/api/health` and otherwise without meaning.
    pub(crate) environment: String,
    /// Which worker of the app this is: `NEXUS_INSTANCE`, else `NODE_APP_INSTANCE`.
    pub(crate) instance: Option<u32>,
    pub(crate) log_level: LevelFilter,
    /// `ACCESS_LOG=off` leaves out the line per request.
    pub(crate) access_log: bool,
    pub(crate) limits: Limits,
}

/// Bounds on what clients can hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `MAX_CONNECTIONS`, at most what the open-file limit leaves.
    pub(crate) connections: usize,
    /// `HEADER_TIMEOUT_MS`: from the first byte of a request's head to its last.
    pub(crate) header: Duration,
    /// `IDLE_TIMEOUT_MS`: a connection without a request.
    pub(crate) idle: Duration,
    /// `DRAIN_WINDOW_MS`: how long, after a stop was asked for, idle connections stay open.
    pub(crate) drain_window: Duration,
    /// `DRAIN_TIMEOUT_MS`: after this, counted from the same instant, whoever is left is cut off.
    pub(crate) drain_timeout: Duration,
}

impl Settings {
    /// # Errors
    /// Every variable that makes no sense, one a line.
    pub(crate) fn from_env() -> Result<Self, String> {
        Self::read(|name| env::var(name).ok(), open_files())
    }

    fn read(
        variable: impl Fn(&str) -> Option<String>,
        open_files: Option<usize>,
    ) -> Result<Self, String> {
        let mut from = Reader { variable, flaws: Vec::new() };
        let port = from.number("PORT", 3_001_u16, 0..=u16::MAX);
        let free = open_files.map_or(usize::MAX, |all| all.saturating_sub(DESCRIPTORS_SPARE));
        let settings = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            environment: from
                .text("ENVIRONMENT")
                .or_else(|| from.text("NODE_ENV"))
                .unwrap_or_else(|| "development".to_owned()),
            instance: from
                .text("NEXUS_INSTANCE")
                .or_else(|| from.text("NODE_APP_INSTANCE"))
                .and_then(|number| number.parse().ok()),
            log_level: from.one_of(
                "LOG_LEVEL",
                LevelFilter::INFO,
                "off error warn info debug trace",
            ),
            access_log: from.switch("ACCESS_LOG", true),
            limits: Limits {
                connections: from
                    .number("MAX_CONNECTIONS", CONNECTIONS_DEFAULT, 1..=CONNECTIONS_MAX)
                    .min(free.max(1)),
                header: from.milliseconds("HEADER_TIMEOUT_MS", 10_000),
                idle: from.milliseconds("IDLE_TIMEOUT_MS", 75_000),
                drain_window: from.milliseconds("DRAIN_WINDOW_MS", 2_000),
                drain_timeout: from.milliseconds("DRAIN_TIMEOUT_MS", 8_000),
            },
        };
        if from.flaws.is_empty() { Ok(settings) } else { Err(from.flaws.join("\n")) }
    }
}

/// Reads variables and collects what is wrong, so that all of it is told at once.
struct Reader<F> {
    variable: F,
    flaws: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// Set but empty counts as not set, as in most shells' `${X:-}`.
    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn number<T>(&mut self, name: &str, default: T, allowed: std::ops::RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(written) = self.text(name) else { return default };
        match written.parse() {
            Ok(value) if allowed.contains(&value) => value,
            Ok(_) | Err(_) => {
                let (low, high) = (allowed.start(), allowed.end());
                self.flaws.push(format!("{name} is {written:?}; expected {low} to {high}"));
                default
            }
        }
    }

    fn milliseconds(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(name, default, 0..=MILLISECONDS_MAX))
    }

    fn one_of<T: FromStr>(&mut self, name: &str, default: T, words: &str) -> T {
        let Some(written) = self.text(name) else { return default };
        let lower = written.to_ascii_lowercase();
        match lower.parse() {
            Ok(value) if words.split(' ').any(|word| word == lower) => value,
            Ok(_) | Err(_) => {
                self.flaws.push(format!("{name} is {written:?}; expected one of: {words}"));
                default
            }
        }
    }

    fn switch(&mut self, name: &str, default: bool) -> bool {
        match self.text(name).as_deref() {
            None => default,
            Some("on" | "true" | "1") => true,
            Some("off" | "false" | "0") => false,
            Some(other) => {
                self.flaws.push(format!("{name} is {other:?}; expected on or off"));
                default
            }
        }
    }
}

/// The soft limit of open files; `None` when it is unlimited or cannot be read.
fn open_files() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&'static str, &'static str)]) -> Result<Settings, String> {
        let find = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(find, Some(1_024))
    }

    #[test]
    fn nothing_need_be_set() {
        let settings = with(&[("PORT", "")]).unwrap();
        assert_eq!(settings.address.to_string(), "127.0.0.1:3001");
        assert_eq!(settings.environment, "development");
        assert_eq!(settings.instance, None);
        assert!(settings.access_log);
        assert_eq!(settings.limits.connections, 1_024 - DESCRIPTORS_SPARE);
        assert_eq!(settings.limits.header, Duration::from_secs(10));
    }

    #[test]
    fn what_is_set_is_used() {
        let settings = with(&[
            ("LOG_LEVEL", "WARN"),
            ("ACCESS_LOG", "off"),
            ("NODE_ENV", "test"),
            ("NODE_APP_INSTANCE", "3"),
            ("MAX_CONNECTIONS", "7"),
            ("DRAIN_WINDOW_MS", "0"),
        ])
        .unwrap();
        assert_eq!(settings.log_level, LevelFilter::WARN);
        assert_eq!((settings.environment.as_str(), settings.instance), ("test", Some(3)));
        assert!(!settings.access_log);
        assert_eq!(settings.limits.connections, 7);
        assert_eq!(settings.limits.drain_window, Duration::ZERO);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let told = with(&[
            ("PORT", "70000"),
            ("LOG_LEVEL", "loud"),
            ("ACCESS_LOG", "maybe"),
            ("MAX_CONNECTIONS", "0"),
            ("DRAIN_WINDOW_MS", "2s"),
        ])
        .unwrap_err();
        assert_eq!(told.lines().count(), 5, "{told}");
        assert!(told.contains("PORT is \"70000\"; expected 0 to 65535"), "{told}");
    }

    #[test]
    fn the_kernel_tells_the_open_file_limit() {
        assert!(open_files().is_none_or(|files| files > DESCRIPTORS_SPARE));
    }
}
