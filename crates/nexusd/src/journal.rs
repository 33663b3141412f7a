//! The journal of events: what happened, when, and who asked; append-only.

use std::io;
use std::path::Path;

use nexus_proto::EventView;

use crate::lines::Lines;

/// Events kept in memory, for those who follow.
const RECENT_MAX: usize = 256;
/// A file longer than this is closed; it and the one before it are kept beside the new one.
const FILE_MAX: u64 = 16 << 20;
/// So much of its end is read at the start: [`RECENT_MAX`] events and more.
const END: u64 = 512 << 10;
const STEM: &str = "events";

/// The journal.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: Lines,
    recent: std::collections::VecDeque<EventView>,
    /// Told by a daemon that was killed before it had kept what they tell of.
    unsettled: Vec<EventView>,
    next: u64,
}

impl Journal {
    /// `told` = the last event of which the state knows what it tells of.
    ///
    /// # Errors
    /// When the state folder cannot be read or written.
    pub(crate) fn open(folder: &Path, told: Option<u64>) -> io::Result<Journal> {
        let (lines, loaded) = Lines::open_end::<EventView>(folder, STEM, END)?;
        for aside in &loaded.aside {
            tracing::error!("{aside}");
        }
        // A new file may be empty: the numbers go on from the older one.
        let next = match loaded.entries.last() {
            Some(event) => event.id + 1,
            None => Journal::read(folder)?.last().map_or(1, |event| event.id + 1),
        };
        let skip = loaded.entries.len().saturating_sub(RECENT_MAX);
        let recent: std::collections::VecDeque<_> = loaded.entries.into_iter().skip(skip).collect();
        let of_the_killed = |event: &&EventView| told.is_some_and(|told| event.id > told);
        let unsettled = recent.iter().filter(of_the_killed).cloned().collect();
        Ok(Journal { lines, recent, unsettled, next })
    }

    /// Write what a change brings about, or who asked for it. After a kill between this and the
    /// keeping of the change the next daemon makes it again: it is told already then.
    pub(crate) fn write_once(&mut self, event: EventView) {
        let what = |event: &EventView| {
            let EventView { kind, app, instance, detail, actor, .. } = event;
            (kind.clone(), app.clone(), *instance, detail.clone(), actor.clone())
        };
        match self.unsettled.iter().position(|old| what(old) == what(&event)) {
            Some(told) => drop(self.unsettled.remove(told)),
            None => self.write(event),
        }
    }

    /// Write one event; `id` and `schema` are filled in here. What has been told of a child is not
    /// told again: after a death of the daemon the same exit is judged twice.
    pub(crate) fn write(&mut self, mut event: EventView) {
        let told = |old: &EventView| old.child == event.child && old.kind == event.kind;
        if event.child.is_some() && self.recent.iter().rev().any(told) {
            return;
        }
        event.schema = "nexus.event/1".into();
        event.id = self.next;
        self.next += 1;
        // What an older version wrote stays in its own file.
        if self.lines.is_older() {
            self.go_on_in_a_new_file();
        }
        if let Err(error) = self.lines.append(&event) {
            tracing::error!(%error, "an event could not be written");
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
        if self.lines.wants_rewrite(FILE_MAX) {
            self.go_on_in_a_new_file();
        }
    }

    fn go_on_in_a_new_file(&mut self) {
        if let Err(error) = self.lines.rewrite(std::iter::empty::<EventView>()) {
            tracing::error!(%error, "the journal of events could not be continued in a new file");
        }
    }

    /// Whether one of no app was told since, in milliseconds of Unix time as in `at`: after a death
    /// of the daemon in between, the end of an operation comes to be told again.
    pub(crate) fn has_told(&self, kind: &str, detail: &str, since: &str) -> bool {
        let newest_first = self.recent.iter().rev();
        let mut of_then = newest_first.take_while(|event| event.at.as_str() >= since);
        of_then.any(|event| event.app.is_none() && event.kind == kind && event.detail == detail)
    }

    /// Events after `id`, oldest first.
    pub(crate) fn after(&self, id: u64) -> impl Iterator<Item = &EventView> {
        let skip = self.recent.partition_point(|event| event.id <= id);
        self.recent.iter().skip(skip)
    }

    /// All events on disk, oldest first. Blocks: not for the runtime's thread.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn read(folder: &Path) -> io::Result<Vec<EventView>> {
        crate::lines::read_all(folder, STEM)
    }

    /// The newest event's number; 0 when there is none.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(detail: &str) -> EventView {
        let text = format!(
            r#"{{"schema":"","id":0,"at":"","kind":"scale","app":"api","instance":null,"pid":null,
            "detail":"{detail}","by":"nexusd","exit":null,"last_lines":[]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn told(folder: &Path) -> Vec<String> {
        Journal::read(folder).unwrap().into_iter().map(|event| event.detail).collect()
    }

    #[test]
    fn what_was_told_and_not_kept_is_not_told_again_when_it_is_done_again() {
        let home = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(home.path(), None).unwrap();
        journal.write_once(event("from 1 to 2"));
        let kept = journal.last();
        journal.write_once(event("from 2 to 3"));
        drop(journal);
        // Killed before the second one was kept: only that one is done again.
        let mut journal = Journal::open(home.path(), Some(kept)).unwrap();
        journal.write_once(event("from 2 to 3"));
        assert_eq!(told(home.path()), ["from 1 to 2", "from 2 to 3"]);
        journal.write_once(event("from 2 to 3"));
        journal.write_once(event("from 1 to 2"));
        assert_eq!(told(home.path())[2..], ["from 2 to 3", "from 1 to 2"]);
    }
}
