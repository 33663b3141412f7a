//! Log lines: one JSON object each, on stdout.

use std::io;

use tracing::level_filters::LevelFilter;

/// From now on events of at least `level` are written.
///
/// # Errors
/// A subscriber has been set before.
pub(crate) fn start(level: LevelFilter) -> io::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(level)
        .try_init()
        .map_err(io::Error::other)
}
