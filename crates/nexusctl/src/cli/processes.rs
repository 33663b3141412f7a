//! Verbs about processes: what they are, whether they run, waiting for that, and signals to them.

use clap::{Args, ValueEnum};
use nexus_spec::{Signal, Span};

/// `pid`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl pid api                 one line a process that runs
  nexusctl pid -o wide             which is whose
  strace -p \"$(nexusctl pid api/0)\"")]
pub(crate) struct Pid {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob [default: all]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
}

/// `id`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl id api                  the numbers of its instances (pm_id)
  nexusctl id -o json api")]
pub(crate) struct Id {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET", required = true)]
    pub(crate) targets: Vec<String>,
}

/// `env`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl env api                 of its first instance that runs
  nexusctl env 3                   by id, as PM2 does
  nexusctl env api/2 --reveal      secrets too, on a terminal only")]
pub(crate) struct Env {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET", required = true)]
    pub(crate) targets: Vec<String>,
    /// Show secrets; on a terminal, and written to the events
    #[arg(long)]
    pub(crate) reveal: bool,
}

/// `status`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Exits 0 when every instance is ready, 3 when one is not.

Examples:
  nexusctl status api || nexusctl why api
  nexusctl status -q               only the exit code")]
pub(crate) struct StatusOf {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob [default: all]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
}

/// `wait`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Exits 0 when it is true, 3 when it cannot become true by itself (errored,
stopped), 4 when there is no such app, 124 after --timeout; the work goes on.

Examples:
  nexusctl wait api --for ready --timeout 30s
  nexusctl wait api worker --for stopped
  op=$(nexusctl restart api --no-wait -o name); nexusctl wait --op \"$op\"")]
pub(crate) struct Wait {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET", required_unless_present = "op")]
    pub(crate) targets: Vec<String>,
    /// What is to be true of all of them
    #[arg(long = "for", value_enum, value_name = "STATE", default_value = "ready")]
    pub(crate) state: Awaited,
    /// The end of an operation, by its key
    #[arg(long, value_name = "KEY", conflicts_with = "targets")]
    pub(crate) op: Option<String>,
    /// Wait no longer (exit 124)
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    pub(crate) timeout: Option<Span>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Awaited {
    /// Every instance is ready
    Ready,
    /// No process is left
    Stopped,
    /// It is forgotten
    Gone,
}

/// `send`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The app needs `stdin = true`. All words are one line; what comes after TARGET is text.

Examples:
  nexusctl send game save-all      to every instance
  nexusctl send game/0 'say hello'
  nexusctl send repl -- --version"
)]
pub(crate) struct SendLine {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// The line, without its end
    #[arg(value_name = "TEXT", required = true)]
    pub(crate) text: Vec<String>,
}

/// `signal`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Only to main processes, never to one that has just taken a number over.
What ends by it is started again, as after any exit: to end it, say stop.

Examples:
  nexusctl signal HUP api          nexusctl signal SIGUSR2 api/2
  nexusctl signal 12 all --dry-run")]
pub(crate) struct SignalTo {
    /// SIGHUP, HUP, 1, SIGRTMIN+3
    #[arg(value_name = "SIGNAL", value_parser = Signal::parse)]
    pub(crate) signal: Signal,
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET", required = true)]
    pub(crate) targets: Vec<String>,
    /// Say who would get it and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
