//! Signals, taken by a thread of their own: the terminal must be put back before we end or stop.

use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use super::feed::{Event, Tell};
use super::model::Msg;
use super::screen;

/// Signals that we are asked to end by.
const ENDS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
/// How long the stage may take to end: a terminal that takes nothing may hold it up for ever.
const GRACE: Duration = Duration::from_secs(1);

/// From now on, all signals that matter come as events. To be called before any other thread
/// begins, so that all of them leave the signals to the one that waits for them.
///
/// # Errors
/// As `pthread_sigmask(3)`.
pub(super) fn watch(to: Tell) -> nix::Result<()> {
    let mut set = SigSet::empty();
    let others = [Signal::SIGINT, Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGWINCH];
    for signal in ENDS.into_iter().chain(others) {
        set.add(signal);
    }
    set.thread_block()?;
    std::thread::spawn(move || {
        while let Ok(signal) = set.wait() {
            take(signal, &to);
        }
    });
    Ok(())
}

#[allow(clippy::wildcard_enum_match_arm, reason = "only those of the set come")]
fn take(signal: Signal, to: &Tell) {
    let event = match signal {
        Signal::SIGWINCH => {
            let (width, height) = screen::size();
            Event::Input(Msg::Resize(width, height))
        }
        Signal::SIGINT => Event::Msg(Msg::Interrupt),
        Signal::SIGTSTP => Event::Msg(Msg::Suspend),
        Signal::SIGCONT => Event::Continued,
        signal => Event::End(signal),
    };
    // Not `send`: while the terminal takes nothing, the stage's inbox may be full.
    let _ = to.try_send(event);
    if ENDS.contains(&signal) || signal == Signal::SIGINT {
        std::thread::sleep(GRACE);
        screen::restore_at_once();
        die_by(signal);
    }
}

/// End by a signal, as if it had not been taken: who waits for us sees it.
pub(super) fn die_by(signal: Signal) {
    let mut set = SigSet::empty();
    set.add(signal);
    let _ = nix::sys::signal::raise(signal);
    let _ = set.thread_unblock();
}

/// Stop, as if Ctrl-Z had not been taken. Returns when we go on; at once when there is no shell
/// that could make us go on.
pub(super) fn stop() {
    let mut set = SigSet::empty();
    set.add(Signal::SIGTSTP);
    // To this thread alone: the one that waits for signals must not get it.
    if nix::sys::signal::raise(Signal::SIGTSTP).is_ok() {
        let _ = set.thread_unblock();
        let _ = set.thread_block();
    }
}
