//! `startup`, `unstartup`, `daemon`, `update`: flags and help.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nexus_spec::Span;

use super::Change;

/// `startup`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  sudo nexusctl startup                root's daemon
  sudo nexusctl startup --user alice   alice's, with her home and rights
  nexusctl startup --print             the unit, and nothing is done
  sudo nexusctl unstartup              undoes it")]
pub(crate) struct Startup {
    /// Whose daemon [default: the caller's]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Print the unit and do nothing
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) print: bool,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask, on a terminal
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `unstartup`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  sudo nexusctl unstartup
  sudo nexusctl unstartup --user alice")]
pub(crate) struct Unstartup {
    /// Whose daemon [default: the caller's]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask, on a terminal
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `daemon`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Daemon {
    /// What.
    #[command(subcommand)]
    pub(crate) verb: DaemonVerb,
}

/// `daemon …`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DaemonVerb {
    /// Run the daemon here, in the foreground
    Run(DaemonRun),
    /// End the daemon; the apps run on
    Stop(DaemonStop),
    /// Another version in the place of the daemon; every app runs on
    Upgrade(Upgrade),
    /// Pids, versions, uptimes; exit 3 when none runs
    Status,
}

/// `daemon stop`.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DaemonStop {
    /// Stop the apps, too; the next daemon starts them again
    #[arg(long)]
    pub(crate) apps: bool,
}

/// `daemon upgrade`, `update`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl daemon upgrade                    to the version of this nexusctl
  nexusctl daemon upgrade --to ./nexusctl    to another file's

Nothing of the apps is touched: workers, sockets, log lines and exit codes are
kept. If the new program does not get ready, the old one comes back (exit 9).")]
pub(crate) struct Upgrade {
    /// The program to take over [default: this one]
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// How long it may take until it is ready
    #[arg(long, value_name = "TIME", value_parser = Span::parse, default_value = "10s")]
    pub(crate) deadline: Span,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `daemon run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DaemonRun {
    /// In a session of its own, away from the terminal
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
    /// Descriptor on which to say that it is ready
    #[arg(long, hide = true, value_name = "FD")]
    pub(crate) ready_fd: Option<i32>,
}
