//! What bounds a log file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// The smallest file that is rotated because of a budget shared by many.
const SHARE_MIN: u64 = 64 * 1024;

/// How a log file is bounded. By default it is rotated at 10 MiB, thirty older ones are kept
/// (compressed, so that they take about 30 MiB for usual text; the numbers that users of PM2's
/// module for this know), and all files of a group take 500 MiB at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// A file of so many bytes is rotated, at the end of its line, or 1 MiB or two seconds later.
    /// None = never.
    pub max_size: Option<u64>,
    /// A file whose first line is so old is rotated when the next line comes. None = never.
    pub max_age: Option<Duration>,
    /// Rotated files that are kept; the oldest go.
    pub keep: usize,
    /// Bytes of all files of the group, indexes included: the oldest rotated ones go, but for the
    /// newest of each log. None = any.
    pub total: Option<u64>,
    /// Whether rotated files are compressed.
    pub compress: bool,
    /// Whose files share `total`: an app's name.
    pub group: Arc<str>,
    /// How many files these are, rotated ones not counted.
    pub files: usize,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            max_size: Some(10 * MIB),
            max_age: None,
            keep: 30,
            total: Some(500 * MIB),
            compress: true,
            group: Arc::from(""),
            files: 1,
        }
    }
}

impl Rules {
    /// No bound at all.
    #[must_use]
    pub fn none() -> Rules {
        Rules { max_size: None, total: None, keep: usize::MAX, ..Rules::default() }
    }

    /// The same for a group of so many files: they are rotated early enough that the present ones
    /// alone take half of the total at most.
    #[must_use]
    pub fn shared_by(mut self, files: usize) -> Rules {
        self.files = files;
        if let Some(total) = self.total {
            let share = total / 2 / u64::try_from(files.max(1)).unwrap_or(u64::MAX);
            let share = share.max(SHARE_MIN);
            // Never by its size, if that was asked for.
            self.max_size = self.max_size.map(|size| size.min(share));
        }
        self
    }

    /// Whether a file of this name may be rotated: what is under `/dev` is no file of ours.
    pub(crate) fn apply_to(&self, path: &Path) -> bool {
        !path.starts_with("/dev")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_share_a_total() {
        assert_eq!(Rules::default().shared_by(2).max_size, Some(10 * MIB));
        assert_eq!(Rules::default().shared_by(250).max_size, Some(MIB));
        assert_eq!(Rules::default().shared_by(1_000_000).max_size, Some(SHARE_MIN));
        let unbounded = Rules { max_size: None, ..Rules::default() };
        assert_eq!(unbounded.shared_by(250).max_size, None);
    }
}
