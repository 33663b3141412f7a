//! Which rotated files there are: read from a directory once, then kept up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::rotated::{self, Form, Moment};
use crate::rules::Rules;

/// By directory.
#[derive(Default)]
pub(super) struct Catalog {
    directories: HashMap<PathBuf, Directory>,
    groups: HashMap<Arc<str>, Group>,
    /// Groups that may have grown beyond their total.
    grown: BTreeSet<Arc<str>>,
}

/// The logs that have rotated files, by their paths.
type Directory = HashMap<PathBuf, Log>;

#[derive(Default)]
struct Log {
    rotated: BTreeMap<Moment, Rotated>,
    /// What is younger may still be written to.
    upto: Option<Moment>,
    group: Option<Arc<str>>,
}

#[derive(Clone, Copy, Default)]
struct Rotated {
    /// With its index.
    bytes: u64,
    packed: bool,
    unpackable: bool,
}

/// Logs that share a total and have rotated files.
#[derive(Default)]
struct Group {
    logs: BTreeSet<PathBuf>,
    /// What their rotated files may take, in bytes.
    room: u64,
}

impl Catalog {
    /// Enter what was rotated, and delete what is beyond the log's own bounds; [`Catalog::bound`]
    /// is to follow.
    pub(super) fn tend(&mut self, log: &Path, rules: &Rules, rotated: &[Moment], upto: Moment) {
        let known = self.log(log);
        rotated.iter().for_each(|at| known.look(log, *at));
        if known.rotated.is_empty() {
            // Thousands of logs have never been rotated, and need no memory here.
            self.forget(log);
            return;
        }
        known.upto = Some(upto);
        let beyond: Vec<Moment> =
            known.rotated.range(..=upto).rev().skip(rules.keep).map(|(at, _)| *at).collect();
        let before = known.group.replace(Arc::clone(&rules.group));
        for at in beyond {
            self.delete(log, at);
        }
        if let Some(before) = before.filter(|before| *before != rules.group)
            && let Some(group) = self.groups.get_mut(&before)
        {
            group.logs.remove(log);
        }
        let Some(total) = rules.total else { return };
        let group = self.groups.entry(Arc::clone(&rules.group)).or_default();
        group.logs.insert(log.to_owned());
        // The present files count with what they may become: thousands need not be asked.
        let present = rules.max_size.unwrap_or(0).saturating_mul(rules.files as u64);
        group.room = total.saturating_sub(present);
        self.grown.insert(Arc::clone(&rules.group));
    }

    /// Delete the oldest rotated files of each group that takes more than its total.
    pub(super) fn bound(&mut self) {
        while let Some(name) = self.grown.pop_first() {
            let Some(group) = self.groups.get(&name) else { continue };
            let room = group.room;
            let (mut bytes, mut oldest) = (0, BTreeSet::new());
            for path in &group.logs {
                let Some(log) = self.known(path) else { continue };
                bytes += log.rotated.values().map(|one| one.bytes).sum::<u64>();
                let upto = log.upto.unwrap_or(Moment::FIRST);
                // The newest one stays: a log that was large before we came is not lost at once.
                let older = log.rotated.range(..=upto).rev().skip(1);
                oldest.extend(older.map(|(at, _)| (*at, path.clone())));
            }
            while bytes > room
                && let Some((at, log)) = oldest.pop_first()
            {
                bytes = bytes.saturating_sub(self.delete(&log, at));
            }
        }
    }

    /// Delete all that is written to no more; gives the bytes that this frees.
    pub(super) fn clear(&mut self, log: &Path, upto: Moment) -> u64 {
        let known = self.log(log);
        known.look(log, upto);
        let all: Vec<Moment> = known.rotated.range(..=upto).map(|(at, _)| *at).collect();
        all.into_iter().map(|at| self.delete(log, at)).sum()
    }

    /// Those of a log that are to be compressed, the oldest first.
    pub(super) fn unpacked(&mut self, log: &Path) -> impl Iterator<Item = Moment> {
        let known = self.log(log);
        let upto = known.upto.unwrap_or(Moment::FIRST);
        known
            .rotated
            .range(..=upto)
            .filter(|(_, one)| !one.packed && !one.unpackable)
            .map(|(at, _)| *at)
    }

    pub(super) fn has(&mut self, log: &Path, at: Moment) -> bool {
        self.log(log).rotated.contains_key(&at)
    }

    pub(super) fn packed(&mut self, log: &Path, at: Moment, bytes: u64) {
        self.log(log).rotated.insert(at, Rotated { bytes, packed: true, unpackable: false });
    }

    pub(super) fn unpackable(&mut self, log: &Path, at: Moment) {
        if let Some(one) = self.log(log).rotated.get_mut(&at) {
            one.unpackable = true;
        }
    }

    fn delete(&mut self, log: &Path, at: Moment) -> u64 {
        for form in [Form::Index, Form::PackedIndex, Form::Plain, Form::Packed] {
            // What somebody else deleted is gone, which is what is wanted.
            let _ = std::fs::remove_file(rotated::path(log, at, form));
        }
        self.log(log).rotated.remove(&at).map_or(0, |one| one.bytes)
    }

    fn forget(&mut self, log: &Path) {
        let directory = log.parent().unwrap_or_else(|| Path::new(""));
        if let Some(directory) = self.directories.get_mut(directory) {
            directory.remove(log);
        }
    }

    fn known(&self, log: &Path) -> Option<&Log> {
        self.directories.get(log.parent().unwrap_or_else(|| Path::new("")))?.get(log)
    }

    fn log(&mut self, log: &Path) -> &mut Log {
        let directory = log.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let entry = self.directories.entry(directory);
        let directory = entry.or_insert_with_key(|directory| read(directory));
        directory.entry(log.to_owned()).or_default()
    }
}

impl Log {
    /// Enter a file that was rotated since the directory was read.
    fn look(&mut self, log: &Path, at: Moment) {
        let plain = rotated::path(log, at, Form::Plain);
        if !self.rotated.contains_key(&at) && plain.exists() {
            let bytes = size_of(&plain) + size_of(&rotated::path(log, at, Form::Index));
            self.rotated.insert(at, Rotated { bytes, ..Rotated::default() });
        }
    }
}

/// What is in a directory. What cannot be read has nothing.
fn read(directory: &Path) -> Directory {
    let mut logs = Directory::default();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let Some((name, at, form)) = rotated::split(&entry.file_name()) else { continue };
        if form == Form::Unfinished {
            // Of a thread that a kill has ended: nobody goes on with it.
            let _ = std::fs::remove_file(entry.path());
            continue;
        }
        let log = logs.entry(directory.join(name)).or_default();
        let one = log.rotated.entry(at).or_default();
        one.bytes += entry.metadata().map_or(0, |meta| meta.len());
        one.packed |= form == Form::Packed;
    }
    for (path, log) in &mut logs {
        for (at, one) in &mut log.rotated {
            // A kill between the two: the original is whole, the other may be of an older kind.
            one.packed &= !rotated::path(path, *at, Form::Plain).exists();
        }
    }
    logs
}

fn size_of(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).map_or(0, |meta| meta.len())
}
