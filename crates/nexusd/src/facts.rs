//! Facts of the core become lines of the journal, for people.

use nexus_core::{Action, Breach, ChildId, Exit, Fact, Failure, Limit, Milestone, Time};
use nexus_keeper::Order;
use nexus_proto::{Actor, EventView};
use nexus_spec::{Name, Span, Until};

use crate::clock;
use crate::daemon::Daemon;
use crate::note::Note;
use crate::origin::Origin;
use crate::records::Entry;
use crate::{rolling, words};

/// One event in the making.
pub(crate) struct Line<'a> {
    pub(crate) kind: &'a str,
    pub(crate) app: Option<Name>,
    pub(crate) instance: Option<u16>,
    pub(crate) pid: Option<i32>,
    pub(crate) child: Option<u64>,
    pub(crate) detail: String,
    pub(crate) by: &'a str,
    pub(crate) exit: Option<String>,
}

/// Who it was when nobody asked.
pub(crate) const NOBODY: &str = "nexusd";

impl<'a> Line<'a> {
    pub(crate) fn new(kind: &'a str, detail: String, by: &'a str) -> Line<'a> {
        Line { kind, app: None, instance: None, pid: None, child: None, detail, by, exit: None }
    }

    fn of(
        kind: &'a str,
        app: Name,
        instance: Option<u16>,
        detail: String,
        by: &'a str,
    ) -> Line<'a> {
        Line { app: Some(app), instance, ..Line::new(kind, detail, by) }
    }
}

fn kind_of(limit: Limit) -> &'static str {
    match limit {
        Limit::Health => "unhealthy",
        Limit::Log => "log_match",
        Limit::Memory | Limit::TrialMemory => "limit",
        Limit::Watchdog => "hung",
    }
}

fn beyond(breach: Breach, after: Span) -> String {
    format!("to be replaced after {}: {}", words::span(after), words::breach(breach))
}

fn build_started(app: Name, child: ChildId, by: &str) -> Line<'_> {
    let line = Line::of("build", app, None, "the build command runs".into(), by);
    Line { child: Some(child.0), ..line }
}

fn built(app: Name, child: ChildId, exit: Exit, after: Span, by: &str) -> Line<'_> {
    let detail = format!("{} after {}", words::build_ended(exit), words::span(after));
    let line = Line::of("built", app, None, detail, by);
    Line { child: Some(child.0), exit: Some(words::exit(exit)), ..line }
}

fn waits(app: Name, on: &Name, until: Until) -> Line<'static> {
    Line::of("waits", app, None, format!("waits until `{on}` is {until}"), NOBODY)
}

fn errored(app: Name, instance: u16, exit: Exit, exits: u32) -> Line<'static> {
    let line = Line::of("errored", app, Some(instance), given_up(exit, exits), NOBODY);
    Line { exit: Some(words::exit(exit)), ..line }
}

fn given_up(exit: Exit, exits: u32) -> String {
    let exit = words::exit(exit);
    match exits {
        0 => format!("given up: {exit}"),
        _ => format!("given up after {exits} unstable exits; the last: {exit}"),
    }
}

fn event(actor: Option<Actor>, line: Line<'_>) -> EventView {
    EventView {
        schema: String::new(),
        id: 0,
        at: clock::rfc3339(clock::unix_ms()),
        kind: line.kind.to_owned(),
        app: line.app,
        instance: line.instance,
        pid: line.pid,
        child: line.child,
        detail: line.detail,
        by: line.by.to_owned(),
        actor,
        exit: line.exit,
        last_lines: Vec::new(),
    }
}

impl Daemon {
    /// Something happened.
    pub(crate) fn fact(&mut self, fact: Fact, by: &str) {
        let line = match fact {
            Fact::Breached { app, instance, child, breach, after } => {
                self.breached((app, instance, child), breach, after)
            }
            Fact::BuildStarted { app, child } => build_started(app, child, by),
            Fact::Built { app, child, exit, after } => built(app, child, exit, after, by),
            Fact::Deleted { app } => {
                self.drain(&app);
                Line::of("delete", app, None, "forgotten".into(), by)
            }
            Fact::Errored { app, instance, exit, exits } => errored(app, instance, exit, exits),
            Fact::Exited { app, instance, child, exit, after, asked, again_at } => {
                let detail = self.how_it_ended(child, exit, after, again_at, asked);
                let line = Line::of("exit", app, Some(instance), detail, NOBODY);
                Line { exit: Some(words::exit(exit)), ..self.about(child, line) }
            }
            Fact::HeldBack { app, after, until } => {
                let detail = self.told_of_loop(&app, after, until);
                Line::of("watch", app, None, detail, NOBODY)
            }
            Fact::Killed { app, instance, child } => {
                let detail = "SIGKILL to the whole tree after the stop time-out".into();
                let line = Line::of("killed", app, Some(instance), detail, NOBODY);
                self.about(child, line)
            }
            Fact::Ready { app, instance, child, after } => {
                return self.became_ready(app, instance, child, after);
            }
            Fact::Reload { app, generation, milestone } => {
                self.reloaded(app, generation, milestone, by)
            }
            Fact::Replaced { app, instance, old, child, why } => {
                let detail = rolling::why(why, old);
                self.about(child, Line::of("replaced", app, Some(instance), detail, NOBODY))
            }
            Fact::Reset { app, instance } => {
                Line::of("reset", app, instance, "restarts are counted from 0".into(), by)
            }
            Fact::Run { app, what } => self.told_of_run(app, what),
            Fact::Scaled { app, from, to } => {
                self.close_unnamed(&app);
                Line::of("scale", app, None, format!("from {from} to {to} instances"), by)
            }
            // Told when the keeper says that it is there: see `lives`.
            Fact::Started { .. } => return,
            Fact::Waits { app, on, until } => waits(app, &on, until),
            Fact::Undrained { app, instance, child } => {
                let detail = "not finished within drain_timeout: told again".into();
                self.about(child, Line::of("undrained", app, Some(instance), detail, NOBODY))
            }
            Fact::Stopping { app, instance, child } => {
                let line = Line::of("stop", app, Some(instance), "told to stop".into(), by);
                self.about(child, line)
            }
        };
        self.log(line);
    }

    fn reloaded<'a>(
        &mut self,
        app: Name,
        generation: u64,
        milestone: Milestone,
        by: &'a str,
    ) -> Line<'a> {
        self.origin_of_reload(&app, milestone);
        if matches!(milestone, Milestone::Done | Milestone::RolledBack { .. }) {
            self.close_unnamed(&app);
        }
        let (kind, detail) = rolling::told(milestone, generation);
        match milestone {
            Milestone::KeptOld(Failure { instance, child, exit, .. }) => {
                let line = Line::of(kind, app, Some(instance), detail, NOBODY);
                Line { exit: Some(words::exit(exit)), ..self.about(child, line) }
            }
            Milestone::Begun { .. }
            | Milestone::Done
            | Milestone::RolledBack { .. }
            | Milestone::RollingBack(_)
            | Milestone::Watched { .. } => Line::of(kind, app, None, detail, by),
        }
    }

    fn breached<'a>(
        &self,
        (app, instance, child): (Name, u16, ChildId),
        breach: Breach,
        after: Span,
    ) -> Line<'a> {
        let exit = Exit::OverLimit(breach.limit);
        let detail = beyond(breach, after) + &self.finding(child.0, exit);
        let line = Line::of(kind_of(breach.limit), app, Some(instance), detail, NOBODY);
        Line { exit: Some(words::exit(exit)), ..self.about(child, line) }
    }

    fn how_it_ended(
        &self,
        child: ChildId,
        exit: Exit,
        after: Span,
        again_at: Option<Time>,
        asked: bool,
    ) -> String {
        let how = self.excuses.get(&child.0).cloned().unwrap_or_else(|| {
            let found = self.finding(child.0, exit);
            format!("{} after {}{found}", words::ended(exit), words::span(after))
        });
        let then = match (asked, again_at) {
            (true, _) => " (as asked)".to_owned(),
            (false, Some(_)) => words::again(again_at, clock::now()),
            (false, None) => String::new(),
        };
        format!("{how}{then}")
    }

    /// A reload brings another spec, or does not: so does it with where that comes from.
    fn origin_of_reload(&mut self, app: &Name, milestone: Milestone) {
        let Some(origin) = self.origins.get_mut(app) else { return };
        match milestone {
            Milestone::Done => {
                let Some(arriving) = origin.arriving.take() else { return };
                *origin = Origin { plain_zero: origin.plain_zero, ..*arriving };
            }
            Milestone::RolledBack { .. } => origin.arriving = None,
            Milestone::Begun { .. }
            | Milestone::KeptOld(_)
            | Milestone::RollingBack(_)
            | Milestone::Watched { .. } => return,
        }
        self.keep(&nexus_core::Keep::App(app.clone()));
    }

    /// One line for the journal.
    pub(crate) fn log(&mut self, line: Line<'_>) {
        self.journal.tell(event(None, line));
    }

    /// One line for the journal about what somebody does.
    pub(crate) fn log_of(&mut self, actor: &Actor, line: Line<'_>) {
        self.journal.tell(event(Some(actor.clone()), line));
    }

    fn became_ready(&mut self, app: Name, instance: u16, child: ChildId, after: Span) {
        let by = self.ready_by(child).map_or_else(String::new, |by| format!(" ({by})"));
        let detail = format!("ready after {}{by}", words::span(after));
        let line = Line::of("ready", app, Some(instance), detail, NOBODY);
        self.log(self.about(child, line));
        self.mark_ready(child);
    }

    /// By what a worker counts as ready.
    pub(crate) fn ready_by(&self, child: ChildId) -> Option<String> {
        let proof = self.notes.get(&child.0)?.proof(child.0);
        words::ready_by(self.ready_of(child)?, proof)
    }

    /// A worker says so once: a new daemon need not wait for it again. It is on disk before the
    /// worker's word is consumed, and then with the keeper ([`Daemon::pass_on_ready`]).
    fn mark_ready(&mut self, child: ChildId) {
        let Some(note) = self.notes.get_mut(&child.0) else { return };
        note.becomes_ready(child.0, None);
        if let Some(run) = self.run(child.0) {
            self.store.keep(Entry::Run(run));
        }
        self.probes.newly_ready.push(child);
    }

    /// Have the keeper keep with each child that it is ready. Once that is told: a nexusd that has it
    /// from the keeper does not tell it.
    pub(crate) fn pass_on_ready(&mut self) {
        for child in std::mem::take(&mut self.probes.newly_ready) {
            let Some(note) = self.notes.get(&child.0).map(Note::bytes) else { continue };
            self.order(&Order::Note { child: child.0, note });
            self.probe(child.0);
        }
    }

    /// A child's main process is there.
    pub(crate) fn lives(&mut self, child: u64, pid: i32) {
        // A process that ended at the gate of a dead keeper is followed by another for the child.
        if let Some(old) = self.pid_by_child.insert(child, pid) {
            self.pids.remove(&old);
        }
        self.pids.insert(pid, child);
        self.holdings.lives(child);
    }

    /// Tell that a child lives, before that is kept. Not when it was ordered: whoever is killed in
    /// between, a start is told once.
    pub(crate) fn tell_birth(&mut self, child: u64) {
        let Some(note) = self.notes.get(&child) else { return };
        let Some((instance, _)) = note.worker else { return };
        let detail = format!("started as child {child} of generation {}", note.generation);
        let line = Line::of("start", note.app.clone(), Some(instance), detail, NOBODY);
        self.log(self.about(ChildId(child), line));
    }

    /// Another process is a child's main one.
    pub(crate) fn tell_main(&mut self, child: ChildId, pid: i32, old: i32) {
        let detail = format!("{pid} is its main process, in place of {old}");
        // It may come again: what is told of a child by its number is told once.
        if let Some(line) = self.line_of(child, "main", detail) {
            self.log(Line { child: None, pid: Some(pid), ..line });
            self.publish();
        }
    }

    /// A child has named a main process that cannot be it. Told once of each child: it may do so
    /// all the time.
    pub(crate) fn tell_main_refused(&mut self, child: ChildId, pid: i32, why: &str) {
        let detail = format!("names {pid} as its main process, which {why}");
        if let Some(line) = self.line_of(child, "main_refused", detail) {
            self.log(self.about(child, line));
            self.publish();
        }
    }

    fn line_of<'a>(&self, child: ChildId, kind: &'a str, detail: String) -> Option<Line<'a>> {
        let note = self.notes.get(&child.0)?;
        let instance = note.worker.map(|(instance, _)| instance);
        Some(Line::of(kind, note.app.clone(), instance, detail, NOBODY))
    }

    /// A worker has ended of which the core says nothing among these actions: replaced, one too many,
    /// or the new one of a reload that failed. Nobody who was told to live ends untold. To be called
    /// before the actions are performed: the keeper forgets the child by one of them.
    pub(crate) fn tell_end(
        &mut self,
        actions: &[Action],
        note: Option<&Note>,
        child: u64,
        exit: Exit,
    ) {
        let Some(note @ Note { app, worker: Some((instance, _)), .. }) = note else { return };
        let of_it = |fact: &Fact| matches!(fact, Fact::Exited { child: of, .. } if of.0 == child);
        let says = |action: &Action| matches!(action, Action::Note(fact) if of_it(fact));
        if actions.iter().any(says) {
            return;
        }
        let asked = if note.said(child).told.is_some() { " (as asked)" } else { "" };
        let detail = format!("{}{asked}", words::ended(exit));
        let line = Line::of("exit", app.clone(), Some(*instance), detail, NOBODY);
        // The journal tells the end of a child once: what was said of it before stands.
        self.log(Line { exit: Some(words::exit(exit)), ..self.about(ChildId(child), line) });
    }

    fn about<'a>(&self, child: ChildId, line: Line<'a>) -> Line<'a> {
        let pid = self.pid_by_child.get(&child.0).copied();
        Line { pid, child: Some(child.0), ..line }
    }
}
