//! Giving memory back while there is nothing to do.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::Notify;

/// So long without a turn or a request is quiet.
const QUIET: Duration = Duration::from_secs(5);

static BUSY: Notify = Notify::const_new();

/// There was something to do.
pub(crate) fn busy() {
    BUSY.notify_one();
}

/// Whenever it has become quiet, give back once what need not be kept. Nothing is woken while it
/// stays quiet.
pub(crate) async fn give_back() -> Infallible {
    loop {
        BUSY.notified().await;
        while tokio::time::timeout(QUIET, BUSY.notified()).await.is_ok() {}
        nexus_keeper::let_go();
    }
}
