//! What the dashboard knows: plain data. No clock, no IO; messages change it, views show it.

use nexus_proto::{EventView, History, Snapshot, Target};
use nexus_spec::Name;

use super::action::Deed;
use super::fleet::{Fleet, Key};
use super::keys;
use super::link::Link;
use super::log_window::{Line, LogWindow};
use crate::exit::Exit;
use crate::log_files::Source;
use crate::look::{Look, Role};

/// What the dashboard knows.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Columns of the terminal.
    pub(super) width: u16,
    /// Rows of it.
    pub(super) height: u16,
    /// Symbols, colours, time zone.
    pub(super) look: Look,
    /// NEXUS_HOME, as it is shown.
    pub(super) home: String,
    /// Milliseconds of Unix time.
    pub(super) now: i64,
    /// The connection.
    pub(super) link: Link,
    /// The table.
    pub(super) fleet: Fleet,
    /// The log.
    pub(super) logs: LogWindow,
    /// What is read into the log.
    pub(super) reading: Reading,
    /// CPU and memory of the selected app.
    pub(super) history: Option<Box<History>>,
    /// The app whose history is asked for.
    pub(super) history_of: Option<Name>,
    /// What happened last, oldest first.
    pub(super) events: Vec<EventView>,
    /// More may have happened.
    pub(super) events_stale: bool,
    /// Where keys go.
    pub(super) pane: Pane,
    /// The log fills the screen.
    pub(super) whole_log: bool,
    /// What lies over the screen.
    pub(super) overlay: Option<Overlay>,
    /// The filter of the pane is being typed.
    pub(super) typing: bool,
    /// What has just happened.
    pub(super) notice: Option<Notice>,
}

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Table,
    Log,
}

/// What lies over the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Overlay {
    /// All keys, from this line on.
    Help(u16),
    /// What can be done to a row.
    Menu(Key),
    /// Whether it shall be done; `yes` = the answer that Enter gives.
    Confirm { deed: Deed, yes: bool },
    /// How it went wrong.
    Report { title: String, lines: Vec<String> },
}

/// Said once, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// One line.
    pub(super) text: String,
    /// What it means.
    pub(super) role: Role,
    /// Until when it is shown.
    pub(super) until: i64,
}

/// What is read into the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Counts readings, so that lines of an older one are known.
    pub(super) number: u64,
    /// What is meant by them; `None` = all apps.
    pub(super) only: Option<Vec<Target>>,
    /// The files.
    pub(super) sources: Vec<Source>,
    /// Files that were too many.
    pub(super) left_out: usize,
    /// The fleet or the choice has changed since the files were chosen.
    pub(super) stale: bool,
    /// No daemon has told of files; they were looked for by their names.
    pub(super) by_name: bool,
    /// Why there are no lines.
    pub(super) problem: Option<String>,
}

/// What comes to the dashboard.
#[derive(Debug)]
pub(super) enum Msg {
    /// A key.
    Key(keys::Key),
    /// Text that was pasted: never keys.
    Paste(String),
    /// Ctrl-C or SIGINT.
    Interrupt,
    /// Ctrl-Z or SIGTSTP.
    Suspend,
    /// The terminal has this size now.
    Resize(u16, u16),
    /// A second has passed.
    Tick,
    /// The daemon's answer.
    Fleet(Box<Snapshot>),
    /// It did not answer.
    Lost(NoAnswer),
    /// CPU and memory of an app; `None` = not known.
    History(Name, Option<Box<History>>),
    /// What happened last, oldest first.
    Events(Vec<EventView>),
    /// Lines of the log; `begins` = the first ones of this reading.
    Lines { reading: u64, begins: bool, lines: Vec<Line> },
    /// The files that were found by their names.
    Files(Vec<Source>),
    /// The log cannot be read.
    Unreadable(String),
    /// Of the processes last known, how many are still there.
    Alive(usize, usize),
    /// The pair could not be started anew, in these lines.
    NotRevived(Vec<String>),
    /// A deed has ended: well, or in these lines.
    Done(Deed, Result<(), Vec<String>>),
}

/// What is known when the daemon did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoAnswer {
    /// In words.
    pub(super) why: String,
    /// There is a socket and nobody listens: the pair was killed.
    pub(super) killed: bool,
    /// How often it was tried since.
    pub(super) tries: u32,
    /// When it is tried again.
    pub(super) again_in_ms: u64,
}

/// What the dashboard wants done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Leave with this.
    Quit(Exit),
    /// Stop, as Ctrl-Z does.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Try to reach the daemon now.
    Retry,
    /// Start the pair anew: both were killed.
    Revive,
    /// Ask for the history of this app from now on.
    History(Name),
    /// Ask what happened last: to one app, or to all.
    Events(Option<Name>),
    /// Read these files. `newcomers` = go on with those that are read, too.
    Read { reading: u64, sources: Vec<Source>, newcomers: bool },
    /// Look for log files by their names.
    FindFiles,
    /// Look which of these processes are there.
    LookFor(Vec<i32>),
    /// Do it.
    Act(Deed),
}

impl Model {
    /// Nothing is known.
    pub(super) fn new(look: Look, home: String, width: u16, height: u16) -> Model {
        Model {
            width,
            height,
            look,
            home,
            now: 0,
            link: Link::Connecting,
            fleet: Fleet::default(),
            logs: LogWindow::default(),
            reading: Reading::default(),
            history: None,
            history_of: None,
            events: Vec::new(),
            events_stale: false,
            pane: Pane::Table,
            whole_log: false,
            overlay: None,
            typing: false,
            notice: None,
        }
    }
}
