//! Ctrl-C while we wait: the watching ends, the work does not.

use nix::sys::signal::{SigSet, Signal};

use crate::exit::Exit;
use crate::out;

/// From now on, Ctrl-C says how to go on (and with `undo` how to go back) and ends this program
/// with 130. To be called before any other thread begins, so that all of them leave the signal to
/// the one that waits for it.
pub(crate) fn watch(key: &str, undo: bool) {
    let mut set = SigSet::empty();
    set.add(Signal::SIGINT);
    if set.thread_block().is_err() {
        // Then Ctrl-C ends us by default: the work goes on all the same, only without a word.
        return;
    }
    let text = format!(
        "\nstill running as operation {key}\n  help:  nexusctl wait --op {key}\n         \
         nexusctl events -f"
    );
    let text = if undo { format!("{text}\n         nexusctl abort {key}") } else { text };
    std::thread::spawn(move || {
        if set.wait().is_ok() {
            out::note(&text);
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    });
}
