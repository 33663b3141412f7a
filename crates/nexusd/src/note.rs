//! The note that travels with a child: all that a new daemon must know about it.

use std::path::{Path, PathBuf};

use nexus_core::{Exam, Purpose, SlotId};
use nexus_spec::Name;
use serde::{Deserialize, Serialize};

/// The longest directory that is kept with a build: notes are bounded. Of another one it is taken
/// that it is the app's.
const SITE_MAX: usize = 1_024;

/// What a child is, as the keeper keeps it unread. Short names: notes are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The app.
    pub(crate) app: Name,
    /// The instance and the slot's id; neither for a build.
    #[serde(rename = "w")]
    pub(crate) worker: Option<(u16, u32)>,
    /// A check's: the instance, the slot's id, and which it is.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    exam: Option<(u16, u32, ExamWord)>,
    /// A build's directory, if it has room here.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// The spec's generation.
    #[serde(rename = "g")]
    pub(crate) generation: u64,
    /// The child that has become ready: the keeper gives a successor the note of its predecessor.
    #[serde(rename = "y", default)]
    pub(crate) ready: Option<u64>,
    /// A child of the default rule, and what has shown that it is ready, if that was not its age.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    proof: Option<(u64, Proof)>,
    /// It writes to the second of its instance's pipes.
    #[serde(rename = "b", default, skip_serializing_if = "is_not")]
    pub(crate) beside: bool,
    /// What a child says of itself.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    said: Option<Said>,
}

/// What shows that a worker of the default rule is ready, besides its age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proof {
    /// `process.send('ready')`.
    #[serde(rename = "i")]
    Ipc,
    /// It says over its channel that it listens, as workers of Node's `cluster` do.
    #[serde(rename = "l")]
    Listening,
    /// `READY=1`.
    #[serde(rename = "n")]
    Notify,
    /// A listening socket: where, harmless on a terminal.
    #[serde(rename = "s")]
    Socket(String),
    /// Nobody knows: the worker was found by its mark alone.
    #[serde(rename = "u")]
    Unknown,
}

/// What a child says of itself, and what it was told. With its number: the keeper gives a successor
/// the note of its predecessor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    #[serde(rename = "c")]
    child: u64,
    /// Its status: harmless on a terminal, and short.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    /// It reads its configuration anew.
    #[serde(rename = "l", default, skip_serializing_if = "is_not")]
    pub(crate) reloading: bool,
    /// It is going.
    #[serde(rename = "e", default, skip_serializing_if = "is_not")]
    pub(crate) stopping: bool,
    /// It reports how late its event loop is.
    #[serde(rename = "r", default, skip_serializing_if = "is_not")]
    pub(crate) reports: bool,
    /// It was told to go then, on the boot clock.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) told: Option<u64>,
    /// It has asked for time until then, on the boot clock.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
}

fn is_not(flag: &bool) -> bool {
    !flag
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ExamWord {
    #[serde(rename = "h")]
    Health,
    #[serde(rename = "r")]
    Ready,
}

impl Note {
    pub(crate) fn new(app: Name, purpose: Purpose, generation: u64) -> Note {
        let (worker, exam) = match purpose {
            Purpose::Build => (None, None),
            Purpose::Exam { instance, id, exam: Exam::Health } => {
                (None, Some((instance, id.0, ExamWord::Health)))
            }
            Purpose::Exam { instance, id, exam: Exam::Ready } => {
                (None, Some((instance, id.0, ExamWord::Ready)))
            }
            Purpose::Worker { instance, id } => (Some((instance, id.0)), None),
        };
        let (ready, proof, said) = (None, None, None);
        Note { app, worker, exam, site: None, generation, ready, proof, beside: false, said }
    }

    /// It is a build that runs there.
    pub(crate) fn builds_in(&mut self, site: &Path) {
        let text = site.to_str().filter(|text| text.len() <= SITE_MAX);
        self.site = text.map(str::to_owned);
    }

    /// Where it builds.
    pub(crate) fn site(&self) -> Option<PathBuf> {
        self.site.as_ref().map(PathBuf::from)
    }

    /// What has shown that this child is ready, if somebody has seen anything.
    pub(crate) fn proof(&self, child: u64) -> Option<&Proof> {
        self.proof.as_ref().filter(|(of, _)| *of == child).map(|(_, proof)| proof)
    }

    /// It is ready; `proof`: what has shown that, where that is not known yet.
    pub(crate) fn becomes_ready(&mut self, child: u64, proof: Option<Proof>) {
        if let Some(proof) = proof {
            self.proves(child, proof);
        }
        self.ready = Some(child);
    }

    /// This has shown it; what came first counts.
    pub(crate) fn proves(&mut self, child: u64, proof: Proof) {
        if self.ready != Some(child) && self.proof(child).is_none() {
            self.proof = Some((child, proof));
        }
    }

    /// What this child says of itself.
    pub(crate) fn said(&self, child: u64) -> Said {
        let own = self.said.clone().filter(|said| said.child == child);
        own.unwrap_or(Said { child, ..Said::default() })
    }

    /// It says something else of itself; whether that is new.
    pub(crate) fn says(&mut self, said: Said) -> bool {
        let new = self.said(said.child) != said;
        if new {
            self.said = Some(said);
        }
        new
    }

    pub(crate) fn purpose(&self) -> Purpose {
        match (self.worker, self.exam) {
            (Some((instance, id)), _) => Purpose::Worker { instance, id: SlotId(id) },
            (None, Some((instance, id, word))) => {
                let exam = match word {
                    ExamWord::Health => Exam::Health,
                    ExamWord::Ready => Exam::Ready,
                };
                Purpose::Exam { instance, id: SlotId(id), exam }
            }
            (None, None) => Purpose::Build,
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
