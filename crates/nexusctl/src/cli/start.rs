//! `start`: what it takes.

use std::path::PathBuf;

use clap::Args;

use super::Change;

/// `start`.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "Examples:
  nexusctl start [--env production]           what ./ecosystem.toml says
  nexusctl start server.js --name api -i 4 -- --port 4100
  nexusctl start --name tick -- sh -c 'while sleep 1; do date; done'")]
pub(crate) struct Start {
    /// Project file, script, or known apps [default: ./ecosystem.toml]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Its arguments; without a TARGET, a command and its arguments
    #[arg(last = true, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
    /// Only these apps of the project file
    #[arg(long, value_name = "NAMES", value_delimiter = ',', hide_short_help = true)]
    pub(crate) only: Vec<String>,
    /// What the script is to be.
    #[command(flatten)]
    pub(crate) app: App,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// Settings of an app that is started by its script.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct App {
    /// Name [default: the script's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How many: a number, max, or -1 (a CPU is left)
    #[arg(short, long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) instances: Option<String>,
    /// What runs the script; none = it runs itself
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) interpreter: Option<String>,
    /// Working directory [default: this one]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(crate) cwd: Option<PathBuf>,
    /// Label to select several apps by
    #[arg(long, hide_short_help = true)]
    pub(crate) namespace: Option<String>,
    /// Set a variable; of a file, take env_PROFILE
    #[arg(long, value_name = "K=V|PROFILE")]
    pub(crate) env: Vec<String>,
    /// Hold tcp://IP:PORT or unix:/PATH for it
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
    /// notify, fd, http://... [default: alive 1s]
    #[arg(long, value_name = "RULE")]
    pub(crate) ready: Option<String>,
    /// Failed if not ready by then [default: 30s]
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    pub(crate) ready_timeout: Option<String>,
    /// From the stop signal to SIGKILL [default: 10s]
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    pub(crate) kill_timeout: Option<String>,
    /// How it is told to stop [default: SIGTERM]
    #[arg(long, value_name = "SIGNAL", hide_short_help = true)]
    pub(crate) stop_signal: Option<String>,
    /// Unstable exits until it is given up [default: 16]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) max_restarts: Option<String>,
    /// A worker that uses more memory is replaced: 512M, 2G
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub(crate) max_memory_restart: Option<String>,
    /// Reload it when these files change, or any
    #[arg(long, value_name = "PATHS", num_args = 0..=1, value_delimiter = ',',
          require_equals = true, default_missing_value = ".")]
    pub(crate) watch: Vec<String>,
    /// Changes of these do not count; as in .gitignore
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',', hide_short_help = true)]
    pub(crate) ignore_watch: Vec<String>,
    /// Quiet for so long after a change [default: 200ms]
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    pub(crate) watch_delay: Option<String>,
    /// Restart it at set times: "0 3 * * *"
    #[arg(long, value_name = "CRON", hide_short_help = true)]
    pub(crate) cron_restart: Option<String>,
    /// Wait before every restart [default: 0]
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    pub(crate) restart_delay: Option<String>,
    /// It stays down after an exit
    #[arg(long, hide_short_help = true)]
    pub(crate) no_autorestart: bool,
    /// Whose rights it has [default: the daemon's]
    #[arg(long, hide_short_help = true)]
    pub(crate) user: Option<String>,
    /// In place of the user's own group
    #[arg(long, hide_short_help = true)]
    pub(crate) group: Option<String>,
    /// Where its stdout goes
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) out_file: Option<PathBuf>,
    /// Where its stderr goes
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) error_file: Option<PathBuf>,
    /// All instances write into one file
    #[arg(long, hide_short_help = true)]
    pub(crate) merge_logs: bool,
}
