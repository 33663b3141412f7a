//! `flush`: log files are emptied, or rotated, by the threads that write to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nexus_proto::{Code, FlushedApp, Problem};
use nexus_spec::Name;
use tokio::sync::oneshot;

use crate::clock;
use crate::command::Flushing;
use crate::daemon::Daemon;
use crate::facts::Line as Event;
use crate::held::{Line, Stream};

/// How long the disk of a log file may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is under way for one app.
#[derive(Debug)]
pub(crate) struct Flush {
    app: Name,
    rotate: bool,
    /// Files that are written to: the bytes freed, when it is done.
    moved: Vec<oneshot::Receiver<u64>>,
    /// Files that nobody writes to now.
    at_rest: Vec<PathBuf>,
}

impl Daemon {
    /// Tell the threads; what comes of it is waited for elsewhere.
    pub(crate) fn flush(&mut self, flushing: &Flushing) -> Result<Vec<Flush>, Problem> {
        let rotate = flushing.asked.rotate;
        let all = [String::from("all")];
        let words =
            if flushing.asked.targets.is_empty() { &all[..] } else { &flushing.asked.targets };
        let views = self.app_views(clock::now());
        let mut lines: BTreeMap<Name, Vec<Line>> = BTreeMap::new();
        for target in crate::targets::resolve(words, &views)? {
            let Some(view) = views.iter().find(|view| view.name == target.app) else { continue };
            let slots = view.instances.iter().map(|slot| slot.instance);
            let meant = slots.filter(|slot| target.instance.is_none_or(|one| one == *slot));
            let of_app = lines.entry(target.app.clone()).or_default();
            of_app.extend(meant.map(Line::Instance));
            if target.instance.is_none() && view.build_log.is_some() {
                of_app.push(Line::Build);
            }
        }
        let names: Vec<&str> = lines.keys().map(Name::as_str).collect();
        let verb = if rotate { "flush --rotate" } else { "flush" };
        let (by, detail) = (flushing.by.to_string(), format!("{verb} {}", names.join(" ")));
        self.log_of(&flushing.by, Event::new("operator", detail, &by));
        Ok(lines
            .into_iter()
            .filter_map(|(app, lines)| self.flush_app(app, &lines, rotate))
            .collect())
    }

    fn flush_app(&self, app: Name, lines: &[Line], rotate: bool) -> Option<Flush> {
        let spec = self.state.app(app.as_str())?.spec();
        let naming = self.naming(spec);
        let (mut moved, mut at_rest) = (BTreeMap::new(), Vec::new());
        for line in lines {
            let streams = if line.is_one() { &Stream::BOTH[..1] } else { &Stream::BOTH };
            for stream in streams {
                let path = naming.file(*line, *stream).0;
                if moved.contains_key(&path) || at_rest.contains(&path) {
                    continue;
                }
                let (tell, done) = oneshot::channel();
                let then = Box::new(move |freed| tell.send(freed).unwrap_or_default());
                if self.outputs.flush(&app, *line, *stream, rotate, then) {
                    moved.insert(path, done);
                } else {
                    at_rest.push(path);
                }
            }
        }
        Some(Flush { app, rotate, moved: moved.into_values().collect(), at_rest })
    }
}

impl Flush {
    /// What came of it.
    ///
    /// # Errors
    /// The disk does not answer, or refuses.
    pub(crate) async fn ended(self) -> Result<FlushedApp, Problem> {
        let Flush { app, rotate, moved, at_rest } = self;
        let failed = |why: String| {
            let title = format!("the log files of `{app}` could not all be flushed");
            Problem::new(Code::Internal, title).cause(why).help("nexusctl doctor")
        };
        let mut freed_bytes = 0;
        for done in moved {
            match tokio::time::timeout(PATIENCE, done).await {
                Ok(Ok(freed)) => freed_bytes += freed,
                // Its app was deleted meanwhile, or a later one of many was preferred.
                Ok(Err(_)) => {}
                Err(_) => return Err(failed("their disk does not answer".into())),
            }
        }
        // A disk may hang: not on this thread.
        let rest = tokio::task::spawn_blocking(move || {
            at_rest.iter().map(|path| nexus_log::flush_at_rest(path, rotate)).sum()
        });
        let freed: std::io::Result<u64> = rest.await.map_err(|error| failed(error.to_string()))?;
        freed_bytes += freed.map_err(|error| failed(error.to_string()))?;
        Ok(FlushedApp { app, freed_bytes })
    }
}
