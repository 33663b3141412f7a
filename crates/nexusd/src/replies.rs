//! The core's answers become results of operations, with the evidence of what failed.

use std::path::PathBuf;
use std::time::Duration;

use nexus_core::{ChildId, Failure, OpId, Outcome, Purpose, Time};
use nexus_proto::AppResult;
use nexus_spec::{Name, Span};

use crate::clock;
use crate::command::{Command, Detail};
use crate::daemon::Daemon;
use crate::held::{Line, Stream};
use crate::outputs::Naming;
use crate::records::Entry;
use crate::trouble::{self, Life};
use crate::words;

/// How long the evidence of a failure is waited for, if the disk hangs.
const EVIDENCE_PATIENCE: Duration = Duration::from_secs(2);

/// Whose last words are the evidence.
#[derive(Clone, Copy)]
enum Failed {
    Build,
    Worker { instance: u16, child: ChildId, life: Life },
}

impl Failed {
    fn line(self) -> Line {
        match self {
            Failed::Build => Line::Build,
            Failed::Worker { instance, .. } => Line::Instance(instance),
        }
    }
}

fn failed(outcome: &Outcome) -> Option<Failed> {
    let lived = |at: Time, after: Span| {
        let to = clock::unix_ms_of(at);
        Life { from: to.saturating_sub(after.0), to }
    };
    match *outcome {
        Outcome::StartFailed { instance, child, after, .. } => {
            Some(Failed::Worker { instance, child, life: lived(clock::now(), after) })
        }
        Outcome::RolledBack { failure: Some(failure), .. } => {
            let Failure { instance, child, after, at, .. } = failure;
            Some(Failed::Worker { instance, child, life: lived(at, after) })
        }
        Outcome::BuildFailed { .. } => Some(Failed::Build),
        Outcome::Aborted
        | Outcome::AlreadyRunning
        | Outcome::Busy { .. }
        | Outcome::CannotAbort
        | Outcome::Conflict
        | Outcome::Done
        | Outcome::NotFound
        | Outcome::NoVersion
        | Outcome::RolledBack { failure: None, .. }
        | Outcome::Spared { .. }
        | Outcome::Superseded
        | Outcome::Waits { .. } => None,
    }
}

impl Daemon {
    /// An ask is answered for one app.
    pub(crate) fn reply(&mut self, op: OpId, app: Name, outcome: Outcome) {
        let failed = failed(&outcome);
        let excuse = match failed {
            Some(Failed::Worker { child, .. }) => self.excuses.get(&child.0).cloned(),
            Some(Failed::Build) => self.build_excuse(&app),
            None => self.what_it_waits_for(&outcome).or_else(|| self.who_is_busy(&app, &outcome)),
        };
        let mut result = words::result(app.clone(), &outcome, clock::now(), excuse.as_deref());
        result.message.push_str(&self.found_about(&outcome));
        let Some(failed) = failed else { return self.answer(op, result) };
        let line = failed.line();
        let files = self.evidence(&app, line);
        result.log = files.first().map(|path| path.display().to_string());
        if excuse.is_some() {
            // It never ran: whatever is in its log is older.
            return self.answer(op, result);
        }
        // The state that this turn keeps no longer owes an answer: the verdict goes with it.
        self.ops.decided(op, result.clone());
        if let Some(op) = self.ops.get(op) {
            self.store.keep(Entry::Operation(Box::new(op.clone())));
        }
        self.look_for_evidence(op, &app, failed, files, result);
    }

    /// What checks had found out about a worker that failed.
    fn found_about(&self, outcome: &Outcome) -> String {
        let (child, exit) = match *outcome {
            Outcome::StartFailed { child, exit, .. } => (child, exit),
            Outcome::RolledBack { failure: Some(Failure { child, exit, .. }), .. } => (child, exit),
            Outcome::Aborted
            | Outcome::AlreadyRunning
            | Outcome::BuildFailed { .. }
            | Outcome::Busy { .. }
            | Outcome::CannotAbort
            | Outcome::Conflict
            | Outcome::Done
            | Outcome::NotFound
            | Outcome::NoVersion
            | Outcome::RolledBack { failure: None, .. }
            | Outcome::Spared { .. }
            | Outcome::Superseded
            | Outcome::Waits { .. } => return String::new(),
        };
        self.finding(child.0, exit)
    }

    /// Read the last lines once all that the worker wrote is in its files, then answer.
    fn look_for_evidence(
        &self,
        op: OpId,
        app: &Name,
        failed: Failed,
        files: Vec<PathBuf>,
        mut result: AppResult,
    ) {
        let (tell, settled) = tokio::sync::oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        self.outputs.settle(
            app,
            failed.line(),
            Box::new(move || {
                let tell = tell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                if let Some(tell) = tell {
                    let _ = tell.send(());
                }
            }),
        );
        let own = self.own.clone();
        tokio::spawn(async move {
            let read = async {
                let _ = settled.await;
                let read = tokio::task::spawn_blocking(move || match failed {
                    Failed::Build => trouble::last_lines(&files),
                    Failed::Worker { life, .. } => trouble::last_lines_of(life, &files),
                });
                read.await.unwrap_or_default()
            };
            let lines = tokio::time::timeout(EVIDENCE_PATIENCE, read).await;
            result.last_lines = lines.unwrap_or_default();
            // The loop is gone only when the process is.
            let _ = own.send(Command::Detail(Detail { op, result })).await;
        });
    }

    /// A result is complete.
    pub(crate) fn answer(&mut self, op: OpId, result: AppResult) {
        self.ops.answered(op, result);
        let Some(op) = self.ops.get(op) else { return };
        self.store.keep(Entry::Operation(Box::new(op.clone())));
        if op.ended_at.is_some() && op.then_leave {
            self.leave_soon();
        }
        self.published.operations.send_modify(|changes| *changes += 1);
    }

    /// Who began the operation that is in the way, and when.
    fn who_is_busy(&self, app: &Name, outcome: &Outcome) -> Option<String> {
        let Outcome::Busy { with } = outcome else { return None };
        let view = &self.ops.get(*with)?.view;
        let doing = match view.verb.as_str() {
            "reload" => "reloaded",
            "rollback" => "rolled back",
            "scale" => "scaled",
            other => other,
        };
        let (by, at) = (&view.by, &view.begun_at);
        Some(format!("`{app}` is being {doing}: {by} began that at {at}"))
    }

    /// How the app is that another one waits for.
    fn what_it_waits_for(&self, outcome: &Outcome) -> Option<String> {
        let Outcome::Waits { on, .. } = outcome else { return None };
        Some(self.state_of(on))
    }

    fn build_excuse(&self, app: &Name) -> Option<String> {
        let is_build = |child: &&u64| {
            self.notes
                .get(child)
                .is_some_and(|note| note.app == *app && note.purpose() == Purpose::Build)
        };
        self.excuses.keys().find(is_build).and_then(|child| self.excuses.get(child)).cloned()
    }

    /// Where a failing line's own words are: stderr first.
    fn evidence(&self, app: &Name, line: Line) -> Vec<PathBuf> {
        let Some(app) = self.state.app(app.as_str()) else {
            // A new app whose build failed is forgotten already.
            return vec![self.home.log(app, line, Stream::Out, false)];
        };
        let naming = self.naming(app.spec());
        let streams: &[Stream] = match line.is_one() {
            true => &[Stream::Out],
            false => &[Stream::Err, Stream::Out],
        };
        streams.iter().map(|&stream| naming.file(line, stream).0).collect()
    }

    /// How the log files of an app are called.
    pub(crate) fn naming<'a>(&'a self, spec: &'a nexus_spec::AppSpec) -> Naming<'a> {
        let origin = self.origins.get(&spec.name);
        Naming {
            home: &self.home,
            spec,
            plain_zero: origin.is_some_and(|origin| origin.plain_zero),
            slots: self
                .state
                .app(spec.name.as_str())
                .map(nexus_core::App::slots)
                .unwrap_or_default(),
        }
    }
}
