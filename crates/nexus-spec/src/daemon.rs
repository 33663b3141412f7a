//! `[daemon]`: who may reach a daemon besides its owner and root, and what they may do there.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::difference::Difference;

/// The daemon's own settings. The default lets nobody in but its owner and root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonSpec {
    /// A group (name or number) that may reach the group's socket; its members are viewers where
    /// nothing else is said of them; default none.
    pub group: Option<String>,
    /// The group's socket, by an absolute path; default `nexus.sock` in the runtime directory.
    pub socket: Option<PathBuf>,
    /// Who may look.
    pub viewers: Vec<Member>,
    /// Who may start, stop and signal what is known as well.
    pub operators: Vec<Member>,
    /// Who may do everything: run any program as the daemon's user as well.
    pub admins: Vec<Member>,
}

/// What somebody may do. Each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look: listings, logs, events, metrics.
    Viewer,
    /// Start, stop, restart, reload, scale and signal what is known.
    Operator,
    /// Everything.
    Admin,
}

/// A user, or all members of a group; by name or number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Member {
    /// `alice`, `1000`.
    User(String),
    /// `group:support`, `group:2000`.
    Group(String),
}

/// What stands before the name of a group.
pub(crate) const GROUP: &str = "group:";

impl DaemonSpec {
    /// The members of a role, and the setting that lists them.
    pub fn roles(&self) -> [(Role, &[Member]); 3] {
        [
            (Role::Viewer, &self.viewers),
            (Role::Operator, &self.operators),
            (Role::Admin, &self.admins),
        ]
    }

    /// What differs in `new`, by the name of the setting; none when it is the same.
    pub fn differences(&self, new: &DaemonSpec) -> Vec<Difference> {
        let (before, after) = (self.written(), new.written());
        let differing = before.into_iter().zip(after).filter(|(old, new)| old != new);
        let told = differing.map(|((setting, old), (_, new))| Difference {
            setting: setting.to_owned(),
            old,
            new,
        });
        told.collect()
    }

    /// Each setting as it would be written in TOML; `None` = the default.
    fn written(&self) -> [(&'static str, Option<String>); 5] {
        let text = |text: &dyn fmt::Display| toml::Value::from(text.to_string());
        let list = |members: &[Member]| {
            let items = members.iter().map(|member| text(member)).collect();
            (!members.is_empty()).then(|| toml::Value::Array(items).to_string())
        };
        [
            ("group", self.group.as_ref().map(|group| text(group).to_string())),
            ("socket", self.socket.as_ref().map(|path| text(&path.display()).to_string())),
            (Role::Viewer.setting(), list(&self.viewers)),
            (Role::Operator.setting(), list(&self.operators)),
            (Role::Admin.setting(), list(&self.admins)),
        ]
    }
}

impl Role {
    /// The setting that lists who has it.
    pub fn setting(self) -> &'static str {
        match self {
            Role::Viewer => "viewers",
            Role::Operator => "operators",
            Role::Admin => "admins",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        })
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Member::User(name) => f.write_str(name),
            Member::Group(name) => write!(f, "{GROUP}{name}"),
        }
    }
}

impl From<String> for Member {
    fn from(text: String) -> Member {
        match text.strip_prefix(GROUP) {
            Some(group) => Member::Group(group.to_owned()),
            None => Member::User(text),
        }
    }
}

impl From<Member> for String {
    fn from(member: Member) -> String {
        member.to_string()
    }
}
