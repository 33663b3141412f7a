//! CPU and memory of the selected app, asked for as often as the daemon has a new point.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use nexus_proto::client::{Client, Failure};
use nexus_spec::Name;

use super::super::model::Msg;
use super::{Tell, tell};

/// How soon it is asked again, whatever the daemon's step is.
const SOONEST: Duration = Duration::from_secs(1);
/// How soon it is asked again when there was no answer.
const AGAIN: Duration = Duration::from_secs(2);

/// Ask from now on for the app that was sent last.
pub(in crate::monit) fn watch(client: Client, to: Tell) -> Sender<Name> {
    let (wish, wishes) = channel();
    std::thread::spawn(move || run(&client, &to, &wishes));
    wish
}

fn run(client: &Client, to: &Tell, wishes: &Receiver<Name>) {
    let Ok(mut app) = wishes.recv() else { return };
    loop {
        // Who runs down the table means the row where the run ends.
        while let Ok(newer) = wishes.try_recv() {
            app = newer;
        }
        let (answer, next) = match client.history(app.as_str()) {
            Ok(history) => {
                let step = Duration::from_millis(history.step_ms).max(SOONEST);
                (Some(Some(Box::new(history))), step)
            }
            Err(Failure::Problem(_)) => (Some(None), AGAIN),
            // The daemon is away: the old figures are better than none.
            Err(
                Failure::NoDaemon { .. }
                | Failure::NotPermitted { .. }
                | Failure::Lost { .. }
                | Failure::TimedOut
                | Failure::Protocol { .. },
            ) => (None, AGAIN),
        };
        if let Some(history) = answer
            && !tell(to, Msg::History(app.clone(), history))
        {
            return;
        }
        match wishes.recv_timeout(next) {
            Ok(newer) => app = newer,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
