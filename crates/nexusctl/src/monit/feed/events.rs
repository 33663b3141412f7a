//! What happened last, asked for whenever the fleet has changed.

use std::sync::mpsc::{Receiver, Sender, channel};

use nexus_proto::client::{Client, quote};
use nexus_spec::Name;

use super::super::model::Msg;
use super::{Tell, tell};

/// Events that are asked for: more than any screen has room for.
const LAST: usize = 40;

/// Ask whenever it is wished: for those of one app, or of all.
pub(in crate::monit) fn watch(client: Client, to: Tell) -> Sender<Option<Name>> {
    let (wish, wishes) = channel();
    std::thread::spawn(move || run(&client, &to, &wishes));
    wish
}

fn run(client: &Client, to: &Tell, wishes: &Receiver<Option<Name>>) {
    while let Ok(mut app) = wishes.recv() {
        // Of several wishes the last one counts.
        while let Ok(newer) = wishes.try_recv() {
            app = newer;
        }
        let of = app.as_ref().map(|app| format!("&app={}", quote(app.as_str())));
        // Without an answer the old ones stay: the fleet's feed tells what is wrong.
        let Ok(answer) = client.events(&format!("last={LAST}{}", of.unwrap_or_default())) else {
            continue;
        };
        if !tell(to, Msg::Events(answer.events)) {
            return;
        }
    }
}
