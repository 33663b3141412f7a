//! Verbs about what the apps write: showing it, and doing away with it.

use clap::{Args, ValueEnum};

/// `logs`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl logs api -f                     follow one
  nexusctl logs api/2 --err --since 5m
  nexusctl logs --level warn --not health  of all apps; more: --help")]
pub(crate) struct Logs {
    /// Apps, or NAME/INSTANCE [default: all]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Go on as lines come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many lines [default: 50; with --since: all]
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// Not older than this: 5m, 13:58, or 2026-11-23T13:58Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Not younger than this
    #[arg(long, value_name = "WHEN", conflicts_with = "follow", hide_short_help = true)]
    pub(crate) until: Option<String>,
    /// Only lines that match this regular expression (`(?i)` before it: of any case)
    #[arg(short, long, value_name = "REGEX")]
    pub(crate) grep: Vec<String>,
    /// No lines that match this one
    #[arg(long, value_name = "REGEX", hide_short_help = true)]
    pub(crate) not: Vec<String>,
    /// Only lines of this level or a worse one, as far as lines tell theirs
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) level: Option<Level>,
    /// So many lines before and after each that is shown
    #[arg(short = 'C', long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) context: u16,
    /// Only stderr
    #[arg(long, conflicts_with = "out")]
    pub(crate) err: bool,
    /// Only stdout
    #[arg(long, hide_short_help = true)]
    pub(crate) out: bool,
    /// Lines as they were written, without time and name
    #[arg(long, conflicts_with_all = ["output", "json"], hide_short_help = true)]
    pub(crate) raw: bool,
    /// Times in UTC
    #[arg(long, hide_short_help = true)]
    pub(crate) utc: bool,
}

/// `--level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// All that have one
    Trace,
    /// Not traces
    Debug,
    /// What happens
    Info,
    /// What may need a look
    #[value(alias = "warning")]
    Warn,
    /// What went wrong
    #[value(alias = "err")]
    Error,
    /// What ended a program
    Fatal,
}

/// `flush`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl flush                     of all apps
  nexusctl flush api                 of one; what was rotated goes too
  nexusctl flush api --rotate        keep what there is, begin new files")]
pub(crate) struct Flush {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob [default: all]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Keep what there is and begin new files
    #[arg(long)]
    pub(crate) rotate: bool,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
