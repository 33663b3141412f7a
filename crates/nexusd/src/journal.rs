//! The journal of events: what happened, when, and who asked; append-only.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use nexus_proto::EventView;

use crate::lines::{Lines, newest_first};

/// Events kept in memory, for those who follow.
const RECENT_MAX: usize = 256;
/// A file longer than this is closed; it and the one before it are kept beside the new one.
const FILE_MAX: u64 = 16 << 20;
/// So much of its end is read at the start: [`RECENT_MAX`] events and more.
const END: u64 = 512 << 10;
const STEM: &str = "events";
/// The kinds of events that tell the beginning and the end of a child.
const LIFE: [&str; 2] = ["start", "exit"];

/// The journal.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: Lines,
    recent: std::collections::VecDeque<EventView>,
    /// Whose beginning or end is told further back than that, in what was read at the start.
    before: HashSet<(u64, String)>,
    /// Told, and not in the file so far.
    pending: Vec<EventView>,
    next: u64,
}

/// What is on disk.
#[derive(Debug)]
pub(crate) struct Past {
    /// Those that were wanted, oldest first.
    pub(crate) events: Vec<EventView>,
    /// The number up to which it was looked at: whoever goes on asks for what is above.
    pub(crate) newest: u64,
}

impl Journal {
    /// Go on with the journal. `kept` was told last by the daemon before us, who was perhaps killed
    /// before it was written here.
    ///
    /// # Errors
    /// When the state folder cannot be read or written.
    pub(crate) fn open(folder: &Path, kept: Vec<EventView>) -> io::Result<Journal> {
        let (lines, loaded) = Lines::open_end::<EventView>(folder, STEM, END)?;
        for aside in &loaded.aside {
            tracing::error!("{aside}");
        }
        // A new file may be empty: the numbers go on from the older one.
        let next = match loaded.entries.last() {
            Some(event) => event.id + 1,
            None => Journal::read(folder, 0, 1, |_| true)?.newest + 1,
        };
        let lives = loaded.entries.iter().filter(|event| LIFE.contains(&event.kind.as_str()));
        let before = lives.filter_map(|event| Some((event.child?, event.kind.clone()))).collect();
        let skip = loaded.entries.len().saturating_sub(RECENT_MAX);
        let recent = loaded.entries.into_iter().skip(skip).collect();
        let mut journal = Journal { lines, recent, before, pending: Vec::new(), next };
        kept.into_iter().filter(|event| event.id >= next).for_each(|event| journal.take(event));
        journal.write();
        Ok(journal)
    }

    /// Tell one event; `id` and `schema` are filled in here. It is written by [`Journal::write`].
    /// What has been told of a child is not told again: where nothing could be kept, the same exit is
    /// judged twice.
    pub(crate) fn tell(&mut self, mut event: EventView) {
        let told = |old: &EventView| {
            old.child == event.child && old.kind == event.kind && old.app == event.app
        };
        let before = |child| self.before.contains(&(child, event.kind.clone()));
        if event.child.is_some_and(|child| self.recent.iter().rev().any(told) || before(child)) {
            return;
        }
        event.schema = "nexus.event/1".into();
        event.id = self.next;
        self.take(event);
    }

    fn take(&mut self, event: EventView) {
        self.next = event.id + 1;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(event.clone());
        self.pending.push(event);
    }

    /// What was told and is not written. It is kept with what it tells of, in one line, before it is
    /// written here: so a kill at any moment leaves both or neither.
    pub(crate) fn pending(&self) -> &[EventView] {
        &self.pending
    }

    /// Write what is pending.
    pub(crate) fn write(&mut self) {
        for event in std::mem::take(&mut self.pending) {
            // What an older version wrote stays in its own file.
            if self.lines.is_older() || self.lines.wants_rewrite(FILE_MAX) {
                self.go_on_in_a_new_file();
            }
            if let Err(error) = self.lines.append(&event) {
                tracing::error!(%error, "an event could not be written");
            }
        }
    }

    fn go_on_in_a_new_file(&mut self) {
        if let Err(error) = self.lines.rewrite(std::iter::empty::<EventView>()) {
            tracing::error!(%error, "the journal of events could not be continued in a new file");
        }
    }

    /// Events after `id`, oldest first.
    pub(crate) fn after(&self, id: u64) -> impl Iterator<Item = &EventView> {
        let skip = self.recent.partition_point(|event| event.id <= id);
        self.recent.iter().skip(skip)
    }

    /// Of the events on disk with a higher number than `after`, those that `takes`, the last `most`
    /// of them. Blocks: not for the runtime's thread.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn read(
        folder: &Path,
        after: u64,
        most: usize,
        takes: impl Fn(&EventView) -> bool,
    ) -> io::Result<Past> {
        let mut events = Vec::new();
        let mut newest = after;
        let take = |event: EventView| {
            newest = newest.max(event.id);
            if events.len() == most || event.id <= after {
                return ControlFlow::Break(());
            }
            events.extend(Some(event).filter(&takes));
            ControlFlow::Continue(())
        };
        newest_first(folder, STEM, take)?;
        events.reverse();
        Ok(Past { events, newest })
    }

    /// The newest event's number; 0 when there is none.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(detail: &str, child: Option<u64>) -> EventView {
        let child = child.map_or("null".to_owned(), |child| child.to_string());
        let text = format!(
            r#"{{"schema":"","id":0,"at":"","kind":"scale","app":"api","instance":null,"pid":null,
            "child":{child},"detail":"{detail}","by":"nexusd","exit":null,"last_lines":[]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn told(folder: &Path) -> Vec<(u64, String)> {
        let all = Journal::read(folder, 0, usize::MAX, |_| true).unwrap().events;
        all.into_iter().map(|event| (event.id, event.detail)).collect()
    }

    #[test]
    fn what_was_kept_and_not_written_is_written_by_the_next_and_only_once() {
        let home = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(home.path(), Vec::new()).unwrap();
        journal.tell(event("one", None));
        journal.write();
        // More than are kept in memory.
        let details: Vec<String> = (0..300).map(|number| format!("two {number}")).collect();
        details.iter().for_each(|detail| journal.tell(event(detail, None)));
        let kept = journal.pending().to_vec();
        assert_eq!(told(home.path()), [(1, "one".to_owned())]);
        drop(journal);
        for _ in 0..2 {
            Journal::open(home.path(), kept.clone()).unwrap();
            let all = told(home.path());
            assert_eq!(all.len(), 301);
            assert!(all.iter().zip(1..).all(|((id, _), number)| *id == number));
        }
        // The same may happen again, and is told again.
        let mut journal = Journal::open(home.path(), Vec::new()).unwrap();
        journal.tell(event("two 299", None));
        journal.write();
        assert_eq!(told(home.path()).last(), Some(&(302, "two 299".to_owned())));
    }

    #[test]
    fn the_last_that_are_wanted_are_read() {
        let home = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(home.path(), Vec::new()).unwrap();
        (1..=9).for_each(|number| journal.tell(event(&number.to_string(), None)));
        journal.write();
        let read = |after, most, odd: bool| -> Vec<u64> {
            let takes = |event: &EventView| !odd || event.id % 2 == 1;
            let past = Journal::read(home.path(), after, most, takes).unwrap();
            assert_eq!(past.newest, 9);
            past.events.into_iter().map(|event| event.id).collect()
        };
        assert_eq!(read(0, 2, false), [8, 9]);
        assert_eq!(read(0, 3, true), [5, 7, 9]);
        assert_eq!(read(6, 10, true), [7, 9]);
        assert_eq!(read(9, 10, false), [] as [u64; 0]);
    }

    #[test]
    fn of_a_child_the_same_is_told_once() {
        let home = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(home.path(), Vec::new()).unwrap();
        [7, 7, 8].into_iter().for_each(|child| journal.tell(event("x", Some(child))));
        assert_eq!(journal.pending().len(), 2);
    }
}
