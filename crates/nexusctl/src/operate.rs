//! An operation from its request to its end: asked once, watched, told as it goes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexus_proto::client::{Client, fresh_key};
use nexus_proto::{AppVerb, Apply, OpState, Operation, Snapshot, Start, client};
use nexus_spec::{AppSpec, Name};

use crate::cli::Change;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt;
use crate::progress::{Progress, is_rolling};
use crate::project;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask<'a> {
    /// Make it as a project file says.
    Apply(&'a Apply),
    /// Start these.
    Start(&'a Start),
    /// `start`, `stop`, `restart`, `delete` of known apps.
    Verb(&'a str, &'a AppVerb),
    /// Start what was saved.
    Resurrect,
    /// Stop all apps, then the daemon.
    Kill,
}

/// An operation as it stands when we stop watching.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// It. Still running with `--no-wait`, or when `--timeout` is over.
    pub(crate) operation: Operation,
    /// The fleet after it; `None` when nobody answers any more.
    pub(crate) snapshot: Option<Snapshot>,
    /// Apps whose build's lines have been shown.
    pub(crate) shown: BTreeSet<Name>,
}

/// One wait for a newer snapshot.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// At most so often a newer snapshot is fetched: a large fleet changes many times a second.
pub(crate) const PACE: Duration = Duration::from_millis(50);

/// How long after a kill a socket that refuses may come back.
const GONE: Duration = Duration::from_millis(500);

/// Ask, and watch until the end, or `--timeout`.
///
/// # Errors
/// The request was refused, or the daemon went away and did not return.
pub(crate) fn operate(
    context: &Context,
    ask: Ask<'_>,
    change: &Change,
) -> Result<Outcome, Failure> {
    let key = fresh_key().map_err(|error| {
        Failure::new(Exit::Failed, "no random number for the request").cause(error.to_string())
    })?;
    let client = &context.client;
    let before = client.apps().ok();
    interrupt::watch(&key, matches!(ask, Ask::Verb(verb, _) if is_rolling(verb)));
    let begun = post(client, &key, ask).map_err(|failure| refused(context, ask, failure))?;
    if change.no_wait {
        return Ok(Outcome { operation: begun, snapshot: before, shown: BTreeSet::new() });
    }
    let progress = Progress::new(context, &begun, specs(ask), before.as_ref());
    let progress = Arc::new(Mutex::new(progress));
    let client = &match ask {
        // The keeper holds the socket: once nobody listens there, the pair has ended.
        Ask::Kill => client.clone().with_reconnect(GONE),
        Ask::Apply(_) | Ask::Start(_) | Ask::Verb(..) | Ask::Resurrect => client.clone(),
    };
    let operation = if begun.state == OpState::Running {
        follow(client.clone(), key.clone(), Arc::clone(&progress));
        let patience = change.timeout.map(|time| Duration::from_millis(time.0));
        settle(client, &key, patience, ask)?.unwrap_or(begun)
    } else {
        begun
    };
    let snapshot = client.apps().ok();
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(snapshot) = &snapshot {
        progress.see(snapshot);
    }
    progress.hear(&operation, snapshot.as_ref());
    let shown = progress.end();
    Ok(Outcome { operation, snapshot, shown })
}

fn post(client: &Client, key: &str, ask: Ask<'_>) -> Result<Operation, client::Failure> {
    match ask {
        Ask::Apply(apply) => client.apply(key, apply),
        Ask::Start(start) => client.start(key, start),
        Ask::Verb(verb, body) => client.verb(key, verb, body),
        Ask::Resurrect => client.resurrect(key),
        Ask::Kill => client.kill(key),
    }
}

fn specs(ask: Ask<'_>) -> &[AppSpec] {
    match ask {
        Ask::Apply(apply) => &apply.start.apps,
        Ask::Start(start) => &start.apps,
        Ask::Verb(_, body) => body.specs.as_ref().map(|start| start.apps.as_slice()).unwrap_or(&[]),
        Ask::Resurrect | Ask::Kill => &[],
    }
}

/// What a dependency is refused for is shown at its place in the file.
fn refused(context: &Context, ask: Ask<'_>, failure: client::Failure) -> Failure {
    let source = match ask {
        Ask::Apply(apply) => Some(&apply.start.source),
        Ask::Start(start) => Some(&start.source),
        Ask::Verb(_, body) => body.specs.as_ref().map(|start| &start.source),
        Ask::Resurrect | Ask::Kill => None,
    };
    let client::Failure::Problem(problem) = &failure else { return failure.into() };
    let flaws = source.and_then(|source| project::wrong_dependency(source, problem));
    flaws.map_or_else(|| failure.into(), |flaws| Failure::of_flaws(&flaws, &context.err))
}

/// Wait for the end. `None` = a daemon that was to be killed is gone before it could say so.
fn settle(
    client: &Client,
    key: &str,
    patience: Option<Duration>,
    ask: Ask<'_>,
) -> Result<Option<Operation>, Failure> {
    match (client.settle(key, patience), ask) {
        (Ok(operation), _) => Ok(Some(operation)),
        (Err(client::Failure::NoDaemon { .. }), Ask::Kill) => Ok(None),
        (Err(failure), Ask::Kill) if failure.is_passing() => Ok(None),
        (Err(failure), _) => Err(failure.into()),
    }
}

/// Tell what changes, on a thread of its own; it ends with the program.
fn follow(client: Client, key: String, progress: Arc<Mutex<Progress>>) {
    std::thread::spawn(move || {
        let mut seen = 0;
        loop {
            let wait = match seen {
                0 => Duration::ZERO,
                _ => progress.lock().unwrap_or_else(PoisonError::into_inner).patience(WAIT),
            };
            let Ok(snapshot) = client.apps_after(seen, wait) else { return };
            let Ok(operation) = client.settle(&key, Some(Duration::ZERO)) else { return };
            seen = snapshot.generation.max(1);
            let told = |progress: &Mutex<Progress>| {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.see(&snapshot);
                !progress.has_news(&operation)
            };
            if !told(&progress) {
                // The answer may be younger than the snapshot: what it says is looked up anew.
                let Ok(now) = client.apps() else { return };
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.hear(&operation, Some(&now));
            }
            if operation.state == OpState::Ended {
                return;
            }
            std::thread::sleep(PACE);
        }
    });
}
