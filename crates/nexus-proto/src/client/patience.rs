//! How long a daemon is waited for that does not answer, or is not there.

use std::time::Duration;

use super::Client;

/// How long a daemon that went away is waited for.
pub const RECONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take, on top of the time that the request itself asks to wait, before
/// it is asked for anew: a client that is not accepted makes the keeper look whether nexusd hangs.
pub const ANSWER: Duration = Duration::from_secs(4);
/// How often it is asked for. A nexusd that hangs is replaced well before the last time.
pub(super) const TRIES: u32 = 4;

impl Client {
    /// The same client with another limit to how long a daemon that went away is waited for.
    #[must_use]
    pub fn with_reconnect(mut self, reconnect: Duration) -> Client {
        self.reconnect = reconnect;
        self
    }

    /// The same client, which asks once, with other limits: how long an answer may take, and how
    /// long a daemon that went away is waited for.
    #[must_use]
    pub fn with_patience(mut self, answer: Duration, reconnect: Duration) -> Client {
        self.tries = 1;
        self.answer = answer;
        self.reconnect = reconnect;
        self
    }

    /// The same client for a time in which nobody may answer: each question is asked anew for at
    /// least so long, and a daemon that went away is waited for.
    #[must_use]
    pub fn through_silence(mut self, time: Duration) -> Client {
        self.silence = time;
        self.reconnect = self.reconnect.max(time);
        self
    }
}
