//! Waiting for a line in the log of a worker.

use std::io;
use std::os::fd::AsFd;
use std::time::SystemTime;

use nexus_log::{Follow, LogFile, Query, Record};
use regex_lite::Regex;
use tokio::io::Interest;
use tokio::time::Instant;

use crate::run::watch_on;

/// From where on lines count.
#[derive(Clone, Debug)]
pub(crate) enum From {
    /// These offsets, one for each file: their ends when the worker was ordered.
    Offsets(Vec<u64>),
    /// What came after: the worker was ordered by a nexusd that is gone.
    Since(SystemTime),
}

/// Comes when a line matches.
pub(super) async fn wait_for(pattern: Regex, files: Vec<LogFile>, from: From) -> io::Result<()> {
    // Log files may be on a disk that hangs: not on this thread.
    let (mut follow, mut records) = blocking(move || begin(files, from)).await?;
    let news = watch_on(follow.as_fd(), Interest::READABLE)?;
    loop {
        let matches = |record: &Record| pattern.is_match(&String::from_utf8_lossy(&record.bytes));
        if records.iter().any(matches) {
            return Ok(());
        }
        if records.is_empty() {
            let due = follow.due().map(Instant::from_std);
            tokio::select! {
                ready = news.readable() => ready?.clear_ready(),
                () = at(due) => {}
            }
        }
        (follow, records) = blocking(move || {
            let records = follow.take()?;
            Ok((follow, records))
        })
        .await?;
    }
}

fn begin(files: Vec<LogFile>, from: From) -> io::Result<(Follow, Vec<Record>)> {
    match from {
        From::Offsets(offsets) => Ok((Follow::after(&files, &offsets)?, Vec::new())),
        From::Since(since) => {
            let since = Some(since);
            let query = Query { files, last: None, since, until: None, follow: true };
            let mut reader = query.read()?;
            let records = reader.by_ref().collect::<io::Result<_>>()?;
            Ok((reader.follow()?, records))
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

async fn at(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
