//! `GET /v1/logs`: what the apps have written, and what they go on to write.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use hyper::StatusCode;
use nexus_log::{Follow, LogFile, Record, Stream};
use nexus_proto::{Code, LogLine, Logs, Problem};
use tokio::io::Interest;
use tokio::sync::mpsc;

use super::{answer, routes};
use crate::command::Front;
use crate::log_sources::{LogSource, log_sources};
use crate::run::watch_on;

/// Lines of one answer, unless another number is asked for; and the most.
const LAST: (usize, usize) = (100, 10_000);
/// Bytes of one answer: what is older is left out.
const BYTES_MAX: usize = 8 << 20;
/// Lines that may wait for a client that follows; for a slower one the reading waits.
const QUEUE_MAX: usize = 256;

/// What is asked for.
#[derive(Debug, Default)]
struct Wanted {
    words: Vec<String>,
    stream: Option<Stream>,
    since: Option<SystemTime>,
    last: Option<usize>,
    follow: bool,
}

impl Wanted {
    fn read(query: Vec<(String, String)>) -> Result<Wanted, Problem> {
        let mut wanted = Wanted::default();
        for (key, text) in query {
            let bad = || Problem::new(Code::BadRequest, format!("`{key}` cannot be `{text}`"));
            match key.as_str() {
                "t" => wanted.words.push(text),
                "stream" if text == "out" => wanted.stream = Some(Stream::Out),
                "stream" if text == "err" => wanted.stream = Some(Stream::Err),
                "since_unix_ms" => {
                    let since = Duration::from_millis(text.parse().map_err(|_| bad())?);
                    wanted.since = UNIX_EPOCH.checked_add(since);
                }
                "last" => wanted.last = Some(text.parse().map_err(|_| bad())?),
                "follow" => wanted.follow = text.parse().map_err(|_| bad())?,
                _ => return Err(bad()),
            }
        }
        Ok(wanted)
    }

    fn query(&self, sources: &[LogSource]) -> nexus_log::Query {
        nexus_log::Query {
            files: sources.iter().map(|source| source.file.clone()).collect(),
            last: Some(self.last.unwrap_or(LAST.0).min(LAST.1)),
            since: self.since,
            until: None,
            follow: self.follow,
        }
    }
}

pub(super) async fn logs(
    State(front): State<Front>,
    Extension(peer): routes::Who,
    query: Query<Vec<(String, String)>>,
) -> Response {
    let wanted = match Wanted::read(query.0) {
        Ok(wanted) => wanted,
        Err(problem) => return answer::problem(&problem),
    };
    let Some(snapshot) = routes::snapshot(&front).await else { return answer::ending() };
    let targets = match wanted.words.as_slice() {
        [] => None,
        words => match crate::targets::resolve(words, &snapshot.apps) {
            Ok(targets) => Some(targets),
            Err(problem) => return answer::problem(&problem),
        },
    };
    let mut sources = log_sources(&snapshot, targets.as_deref());
    sources.retain(|source| wanted.stream.is_none_or(|only| only == source.file.stream));
    // Log files may be on a disk that hangs: not on this thread.
    let read = tokio::task::spawn_blocking(move || past(&wanted, sources)).await;
    match read {
        Ok(Ok(Past { lines, left_out, follow: None, .. })) => {
            let document = Logs { schema: "nexus.logs/1".into(), lines: lines.into(), left_out };
            answer::json(StatusCode::OK, &document)
        }
        Ok(Ok(Past { lines, sources, follow: Some(follow), .. })) => {
            let Some(seat) = peer.seat(&front) else { return answer::no_stream_left() };
            let (sender, queue) = mpsc::channel::<Bytes>(QUEUE_MAX);
            tokio::spawn(async move {
                let _seat = seat;
                if let Err(error) = go_on(lines, sources, follow, &sender).await {
                    tracing::warn!(%error, "logs are not followed any more");
                }
            });
            answer::lines(queue)
        }
        Ok(Err(error)) => answer::problem(
            &Problem::new(Code::Internal, "the log files cannot be read".into())
                .cause(error.to_string()),
        ),
        Err(error) => answer::problem(&Problem::new(Code::Internal, error.to_string())),
    }
}

/// What was there when it was asked for.
struct Past {
    lines: VecDeque<LogLine>,
    left_out: u64,
    sources: Vec<LogSource>,
    follow: Option<Follow>,
}

fn past(wanted: &Wanted, sources: Vec<LogSource>) -> io::Result<Past> {
    let mut reader = wanted.query(&sources).read()?;
    let (mut lines, mut left_out, mut bytes) = (VecDeque::new(), 0, 0);
    for record in reader.by_ref() {
        let line = line(&sources, &record?);
        bytes += line.msg.len();
        lines.push_back(line);
        while bytes > BYTES_MAX {
            bytes -= lines.pop_front().map_or(bytes, |oldest: LogLine| oldest.msg.len());
            left_out += 1;
        }
    }
    let follow = if wanted.follow { Some(reader.follow()?) } else { None };
    Ok(Past { lines, left_out, sources, follow })
}

/// Say what was there, then what comes, until nobody reads any more.
async fn go_on(
    lines: VecDeque<LogLine>,
    sources: Vec<LogSource>,
    mut follow: Follow,
    to: &mpsc::Sender<Bytes>,
) -> io::Result<()> {
    for line in lines {
        if answer::say(to, &line).await.is_none() {
            return Ok(());
        }
    }
    let news = watch_on(follow.as_fd(), Interest::READABLE)?;
    loop {
        let (back, records) = tokio::task::spawn_blocking(move || {
            let records = follow.take();
            (follow, records)
        })
        .await
        .map_err(io::Error::other)?;
        follow = back;
        let records = records?;
        for record in &records {
            if answer::say(to, &line(&sources, record)).await.is_none() {
                return Ok(());
            }
        }
        if !records.is_empty() {
            continue;
        }
        let due = follow.due().map(tokio::time::Instant::from_std);
        tokio::select! {
            ready = news.readable() => ready?.clear_ready(),
            () = at(due) => {}
            () = to.closed() => return Ok(()),
        }
    }
}

async fn at(due: Option<tokio::time::Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn line(sources: &[LogSource], record: &Record) -> LogLine {
    let source = sources.get(record.file);
    let since = record.time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let ms = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    let stream =
        source.map_or(Stream::Out, |LogSource { file: LogFile { stream, .. }, .. }| *stream);
    LogLine {
        schema: "nexus.log/1".into(),
        ts: ms.map(crate::clock::rfc3339),
        app: source.map_or_else(String::new, |source| source.app.clone()),
        instance: source.and_then(|source| source.instance),
        stream: match stream {
            Stream::Out => "out".into(),
            Stream::Err => "err".into(),
        },
        msg: String::from_utf8_lossy(&record.bytes).into_owned(),
        truncated: record.truncated,
    }
}
