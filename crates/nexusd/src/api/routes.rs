//! Each path of the control API and what answers it.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use hyper::{HeaderMap, StatusCode};
use nexus_proto::{
    AppVerb, Code, FlushLogs, Flushed, Health, OpState, Problem, SendText, SignalApps, Snapshot,
    Start,
};
use nexus_spec::Role;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Peer, answer, peer, table, wish};
use crate::access::Access;
use crate::command::{Asked, Begin, Begun, Command, Flushing, Front, Signalling, What};

/// The largest request body: a project file of thousands of apps.
const BODY_MAX: usize = 4 << 20;
/// The longest that an answer is held back for `wait_ms`.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The longest `Idempotency-Key`.
const KEY_MAX: usize = 128;
/// From the end of the headers to the end of the body.
pub(super) const BODY_PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn routes(front: Front) -> Router {
    let guarded = |row: &table::Row| {
        let guard = from_fn_with_state((front.clone(), row.needs, row.name()), peer::guard);
        Some((row.path, row.handler?().layer(guard)))
    };
    table::ROWS
        .iter()
        .filter_map(guarded)
        .fold(Router::new(), |router, (path, handler)| router.route(path, handler))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::disable())
        .with_state(front)
}

pub(super) async fn version(State(front): State<Front>, Extension(peer): Who) -> Response {
    let Some(snapshot) = front.ask(Command::Snapshot).await else { return answer::ending() };
    let (daemon, admitted) = (&snapshot.daemon, front.admitted.borrow().clone());
    answer::json(
        StatusCode::OK,
        &serde_json::json!({
            "schema": "nexus.version/1",
            "version": daemon.version,
            "api": nexus_proto::API,
            "protocol": nexus_keeper::PROTOCOL,
            "keeper_version": daemon.keeper_version,
            "trees": daemon.trees,
            "state_format": crate::lines::VERSION,
            "home": daemon.home,
            "pid": daemon.pid,
            "keeper_pid": daemon.keeper_pid,
            "uptime_ms": daemon.uptime_ms,
            "pair_uptime_ms": daemon.pair_uptime_ms,
            "nexusd_restarts": daemon.nexusd_restarts,
            "keeper_restarts": daemon.keeper_restarts,
            "service": daemon.service,
            "role": peer.role(&admitted.access),
            "group_socket": admitted.path,
        }),
    )
}

pub(super) async fn healthz() -> Response {
    answer::json(StatusCode::OK, &Health { status: "ok".into() })
}

#[derive(Deserialize)]
pub(super) struct Wait {
    newer_than: Option<u64>,
    wait_ms: Option<u64>,
}

impl Wait {
    fn span(&self) -> Duration {
        Duration::from_millis(self.wait_ms.unwrap_or(0)).min(WAIT_MAX)
    }
}

pub(super) async fn apps(State(front): State<Front>, query: Query<Wait>) -> Response {
    if let Some(known) = query.newer_than {
        let mut generation = front.generation.clone();
        // A smaller one is that of a new daemon, which began to count anew.
        let newer = generation.wait_for(|&now| now != known);
        // Nothing newer in time: the present one is the answer.
        let _ = tokio::time::timeout(query.span(), newer).await;
    }
    match snapshot(&front).await {
        Some(snapshot) => answer::json(StatusCode::OK, &snapshot),
        None => answer::ending(),
    }
}

/// The fleet, with what only the file system and `/proc` know.
pub(super) async fn snapshot(front: &Front) -> Option<Snapshot> {
    let snapshot = front.ask(Command::Snapshot).await?;
    let mut snapshot = std::sync::Arc::unwrap_or_clone(snapshot);
    crate::measure::host(&mut snapshot.host);
    snapshot.host.cpu_percent = front.board.host_cpu_percent();
    front.board.fill(&mut snapshot.apps);
    let troubled = snapshot.apps.iter().any(|app| app.trouble.is_some());
    if !troubled {
        return Some(snapshot);
    }
    // Log files may be on a disk that hangs: not on this thread.
    tokio::task::spawn_blocking(move || {
        crate::trouble::fill(&mut snapshot.apps);
        snapshot
    })
    .await
    .ok()
}

pub(super) async fn app(State(front): State<Front>, Path(name): Path<String>) -> Response {
    let Some(snapshot) = snapshot(&front).await else { return answer::ending() };
    match snapshot.apps.iter().find(|app| app.name.as_str() == name) {
        Some(app) => answer::json(StatusCode::OK, app),
        None => {
            let names = snapshot.apps.iter().map(|app| app.name.as_str());
            answer::problem(&crate::targets::unknown(&name, names))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Env {
    instance: Option<u16>,
    reveal: Option<bool>,
}

pub(super) async fn env(
    State(front): State<Front>,
    Extension(peer): Who,
    Path(app): Path<String>,
    query: Query<Env>,
) -> Response {
    let reveal = query.reveal.unwrap_or(false);
    if reveal && let Err(problem) = peer.must_be(Role::Admin, &front, "env --reveal").await {
        return answer::problem(&problem);
    }
    let asked = Asked { app, instance: query.instance, reveal, by: peer.actor };
    match front.ask(|reply| Command::Environment(asked, reply)).await {
        Some(Ok(wearer)) => match tokio::task::spawn_blocking(move || wearer.read(reveal)).await {
            Ok(environment) => answer::json(StatusCode::OK, &environment),
            Err(_) => answer::ending(),
        },
        Some(Err(problem)) => answer::problem(&problem),
        None => answer::ending(),
    }
}

pub(super) async fn targets(
    State(front): State<Front>,
    query: Query<Vec<(String, String)>>,
) -> Response {
    let words = query.0.into_iter().filter(|(key, _)| key == "t").map(|(_, word)| word).collect();
    match front.ask(|reply| Command::Targets(words, reply)).await {
        Some(Ok(targets)) => answer::json(StatusCode::OK, &serde_json::json!({"targets": targets})),
        Some(Err(problem)) => answer::problem(&problem),
        None => answer::ending(),
    }
}

pub(super) type Who = Extension<Peer>;

pub(super) async fn start(
    State(front): State<Front>,
    Extension(peer): Who,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read::<Start>(body).await {
        Ok(body) => begin(&front, &peer, &headers, What::Start(body)).await,
        Err(problem) => answer::problem(&problem),
    }
}

pub(super) async fn verb(
    State(front): State<Front>,
    Extension(peer): Who,
    Path(verb): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(row) = table::of_verb(&verb) else { return no_such_path().await };
    if let Err(problem) = peer.must_be(row.needs, &front, row.name()).await {
        return peer::unheard(body, &problem).await;
    }
    let what = match verb.as_str() {
        "start" => What::StartKnown,
        "stop" => What::Stop,
        "abort" => What::Abort,
        "reload" => What::Reload,
        "reset" => What::Reset,
        "rollback" => What::Rollback,
        "restart" => What::Restart,
        "scale" => What::Scale,
        "delete" => What::Delete,
        "signal" => {
            return match read::<SignalApps>(body).await {
                Ok(asked) => signal(&front, &peer, &headers, asked).await,
                Err(problem) => answer::problem(&problem),
            };
        }
        "send" => {
            return match read::<SendText>(body).await {
                Ok(asked) => wish::send(&front, &peer, &headers, asked).await,
                Err(problem) => answer::problem(&problem),
            };
        }
        "flush" => {
            return match read::<FlushLogs>(body).await {
                Ok(asked) if !asked.rotate => {
                    match peer.must_be(Role::Admin, &front, "flush without --rotate").await {
                        Ok(()) => flush(&front, &peer, &headers, asked).await,
                        Err(problem) => answer::problem(&problem),
                    }
                }
                Ok(asked) => flush(&front, &peer, &headers, asked).await,
                Err(problem) => answer::problem(&problem),
            };
        }
        _ => return no_such_path().await,
    };
    let body = match read::<AppVerb>(body).await {
        Ok(body) => body,
        Err(problem) => return answer::problem(&problem),
    };
    // Other settings are another program.
    if (body.specs.is_some() || body.max_memory_restart.is_some())
        && let Err(problem) = peer.must_be(Role::Admin, &front, "to change settings").await
    {
        return answer::problem(&problem);
    }
    begin(&front, &peer, &headers, what(body)).await
}

pub(super) async fn begin(front: &Front, peer: &Peer, headers: &HeaderMap, what: What) -> Response {
    let key = match key(headers) {
        Ok(key) => key,
        Err(problem) => return answer::problem(&problem),
    };
    let access = match access(&what).await {
        Ok(access) => access,
        Err(problem) => return answer::problem(&problem),
    };
    let begin = Begin { key, by: peer.actor.clone(), what, access };
    begun(front, front.ask(|reply| Command::Begin(begin, reply)).await).await
}

/// `[daemon]` of a request, its names looked up.
async fn access(what: &What) -> Result<Option<Access>, Problem> {
    let Some(spec) = what.file().and_then(|(start, _)| start.daemon.clone()) else {
        return Ok(None);
    };
    let looked_up = tokio::task::spawn_blocking(move || Access::of(&spec)).await;
    let failed = |error: tokio::task::JoinError| Problem::new(Code::Internal, error.to_string());
    looked_up.map_err(failed)?.map(Some)
}

async fn signal(front: &Front, peer: &Peer, headers: &HeaderMap, asked: SignalApps) -> Response {
    let key = match key(headers) {
        Ok(key) => key,
        Err(problem) => return answer::problem(&problem),
    };
    let signalling = Signalling { key, by: peer.actor.clone(), asked };
    begun(front, front.ask(|reply| Command::Signal(signalling, reply)).await).await
}

async fn flush(front: &Front, peer: &Peer, headers: &HeaderMap, asked: FlushLogs) -> Response {
    if let Err(problem) = key(headers) {
        return answer::problem(&problem);
    }
    let rotated = asked.rotate;
    let flushing = Flushing { by: peer.actor.clone(), asked };
    let flushes = match front.ask(|reply| Command::Flush(flushing, reply)).await {
        Some(Ok(flushes)) => flushes,
        Some(Err(problem)) => return answer::problem(&problem),
        None => return answer::ending(),
    };
    let mut apps = Vec::with_capacity(flushes.len());
    for flush in flushes {
        match flush.ended().await {
            Ok(app) => apps.push(app),
            Err(problem) => return answer::problem(&problem),
        }
    }
    answer::json(StatusCode::OK, &Flushed { schema: "nexus.flush/1".into(), rotated, apps })
}

pub(super) fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let key = key.filter(|key| !key.is_empty() && key.len() <= KEY_MAX);
    key.map(str::to_owned).ok_or_else(|| {
        Problem::new(Code::BadRequest, "a changing request needs an Idempotency-Key".into())
            .help("send a header `Idempotency-Key:` with a random text of 1 to 128 characters")
    })
}

pub(super) async fn begun(front: &Front, begun: Option<Result<Begun, Problem>>) -> Response {
    match begun {
        Some(Ok(begun)) => operation_answer(front, StatusCode::ACCEPTED, begun).await,
        Some(Err(problem)) => answer::problem(&problem),
        None => answer::ending(),
    }
}

/// An operation is shown only when a power cut could not undo what it shows.
async fn operation_answer(front: &Front, status: StatusCode, begun: Begun) -> Response {
    front.durable(begun.mark).await;
    answer::json(status, &begun.operation)
}

pub(super) async fn operation(
    State(front): State<Front>,
    Path(key): Path<String>,
    query: Query<Wait>,
) -> Response {
    let deadline = tokio::time::Instant::now() + query.span();
    let mut changed = front.operations.clone();
    loop {
        changed.mark_unchanged();
        match front.ask(|reply| Command::Operation(key.clone(), reply)).await {
            None => return answer::ending(),
            Some(None) => {
                return answer::problem(&Problem::new(
                    Code::NotFound,
                    format!("no operation `{key}`, or it ended more than ten minutes ago"),
                ));
            }
            Some(Some(begun)) => {
                let ended = begun.operation.state == OpState::Ended;
                let waited =
                    ended || tokio::time::timeout_at(deadline, changed.changed()).await.is_err();
                if waited {
                    return operation_answer(&front, StatusCode::OK, begun).await;
                }
            }
        }
    }
}

/// A JSON body, bounded in size and in time.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let whole = axum::body::to_bytes(body, BODY_MAX);
    let bytes: Bytes = match tokio::time::timeout(BODY_PATIENCE, whole).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            return Err(Problem::new(
                Code::TooMuch,
                format!("the request's body did not come whole or is longer than {BODY_MAX} bytes"),
            )
            .cause(error.to_string()));
        }
        Err(_) => {
            let title = format!("the request's body took longer than {BODY_PATIENCE:?}");
            return Err(Problem { status: 408, ..Problem::new(Code::TooMuch, title) });
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(Code::BadRequest, "the request's body is not what this path takes".into())
            .cause(error.to_string())
    })
}

async fn no_such_path() -> Response {
    answer::problem(
        &Problem::new(Code::NoSuchPath, "no such path in the control API".into())
            .help("GET /openapi.json                   lists all of them"),
    )
}

async fn no_such_method() -> Response {
    let mut problem = Problem::new(Code::NoSuchPath, "this path does not take that method".into());
    problem.status = 405;
    answer::problem(&problem)
}
