//! Commands that end things: an app's last descriptors, the daemon, everything.

use std::time::Duration;

use nexus_core::Event;
use nexus_keeper::Order;
use nexus_spec::Name;
use tokio::sync::oneshot;

use crate::command::Command;
use crate::daemon::{Course, Daemon};
use crate::facts::{Line, NOBODY};
use crate::held;

/// After an operation that ends the daemon: time for its answer to be fetched.
const LEAVE_AFTER: Duration = Duration::from_millis(100);

impl Daemon {
    /// One command of a client or of a thread of ours.
    pub(crate) fn command(&mut self, command: Command) {
        self.ask_keeper();
        match command {
            Command::Begin(begin, reply) => drop(reply.send(self.begin(begin))),
            Command::Breach(child, breach) => {
                // Who is ending decides nothing any more; the next nexusd measures anew.
                if self.course == Course::Serve && self.shutdown.is_none() {
                    self.turn(Event::Breach { child, breach }, NOBODY);
                }
            }
            Command::Loaded(app, from, to, used) => self.loaded(app, (from, to), used),
            Command::Detail(detail) => {
                self.answer(detail.op, detail.result);
                self.commit();
                self.publish();
            }
            Command::Diff(apply, reply) => drop(reply.send(self.diff(apply))),
            Command::Environment(asked, reply) => {
                let wearer = self.wearer(&asked.app, asked.instance, asked.reveal, &asked.by);
                let _ = reply.send(wearer);
            }
            Command::Events(after, reply) => {
                drop(reply.send(self.journal.after(after).cloned().collect()));
            }
            Command::Drained(app) => self.release(&app),
            Command::Flush(flushing, reply) => drop(reply.send(self.flush(&flushing))),
            Command::Leave(actor, reply) => {
                if let Some(actor) = actor {
                    let by = actor.to_string();
                    self.log_of(&actor, Line::new("operator", "daemon stop".into(), &by));
                }
                self.leave();
                let _ = reply.send(());
            }
            Command::LogRenewed(line) => self.log_renewed(line),
            Command::LogSlow(line) => {
                if let Err(error) = self.outputs.slow(&mut self.holdings, line) {
                    tracing::error!(%error, "a slow disk gets no pipe of its own");
                }
            }
            Command::Operation(key, reply) => {
                drop(reply.send(crate::requests::shown(self, &key)));
            }
            Command::Save(by, reply) => {
                drop(reply.send(self.save(&by)));
                self.publish();
            }
            Command::Refused(actor, what) => self.forbidden(&actor, what),
            Command::Send(sending, reply) => drop(reply.send(self.send_text(sending))),
            Command::Signal(signalling, reply) => drop(reply.send(self.signal(signalling))),
            Command::Found(found) => self.found(found),
            Command::Named(name, reply) => drop(reply.send(self.named(&name))),
            Command::Snapshot(reply) => drop(reply.send(self.snapshot().into())),
            Command::Watched { app, number, report } => self.watched(&app, number, report),
            Command::Targets(words, reply) => drop(reply.send(self.targets(&words))),
            Command::Upgrade(upgrading, reply) => drop(reply.send(self.upgrade(upgrading))),
        }
    }

    /// A forgotten app: when its last output is in its files, nothing of it is held any more.
    pub(crate) fn drain(&mut self, app: &Name) {
        let lines: std::collections::BTreeSet<held::Line> = self
            .holdings
            .of_app(app)
            .into_iter()
            .filter_map(|held| match held {
                held::Held::Pipe(_, line, ..) => Some(line),
                held::Held::Control
                | held::Held::Door(_)
                | held::Held::File(..)
                | held::Held::Journal(..)
                | held::Held::Stage(..)
                | held::Held::Hearer(_)
                | held::Held::Notify(_)
                | held::Held::Socket(..)
                | held::Held::Stdin(..)
                | held::Held::Template(..) => None,
            })
            .collect();
        let drained = std::sync::Arc::new(Drained { app: app.clone(), own: self.own.clone() });
        for line in lines {
            let drained = std::sync::Arc::clone(&drained);
            self.outputs.settle(app, line, Box::new(move || drop(drained)));
        }
    }

    /// Of an app that was forgotten just before a death something may still be held: a socket that
    /// nobody answers.
    pub(crate) fn release_forgotten(&mut self) {
        let alive = |app: &Name| self.notes.values().any(|note| note.app == *app);
        let forgotten: Vec<Name> = self
            .holdings
            .apps()
            .into_iter()
            .filter(|app| self.state.app(app.as_str()).is_none() && !alive(app))
            .collect();
        forgotten.iter().for_each(|app| self.release(app));
    }

    /// Close what is held for an app, unless it has come back meanwhile.
    fn release(&mut self, app: &Name) {
        if self.state.app(app.as_str()).is_some() {
            return;
        }
        self.outputs.forget(app);
        self.origins.remove(app);
        for held in self.holdings.of_app(app) {
            if let Err(error) = self.holdings.release(&held) {
                tracing::warn!(%error, "{held} cannot be released");
            }
        }
    }

    fn log_renewed(&mut self, line: nexus_log::LineId) {
        let merged =
            |app: &Name| self.state.app(app.as_str()).is_some_and(|app| app.spec().log.merge_logs);
        if let Err(error) = self.outputs.renewed(&mut self.holdings, line, merged) {
            tracing::error!(%error, "a new log file cannot be held");
        }
    }

    /// End the daemon, soon; the workers stay.
    pub(crate) fn leave_soon(&self) {
        let own = self.own.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LEAVE_AFTER).await;
            let (done, _) = oneshot::channel();
            // The loop is gone only when the process is.
            let _ = own.send(Command::Leave(None, done)).await;
        });
    }

    /// End the daemon; the workers stay.
    pub(crate) fn leave(&mut self) {
        if self.course == Course::Leaving {
            return;
        }
        self.log(Line::new("daemon_stop", "the daemon ends; workers stay".into(), NOBODY));
        tracing::info!("the daemon ends; workers stay");
        self.close_doors();
        self.order(&Order::Leave);
        self.course = Course::Leaving;
    }
}

/// Tells the loop, when the last pipe of an app has been emptied.
struct Drained {
    app: Name,
    own: tokio::sync::mpsc::Sender<Command>,
}

impl Drop for Drained {
    fn drop(&mut self) {
        let (app, own) = (self.app.clone(), self.own.clone());
        // A full queue means a busy loop: what is held stays held until the app comes back or the
        // daemon ends, which costs descriptors and loses nothing.
        if own.try_send(Command::Drained(app)).is_err() {
            tracing::warn!(app = %self.app, "its descriptors stay held");
        }
    }
}
