//! Declarative changes: what differs between a project file and what runs.

use nexus_spec::Name;
use serde::{Deserialize, Serialize};

use crate::op::Start;

/// Body of `POST /v1/diff` and `POST /v1/apply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Apply {
    /// The apps of the file, as for a start.
    pub start: Start,
    /// They are all apps of the file: others that came from it have been removed from it.
    pub whole: bool,
    /// Delete those.
    pub prune: bool,
}

/// Answer of `POST /v1/diff`: what `POST /v1/apply` would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Diff {
    /// `nexus.diff/1`.
    pub schema: String,
    /// The file.
    pub source: String,
    /// Nothing differs.
    pub same: bool,
    /// What of `[daemon]` differs.
    #[serde(default)]
    pub daemon: Vec<SettingDiff>,
    /// In the order of the file, then those that are not in it.
    pub apps: Vec<AppDiff>,
}

/// What differs for one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AppDiff {
    /// The app.
    #[cfg_attr(test, schemars(with = "String"))]
    pub app: Name,
    /// How it differs.
    pub change: Change,
    /// What is done about it.
    pub action: Remedy,
    /// The settings that differ, by name; secrets hidden.
    pub settings: Vec<SettingDiff>,
}

/// How an app differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is in the file and not known.
    Added,
    /// Its settings differ.
    Changed,
    /// It is not in the file any more.
    Removed,
    /// Its settings are the same, but an instance of it is down.
    Down,
    /// Nothing differs.
    Same,
}

/// What is done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Start it.
    Start,
    /// Replace its workers one after another by ones with the new settings.
    Reload,
    /// Stop and forget it.
    Delete,
    /// Nothing.
    Nothing,
}

/// One setting that differs. Values are as they would be written in TOML; `null` = it is not
/// written, so the default holds. Secrets are told to differ, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SettingDiff {
    /// `instances`, `env.PORT`, `memory.max`.
    pub setting: String,
    /// What holds.
    pub old: Option<String>,
    /// What is to hold.
    pub new: Option<String>,
}
