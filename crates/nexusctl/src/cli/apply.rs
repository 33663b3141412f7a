//! `apply` and `diff`: what they take.

use std::path::PathBuf;

use clap::Args;

use super::Change;

/// `apply`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Starts what is new or down, reloads what differs, leaves the rest alone.

Examples:
  nexusctl apply                   ./ecosystem.toml
  nexusctl apply --dry-run         the plan only
  nexusctl apply shop.toml --prune what the file has no longer is deleted")]
pub(crate) struct Apply {
    /// What is wished for.
    #[command(flatten)]
    pub(crate) wish: Wish,
    /// Delete apps that came from the file and are not in it any more
    #[arg(long, conflicts_with = "only")]
    pub(crate) prune: bool,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `diff`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Exits 0 when what runs is what the file says, 1 when it is not.

Examples:
  nexusctl diff
  nexusctl diff -o json | jq '.apps[] | select(.change != \"same\")'")]
pub(crate) struct Differ {
    /// What is wished for.
    #[command(flatten)]
    pub(crate) wish: Wish,
}

/// Which apps are to be as they are written.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wish {
    /// The project file [default: ./ecosystem.toml, .json, .yaml]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Only these apps of it
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// With its variables for this profile (env_PROFILE)
    #[arg(long, value_name = "PROFILE")]
    pub(crate) env: Option<String>,
}
