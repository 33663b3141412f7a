//! What the log threads notice: for the daemon's log, and for the loop.

use nexus_log::{LineId, Note};
use tokio::sync::mpsc::Sender;

use crate::command::Command;

/// What a thread noticed, for the daemon's log; what is to be held, for the loop.
pub(super) fn noticed(own: &Sender<Command>, line: LineId, note: Note) {
    match note {
        Note::Renewed => {
            // A full queue: the old one stays held, until the next rotation.
            let _ = own.try_send(Command::LogRenewed(line));
        }
        Note::Lost => {
            tracing::warn!(line = line.0, "a log file was deleted or renamed; it is made anew");
        }
        Note::Refused(errno) => {
            let why = nix::errno::Errno::from_raw(errno).desc();
            tracing::error!(line = line.0, "a log file cannot be rotated or made anew: {why}");
        }
        Note::Stalled(errno) => {
            let why = nix::errno::Errno::from_raw(errno).desc();
            tracing::error!(line = line.0, "a log file takes no bytes: {why}; they wait");
        }
        Note::Dropping(errno) => {
            let why = nix::errno::Errno::from_raw(errno).desc();
            tracing::error!(line = line.0, "a log file takes no bytes: {why}; lines are left out");
        }
        Note::NoJournal(errno) => {
            tracing::error!(
                line = line.0,
                errno,
                "a journal cannot be read: lines go as they come"
            );
        }
        Note::Slow => {
            tracing::warn!(line = line.0, "the disk of a log file is slow");
            // A full queue: its writers may have to wait where no signal reaches them.
            let _ = own.try_send(Command::LogSlow(line));
        }
        Note::Healed => tracing::info!(line = line.0, "a log file takes bytes again"),
        Note::Truncated { from, to } => {
            tracing::warn!(line = line.0, from, to, "a log file was truncated by someone");
        }
        Note::NoSplice => tracing::warn!(
            line = line.0,
            "this file system knows no splice: a kill of nexusd may double some lines"
        ),
        Note::NoIndex(errno) => {
            tracing::warn!(line = line.0, errno, "an index cannot be written: lines have no time");
        }
        Note::Ended => {}
    }
}
