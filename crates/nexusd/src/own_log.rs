//! The daemon's own log: one file, bounded, with one older file beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// At this length the file becomes `nexusd.log.1` and a new one is begun.
const LENGTH_MAX: u64 = 8 << 20;

/// Send `tracing` to the file. `NEXUS_LOG` filters it (`info` if unset).
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn start(path: &Path) -> io::Result<()> {
    let filter = EnvFilter::try_from_env("NEXUS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let open = match open(path) {
        // Better a daemon without a log than none.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => None,
        file => Some(file?),
    };
    let log = Log { state: Mutex::new(Open { path: path.to_owned(), open }) };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_timer(Clock)
        // It would say so on stderr, which may be the same full disk, and panic there.
        .log_internal_errors(false)
        .with_writer(log)
        .finish();
    // It can only be set already, by a test.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

struct Clock;

impl tracing_subscriber::fmt::time::FormatTime for Clock {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{} [{}]", crate::clock::rfc3339(crate::clock::unix_ms()), std::process::id())
    }
}

struct Log {
    state: Mutex<Open>,
}

struct Open {
    path: PathBuf,
    /// The file and its length; `None` = it could not be opened so far.
    open: Option<(File, u64)>,
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    let length = file.metadata()?.size();
    Ok((file, length))
}

impl Open {
    /// The file, with room in it.
    fn file(&mut self) -> io::Result<&mut (File, u64)> {
        if self.open.as_ref().is_some_and(|(_, length)| *length > LENGTH_MAX) {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            fs::rename(&self.path, older)?;
            self.open = None;
        }
        match &mut self.open {
            Some(open) => Ok(open),
            none => Ok(none.insert(open(&self.path)?)),
        }
    }
}

/// One line at a time, under the lock.
struct Line<'a>(&'a Mutex<Open>);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, length) = open.file()?;
        let written = file.write(bytes)?;
        *length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nexusd.log");
        let (file, _) = open(&path).unwrap();
        let open = Some((file, LENGTH_MAX + 1));
        let log = Log { state: Mutex::new(Open { path: path.clone(), open }) };
        log.make_writer().write_all(b"first in the new one\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first in the new one\n");
        assert!(folder.path().join("nexusd.log.1").exists());
    }
}
