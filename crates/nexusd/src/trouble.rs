//! The evidence: what a failing worker wrote last.

use std::path::{Path, PathBuf};

use nexus_proto::AppView;

/// Lines shown of a failing worker's output.
const LINES: usize = 5;
/// Bytes read at the most to find them.
const BYTES: usize = 64 * 1024;

/// The last lines of the first of `files` that has any. Blocks on the disk.
pub(crate) fn last_lines(files: &[PathBuf]) -> Vec<String> {
    let read = |path: &PathBuf| {
        let lines = nexus_log::tail_lines(Path::new(path), LINES, BYTES).unwrap_or_default();
        let lines = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned());
        lines.filter(|line| !line.trim().is_empty()).collect::<Vec<_>>()
    };
    files.iter().map(read).find(|lines| !lines.is_empty()).unwrap_or_default()
}

/// Add the last lines to every app that is in trouble: stderr's, else stdout's.
pub(crate) fn fill(apps: &mut [AppView]) {
    for app in apps {
        let Some(trouble) = &mut app.trouble else { continue };
        let instance = app.instances.iter().find(|slot| slot.instance == trouble.instance);
        let files = instance.map(|slot| {
            let mut logs = slot.logs.clone();
            logs.sort_by_key(|log| log.stream != "err");
            logs.into_iter().map(|log| PathBuf::from(log.path)).collect::<Vec<_>>()
        });
        trouble.last_lines = last_lines(&files.unwrap_or_default());
    }
}
