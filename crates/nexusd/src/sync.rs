//! Makes what was appended durable, on a thread of its own: one fsync serves all who wait.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use tokio::sync::watch;

/// The thread and what it is to do.
#[derive(Debug)]
pub(crate) struct Syncer {
    job: Arc<Shared>,
    done: watch::Receiver<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    job: Mutex<Job>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Job {
    file: Option<File>,
    asked: u64,
}

impl Syncer {
    /// # Errors
    /// When the machine has no room for a thread.
    pub(crate) fn start() -> io::Result<Syncer> {
        let job = Arc::new(Shared::default());
        let (tell, done) = watch::channel(0);
        let shared = Arc::clone(&job);
        thread::Builder::new()
            .name("nexusd-sync".into())
            .stack_size(64 * 1024)
            .spawn(move || work(&shared, &tell))?;
        Ok(Syncer { job, done })
    }

    /// Sync `file` soon; afterwards [`Syncer::done`] shows `mark` or more.
    pub(crate) fn ask(&self, file: File, mark: u64) {
        let mut job = self.job.job.lock().unwrap_or_else(PoisonError::into_inner);
        job.file = Some(file);
        job.asked = mark;
        self.job.wake.notify_one();
    }

    /// The highest mark whose changes are durable.
    pub(crate) fn done(&self) -> watch::Receiver<u64> {
        self.done.clone()
    }
}

fn work(shared: &Shared, tell: &watch::Sender<u64>) {
    loop {
        let (file, mark) = {
            let mut job = shared.job.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if let Some(file) = job.file.take() {
                    break (file, job.asked);
                }
                job = shared.wake.wait(job).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // A disk that cannot sync is told in the log; clients are answered all the same, since
        // the change has been made and survives everything but a power cut.
        if let Err(error) = file.sync_data() {
            tracing::error!(%error, "the state could not be synced to disk");
        }
        if tell.send(mark).is_err() {
            return;
        }
    }
}
