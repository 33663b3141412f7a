//! The command line: verbs, flags, their help.

mod apply;
mod helping;
mod output;
mod processes;
mod rolling;
mod service;
mod start;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nexus_spec::{Size, Span};

pub(crate) use apply::{Apply, Differ, Wish};
pub(crate) use helping::{Completion, Init, Man, Shell};
pub(crate) use output::{Flush, Level, Logs};
pub(crate) use processes::{Awaited, Env, Id, Pid, SendLine, SignalTo, StatusOf, Wait};
pub(crate) use rolling::{Abort, Reload, Reset, Rollback, Scale};
pub(crate) use service::{Daemon, DaemonRun, DaemonVerb, Startup, Unstartup, Upgrade};
pub(crate) use start::{App, Start};

use crate::look::When;

/// All verbs in groups, under `-h`.
const GROUPS: &str = "\
Run       start  stop  restart  reload  rollback  scale  delete
          apply  diff  signal  send  wait  abort  reset
Look      list  monit  status  describe  logs  why  events  env  pid  id  jlist
Keep up   save  resurrect  flush  startup  unstartup  daemon  update
          doctor  kill
Begin     init  check  completion  man

Examples:
  nexusctl start                           what ./ecosystem.toml says
  nexusctl start server.js --name api -i 4
  nexusctl list
  nexusctl logs api -f

`nexusctl help` lists every verb, `nexusctl VERB -h` tells about one.";

/// Every verb with its sentence, under `--help` and `help`.
const VERBS: &str = "\
Run:
  start      Start apps: a project file, a script, a command, or an app that is known
  stop       Stop apps; they stay known
  restart    Stop and start again
  reload     Replace workers one after another; a failure keeps the old ones
  rollback   Back to the configuration of before, worker by worker
  scale      More instances or fewer: 6, +2, -1
  delete     Stop apps and forget them (del, rm)
  apply      Make what runs the same as a project file says
  diff       What differs between a project file and what runs; exit 0 or 1
  signal     Send a signal to main processes (sendSignal)
  send       Send a line to the stdin of workers
  wait       Until apps are ready, stopped or gone; or an operation has ended
  abort      Call a reload or a scaling off: back to what was before
  reset      Count restarts from 0 again
Look:
  list       One row an app; what is wrong below (ls, l, ps)
  monit      The same on a live screen, with figures, charts and logs
  status     Do they run? Exit 0 or 3
  describe   One app: why, instances, events, settings (desc, info, show)
  logs       The apps' own output, merged by time (log)
  why        Cause and evidence of an app's state and last restarts
  events     What happened, when, and who asked for it
  env        What a worker was born with, secrets hidden
  pid        Pids of main processes
  id         Numbers of instances (pm_id)
  jlist      PM2's JSON array
Keep up:
  save       Write down what runs, for resurrect (dump)
  resurrect  Start what was saved
  flush      Empty the apps' log files, or begin new ones
  startup    Have systemd run the daemon from boot on
  unstartup  Undo startup; what runs, runs on
  daemon     Run, stop, upgrade or ask the daemon
  update     Another version in the place of the daemon (daemon upgrade)
  doctor     What is wrong with the daemon and its surroundings, with remedies
  kill       Stop all apps, then the daemon
Begin:
  init       Write a commented ecosystem.toml of what is found here (ecosystem)
  check      Check a project file and change nothing
  completion A script that makes bash, fish or zsh complete names
  man        Manual pages

Exit codes: 0 done, 1 failed, 2 usage, 3 not running, 4 unknown name, 5 refused,
6 bad configuration, 7 no daemon, 8 not permitted, 9 rolled back: the old version
serves, 10 some of several failed, 70 internal error, 124 waited too long,
130 interrupted, 141 closed pipe.

Environment: NEXUS_HOME, NEXUS_SOCKET, NO_COLOR, CLICOLOR_FORCE, COLUMNS.";

/// Below the help of `monit`.
const MONIT: &str = "\
Keys: ? help   / filter   Enter only this app   Tab log   a actions   q quit

It needs a terminal. Without one: nexusctl list, or list -o json.";

const TEMPLATE: &str =
    "{name} {version}: {about}\n\n{usage-heading} {usage}\n\nOptions:\n{options}{after-help}\n";

/// Keeps programs running.
#[derive(Debug, Parser)]
#[command(
    name = "nexusctl",
    version,
    help_template = TEMPLATE,
    after_help = GROUPS,
    after_long_help = VERBS,
    max_term_width = 100,
    propagate_version = false
)]
pub(crate) struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The verb.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Form of the result
    #[arg(short, long, global = true, value_enum, value_name = "FORM", hide_short_help = true)]
    pub(crate) output: Option<Format>,
    /// The same as -o json
    #[arg(long, global = true, conflicts_with = "output", hide_short_help = true)]
    pub(crate) json: bool,
    /// Nothing beside the result but errors
    #[arg(short, long, global = true, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true
    )]
    pub(crate) color: When,
    /// No symbols beyond ASCII
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) ascii: bool,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns that fit
    Table,
    /// All columns
    Wide,
    /// One document
    Json,
    /// One document a line
    Jsonl,
    /// Names only
    Name,
}

/// Flags of verbs that change something.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Change {
    /// Do not wait until it is true
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Wait no longer than this; the work goes on (exit 124)
    #[arg(long, value_name = "TIME", value_parser = Span::parse, hide_short_help = true)]
    pub(crate) timeout: Option<Span>,
    /// Say what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A verb.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start apps and wait until they are ready or have failed
    Start(Box<Start>),
    /// Stop apps; they stay known
    Stop(Stop),
    /// Stop and start again; with a project file, as it says now
    Restart(Restart),
    /// Replace workers one after another; a failure keeps the old ones
    Reload(Reload),
    /// Back to the configuration of before, worker by worker
    Rollback(Rollback),
    /// More instances or fewer: 6, +2, -1
    Scale(Scale),
    /// Stop apps and forget them
    #[command(visible_aliases = ["del", "rm"])]
    Delete(Named),
    /// Make what runs the same as a project file says
    Apply(Apply),
    /// What differs between a project file and what runs; exit 0 or 1
    Diff(Differ),
    /// Send a signal to main processes
    #[command(alias = "sendSignal")]
    Signal(SignalTo),
    /// Send a line to the stdin of workers
    Send(SendLine),
    /// Wait until apps are ready, stopped or gone, or an operation has ended
    Wait(Wait),
    /// Call a reload or a scaling off: back to what was before
    Abort(Abort),
    /// Count restarts from 0 again
    Reset(Reset),
    /// One row an app; what is wrong below
    #[command(visible_aliases = ["ls", "l", "ps"])]
    List(List),
    /// A live screen: apps, figures, charts, logs, what is wrong
    #[command(after_help = MONIT)]
    Monit,
    /// Do they run? Exit 0 or 3
    Status(StatusOf),
    /// One app: why it is as it is, instances, events, settings
    #[command(visible_aliases = ["desc", "info", "show"])]
    Describe(Targets),
    /// The apps' own output, merged by time
    #[command(visible_alias = "log")]
    Logs(Logs),
    /// Empty the apps' log files, or begin new ones
    Flush(Flush),
    /// Cause and evidence of an app's state and last restarts
    Why(Targets),
    /// What happened, when, and who asked for it
    Events(Events),
    /// What a worker was born with, secrets hidden
    Env(Env),
    /// Pids of main processes
    Pid(Pid),
    /// Numbers of instances (pm_id)
    Id(Id),
    /// PM2's JSON array, one object a process
    Jlist,
    /// Write down what runs, for resurrect
    #[command(visible_alias = "dump")]
    Save,
    /// Start what was saved
    Resurrect(Change),
    /// Have systemd run the daemon from boot on
    Startup(Startup),
    /// Undo startup; what runs, runs on
    Unstartup(Unstartup),
    /// Stop all apps, then the daemon
    Kill(Kill),
    /// Check a project file and change nothing
    Check(Check),
    /// Write a commented ecosystem.toml of what is found here
    #[command(alias = "ecosystem")]
    Init(Init),
    /// A script that makes bash, fish or zsh complete names
    Completion(Completion),
    /// Manual pages
    Man(Man),
    /// Run, stop or ask the daemon
    Daemon(Daemon),
    /// Another version in the place of the daemon; every app runs on
    Update(Upgrade),
    /// What is wrong with the daemon and its surroundings, with a remedy each; exit 1 if anything fails
    Doctor,
}

/// `stop`, `restart`, `delete`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  nexusctl stop api           an app        nexusctl stop api/2   one instance
  nexusctl restart batch      a namespace   nexusctl restart all
  nexusctl delete '/^tmp-/'   by pattern    nexusctl restart ecosystem.toml")]
pub(crate) struct Named {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob, or a project file
    #[arg(value_name = "TARGET", required = true)]
    pub(crate) targets: Vec<String>,
    /// Only these apps of the project file
    #[arg(long, value_name = "NAMES", value_delimiter = ',', hide_short_help = true)]
    pub(crate) only: Vec<String>,
    /// Of the project file, take env_PROFILE on top of env
    #[arg(long, value_name = "PROFILE", hide_short_help = true)]
    pub(crate) env: Option<String>,
    /// Do not ask, on a terminal
    #[arg(short, long, hide_short_help = true)]
    pub(crate) yes: bool,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `restart`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Restart {
    /// What, and how to wait.
    #[command(flatten)]
    pub(crate) named: Named,
    /// From now on a worker that uses more memory is replaced: 512M, 2G
    #[arg(long, value_name = "SIZE", value_parser = limit)]
    pub(crate) max_memory_restart: Option<Size>,
    /// Watch its files from now on; if they are watched, no more
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `stop`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Stop {
    /// What, and how to wait.
    #[command(flatten)]
    pub(crate) named: Named,
    /// Nor watch its files when it is started again
    #[arg(long)]
    pub(crate) watch: bool,
}

/// A limit of memory.
fn limit(text: &str) -> Result<Size, String> {
    let size = Size::parse(text)?;
    if size.0 == 0 { Err("no worker lives in 0 bytes".to_owned()) } else { Ok(size) }
}

/// `list`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  nexusctl list -o wide\n  nexusctl list -o json | jq '.apps[].name'"
)]
pub(crate) struct List {
    /// One row a process
    #[arg(long)]
    pub(crate) instances: bool,
    /// All columns, as -o wide
    #[arg(long)]
    pub(crate) wide: bool,
}

/// `describe`, `why`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  nexusctl describe api\n  nexusctl why api/2")]
pub(crate) struct Targets {
    /// NAME, NAME/INSTANCE, id, namespace, all, /regex/, glob
    #[arg(value_name = "TARGET", required = true)]
    pub(crate) targets: Vec<String>,
}

/// `events`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  nexusctl events --app api --since 1h\n  nexusctl events -f -o json"
)]
pub(crate) struct Events {
    /// Go on as things happen
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many [default: 50; with --since: all]
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) last: Option<usize>,
    /// Not older than this: 5m, 13:58, or 2026-11-23T13:58Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Only of this app
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,
}

/// `kill`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Kill {
    /// Do not ask, on a terminal
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// How to wait.
    #[command(flatten)]
    pub(crate) change: Change,
}

/// `check`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Check {
    /// The project file, - for JSON on standard input [default: ./ecosystem.toml]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// With env_PROFILE on top of env
    #[arg(long, value_name = "PROFILE")]
    pub(crate) env: Option<String>,
}
