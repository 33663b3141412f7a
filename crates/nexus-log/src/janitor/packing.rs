//! One file on its way to being a compressed one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NOFOLLOW;

use crate::packed::{BLOCK, member};
use crate::rotated::{self, Form, Moment};

pub(super) struct Packing {
    from: PathBuf,
    file: File,
    /// Where it is written until it is whole.
    unfinished: PathBuf,
    into: PathBuf,
    out: File,
    size: u64,
    done: bool,
}

impl Packing {
    /// Of a rotated log, and of its index if it has one.
    pub(super) fn of(log: &Path, at: Moment) -> io::Result<Vec<Packing>> {
        let begin = |from, into| Packing::begin(log, at, from, into);
        let mut all = vec![begin(Form::Plain, Form::Packed)?];
        match begin(Form::Index, Form::PackedIndex) {
            Ok(index) => all.push(index),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(all)
    }

    fn begin(log: &Path, at: Moment, from: Form, into: Form) -> io::Result<Packing> {
        let path = |form| rotated::path(log, at, form);
        let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW).open(path(from))?;
        let mut unfinished = path(into).into_os_string();
        unfinished.push(".tmp");
        let unfinished = PathBuf::from(unfinished);
        // Of an earlier try that a kill broke off.
        let _ = std::fs::remove_file(&unfinished);
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let (from, into) = (path(from), path(into));
        Ok(Packing { from, file, unfinished, into, out, size: 0, done: false })
    }

    /// One block; false = that was the last.
    pub(super) fn step(&mut self) -> io::Result<bool> {
        let mut text = Vec::with_capacity(BLOCK);
        Read::by_ref(&mut self.file).take(BLOCK as u64).read_to_end(&mut text)?;
        if text.is_empty() {
            return Ok(false);
        }
        let member = member(&text)?;
        self.out.write_all(&member)?;
        self.size += member.len() as u64;
        Ok(true)
    }

    /// Give it its name, and delete what it was made of. Gives its size.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        // Else a power cut could leave an empty file under the name, and no original.
        self.out.sync_data()?;
        std::fs::rename(&self.unfinished, &self.into)?;
        self.done = true;
        std::fs::remove_file(&self.from)?;
        Ok(self.size)
    }
}

impl Drop for Packing {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}
