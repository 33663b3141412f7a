//! What programs the two of the pair are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nexus_proto::Version;

/// The pair, as `/proc` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) keeper_pid: i32,
    /// The file that nexusd runs, as it is called now; `None` = another user's.
    pub(crate) program: Option<PathBuf>,
    /// That file was removed or replaced.
    pub(crate) replaced: bool,
    /// The two do not run the same file.
    pub(crate) mixed: bool,
}

/// Look at them.
pub(super) fn of(version: &Version) -> Pair {
    let link = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let id = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let exe = |pid: i32| id(Path::new(&format!("/proc/{pid}/exe")));
    let program = link(version.pid);
    let named = program.as_ref().map(|path| {
        let text = path.to_string_lossy();
        PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text))
    });
    let running = exe(version.pid);
    Pair {
        keeper_pid: version.keeper_pid,
        replaced: running.is_some() && named.as_deref().and_then(id) != running,
        mixed: running.is_some() && exe(version.keeper_pid) != running,
        program: named,
    }
}
