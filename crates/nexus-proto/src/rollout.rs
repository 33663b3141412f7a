//! What an app was, and how it becomes another.

use serde::{Deserialize, Serialize};

/// A reload, or a rollback, that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RolloutView {
    /// The generation of the new workers.
    pub generation: u64,
    /// So many instances have been replaced; put back, once `going_back`.
    pub done: u16,
    /// Of so many.
    pub of: u16,
    /// A new worker has failed, or somebody aborted it: what was before comes back.
    pub going_back: bool,
    /// What has been replaced is watched for so much longer, and nothing else happens; `null` = not
    /// at this moment.
    pub watched_for_ms: Option<u64>,
    /// Whose operation it is, by its key.
    pub operation: Option<String>,
}

/// A number of instances that follows their load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScalingView {
    /// At least so many.
    pub min: u16,
    /// At most so many.
    pub max: u16,
    /// What each is to use on the average: 100 = one CPU, all the time.
    pub target_cpu_percent: u16,
}

/// A configuration that an app has had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VersionView {
    /// The generation with which it came.
    pub generation: u64,
    /// How many instances it had.
    pub instances: u16,
    /// Where it came from: a project file's path, or `command line`.
    pub source: String,
    /// The settings in which it differs from the present one; never values.
    pub differs: Vec<String>,
}
