//! What workers say of themselves.

use nexus_core::{Breach, ChildId, Event, Limit};
use nexus_keeper::Order;
use nexus_spec::{Ready, Span};
use nix::errno::Errno;

use crate::clock;
use crate::daemon::Daemon;
use crate::facts::NOBODY;
use crate::held::Held;
use crate::note::{Proof, Said};
use crate::notify::Word;

/// What a Node program's `process.send('ready')` comes as.
const NODE_READY: &str = "\"ready\"";
/// PM2's `process.send('shutdown')`.
const NODE_SHUTDOWN: &str = "\"shutdown\"\n";
/// A datagram without a byte is the end of a channel, to who reads it as a stream.
const NODE_DISCONNECT: &str = "";

/// What a worker of Node's `cluster` tells its primary when it listens.
fn is_listening(line: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Message {
        cmd: String,
        act: String,
    }
    serde_json::from_str(line)
        .is_ok_and(|said: Message| said.cmd == "NODE_CLUSTER" && said.act == "listening")
}

/// How late an event loop is, in ms, as a Node program reports it to PM2 (`axm:monitor`), by itself or
/// by `@pm2/io`: the 95th percentile where it has one.
fn lag_of(line: &str) -> Option<f64> {
    #[derive(serde::Deserialize)]
    struct Message {
        r#type: String,
        data: std::collections::HashMap<String, serde_json::Value>,
    }
    // Lines of other kinds are many, and need not be read.
    if !line.contains("axm:monitor") {
        return None;
    }
    let said: Message = serde_json::from_str(line).ok()?;
    let names = ["Event Loop Latency p95", "Event Loop Latency"];
    let metric = names.into_iter().find_map(|name| said.data.get(name))?;
    let value = metric.get("value").unwrap_or(metric);
    let lag = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    (said.r#type == "axm:monitor" && lag.is_finite()).then_some(lag)
}

impl Daemon {
    /// One thing that a child has said.
    pub(crate) fn heard(&mut self, child: ChildId, word: Word) {
        if self.shutdown.is_some() {
            // The core is not told any more: it would start what is due.
            if let Word::Extend(span) = word {
                self.shutdown_extends(child, clock::now() + span);
            }
            return;
        }
        match word {
            // As a rule it changes nothing that anybody could see: nobody is woken for it.
            Word::Alive => self.quiet_turn(Event::Alive { child }),
            Word::Trigger => {
                let (limit, lasted) = (Limit::Watchdog, Span(0));
                let breach = Breach { limit, measured: 0, allowed: 0, lasted };
                self.turn(Event::Breach { child, breach }, NOBODY);
            }
            Word::Extend(span) => {
                let until = clock::now() + span;
                self.says(child, |said| said.until = said.until.max(Some(until.0)));
                self.turn(Event::Extend { child, until }, NOBODY);
            }
            Word::Line(line) => self.line(child, &line),
            Word::Main(pid) => self.set_main(child, pid),
            Word::Ready => {
                self.says(child, |said| said.reloading = false);
                match self.ready_of(child) {
                    Some(Ready::Notify) => self.turn(Event::Ready { child }, NOBODY),
                    Some(Ready::Default) => self.proves(child, Proof::Notify),
                    Some(
                        Ready::Delay(_) | Ready::Fd | Ready::Ipc | Ready::Log(_) | Ready::Probe(_),
                    )
                    | None => {}
                }
            }
            Word::Reloading => self.says(child, |said| said.reloading = true),
            Word::Status(text) => {
                let status = Some(text).filter(|text| !text.is_empty());
                self.says(child, |said| said.status = status);
            }
            Word::Stopping => self.says(child, |said| said.stopping = true),
        }
    }

    /// A line on a descriptor of its own.
    fn line(&mut self, child: ChildId, line: &str) {
        if let Some(lag) = lag_of(line) {
            if self.probes.reported(child.0, lag) {
                self.says(child, |said| said.reports = true);
            }
            return;
        }
        match self.ready_of(child) {
            Some(Ready::Fd) => self.turn(Event::Ready { child }, NOBODY),
            Some(Ready::Ipc) if line == NODE_READY => self.turn(Event::Ready { child }, NOBODY),
            Some(Ready::Default) if line == NODE_READY => self.proves(child, Proof::Ipc),
            Some(Ready::Default) if is_listening(line) => self.proves(child, Proof::Listening),
            Some(
                Ready::Default
                | Ready::Delay(_)
                | Ready::Ipc
                | Ready::Log(_)
                | Ready::Notify
                | Ready::Probe(_),
            )
            | None => {}
        }
    }

    /// Something shows that a worker is ready that has no rule of its own.
    pub(crate) fn proves(&mut self, child: ChildId, proof: Proof) {
        if let Some(note) = self.notes.get_mut(&child.0) {
            note.proves(child.0, proof);
            self.turn(Event::Ready { child }, NOBODY);
        }
    }

    /// What has to happen before a child counts as ready.
    pub(crate) fn ready_of(&self, child: ChildId) -> Option<&Ready> {
        let note = self.notes.get(&child.0)?;
        Some(&self.state.app(note.app.as_str())?.spec_at(note.generation).ready)
    }

    /// What makes a child go. Who wants it is told by a message, the first time: the order then
    /// sends no signal, and what is left of the tree is killed when the main process has gone.
    pub(crate) fn farewell(&self, child: ChildId, signal: i32) -> Order {
        let note = self.notes.get(&child.0);
        let spec =
            note.and_then(|note| Some(self.state.app(note.app.as_str())?.spec_at(note.generation)));
        let stop = spec.map(|spec| spec.stop).unwrap_or_default();
        let is_told = note.is_some_and(|note| note.said(child.0).told.is_some());
        let message = if stop.disconnect { NODE_DISCONNECT } else { NODE_SHUTDOWN };
        if stop.message && !is_told && self.say(child, message) {
            return Order::Terminate { child: child.0, signal: 0, whole: false };
        }
        Order::Terminate { child: child.0, signal, whole: stop.tree }
    }

    /// Whether it has been said; a child that does not read is not waited for.
    fn say(&self, child: ChildId, text: &str) -> bool {
        let name = self.facts.notify.trim_start_matches('@');
        let notify = self.holdings.fd(&Held::Notify(name.to_owned()));
        let hearer = self.holdings.hearer().and_then(|(_, id)| self.holdings.link.held(id));
        let mut why = Errno::EPERM;
        for socket in hearer.into_iter().chain(notify) {
            match crate::notify::say(socket, name, child.0, text) {
                Ok(()) => return true,
                // It hears only the one that it speaks to: what that says is the reason.
                Err(errno) if why == Errno::EPERM => why = errno,
                Err(_) => {}
            }
        }
        tracing::info!(child = child.0, errno = %why, "cannot be told by a message");
        false
    }

    /// A child is told to go: a new daemon does not tell it again while it finishes what it has begun.
    pub(crate) fn told(&mut self, child: ChildId) {
        let now = clock::now().0;
        self.says(child, |said| said.told = said.told.or(Some(now)));
    }

    /// What a child says is kept with it, so that a new daemon knows it, too.
    fn says(&mut self, child: ChildId, change: impl FnOnce(&mut Said)) {
        let Some(note) = self.notes.get_mut(&child.0) else { return };
        let mut said = note.said(child.0);
        change(&mut said);
        if note.says(said) {
            let note = note.bytes();
            self.order(&Order::Note { child: child.0, note });
            self.publish();
        }
    }

    /// What a worker says of itself: its status, and what it is about.
    pub(crate) fn said(&self, child: Option<ChildId>) -> (Option<String>, &'static str) {
        let note = child.and_then(|child| Some((self.notes.get(&child.0)?, child)));
        let Some(Said { status, stopping, reloading, .. }) =
            note.map(|(note, child)| note.said(child.0))
        else {
            return (None, "");
        };
        let about = match (stopping, reloading) {
            (true, _) => "; it says that it is stopping",
            (false, true) => "; it says that it reads its configuration anew",
            (false, false) => "",
        };
        (status, about)
    }
}

#[cfg(test)]
mod tests {
    use super::lag_of;

    #[test]
    fn what_is_reported_of_an_event_loop_is_read() {
        let report = |data: &str| lag_of(&format!(r#"{{"type":"axm:monitor","data":{data}}}"#));
        let both = r#"{"Event Loop Latency":{"value":"0.4"},"Event Loop Latency p95":{"value":2}}"#;
        assert_eq!(report(both), Some(2.0));
        assert_eq!(report(r#"{"Event Loop Latency":{"value":"0.41","unit":"ms"}}"#), Some(0.41));
        assert_eq!(report(r#"{"Event Loop Latency":17}"#), Some(17.0));
        for none in ["{}", r#"{"Event Loop Latency":{"value":"NaN"}}"#, "[]", "7"] {
            assert_eq!(report(none), None, "{none}");
        }
        assert_eq!(lag_of(r#"{"type":"axm:action","data":{"Event Loop Latency":1}}"#), None);
        assert_eq!(lag_of(r#""ready""#), None);
    }
}
