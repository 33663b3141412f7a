//! The loop's side of checks: when they begin, and what is done with what they find out.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use nexus_core::{ChildId, Event, Exit};
use nexus_log::LogFile;
use nexus_spec::{AppSpec, LogFiles, Ready};
use regex_lite::Regex;

use crate::clock;
use crate::daemon::{Course, Daemon};
use crate::facts::NOBODY;
use crate::held::{Held, Line, Stream};
use crate::note::{Note, Proof};
use crate::probes::{Found, From, Subject};

/// What was written so long before a worker's birth may have been stamped after it: the index of a
/// log has a time for each 100 ms at most.
const STAMP_MARGIN: Duration = Duration::from_millis(200);

impl Daemon {
    /// A task has found something out about a worker.
    pub(crate) fn found(&mut self, found: Found) {
        // Who is ending decides nothing any more; the next nexusd asks anew.
        if self.course != Course::Serve || self.shutdown.is_some() {
            return;
        }
        match found {
            Found::Exam(of, exam, patience, done) => {
                self.probes.exam_begins(of, done);
                self.turn(Event::Examine { of, exam, patience }, NOBODY);
            }
            Found::Ill(child, breach, finding) => {
                self.probes.note(child.0, finding);
                self.turn(Event::Breach { child, breach }, NOBODY);
            }
            Found::Listens(child, address) => self.proves(child, Proof::Socket(address)),
            Found::NotYet(child, finding) => self.probes.note(child.0, finding),
            Found::Ready(child) => self.turn(Event::Ready { child }, NOBODY),
            Found::Well(child) => self.turn(Event::Well { child }, NOBODY),
        }
    }

    /// A worker runs its program: find out when it is ready; it has become that: whether it is well.
    pub(crate) fn probe(&mut self, child: u64) {
        let Some(note) = self.notes.get(&child).cloned() else { return };
        let Some((instance, _)) = note.worker else { return };
        let Some(spec) = self.spec_of(&note.app, note.purpose(), note.generation) else { return };
        if note.ready == Some(child) {
            let reports = note.said(child).reports;
            return self.probes.while_online(ChildId(child), instance, &spec, reports);
        }
        let log = matches!(spec.ready, Ready::Log(_)).then(|| {
            let from = self.probes.place(child).map_or_else(|| since(self, child), From::Offsets);
            (self.log_files(&spec, instance), from)
        });
        let main = self.pid_by_child.get(&child).copied();
        self.probes.until_ready(Subject { child: ChildId(child), instance, main, log }, &spec);
    }

    /// Remember where the logs of a worker that is about to be ordered end, if its readiness is a
    /// line in one of them.
    pub(crate) fn mark_log(&mut self, child: u64, spec: &AppSpec, instance: u16) {
        if !matches!(spec.ready, Ready::Log(_)) {
            return;
        }
        let end = |stream: Stream| {
            let under = self.naming(spec).file(Line::Instance(instance), stream).1;
            let file = Held::File(spec.name.clone(), under, stream);
            let size = self.holdings.fd(&file).and_then(|fd| nix::sys::stat::fstat(fd).ok());
            size.map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0))
        };
        let ends = self.kept(spec, instance).map(end).collect();
        self.probes.begins_at(child, ends);
    }

    /// Whether a new worker is to write to the second of its instance's pipes. One that a reload
    /// listens to gets the one to which no other worker of the instance writes.
    pub(crate) fn writes_beside(&self, child: ChildId, note: &Note) -> bool {
        let Some((instance, _)) = note.worker else { return false };
        if self.sought(note).is_none() {
            return false;
        }
        let writes = |beside: bool| {
            self.notes.iter().any(|(other, known)| {
                *other != child.0
                    && known.worker.is_some_and(|(place, _)| place == instance)
                    && (&known.app, known.beside) == (&note.app, beside)
                    && self.pid_by_child.contains_key(other)
            })
        };
        writes(false) && !writes(true)
    }

    /// Listen to what a worker writes, if a reload looks for something in it.
    pub(crate) fn listen(&mut self, child: ChildId, note: &Note) {
        let (Some((instance, _)), Some(pattern)) = (note.worker, self.sought(note)) else { return };
        // It was read with the file.
        let Ok(pattern) = Regex::new(pattern) else { return };
        let line = Line::of(instance, note.beside);
        let ears = self.probes.listen(&note.app, child, &pattern);
        for (stream, hear) in Stream::BOTH.into_iter().zip(ears) {
            self.outputs.hear(&note.app, line, stream, hear);
        }
    }

    /// What a reload looks for in the lines of such a worker.
    fn sought(&self, note: &Note) -> Option<&str> {
        let app = self.state.app(note.app.as_str())?;
        note.worker.and(app.trial(note.generation)?.log.as_deref())
    }

    /// After a death of the daemon: go on listening, before anything more is moved.
    pub(crate) fn listen_again(&mut self) {
        let watched = self.notes.iter().filter(|(_, note)| self.sought(note).is_some());
        let watched: Vec<(u64, Note)> =
            watched.map(|(child, note)| (*child, note.clone())).collect();
        for (child, note) in watched {
            self.listen(ChildId(child), &note);
        }
    }

    fn log_files(&self, spec: &AppSpec, instance: u16) -> Vec<LogFile> {
        let naming = self.naming(spec);
        let file = |stream: Stream| LogFile {
            path: naming.file(Line::Instance(instance), stream).0,
            label: spec.name.to_string(),
            stream: match stream {
                Stream::Out => nexus_log::Stream::Out,
                Stream::Err => nexus_log::Stream::Err,
            },
        };
        self.kept(spec, instance).map(file).collect()
    }

    /// Those of its two streams that have a file.
    fn kept<'a>(&'a self, spec: &'a AppSpec, instance: u16) -> impl Iterator<Item = Stream> + 'a {
        let naming = self.naming(spec);
        let nowhere = Path::new(LogFiles::NOWHERE);
        let path = move |stream| naming.file(Line::Instance(instance), stream).0;
        Stream::BOTH.into_iter().filter(move |&stream| path(stream) != nowhere)
    }

    /// `; http://127.0.0.1:3001/up: Connection refused`: what is known beside how a worker failed.
    pub(crate) fn finding(&self, child: u64, exit: Exit) -> String {
        self.probes.finding(child, exit).map_or_else(String::new, |found| format!("; {found}"))
    }
}

/// A worker that was ordered by a nexusd that is gone.
fn since(daemon: &Daemon, child: u64) -> From {
    let birth = daemon
        .state
        .by_child(ChildId(child))
        .and_then(|(app, instance)| daemon.state.app(app.as_str())?.slot(instance)?.phase.since());
    let birth = birth.map_or(0, clock::unix_ms_of);
    let since = UNIX_EPOCH + Duration::from_millis(birth);
    From::Since(since.checked_sub(STAMP_MARGIN).unwrap_or(UNIX_EPOCH))
}
