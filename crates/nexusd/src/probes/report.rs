//! Workers that nobody has to ask: they report how late their event loop is.

use std::time::Duration;

use nexus_spec::Span;
use tokio::time::Instant;

use super::spoken;

/// Reports of an event loop come once a second, as a rule: so long a silence says nothing yet.
pub(super) const SILENCE_MIN: Span = Span(5_000);

/// How late an event loop was, in ms, and when that was heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) lag: f64,
    pub(super) at: Instant,
}

/// What a worker has reported last of its event loop. One that does not report any more is too late
/// to say so.
pub(super) fn lateness(
    Report { lag, at }: Report,
    most: Span,
    silence: Span,
) -> Result<(), String> {
    let silent = at.elapsed();
    if silent > Duration::from_millis(silence.0) {
        return Err(format!("it has reported nothing for {}", spoken(silent)));
    }
    if lag > most.0 as f64 { Err(format!("it was {lag:.0}ms late")) } else { Ok(()) }
}
