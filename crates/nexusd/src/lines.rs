//! A file of JSON lines that is only appended to, rewritten whole now and then, and never left
//! half-written: how everything that must outlive the daemon is kept.
//!
//! `<stem>.<n>.jsonl`: the highest `n` is the present one, two older ones are kept. A rewrite goes
//! to a temporary file, is fsynced, renamed, and its directory fsynced. A line that a kill or a
//! power cut tore off at the end is dropped. Lines in the middle that cannot be read are left out of
//! a new file, and the old one is kept; a file of another format is moved aside, never overwritten.

mod backwards;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use backwards::newest_first;

/// Older files kept beside the present one.
const OLDER: u64 = 2;
/// The largest file that is read.
const FILE_MAX: u64 = 1 << 30;
/// First line of every file: what it is, so that a newer program can read an older file and an
/// older program refuses a newer one.
const FORMAT: &str = "{\"nexus\":\"lines\",\"version\":3}\n";
/// The version in it: raised with every entry, field or word that an older program would not read
/// (`kinds.rs` knows all of them).
pub const VERSION: u32 = 3;
/// The longest first line that is read.
const FORMAT_MAX: usize = 128;
/// The oldest that is read.
pub(crate) const OLDEST: u32 = 1;

/// The file.
#[derive(Debug)]
pub(crate) struct Lines {
    folder: PathBuf,
    stem: &'static str,
    number: u64,
    file: File,
    length: u64,
    /// Its length after the last rewrite.
    base: u64,
    /// Its first line is an older version's, who would not know every line of ours behind it.
    older: bool,
    /// It is on a disk that is read-only: open for reading, and each append tries anew.
    read_only: bool,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) entries: Vec<T>,
    /// Files that could not be read and were moved aside, and why.
    pub(crate) aside: Vec<String>,
}

impl Lines {
    /// Read the present file and go on writing it.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written.
    pub(crate) fn open<T: DeserializeOwned>(
        folder: &Path,
        stem: &'static str,
    ) -> io::Result<(Lines, Loaded<T>)> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut aside = Vec::new();
        for number in numbers(folder, stem)?.into_iter().rev() {
            let path = path_of(folder, stem, number);
            match read(&path, u64::MAX) {
                Ok(Read { entries, bad, good, whole, older }) if !bad.is_empty() => {
                    let name = format!("{stem}.{number}.damaged-{}", crate::clock::unix_ms());
                    let kept = fs::copy(&path, folder.join(&name));
                    aside.extend(bad.iter().map(|why| {
                        format!("{}: {why}; left out, the file is kept as {name}", path.display())
                    }));
                    if is_read_only(&kept) {
                        let lines = Lines::go_on(folder, stem, number, whole, older)?;
                        return Ok((lines, Loaded { entries, aside }));
                    }
                    kept?;
                    let file = create(folder, stem, number + 1, &good)?;
                    let lines = Lines::of(folder, stem, number + 1, file, good.len() as u64);
                    return Ok((lines, Loaded { entries, aside }));
                }
                Ok(Read { entries, whole, older, .. }) => {
                    let lines = Lines::go_on(folder, stem, number, whole, older)?;
                    return Ok((lines, Loaded { entries, aside }));
                }
                Err(error) => {
                    let name = format!("{stem}.{number}.unreadable-{}", crate::clock::unix_ms());
                    let moved = fs::rename(&path, folder.join(&name));
                    if !is_read_only(&moved) {
                        moved?;
                    }
                    aside.push(format!("{}: {error}; moved to {name}", path.display()));
                }
            }
        }
        let file = create(folder, stem, 1, FORMAT.as_bytes())?;
        let lines = Lines::of(folder, stem, 1, file, FORMAT.len() as u64);
        Ok((lines, Loaded { entries: Vec::new(), aside }))
    }

    /// What it grew to before us is not known: one that is long is rewritten soon.
    fn of(folder: &Path, stem: &'static str, number: u64, file: File, length: u64) -> Lines {
        let base = FORMAT.len() as u64;
        let folder = folder.to_owned();
        Lines { folder, stem, number, file, length, base, older: false, read_only: false }
    }

    /// A file that is there, of which `whole` bytes are whole lines. Who cannot write it can still say
    /// what is in it, and must: what is wanted and what runs.
    fn go_on(
        folder: &Path,
        stem: &'static str,
        number: u64,
        whole: u64,
        older: bool,
    ) -> io::Result<Lines> {
        let path = path_of(folder, stem, number);
        let file = append_to(&path, whole);
        let read_only = is_read_only(&file);
        let file = if read_only { look_at(&path)? } else { file? };
        Ok(Lines { older, read_only, ..Lines::of(folder, stem, number, file, whole) })
    }

    /// Go on writing the present file, of which only the last entries are read: about `bytes` of
    /// it.
    ///
    /// # Errors
    /// As [`Lines::open`].
    pub(crate) fn open_end<T: DeserializeOwned>(
        folder: &Path,
        stem: &'static str,
        bytes: u64,
    ) -> io::Result<(Lines, Loaded<T>)> {
        let newest = match numbers(folder, stem) {
            Ok(numbers) => numbers.last().copied(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(number) = newest
            && let path = path_of(folder, stem, number)
            && let Ok(Read { entries, whole, bad, older, .. }) = read(&path, bytes)
        {
            let lines = Lines::go_on(folder, stem, number, whole, older)?;
            return Ok((lines, Loaded { entries, aside: bad }));
        }
        Lines::open(folder, stem)
    }

    /// Read the newest file that can be read, and change nothing: for those who are not the daemon.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there has no entries.
    pub(crate) fn peek<T: DeserializeOwned>(folder: &Path, stem: &str) -> io::Result<Vec<T>> {
        let all = match numbers(folder, stem) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let newest = all.into_iter().rev();
        let mut read =
            newest.filter_map(|number| read(&path_of(folder, stem, number), u64::MAX).ok());
        Ok(read.next().map(|read| read.entries).unwrap_or_default())
    }

    /// Append one entry. It survives our own death at once, and a power cut after a sync.
    ///
    /// # Errors
    /// When the disk is full or broken; the file is then as it was.
    pub(crate) fn append<T: Serialize>(&mut self, entry: &T) -> io::Result<()> {
        if self.read_only {
            self.file = append_to(&self.path(), self.length)?;
            self.read_only = false;
        }
        if self.older {
            self.renew()?;
        }
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // What was written of it would run into the next line.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// The same lines in a file of this version. The older version's own is kept, as it was: what it
    /// finds if this program is undone.
    fn renew(&mut self) -> io::Result<()> {
        let text = fs::read(self.path())?;
        let first = text.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let text = [FORMAT.as_bytes(), text.get(first..).unwrap_or_default()].concat();
        self.replace(&text)
    }

    /// Whether it is an older version's, of which the next entry makes a new one.
    pub(crate) fn is_older(&self) -> bool {
        self.older
    }

    /// Whether it is longer than `floor` bytes and has grown so far past its last rewrite that a
    /// new one pays.
    pub(crate) fn wants_rewrite(&self, floor: u64) -> bool {
        self.length > floor && self.length > 4 * self.base
    }

    /// Replace the file by these entries.
    ///
    /// # Errors
    /// When the disk is full or broken; the old file stays and is still appended to.
    pub(crate) fn rewrite<T: Serialize>(
        &mut self,
        entries: impl Iterator<Item = T>,
    ) -> io::Result<()> {
        let mut text = FORMAT.as_bytes().to_vec();
        for entry in entries {
            serde_json::to_writer(&mut text, &entry)?;
            text.push(b'\n');
        }
        self.replace(&text)?;
        self.base = self.length;
        Ok(())
    }

    fn replace(&mut self, text: &[u8]) -> io::Result<()> {
        self.file = create(&self.folder, self.stem, self.number + 1, text)?;
        self.number += 1;
        self.length = text.len() as u64;
        (self.older, self.read_only) = (false, false);
        for number in numbers(&self.folder, self.stem)? {
            if number + OLDER < self.number {
                fs::remove_file(path_of(&self.folder, self.stem, number))?;
            }
        }
        Ok(())
    }

    /// Another handle on the file, to sync it from another thread.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The file's path.
    pub(crate) fn path(&self) -> PathBuf {
        path_of(&self.folder, self.stem, self.number)
    }
}

fn path_of(folder: &Path, stem: &str, number: u64) -> PathBuf {
    folder.join(format!("{stem}.{number}.jsonl"))
}

/// The numbers of the files that are there, in order.
fn numbers(folder: &Path, stem: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(".jsonl"))
            .and_then(|number| number.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What a file has.
struct Read<T> {
    entries: Vec<T>,
    /// Its length up to the end of its last whole line.
    whole: u64,
    /// Lines that are none of ours, and why.
    bad: Vec<String>,
    /// The file without those, as one of this version.
    good: Vec<u8>,
    /// It is of an older version.
    older: bool,
}

/// The entries of a file, or of about its last `bytes`.
fn read<T: DeserializeOwned>(path: &Path, bytes: u64) -> io::Result<Read<T>> {
    let (file, version, first) = open_known(path)?;
    let length = file.metadata()?.len();
    if length > FILE_MAX {
        return Err(io::Error::other(format!("it is longer than {FILE_MAX} bytes")));
    }
    let begin = length.saturating_sub(bytes).max(first);
    let mut text = vec![0; usize::try_from(length - begin).unwrap_or(0)];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut text, begin)?;
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let whole = begin + end as u64;
    let mut lines = text[..end].split_inclusive(|&byte| byte == b'\n');
    if begin > first {
        // Its beginning was not read.
        lines.next();
    }
    let good = FORMAT.as_bytes().to_vec();
    let older = version < VERSION;
    let mut read = Read { entries: Vec::new(), whole, bad: Vec::new(), good, older };
    for (number, line) in lines.enumerate() {
        match serde_json::from_slice(line) {
            Ok(entry) => {
                read.entries.push(entry);
                read.good.extend_from_slice(line);
            }
            Err(error) => read.bad.push(format!("line {}: {error}", number + 2)),
        }
    }
    Ok(read)
}

/// A file whose first line this version knows: its version, and where the second line begins.
fn open_known(path: &Path) -> io::Result<(File, u32, u64)> {
    let file = look_at(path)?;
    let unknown = || io::Error::other("its first line is not one that this version knows");
    let (version, first) = format_of(&file)?.ok_or_else(unknown)?;
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(unknown());
    }
    Ok((file, version, first))
}

/// The version in a file's first line, and the length of that.
fn format_of(file: &File) -> io::Result<Option<(u32, u64)>> {
    #[derive(serde::Deserialize)]
    struct Format {
        nexus: String,
        version: u32,
    }
    let mut text = [0; FORMAT_MAX];
    let count = std::os::unix::fs::FileExt::read_at(file, &mut text, 0)?;
    let Some(end) = text[..count].iter().position(|&byte| byte == b'\n') else {
        return Ok(None);
    };
    let format = serde_json::from_slice(&text[..end]).ok();
    let lines = format.filter(|format: &Format| format.nexus == "lines");
    Ok(lines.map(|format| (format.version, end as u64 + 1)))
}

/// Whether the disk has become one: what is on it is gone on with as it is.
fn is_read_only<T>(done: &io::Result<T>) -> bool {
    done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

/// Open at the end of its whole lines: a torn last one would swallow the next.
fn append_to(path: &Path, whole: u64) -> io::Result<File> {
    let file = OpenOptions::new().append(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    file.set_len(whole)?;
    Ok(file)
}

fn look_at(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)
}

/// A whole new file, durable under its name before this returns.
fn create(folder: &Path, stem: &str, number: u64, text: &[u8]) -> io::Result<File> {
    let temporary = folder.join(format!("{stem}.new"));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path_of(folder, stem, number))?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
