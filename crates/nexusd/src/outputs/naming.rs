//! How an app's log files are called, what bounds them, and what is done to their lines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_core::Slot;
use nexus_log::{Dress, Form, Origin, Pattern, Rules};
use nexus_spec::{AppSpec, LogFiles, LogFormat};

use crate::held::{Line, Stream};
use crate::home::Home;

/// The line that the file of one is held under.
pub(super) fn under(line: Line, merged: bool) -> Line {
    match line.first() {
        Line::Instance(_) if merged => Line::Merged,
        first @ (Line::Beside(_)
        | Line::Build
        | Line::Exam(_)
        | Line::Instance(_)
        | Line::Merged) => first,
    }
}

/// How a worker's log files are called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming<'a> {
    pub(crate) home: &'a Home,
    pub(crate) spec: &'a AppSpec,
    /// Instance 0 has files without a number: the app was first started with one instance.
    pub(crate) plain_zero: bool,
    /// The app's slots, whose numbers are told in JSON.
    pub(crate) slots: &'a [Slot],
}

impl Naming<'_> {
    /// The path of one stream of one line, and the line that its file is held under.
    pub(crate) fn file(&self, line: Line, stream: Stream) -> (PathBuf, Line) {
        let log = &self.spec.log;
        let under = under(line, log.merge_logs);
        let plain = matches!(under, Line::Instance(0)) && self.plain_zero;
        let given = match stream {
            Stream::Out => &log.out_file,
            Stream::Err => &log.error_file,
        };
        let nowhere = Path::new(LogFiles::NOWHERE);
        if given.as_deref() == Some(nowhere) && !matches!(under, Line::Build) {
            return (nowhere.to_owned(), Line::Merged);
        }
        let path = match (given, under) {
            (Some(path), Line::Merged) => path.clone(),
            (Some(path), Line::Instance(_)) if plain => path.clone(),
            (Some(path), Line::Instance(number)) => numbered(path, number),
            (Some(_), Line::Beside(_) | Line::Build | Line::Exam(_)) | (None, _) => {
                self.home.log(&self.spec.name, under, stream, plain)
            }
        };
        (path, under)
    }

    /// What is done to the lines of a stream.
    pub(super) fn dress(&self, line: Line, stream: Stream) -> Dress {
        let log = &self.spec.log;
        let Line::Instance(instance) = line.first() else { return Dress::default() };
        let time = log.date_format.as_deref().map(Pattern::new);
        let form = match (log.format, time) {
            (LogFormat::Raw, None) => Form::Raw,
            (LogFormat::Raw, Some(pattern)) => Form::Stamped(pattern),
            (LogFormat::Json, time) => Form::Json(Origin {
                app: self.spec.name.as_str().into(),
                id: self.slots.iter().find(|slot| slot.instance == instance).map_or(0, |s| s.id.0),
                stream: match stream {
                    Stream::Out => nexus_log::Stream::Out,
                    Stream::Err => nexus_log::Stream::Err,
                },
                time,
            }),
        };
        let on_full = match log.on_full {
            nexus_spec::OnFull::Wait => nexus_log::OnFull::Wait,
            nexus_spec::OnFull::Drop => nexus_log::OnFull::Drop,
        };
        Dress { form, rate: log.rate, on_full }
    }

    /// What bounds each file.
    pub(super) fn rules(&self) -> Rules {
        let instances = if self.spec.log.merge_logs {
            1
        } else {
            usize::from(crate::cpus::resolve(self.spec.instances))
        };
        let group = self.spec.name.as_str().into();
        let log = &self.spec.log;
        let rules = Rules {
            max_size: log.max_size.map(|size| size.0),
            max_age: log.max_age.map(|age| Duration::from_millis(age.0)),
            keep: log.keep as usize,
            total: log.total.map(|total| total.0),
            compress: log.compress,
            group,
            files: 0,
        };
        rules.shared_by(instances * Stream::BOTH.len())
    }
}

/// `dir/name.ext` → `dir/name-2.ext`.
fn numbered(path: &Path, number: u16) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}
