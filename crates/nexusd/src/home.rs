//! Where things are in a home.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use nexus_spec::Name;

use crate::held::{Line, Stream};

/// A home directory and the paths in it.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    pub(crate) fn new(root: PathBuf) -> Home {
        Home { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A number by which this home's workers are told from another's.
    pub(crate) fn id(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.root.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("nexus.sock")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The daemon's own log.
    pub(crate) fn own_log(&self) -> PathBuf {
        self.root.join("nexusd.log")
    }

    /// Where an app's output goes unless its spec says otherwise. `plain` = without a number.
    pub(crate) fn log(&self, app: &Name, line: Line, stream: Stream, plain: bool) -> PathBuf {
        let file = match (line, stream) {
            (Line::Build | Line::Exam(_), _) => format!("{app}-{line}.log"),
            (Line::Merged, Stream::Out) => format!("{app}-out.log"),
            (Line::Merged, Stream::Err) => format!("{app}-error.log"),
            (Line::Instance(_), Stream::Out) if plain => format!("{app}-out.log"),
            (Line::Instance(_), Stream::Err) if plain => format!("{app}-error.log"),
            (Line::Instance(n) | Line::Beside(n), Stream::Out) => format!("{app}-out-{n}.log"),
            (Line::Instance(n) | Line::Beside(n), Stream::Err) => format!("{app}-error-{n}.log"),
        };
        self.logs().join(file)
    }
}
