//! Verbs that change workers one after another, and what goes with them.

use clap::Args;

use super::{Change, Named, Targets};

/// `reload`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl reload api                one worker after another, no request lost
  nexusctl reload api --parallel 2   two at a time
  nexusctl reload ecosystem.toml     with what the file says now

With `listen` a new worker is ready before the old one goes. Without it each
is stopped first: said beforehand. A failure keeps the old version: exit 9.")]
pub(crate) struct Reload {
    /// What, and how to wait.
    #[command(flatten)]
    pub(crate) named: Named,
    /// How many instances of an app at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..), hide_default_value = true)]
    pub(crate) parallel: u16,
    /// Take over from a reload or a scaling that is under way
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `rollback`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl rollback api          to what it was before; again: a step further
  nexusctl rollback api --to 3   to what came with generation 3
  nexusctl describe api          what it can be rolled back to

It is a reload: canary, soak and checks are those of the configuration that
comes back, and a failure keeps the present one: exit 9.")]
pub(crate) struct Rollback {
    /// NAME, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET", required = true)]
    pub(crate) targets: Vec<String>,
    /// The generation with which the configuration came
    #[arg(long, value_name = "GENERATION")]
    pub(crate) to: Option<u64>,
    /// How many instances of an app at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..), hide_default_value = true)]
    pub(crate) parallel: u16,
    /// Take over from a reload or a scaling that is under way
    #[arg(long)]
    pub(crate) replace: bool,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `scale`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl scale api 6      six instances      nexusctl scale api +2    two more
  nexusctl scale api 0      none, ready to come back")]
pub(crate) struct Scale {
    /// NAME, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// How many instances: 6, +2, -1
    #[arg(value_name = "COUNT", allow_hyphen_values = true)]
    pub(crate) count: String,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `abort`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl abort api     the reload or scaling of api: back to what was before")]
pub(crate) struct Abort {
    /// Apps, or the key of an operation
    #[arg(value_name = "TARGET", required = true)]
    pub(crate) targets: Vec<String>,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `reset`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reset {
    /// What.
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}
