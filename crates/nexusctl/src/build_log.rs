//! A build's own output, as it comes.

use std::io::PipeWriter;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Instant;

use nexus_log::{Follow, LogFile, Query, Record, Stream, printable};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::out;

/// Prints the lines of one build's log until it is dropped; what has come by then is printed
/// before [`BuildLog::finish`] returns.
#[derive(Debug)]
pub(crate) struct BuildLog {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// Where the build's lines begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// At the beginning of the file: it is of this build alone.
    Beginning,
    /// At the end of now: it has lines of earlier builds.
    Now,
}

impl BuildLog {
    /// Begin. `None` when the file cannot be followed: the lines are not the result.
    pub(crate) fn follow(path: &Path, from: From, colours: bool) -> Option<BuildLog> {
        let file = LogFile { path: path.to_owned(), label: String::new(), stream: Stream::Out };
        let mut first = Vec::new();
        let follow = match from {
            From::Now => Follow::new(&[file]).ok()?,
            From::Beginning => {
                let mut reader =
                    Query { files: vec![file], follow: true, ..Query::default() }.read().ok()?;
                first.extend(reader.by_ref().map_while(Result::ok));
                reader.follow().ok()?
            }
        };
        let (ended, stop) = std::io::pipe().ok()?;
        let thread = std::thread::spawn(move || {
            print(&first, colours);
            go_on(follow, &ended, colours);
        });
        Some(BuildLog { stop: Some(stop), thread: Some(thread) })
    }

    /// Print what is there and end.
    pub(crate) fn finish(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has printed itself; the lines are not the result.
            let _ = thread.join();
        }
    }
}

/// Until the other end of `ended` is closed.
fn go_on(mut follow: Follow, ended: &std::io::PipeReader, colours: bool) {
    loop {
        let due = follow.due().map(|at| at.saturating_duration_since(Instant::now()));
        let wait = due.map_or(PollTimeout::NONE, |due| {
            PollTimeout::try_from(due.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = [
            PollFd::new(follow.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut fds, wait).is_err_and(|errno| errno != nix::errno::Errno::EINTR) {
            return;
        }
        let over = fds[1].any().unwrap_or(false);
        loop {
            match follow.take() {
                Ok(records) if records.is_empty() => break,
                Ok(records) => print(&records, colours),
                Err(_) => return,
            }
        }
        if over {
            return;
        }
    }
}

fn print(records: &[Record], colours: bool) {
    for record in records {
        out::note(&format!("  {}", printable(&record.bytes, colours)));
    }
}
