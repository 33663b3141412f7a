//! How exits, failures and states are said.

use nexus_core::{Breach, Exit, Limit, Outcome, SpawnError, Time};
use nexus_proto::{AppResult, Verdict};
use nexus_spec::{Health, Name, Ready, Restart, Span, Until};
use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::note::Proof;
use crate::rolling;

/// `code 3`, `SIGKILL`, `SIGSEGV, core dumped`, `unknown`.
pub(crate) fn exit(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("code {code}"),
        Exit::Signal(number) => signal(number),
        Exit::Core(number) => format!("{}, core dumped", signal(number)),
        Exit::NeverReady => "never ready".into(),
        Exit::NotSpawned(error) => format!("not started: {}", errno(error)),
        Exit::OverLimit(Limit::Health) => "unhealthy".into(),
        Exit::OverLimit(Limit::Log) => "wrote what rollback_on.log looks for".into(),
        Exit::OverLimit(Limit::Memory) => "over its limit".into(),
        Exit::OverLimit(Limit::TrialMemory) => "over rollback_on.memory".into(),
        Exit::OverLimit(Limit::Watchdog) => "hung".into(),
        Exit::Unknown => "unknown".into(),
    }
}

/// `exited with code 3`, as the rest of a sentence that begins with the worker.
pub(crate) fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Core(_) | Exit::Signal(_) => format!("was ended by {}", self::exit(exit)),
        Exit::NeverReady => "was not ready in time".into(),
        Exit::NotSpawned(error) => format!("could not be started: {}", errno(error)),
        Exit::OverLimit(Limit::Health) => "was replaced because its health check failed".into(),
        Exit::OverLimit(Limit::Log) => "wrote a line that `rollback_on.log` looks for".into(),
        Exit::OverLimit(Limit::Memory) => "was replaced because it went beyond its limit".into(),
        Exit::OverLimit(Limit::TrialMemory) => {
            "used more memory than `rollback_on.memory` allows".into()
        }
        Exit::OverLimit(Limit::Watchdog) => {
            "was replaced because it did not say that it is alive".into()
        }
        Exit::Unknown => "is gone; how it ended is not known".into(),
    }
}

/// How a build ended.
pub(crate) fn build_ended(exit: Exit) -> String {
    match exit {
        Exit::NeverReady => "ran for longer than its `build_timeout`, and was ended".into(),
        Exit::Code(_)
        | Exit::Core(_)
        | Exit::NotSpawned(_)
        | Exit::OverLimit(_)
        | Exit::Signal(_)
        | Exit::Unknown => ended(exit),
    }
}

/// `its memory was 612.0 MiB, 512.0 MiB are allowed, for 5s`: what a worker went beyond.
pub(crate) fn breach(breach: Breach) -> String {
    let Breach { limit, measured, allowed, lasted } = breach;
    let figures = match limit {
        Limit::Health => match measured {
            1 => "its health check failed".to_owned(),
            times => format!("its health check failed {times} times in a row"),
        },
        Limit::Log => "it wrote a line that `rollback_on.log` looks for".to_owned(),
        Limit::Memory => {
            format!("its memory was {}, {} are allowed", mib(measured), mib(allowed))
        }
        Limit::TrialMemory => {
            let (measured, allowed) = (mib(measured), mib(allowed));
            format!("its memory was {measured}, `rollback_on.memory` allows {allowed}")
        }
        Limit::Watchdog if measured == 0 => "it asked for it by its watchdog".to_owned(),
        Limit::Watchdog => {
            let (silent, allowed) = (span(Span(measured)), span(Span(allowed)));
            return format!(
                "it has not said for {silent} that it is alive; it is to each {allowed}"
            );
        }
    };
    match lasted.0 {
        0 => figures,
        _ => format!("{figures}, for {}", span(lasted)),
    }
}

fn mib(bytes: u64) -> String {
    let tenths = bytes / (1024 * 1024 / 10);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// `SIGTERM`, or the number of one without a name.
pub(crate) fn signal(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

pub(crate) fn errno(error: SpawnError) -> &'static str {
    Errno::from_raw(error.errno()).desc()
}

/// `812ms`, `41s`, `3m 10s`, `2d 4h`.
pub(crate) fn span(span: Span) -> String {
    let ms = span.0;
    let (s, m, h, d) = (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match () {
        () if ms < 1_000 => format!("{ms}ms"),
        () if s < 60 && ms.is_multiple_of(1_000) => format!("{s}s"),
        () if s < 10 => format!("{}.{}s", s, ms % 1_000 / 100),
        () if s < 60 => format!("{s}s"),
        () if m < 60 && s % 60 == 0 => format!("{m}m"),
        () if m < 60 => format!("{m}m {}s", s % 60),
        () if h < 24 => format!("{h}h {}m", m % 60),
        () => format!("{d}d {}h", h % 24),
    }
}

/// `; next try in 100ms`, or `; given up`.
pub(crate) fn again(again_at: Option<Time>, now: Time) -> String {
    match again_at {
        Some(at) if at <= now => "; trying again".into(),
        Some(at) => format!("; next try in {}", span(at - now)),
        None => "; given up".into(),
    }
}

/// When a worker of a spec counts as ready.
pub(crate) fn ready_when(ready: &Ready, timeout: Span, passed: bool) -> String {
    match ready {
        // It has its socket from the beginning.
        Ready::Default if passed => "default (alive for 1s)".into(),
        Ready::Default => "default (listening, or alive for 1s)".into(),
        Ready::Delay(delay) => format!("delay:{}", span(*delay)),
        Ready::Fd | Ready::Ipc | Ready::Log(_) | Ready::Notify | Ready::Probe(_) => {
            format!("{ready} within {}", span(timeout))
        }
    }
}

/// `notify`, `listening on tcp://[::]:3000`: by what a worker counted as ready.
pub(crate) fn ready_by(ready: &Ready, proof: Option<&Proof>) -> Option<String> {
    Some(match (ready, proof) {
        (Ready::Default, None) => "alive for 1s".into(),
        (Ready::Default, Some(Proof::Ipc)) => Ready::Ipc.to_string(),
        (Ready::Default, Some(Proof::Listening)) => "listening, over its channel".into(),
        (Ready::Default, Some(Proof::Notify)) => Ready::Notify.to_string(),
        (Ready::Default, Some(Proof::Unknown)) => return None,
        (Ready::Default, Some(Proof::Socket(address))) => format!("listening on {address}"),
        (Ready::Delay(delay), _) => format!("alive for {}", span(*delay)),
        (Ready::Fd | Ready::Ipc | Ready::Log(_) | Ready::Notify | Ready::Probe(_), _) => {
            ready.to_string()
        }
    })
}

/// `http://127.0.0.1:3001/up each 10s; 3 failures in a row are too many`: a health check.
pub(crate) fn health(health: &Health) -> String {
    let times = match health.failures {
        1 => "a failure is".to_owned(),
        failures => format!("{failures} failures in a row are"),
    };
    format!("{} each {}; {times} too many", health.check.written(), span(health.interval))
}

/// What is said of a worker that is not well, besides its state.
pub(crate) fn ill(healthy: Option<bool>) -> &'static str {
    match healthy {
        Some(false) => "; its health check fails",
        Some(true) | None => "",
    }
}

/// The restart policy in a line.
pub(crate) fn restart_policy(rule: &Restart) -> String {
    if !rule.auto {
        return "never".into();
    }
    let waits = match (rule.backoff.min, rule.backoff.max) {
        (_, Span(0)) => "no backoff".to_owned(),
        (min, max) => format!("backoff {}..{}", span(min), span(max)),
    };
    format!("at most {} unstable exits in {}, {waits}", rule.max, span(rule.window))
}

fn spared(app: &Name, on: &Name) -> String {
    format!("`{app}` was left as it is: `{on}`, on which it depends, failed")
}

fn waits(app: &Name, on: &Name, until: Until, state: Option<&str>) -> String {
    let state = state.map(|state| format!(" ({state})")).unwrap_or_default();
    format!("`{app}` waits until `{on}` is {until}{state}; it starts by itself then")
}

/// An answer of the core as a client sees it. `excuse` is what we know beyond the errno of a
/// spawn that failed.
pub(crate) fn result(app: Name, outcome: &Outcome, now: Time, excuse: Option<&str>) -> AppResult {
    let (verdict, instance, message) = match outcome {
        Outcome::Done => (Verdict::Done, None, String::new()),
        Outcome::Aborted => (Verdict::Aborted, None, "it was aborted".to_owned()),
        Outcome::AlreadyRunning => (Verdict::AlreadyRunning, None, "already running".to_owned()),
        Outcome::BuildFailed { exit, old_serves } => {
            let how = excuse.map_or_else(|| build_ended(*exit), str::to_owned);
            (Verdict::BuildFailed, None, unbuilt(&app, &how, *old_serves))
        }
        Outcome::Busy { .. } => (
            Verdict::Busy,
            None,
            excuse.unwrap_or("another operation on it is under way").to_owned(),
        ),
        Outcome::CannotAbort => (
            Verdict::CannotAbort,
            None,
            format!("only a reload or a scaling of `{app}` can be aborted"),
        ),
        Outcome::Conflict => (
            Verdict::Conflict,
            None,
            format!("`{app}` runs with another configuration; nothing was changed"),
        ),
        Outcome::NotFound => (Verdict::NotFound, None, format!("no app named `{app}`")),
        Outcome::NoVersion => {
            (Verdict::Conflict, None, format!("`{app}` has had no such configuration"))
        }
        Outcome::RolledBack { failure, replaced, stuck } => {
            let state = (*replaced, *stuck);
            let message = rolling::message(&app, *failure, state, excuse);
            (Verdict::RolledBack, failure.map(|failure| failure.instance), message)
        }
        Outcome::Superseded => {
            (Verdict::Superseded, None, format!("a later request for `{app}` overtook this one"))
        }
        Outcome::Spared { on } => (Verdict::Spared, None, spared(&app, on)),
        Outcome::Waits { on, until } => (Verdict::Waits, None, waits(&app, on, *until, excuse)),
        Outcome::StartFailed { instance, exit, after, again_at, .. } => {
            let how = excuse.map_or_else(|| start_failed(*exit, *after), str::to_owned);
            let message = format!("{app}/{instance} {how}{}", again(*again_at, now));
            (Verdict::StartFailed, Some(*instance), message)
        }
    };
    let (old_serves, last_lines) = (old_serves(outcome), Vec::new());
    AppResult { app, instance, verdict, message, old_serves, last_lines, log: None }
}

/// Why it is not ready, as the rest of a sentence that begins with the worker.
fn start_failed(exit: Exit, after: Span) -> String {
    match exit {
        Exit::NotSpawned(_) => ended(exit),
        Exit::NeverReady => format!("was not ready after {}", span(after)),
        Exit::Code(_) | Exit::Core(_) | Exit::OverLimit(_) | Exit::Signal(_) | Exit::Unknown => {
            format!("{} after {}, before it was ready", ended(exit), span(after))
        }
    }
}

fn unbuilt(app: &Name, how: &str, old_serves: bool) -> String {
    let now = if old_serves { "what was before serves" } else { "nothing was changed" };
    format!("the build of `{app}` {how}; {now}")
}

fn old_serves(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::BuildFailed { old_serves: true, .. } | Outcome::RolledBack { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_at_most_two_units() {
        for (ms, text) in [
            (0, "0ms"),
            (812, "812ms"),
            (1_000, "1s"),
            (1_250, "1.2s"),
            (41_000, "41s"),
            (41_500, "41s"),
            (190_000, "3m 10s"),
            (900_000, "15m"),
            (33_120_000, "9h 12m"),
            (187_200_000, "2d 4h"),
        ] {
            assert_eq!(span(Span(ms)), text);
        }
    }
}
