//! A log that nobody writes to: emptied or rotated by its name.

use std::io;
use std::path::Path;

use crate::index::index_path;
use crate::rotated::{self, Form, Moment};

/// Empty a log and delete what was rotated, or with `rotate` give it the name of a rotated one.
/// Gives the bytes that this frees. What does not exist, or is no file, is left.
///
/// # Errors
/// What the file system says.
pub fn flush_at_rest(log: &Path, rotate: bool) -> io::Result<u64> {
    let size = match log.symlink_metadata() {
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(_) => return Ok(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if rotate {
        if size > 0 {
            let after = rotated::newest(log).map_or(Moment::FIRST, Moment::after);
            let at = Moment::now().max(after);
            let _ = std::fs::rename(index_path(log), rotated::path(log, at, Form::Index));
            std::fs::rename(log, rotated::path(log, at, Form::Plain))?;
        }
        return Ok(0);
    }
    let freed = size + rotated::delete_all(log);
    remove(&index_path(log))?;
    remove(log)?;
    Ok(freed)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
