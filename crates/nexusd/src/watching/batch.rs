//! What has changed, as it is told: a few names, and how many more.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// Names that are told.
const TOLD: usize = 3;
/// Names that are told apart; beyond, there are just many.
const KNOWN_MAX: usize = 1_024;

/// Files that have changed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The first ones, in the order in which they changed.
    first: Vec<PathBuf>,
    known: BTreeSet<PathBuf>,
    /// There were more changes than could be followed.
    lost: bool,
}

impl Batch {
    /// A path, as it is to be told.
    pub(super) fn add(&mut self, path: &Path) {
        if self.known.len() < KNOWN_MAX && self.known.insert(path.to_owned()) {
            if self.first.len() < TOLD {
                self.first.push(path.to_owned());
            }
        } else if self.known.len() >= KNOWN_MAX {
            self.lost = true;
        }
    }

    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    /// One more has come before this one was acted upon.
    pub(super) fn join(&mut self, other: Batch) {
        let rest = other.known.iter().filter(|path| !other.first.contains(path));
        other.first.iter().chain(rest).for_each(|path| self.add(path));
        self.lost |= other.lost;
    }
}

/// `src/a.js, src/b.js and 3 more`.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.first.iter().map(|path| path.display().to_string()).collect();
        let more = self.known.len() - self.first.len();
        match (names.is_empty(), self.lost, more) {
            (true, ..) => f.write_str("more files than could be followed"),
            (false, true, _) => write!(f, "{} and many more", names.join(", ")),
            (false, false, 0) => f.write_str(&names.join(", ")),
            (false, false, _) => write!(f, "{} and {more} more", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(names: &[&str]) -> Batch {
        let mut batch = Batch::default();
        names.iter().for_each(|name| batch.add(Path::new(name)));
        batch
    }

    #[test]
    fn a_few_names_are_told_and_the_rest_counted() {
        assert_eq!(batch(&["b.js", "a.js", "b.js"]).to_string(), "b.js, a.js");
        let mut many = batch(&["a", "b", "c", "d"]);
        assert_eq!(many.to_string(), "a, b, c and 1 more");
        many.join(batch(&["a", "e"]));
        assert_eq!(many.to_string(), "a, b, c and 2 more");
        many.lose();
        assert_eq!(many.to_string(), "a, b, c and many more");
    }

    #[test]
    fn names_are_bounded() {
        let mut batch = Batch::default();
        (0..KNOWN_MAX + 5).for_each(|n| batch.add(Path::new(&n.to_string())));
        assert_eq!(
            (batch.known.len(), batch.to_string().as_str()),
            (KNOWN_MAX, "0, 1, 2 and many more")
        );
    }
}
