//! The journal of events, read piece by piece: an answer holds ten thousand at the most.

use serde_json::Value;

use crate::stage::{Stage, number};

/// All events so far.
#[derive(Default)]
pub(crate) struct Told {
    events: Vec<Value>,
}

impl Told {
    /// Read what has come since the last time.
    ///
    /// # Errors
    /// A number is missing, or there twice: an event was lost, or told as another.
    pub(crate) fn read(&mut self, stage: &Stage) -> Result<(), String> {
        let answer = stage.home.api(&format!("/v1/events?after={}", self.last()));
        for event in answer["events"].as_array().into_iter().flatten() {
            let (id, last) = (number(event, "id"), self.last());
            if id <= last {
                continue;
            }
            if id != last + 1 {
                return Err(format!("event {id} follows on {last}: {event}"));
            }
            self.events.push(event.clone());
        }
        Ok(())
    }

    /// The number of the newest.
    pub(crate) fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| number(event, "id"))
    }

    /// Those of no app after a number.
    pub(crate) fn of_nobody(&self, since: u64) -> Vec<Value> {
        let of_none = |event: &&Value| event["app"].is_null() && number(event, "id") > since;
        self.events.iter().filter(of_none).cloned().collect()
    }

    /// Those of an app after a number.
    pub(crate) fn of(&self, app: &str, since: u64) -> Vec<Value> {
        let of_it = |event: &&Value| event["app"] == app && number(event, "id") > since;
        self.events.iter().filter(of_it).cloned().collect()
    }
}
