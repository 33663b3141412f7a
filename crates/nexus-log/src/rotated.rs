//! Names of rotated files: `<log>.<UTC time>`, and `.gz` behind it once it is compressed.
//!
//! The time is of the rotation, in the basic form of ISO 8601 with milliseconds
//! (`20261123T140229.918Z`), so that names sort by age and no tool takes a colon for a host's name.
//! Beside it lies its index, `.idx` or `.idx.gz` behind the time.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `20261123T140229.918Z` has so many bytes.
const TIME_LEN: usize = 20;

/// When a log was rotated, in milliseconds since 1970: no two rotations of a log have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(pub(crate) i64);

/// What a file beside a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The rotated log as it was.
    Plain,
    /// Compressed.
    Packed,
    /// Its index.
    Index,
    /// Its index, compressed.
    PackedIndex,
    /// A file whose compression was broken off.
    Unfinished,
}

impl Form {
    /// What follows the time in the name. The longer ones first: one ends as another does.
    const ALL: [(Form, &'static str); 6] = [
        (Form::Unfinished, ".idx.gz.tmp"),
        (Form::PackedIndex, ".idx.gz"),
        (Form::Unfinished, ".gz.tmp"),
        (Form::Packed, ".gz"),
        (Form::Index, ".idx"),
        (Form::Plain, ""),
    ];

    fn ending(self) -> &'static str {
        Form::ALL.iter().find(|(form, _)| *form == self).map_or("", |(_, ending)| ending)
    }
}

impl Moment {
    /// Before all.
    pub(crate) const FIRST: Moment = Moment(i64::MIN);

    pub(crate) fn now() -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The next one.
    pub(crate) fn after(self) -> Moment {
        Moment(self.0.saturating_add(1))
    }

    pub(crate) fn time(self) -> SystemTime {
        let ms = u64::try_from(self.0).unwrap_or(0);
        UNIX_EPOCH + std::time::Duration::from_millis(ms)
    }

    fn text(self) -> String {
        let time = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        time.strftime("%Y%m%dT%H%M%S%.3fZ").to_string()
    }

    fn parse(text: &[u8]) -> Option<Moment> {
        let text = std::str::from_utf8(text).ok()?;
        let time = DateTime::strptime("%Y%m%dT%H%M%S%.3fZ", text).ok()?;
        let moment = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
        // Only what we would have written: a parser may be generous.
        Some(Moment(moment)).filter(|moment| moment.text() == text)
    }
}

/// The path of a rotated log, or of what belongs to it.
pub(crate) fn path(log: &Path, at: Moment, form: Form) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(".");
    path.push(at.text());
    path.push(form.ending());
    PathBuf::from(path)
}

/// What a file's name says: the log's own name, when it was rotated, and what of it the file is.
pub(crate) fn split(name: &OsStr) -> Option<(OsString, Moment, Form)> {
    Form::ALL.iter().find_map(|(form, ending)| {
        let rest = name.as_bytes().strip_suffix(ending.as_bytes())?;
        let (log, time) = rest.split_at_checked(rest.len().checked_sub(TIME_LEN)?)?;
        let log = log.strip_suffix(b".").filter(|log| !log.is_empty())?;
        Some((OsString::from_vec(log.to_vec()), Moment::parse(time)?, *form))
    })
}

/// When a log was last rotated whose file is not compressed yet.
pub(crate) fn last(log: &Path) -> Option<Moment> {
    all_of(log).filter(|(_, form)| *form == Form::Plain).map(|(at, _)| at).max()
}

/// When a log was last rotated.
pub(crate) fn newest(log: &Path) -> Option<Moment> {
    all_of(log).map(|(at, _)| at).max()
}

/// Delete all that was rotated of a log, and give its bytes.
pub(crate) fn delete_all(log: &Path) -> u64 {
    let mut freed = 0;
    for (at, form) in all_of(log).collect::<Vec<_>>() {
        let path = path(log, at, form);
        let size = path.symlink_metadata().map_or(0, |meta| meta.len());
        freed += if std::fs::remove_file(path).is_ok() { size } else { 0 };
    }
    freed
}

/// The index that was renamed before a kill, if its log was not: the newest of all.
pub(crate) fn orphan_index(log: &Path) -> Option<PathBuf> {
    let index = all_of(log).filter(|(_, form)| *form == Form::Index).map(|(at, _)| at).max()?;
    let has_log = |(at, form)| at >= index && matches!(form, Form::Plain | Form::Packed);
    (!all_of(log).any(has_log)).then(|| path(log, index, Form::Index))
}

/// What there is beside a log.
fn all_of(log: &Path) -> impl Iterator<Item = (Moment, Form)> {
    let entries = log.parent().and_then(|directory| std::fs::read_dir(directory).ok());
    let split = entries.into_iter().flatten().flatten().filter_map(|e| split(&e.file_name()));
    split.filter(|(of, _, _)| log.file_name() == Some(of)).map(|(_, at, form)| (at, form))
}

/// Whether an open file's path, as `/proc/self/fd` tells it, is that of `log` or of one that bore
/// its name before it was rotated or deleted.
#[must_use]
pub fn is_generation(open: &Path, log: &Path) -> bool {
    let bytes = open.as_os_str().as_bytes();
    let open = Path::new(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)));
    if open == log {
        return true;
    }
    let split = open.file_name().and_then(split);
    split.is_some_and(|(name, _, _)| open.with_file_name(name) == log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_what_it_was_made_of() {
        let log = Path::new("/logs/api-out.log");
        let at = Moment(1_795_874_549_918);
        let plain = path(log, at, Form::Plain);
        assert_eq!(plain, Path::new("/logs/api-out.log.20261128T140229.918Z"));
        for (form, _) in Form::ALL {
            let path = path(log, at, form);
            let read = split(path.file_name().unwrap());
            assert_eq!(read, Some(("api-out.log".into(), at, form)), "{}", path.display());
            assert!(is_generation(&path, log));
        }
        assert!(is_generation(Path::new("/logs/api-out.log (deleted)"), log));
        assert!(!is_generation(Path::new("/other/api-out.log"), log));
        assert!(!is_generation(&path(Path::new("/logs/xapi-out.log"), at, Form::Plain), log));
    }

    #[test]
    fn names_of_others_are_none() {
        for name in [
            "api-out.log",
            "api-out.log.1",
            "api-out.log.gz",
            "api-out.log.idx",
            ".20261128T134229.918Z",
            "a.20261328T134229.918Z",
            "a.20261128T134229.918Z.bz2",
            "a.20261128T134229.918z",
            "a20261128T134229.918Z",
        ] {
            assert_eq!(split(OsStr::new(name)), None, "{name}");
        }
    }
}
