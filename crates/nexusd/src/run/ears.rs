//! What the loop hears of workers, and the keeper's last word.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::{Watchers, watch_on};
use crate::daemon::Daemon;
use crate::hearer;

/// A word, the end of all words, or an error that somebody else has brought upon the socket.
pub(super) const HEARER: Interest = Interest::READABLE.add(Interest::ERROR);

impl Watchers {
    /// Comes when a worker has said something, and whether on the socket that workers hold as well.
    pub(super) async fn spoken(&self) -> io::Result<(bool, AsyncFdReadyGuard<'_, OwnedFd>)> {
        let hearer = async {
            match &self.hearer {
                Some(hearer) => hearer.ready(HEARER).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ready = self.notify.readable() => Ok((false, ready?)),
            ready = hearer => Ok((true, ready?)),
        }
    }
}

impl Daemon {
    /// Take some of what workers have said.
    ///
    /// # Errors
    /// Nothing is heard on this socket any more.
    pub(super) fn hear(&mut self, mut ready: AsyncFdReadyGuard<'_, OwnedFd>) -> io::Result<()> {
        let is_over = ready.ready().is_read_closed() || ready.ready().is_error();
        let more = self.words(ready.get_ref().get_ref().as_fd())?;
        if is_over {
            // It stays ready for ever. What was said before has been read.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !more {
            ready.clear_ready();
        }
        Ok(())
    }

    /// A worker that holds the socket that hears channels has spoilt it. Those to come get another,
    /// under the same number: also by templates and orders that there are. `None` = there is no room
    /// for one now; the next nexusd tries again.
    pub(super) fn renew_hearer(&mut self, why: &io::Error) -> Option<AsyncFd<OwnedFd>> {
        tracing::warn!(
            %why,
            "a worker has spoilt the socket on which channels are heard: workers that have one are \
             heard on it again when they have been restarted"
        );
        let renewed = hearer::open(&self.home.state()).and_then(|(socket, name)| {
            let watched = watch_on(socket.as_fd(), HEARER)?;
            self.holdings.renew_hearer(name, socket)?;
            Ok(watched)
        });
        renewed.inspect_err(|error| tracing::error!(%error, "channels are not heard any more")).ok()
    }

    /// Comes when the keeper has read that it is to leave, or is dead: there is nothing left to
    /// decide. It waits for our end.
    pub(super) async fn is_let_go(&mut self, watch: &Watchers) -> io::Result<()> {
        loop {
            tokio::select! {
                ready = watch.keeper.readable() => return ready.map(drop),
                ready = watch.link.readable() => {
                    let mut ready = ready?;
                    match self.holdings.link.recv() {
                        Ok(Some(_)) => {}
                        Ok(None) => ready.clear_ready(),
                        Err(_) => return Ok(()),
                    }
                }
            }
        }
    }
}
