//! The specs that an app has had: what a rollback goes back to.
//!
//! They are kept as an editor keeps what can be undone: a rollback goes one step back, another one a
//! further step, each of them stays to be named; and what has been gone back from is forgotten once
//! something new comes.

use std::sync::Arc;

use nexus_spec::{AppSpec, Name};

use crate::action::Keep;
use crate::app::App;
use crate::turn::Turn;

/// Specs that are kept of one app besides its present one; the oldest go first.
pub const VERSIONS_MAX: usize = 10;

/// A spec that an app has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The generation with which it came first.
    pub generation: u64,
    /// It.
    pub spec: AppSpec,
    /// How many instances it had when another one took its place.
    pub instances: u16,
}

impl App {
    /// The generation with which its present spec came first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it can be rolled back to, the oldest first; what it was rolled back from is among it.
    pub fn versions(&self) -> &[Arc<Version>] {
        &self.versions
    }

    /// Where a rollback leads: to the spec of that generation, or (`None`) to the one before the
    /// present one.
    pub fn version_at(&self, to: Option<u64>) -> Option<&Arc<Version>> {
        let mut versions = self.versions.iter().rev();
        match to {
            Some(generation) => versions.find(|version| version.generation == generation),
            None => versions.find(|version| version.generation < self.version),
        }
    }
}

/// Another spec takes the place of the present one, which had so many instances.
pub(crate) fn succeed(
    turn: &mut Turn,
    name: &Name,
    spec: AppSpec,
    generation: u64,
    instances: u16,
) {
    if turn.state.apps.get(name).is_none_or(|app| app.spec == spec) {
        return;
    }
    let Some(old) = turn.state.respecify(name, spec) else { return };
    let Some(app) = turn.state.apps.get_mut(name) else { return };
    let old = Version { generation: app.version, spec: old, instances };
    let returns_to = app.returning.take().and_then(|to| {
        let is_it = |version: &Arc<Version>| version.generation == to && version.spec == app.spec;
        app.versions.iter().position(is_it)
    });
    app.version = match returns_to {
        Some(at) => app.versions.remove(at).generation,
        None => {
            app.versions.retain(|version| version.generation < old.generation);
            generation
        }
    };
    let at = app.versions.partition_point(|version| version.generation < old.generation);
    app.versions.insert(at, Arc::new(old));
    if app.versions.len() > VERSIONS_MAX {
        app.versions.remove(0);
    }
    turn.keep(Keep::App(name.clone()));
    turn.keep(Keep::Versions(name.clone()));
}
