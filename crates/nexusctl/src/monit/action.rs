//! What can be done to a row, and what is said before it is done.

use nexus_proto::AppView;

use super::fleet::Key;
use crate::human::{count, span};
use crate::text::plain;

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Restart,
    Reload,
    Start,
    Stop,
}

/// An action and what it is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// What.
    pub(super) action: Action,
    /// To what.
    pub(super) key: Key,
}

impl Action {
    /// All, with the letter of each.
    pub(super) const ALL: [(char, Action); 4] =
        [('r', Action::Restart), ('l', Action::Reload), ('s', Action::Start), ('t', Action::Stop)];

    /// The one of this letter.
    pub(super) fn of(letter: char) -> Option<Action> {
        Action::ALL.into_iter().find(|(known, _)| *known == letter).map(|(_, action)| action)
    }

    /// The verb of the control API.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Action::Restart => "restart",
            Action::Reload => "reload",
            Action::Start => "start",
            Action::Stop => "stop",
        }
    }

    /// What the menu says of it.
    pub(super) const fn summary(self) -> &'static str {
        match self {
            Action::Restart => "stop, then start again",
            Action::Reload => "replace one after another",
            Action::Start => "start what is down",
            Action::Stop => "stop; it stays known",
        }
    }

    /// While it is being done.
    pub(super) const fn doing(self) -> &'static str {
        match self {
            Action::Restart => "restarting",
            Action::Reload => "reloading",
            Action::Start => "starting",
            Action::Stop => "stopping",
        }
    }

    /// When it is done.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Action::Restart => "restarted",
            Action::Reload => "reloaded",
            Action::Start => "started",
            Action::Stop => "stopped",
        }
    }

    /// Whether less may serve while it is done, or after: then to cancel is the first choice.
    pub(super) fn loses(self, app: &AppView) -> bool {
        match self {
            Action::Restart | Action::Stop => true,
            // Two cannot run at once: each is stopped first.
            Action::Reload => app.listen.is_empty(),
            Action::Start => false,
        }
    }
}

impl Deed {
    /// `Stop api/2?`
    pub(super) fn question(&self) -> String {
        let verb = self.action.verb();
        let (first, rest) = verb.split_at(1);
        format!("{}{rest} {}?", first.to_uppercase(), self.key.target())
    }

    /// What will happen, in sentences.
    pub(super) fn consequences(&self, app: &AppView) -> Vec<String> {
        let up = app.instances.iter().filter(|one| self.is_meant(one.instance));
        let up = up.filter(|one| one.pid.is_some()).count() as u64;
        let end = format!(
            "{}, then SIGKILL after {}.",
            plain(&app.stop_signal),
            span(app.kill_timeout_ms)
        );
        let gets = match (up, self.key.instance) {
            (0, _) => "Nothing of it runs now.".to_owned(),
            (_, Some(_)) => format!("It gets {end}"),
            (1, None) => format!("1 instance gets {end}"),
            (up, None) => format!("{} get {end}", count(up, "instance")),
        };
        match self.action {
            Action::Restart => vec![gets, "Then it is started again, as it was.".to_owned()],
            Action::Stop => {
                let mut said = vec![gets, "It stays stopped until it is started.".to_owned()];
                if let (Some(first), None) = (app.listen.first(), self.key.instance) {
                    said.push(format!("Nobody serves {} meanwhile.", plain(first)));
                }
                said
            }
            Action::Reload => {
                let how = if app.listen.is_empty() {
                    "One after another is stopped and started anew: it has no socket to hand over."
                } else {
                    "One after another is replaced: a new one is ready before the old one goes."
                };
                vec![how.to_owned(), "When a new one fails, what was before serves on.".to_owned()]
            }
            Action::Start => {
                let down = app.instances.iter().filter(|one| self.is_meant(one.instance));
                let down = down.filter(|one| one.pid.is_none()).count() as u64;
                vec![match down {
                    0 => "All of it runs already.".to_owned(),
                    1 => "1 instance that is down is started.".to_owned(),
                    down => format!("{down} instances that are down are started."),
                }]
            }
        }
    }

    fn is_meant(&self, instance: u16) -> bool {
        self.key.instance.is_none_or(|only| only == instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture::{app, snapshot};
    use nexus_proto::Status;

    #[test]
    fn what_will_happen_is_said_before() {
        let all = snapshot();
        let api = &all.apps[0];
        let deed = |action, instance| Deed { action, key: Key { app: api.name.clone(), instance } };
        let stop = deed(Action::Stop, None);
        assert_eq!(stop.question(), "Stop api?");
        assert_eq!(
            stop.consequences(api),
            [
                "4 instances get SIGTERM, then SIGKILL after 10s.",
                "It stays stopped until it is started.",
                "Nobody serves tcp://127.0.0.1:4100 meanwhile."
            ]
        );
        let one = deed(Action::Restart, Some(2));
        assert_eq!(one.question(), "Restart api/2?");
        assert_eq!(one.consequences(api)[0], "It gets SIGTERM, then SIGKILL after 10s.");
        let reload = deed(Action::Reload, None);
        assert!(reload.consequences(api)[0].contains("ready before") && !Action::Reload.loses(api));
        let deaf = &all.apps[1];
        assert!(reload.consequences(deaf)[0].contains("no socket") && Action::Reload.loses(deaf));
        let down = app("api", 0, 2, Status::Stopped);
        let start = deed(Action::Start, None);
        assert_eq!(start.consequences(&down), ["2 instances that are down are started."]);
        assert_eq!(start.consequences(api), ["All of it runs already."]);
        assert_eq!(stop.consequences(&down)[0], "Nothing of it runs now.");
    }

    #[test]
    fn letters_are_unique() {
        for (letter, action) in Action::ALL {
            assert_eq!(Action::of(letter), Some(action));
        }
        assert_eq!(Action::of('x'), None);
    }
}
