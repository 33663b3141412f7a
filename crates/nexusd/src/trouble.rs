//! The evidence: what a failing worker wrote last.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nexus_proto::{AppView, InstanceView, Status};

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

/// When a worker lived, in milliseconds of Unix time: of a log that it shares with its
/// predecessor, what was written then is its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// A line's time is known to a tenth of a second, and it may wait in the pipe for a while.
const TIME_SLACK: u64 = 100;
const PIPE_SLACK: u64 = 1_000;

/// The last lines that were written in this time, of the first of `files` that has any; where times
/// are not known, just the last lines. Blocks on the disk.
pub(crate) fn last_lines_of(life: Life, files: &[PathBuf]) -> Vec<String> {
    let at = |ms: u64| -> SystemTime { UNIX_EPOCH + Duration::from_millis(ms) };
    let since = Some(at(life.from.saturating_sub(TIME_SLACK)));
    let until = Some(at(life.to.saturating_add(PIPE_SLACK)));
    let read = |path: &PathBuf| -> Option<Vec<String>> {
        let stream = nexus_log::Stream::Err;
        let file = nexus_log::LogFile { path: path.clone(), label: String::new(), stream };
        let (files, last) = (vec![file], Some(LINES));
        let query = nexus_log::Query { files, last, since, until, ..Default::default() };
        let reader = query.read().ok()?;
        if !reader.untimed().is_empty() {
            return None;
        }
        let lines = reader.filter_map(Result::ok).map(|record| record.bytes);
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        Some(lines.filter(|line| !line.trim().is_empty()).collect())
    };
    let timed: Option<Vec<Vec<String>>> = files.iter().map(read).collect();
    match timed {
        Some(own) => own.into_iter().find(|lines| !lines.is_empty()).unwrap_or_default(),
        None => last_lines(files),
    }
}

/// Add the last lines to every app that is in trouble: stderr's, else stdout's.
pub(crate) fn fill(apps: &mut [AppView]) {
    for app in apps {
        let Some(trouble) = &mut app.trouble else { continue };
        // Of one that runs the trouble is another.
        let is_it = |slot: &&InstanceView| {
            slot.instance == trouble.instance && slot.status != Status::Online
        };
        let instance = app.instances.iter().find(is_it);
        let files = instance.map(|slot| {
            let mut logs = slot.logs.clone();
            logs.sort_by_key(|log| log.stream != "err");
            logs.into_iter().map(|log| PathBuf::from(log.path)).collect::<Vec<_>>()
        });
        trouble.last_lines = last_lines(&files.unwrap_or_default());
    }
}
