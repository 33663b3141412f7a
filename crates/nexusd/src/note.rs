//! The note that travels with a child: all that a new daemon must know about it.

use nexus_core::Purpose;
use nexus_spec::Name;
use serde::{Deserialize, Serialize};

/// What a child is, as the keeper keeps it unread. Short names: notes are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The app.
    pub(crate) app: Name,
    /// The instance and the slot's id; neither for a build.
    #[serde(rename = "w")]
    pub(crate) worker: Option<(u16, u32)>,
    /// The spec's generation.
    #[serde(rename = "g")]
    pub(crate) generation: u64,
    /// The child that has become ready: the keeper gives a successor the note of its predecessor.
    #[serde(rename = "y", default)]
    pub(crate) ready: Option<u64>,
}

impl Note {
    pub(crate) fn new(app: Name, purpose: Purpose, generation: u64) -> Note {
        let worker = match purpose {
            Purpose::Build => None,
            Purpose::Worker { instance, id } => Some((instance, id.0)),
        };
        Note { app, worker, generation, ready: None }
    }

    pub(crate) fn purpose(&self) -> Purpose {
        match self.worker {
            None => Purpose::Build,
            Some((instance, id)) => Purpose::Worker { instance, id: nexus_core::SlotId(id) },
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // Plain strings and numbers cannot fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Note> {
        serde_json::from_slice(bytes).ok()
    }
}
