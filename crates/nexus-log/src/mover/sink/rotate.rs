//! From a full or lost file to a new one, at the end of a line of text.
//!
//! A kill may come between any two calls. What is on disk says all: a file that is held and has
//! another name than its path, or none, was rotated or lost; if the file under the path is empty,
//! the old one is written to the end of its line, else the new one has been begun.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::fstat;
use nix::unistd::{Whence, ftruncate, lseek};

use super::{Index, REPLACE_BYTES, REPLACE_PATIENCE, Replacing, Sink, position};
use crate::index::index_path;
use crate::mover::line::Tools;
use crate::mover::{Note, Then, lock};
use crate::open::log_to_write;
use crate::rotated::{self, Form, Moment};

/// After a refusal of the file system: how long until it is asked again.
const REFUSED_PATIENCE: Duration = Duration::from_secs(5);

impl Sink {
    /// Whether it is to be rotated before anything more is written.
    pub(super) fn is_full(&self, size: u64) -> bool {
        let too_big = self.rules.max_size.is_some_and(|max| size >= max);
        let age = self.born.and_then(|born| born.elapsed().ok());
        let too_old = self.rules.max_age.zip(age).is_some_and(|(max, age)| age >= max);
        size > 0 && (too_big || too_old) && self.rules.apply_to(&self.path)
    }

    /// Rotate: the file gets another name, and what comes after the end of its line goes to a new
    /// one.
    pub(super) fn rotate(&mut self, tools: &mut Tools<'_>) {
        let at = self.free_moment();
        match rename_away(&self.path, at) {
            Ok(file) => self.replace(file, Some(at), tools),
            Err(error) => self.refuse(&error, tools),
        }
    }

    /// Its name leads elsewhere or nowhere: what comes after the end of its line goes to the file
    /// of that name, which is made if there is none.
    pub(super) fn renew(&mut self, tools: &mut Tools<'_>) {
        match log_to_write(&self.path) {
            Ok(file) => self.replace(file, None, tools),
            Err(error) => self.refuse(&error, tools),
        }
    }

    /// After a kill: the file that was written to is the last that was rotated, whatever was held.
    /// False = it cannot be told: all are compressed.
    pub(super) fn take_last_rotated(&mut self) -> bool {
        let last = rotated::last(&self.path);
        let file = last.map(|at| log_to_write(&rotated::path(&self.path, at, Form::Plain)));
        match file {
            Some(Ok(file)) => {
                self.file = file;
                true
            }
            Some(Err(_)) | None => false,
        }
    }

    /// After a kill between the two renames of a rotation: the index is still the present file's.
    pub(super) fn take_index_back(&self, size: u64) {
        let index = index_path(&self.path);
        if size > 0
            && index.symlink_metadata().is_err()
            && let Some(away) = rotated::orphan_index(&self.path)
        {
            // Without it, lines have no time.
            let _ = rename_to_free(&away, &index);
        }
    }

    /// Rotate now, on request, unless there is nothing in it.
    pub(in crate::mover) fn rotate_on_request(&mut self, then: Then, tools: &mut Tools<'_>) {
        let used = self.stat().filter(|stat| stat.st_size > 0 && self.is_named(stat)).is_some();
        if self.replacing.is_none() && used && self.rules.apply_to(&self.path) {
            self.rotate(tools);
        }
        match &mut self.replacing {
            Some(replacing) => replacing.thens.push(then),
            None => then(),
        }
        self.end_replacement(tools);
    }

    /// Empty it, and delete what was rotated. `then` gets the bytes that this frees.
    pub(in crate::mover) fn clear(
        &mut self,
        then: Box<dyn FnOnce(u64) + Send>,
        tools: &mut Tools<'_>,
    ) {
        self.take_new_file(tools);
        let size = self.stat().map_or(0, |stat| position(stat.st_size));
        let emptied = size > 0
            && ftruncate(&self.file, 0).is_ok()
            && lseek(&self.file, 0, Whence::SeekSet).is_ok();
        self.forget_times(tools);
        let freed = if emptied { size } else { 0 };
        if self.rules.apply_to(&self.path) {
            let then = Box::new(move |more| then(freed + more));
            tools.janitor.clear(&self.path, self.upto.max(Moment::now()), then);
        } else {
            then(freed);
        }
    }

    /// When the new file is taken also in the midst of a line of text.
    pub(in crate::mover) fn replace_at(&self) -> Option<Instant> {
        self.replacing.as_ref().map(|replacing| replacing.since + REPLACE_PATIENCE)
    }

    /// Whether a new file waits for the end of a line.
    pub(in crate::mover) fn is_replacing(&self) -> bool {
        self.replacing.is_some()
    }

    /// Take the new file, if it is time.
    pub(in crate::mover) fn end_replacement(&mut self, tools: &mut Tools<'_>) {
        let Some(waiting) = &self.replacing else { return };
        let overdue = waiting.since.elapsed() >= REPLACE_PATIENCE
            || self.moved.saturating_sub(waiting.moved) >= REPLACE_BYTES;
        if overdue || !self.mid_line(tools) {
            self.take_new_file(tools);
        }
    }

    fn replace(&mut self, file: OwnedFd, rotated: Option<Moment>, tools: &mut Tools<'_>) {
        // Bytes in the new one: it was begun before a kill, so the old one had its last line.
        let begun = fstat(&file).is_ok_and(|stat| stat.st_size > 0);
        let replacing = Replacing {
            file,
            since: Instant::now(),
            moved: self.moved,
            rotated,
            thens: Vec::new(),
        };
        self.replacing = Some(replacing);
        if begun {
            self.take_new_file(tools);
        }
    }

    /// Take the new file, if there is one.
    pub(in crate::mover) fn take_new_file(&mut self, tools: &mut Tools<'_>) {
        let Some(replacing) = self.replacing.take() else { return };
        if let Ok(twin) = replacing.file.try_clone() {
            lock(&tools.shared.renewed).insert(tools.id, twin);
        }
        self.file = replacing.file;
        self.index = Index::Untried;
        (self.stamped, self.born) = (None, None);
        self.splices = true;
        self.refused = None;
        self.size = self.stat().map_or(0, |stat| position(stat.st_size));
        self.upto = replacing.rotated.unwrap_or_else(|| self.upto.max(Moment::now()));
        // Not only at the first byte: the file may be renamed again before that comes.
        if let Some(stat) = self.stat()
            && let Ok(offset) = lseek(&self.file, 0, Whence::SeekCur)
        {
            self.take_index_back(position(stat.st_size));
            self.open_index(position(offset), tools);
        }
        tools.janitor.tend(&self.path, &self.rules, self.upto);
        (tools.notes)(tools.id, Note::Renewed);
        replacing.thens.into_iter().for_each(|then| then());
    }

    fn refuse(&mut self, error: &io::Error, tools: &mut Tools<'_>) {
        self.patience = Some(Instant::now() + REFUSED_PATIENCE);
        let errno = error.raw_os_error().unwrap_or(0);
        if self.refused.replace(errno) != Some(errno) {
            (tools.notes)(tools.id, Note::Refused(errno));
        }
    }

    /// A time that no rotated file of this log bears, and later than all of them: the clock may
    /// have gone back, and a flood rotates more than once in a millisecond.
    fn free_moment(&self) -> Moment {
        let mut at = Moment::now().max(self.upto.after());
        let taken = |at| {
            [Form::Plain, Form::Packed]
                .iter()
                .any(|form| rotated::path(&self.path, at, *form).symlink_metadata().is_ok())
        };
        while taken(at) {
            at = at.after();
        }
        at
    }
}

/// Rename a log and, before, its index; then make a new log. What fails is undone.
fn rename_away(log: &Path, at: Moment) -> io::Result<OwnedFd> {
    let (index, index_away) = (index_path(log), rotated::path(log, at, Form::Index));
    let away = rotated::path(log, at, Form::Plain);
    let had_index = std::fs::rename(&index, &index_away).is_ok();
    let renamed = rename_to_free(log, &away);
    let made = renamed.and_then(|()| {
        log_to_write(log).inspect_err(|_| {
            let _ = rename_to_free(&away, log);
        })
    });
    made.inspect_err(|_| {
        if had_index {
            let _ = std::fs::rename(&index_away, &index);
        }
    })
}

/// Rename, unless the new name is taken.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        // A file system that does not know the flag (rename(2)); it was asked whether the name is
        // taken.
        Err(Errno::EINVAL | Errno::ENOSYS) => std::fs::rename(from, to),
        result => Ok(result?),
    }
}
