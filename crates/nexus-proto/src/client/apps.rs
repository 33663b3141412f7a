//! Requests about apps beside the verbs: signals, environments, project files.

use super::http::Request;
use super::{Client, Failure, quote};
use crate::answer::Environment;
use crate::apply::{Apply, Diff};
use crate::op::{Operation, SendText, SignalApps};

impl Client {
    /// `POST /v1/apps/signal`: the operation has ended when it is answered.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn signal(&self, key: &str, signal: &SignalApps) -> Result<Operation, Failure> {
        self.post("/v1/apps/signal", key, Some(signal))
    }

    /// `GET /v1/apps/{name}/env`: the environment of an instance (`None` = the first that runs).
    /// `reveal` shows secrets, and is written to the events.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn env(
        &self,
        app: &str,
        instance: Option<u16>,
        reveal: bool,
    ) -> Result<Environment, Failure> {
        let instance = instance.map(|number| format!("&instance={number}")).unwrap_or_default();
        self.get(&format!("/v1/apps/{}/env?reveal={reveal}{instance}", quote(app)))
    }

    /// `POST /v1/apps/send`: the operation has ended when it is answered.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn send(&self, key: &str, send: &SendText) -> Result<Operation, Failure> {
        self.post("/v1/apps/send", key, Some(send))
    }

    /// `POST /v1/diff`: what [`Client::apply`] would do.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn diff(&self, apply: &Apply) -> Result<Diff, Failure> {
        let body = serde_json::to_vec(apply);
        let body = body.map_err(|error| Failure::protocol(format!("cannot be said: {error}")))?;
        let request = Request { method: "POST", path: "/v1/diff", key: None, body: Some(&body) };
        self.document(&request, self.answer)
    }

    /// `POST /v1/apply`: begin to make it so.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn apply(&self, key: &str, apply: &Apply) -> Result<Operation, Failure> {
        self.post("/v1/apply", key, Some(apply))
    }
}
