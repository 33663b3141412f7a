//! Where messages come from: each feed is a thread that waits for something and tells it.

pub(super) mod act;
pub(super) mod events;
pub(super) mod fleet;
pub(super) mod history;
pub(super) mod input;
pub(super) mod log;

use std::sync::mpsc::SyncSender;

use nix::sys::signal::Signal;

use super::model::Msg;

/// What comes to the stage.
#[derive(Debug)]
pub(super) enum Event {
    /// For the model.
    Msg(Msg),
    /// A key, or text that was pasted: its effect is to be seen at once.
    Input(Msg),
    /// We have been stopped and go on: the terminal may be in any state.
    Continued,
    /// The terminal has gone.
    Hangup,
    /// We are asked to end by this signal.
    End(Signal),
}

/// To the stage. Bounded: a terminal that takes nothing holds up the feeds, and nothing piles up.
pub(super) type Tell = SyncSender<Event>;

/// Tell the model. False = nobody listens any more.
pub(super) fn tell(to: &Tell, msg: Msg) -> bool {
    to.send(Event::Msg(msg)).is_ok()
}
