//! Which log files belong to which instances.

use std::collections::HashMap;
use std::path::PathBuf;

use nexus_log::{LogFile, Stream};
use nexus_proto::{Snapshot, Target};

/// One file of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSource {
    /// The app.
    pub app: String,
    /// `None` when the file is of all instances, or of one that cannot be told.
    pub instance: Option<u16>,
    /// The file, its label and stream.
    pub file: LogFile,
}

/// The files of `targets`, or of all apps, as the daemon tells. A file that several instances
/// write into comes once.
pub fn log_sources(snapshot: &Snapshot, targets: Option<&[Target]>) -> Vec<LogSource> {
    let mut sources: Vec<LogSource> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for app in &snapshot.apps {
        let mine: Option<Vec<&Target>> =
            targets.map(|all| all.iter().filter(|target| target.app == app.name).collect());
        for one in &app.instances {
            let wanted = mine.as_ref().is_none_or(|mine| {
                mine.iter().any(|target| target.instance.is_none_or(|only| only == one.instance))
            });
            if !wanted {
                continue;
            }
            for log in &one.logs {
                let stream = if log.stream == "err" { Stream::Err } else { Stream::Out };
                let at = *known.entry(log.path.as_str()).or_insert(sources.len());
                if let Some(known) = sources.get_mut(at) {
                    known.instance = None;
                    known.file.label = known.app.clone();
                    continue;
                }
                let label = if app.instances.len() > 1 {
                    format!("{}/{}", app.name, one.instance)
                } else {
                    app.name.to_string()
                };
                let file = LogFile { path: PathBuf::from(&log.path), label, stream };
                sources.push(LogSource {
                    app: app.name.to_string(),
                    instance: Some(one.instance),
                    file,
                });
            }
        }
    }
    sources
}
