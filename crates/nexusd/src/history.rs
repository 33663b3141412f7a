//! What an app has been: the specs that a rollback goes back to, each with where it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_core::{App, Time, Version};
use nexus_proto::{RolloutView, ScalingView, VersionView};
use nexus_spec::{AppSpec, Autoscale, Instances, Name};
use serde::{Deserialize, Serialize};

use crate::daemon::Daemon;
use crate::origin::Origin;
use crate::records::Entry;
use crate::vault::{Sealed, Vault};

/// Where an app's specs came from, by the generation with which each came.
pub(crate) type History = BTreeMap<Name, BTreeMap<u64, Came>>;

/// What the core does not know of a spec that an app has had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Came {
    source: String,
    base_env: BTreeMap<String, String>,
    /// Settings in which it differs from the present one.
    differs: Vec<String>,
}

/// A spec that an app has had, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredVersion {
    generation: u64,
    spec: AppSpec,
    instances: u16,
    source: String,
    base_env: BTreeMap<String, String>,
    /// The secrets among the variables of both, which stand nowhere else.
    #[serde(default)]
    sealed_env: Sealed,
    #[serde(default)]
    sealed_base: Sealed,
}

impl StoredVersion {
    fn new(version: &Version, came: &Came, vault: &Vault) -> StoredVersion {
        let (mut spec, mut base_env) = (version.spec.clone(), came.base_env.clone());
        let sealed_env = vault.take(&version.spec, &mut spec.env);
        let sealed_base = vault.take(&version.spec, &mut base_env);
        let (generation, instances) = (version.generation, version.instances);
        let source = came.source.clone();
        StoredVersion { generation, spec, instances, source, base_env, sealed_env, sealed_base }
    }

    /// Puts the secrets back among the variables; those that the key does not open are lost, as an
    /// app's own are.
    pub(crate) fn unseal(&mut self, vault: &Vault) {
        let spec = self.spec.clone();
        let env = std::mem::take(&mut self.sealed_env);
        let mut lost = vault.put_back(&spec, env, &mut self.spec.env);
        let base = std::mem::take(&mut self.sealed_base);
        lost.extend(vault.put_back(&spec, base, &mut self.base_env));
        if !lost.is_empty() {
            let (names, generation) = (lost.join(", "), self.generation);
            tracing::error!(app = %spec.name, generation, "state/key does not open {names}");
        }
    }

    /// The core's part of it, and ours.
    pub(crate) fn parts(&self, present: &AppSpec) -> (Arc<Version>, Came) {
        let StoredVersion { generation, spec, instances, source, base_env, .. } = self.clone();
        let differs = differing(present, &spec);
        let came = Came { source, base_env, differs };
        (Arc::new(Version { generation, spec, instances }), came)
    }
}

fn differing(present: &AppSpec, other: &AppSpec) -> Vec<String> {
    present.differences(other).into_iter().map(|one| one.setting).collect()
}

impl Daemon {
    /// Another origin is about to take the place of an app's: its present spec, if that goes, came
    /// from this one.
    pub(crate) fn remember_origin(&mut self, name: &Name) {
        let (Some(app), Some(origin)) = (self.state.app(name.as_str()), self.origins.get(name))
        else {
            return;
        };
        self.history.entry(name.clone()).or_default().insert(app.version(), Came::of(origin));
    }

    /// What an app has had is another: keep it.
    pub(crate) fn keep_versions(&mut self, name: &Name) {
        let (Some(app), Some(origin)) = (self.state.app(name.as_str()), self.origins.get(name))
        else {
            return;
        };
        let came = self.history.entry(name.clone()).or_default();
        let known = |of: &u64| app.versions().iter().any(|version| version.generation == *of);
        came.retain(|generation, _| known(generation));
        for version in app.versions() {
            let came = came.entry(version.generation).or_insert_with(|| Came::of(origin));
            came.differs = differing(app.spec(), &version.spec);
        }
        let entry = self.versions_entry(name, app);
        self.store.keep(entry);
    }

    /// All that is kept of what an app has had.
    pub(crate) fn versions_entry(&self, name: &Name, app: &App) -> Entry {
        let stored = |version: &Arc<Version>| {
            let came = self.came(name, version.generation);
            StoredVersion::new(version, &came, self.store.vault())
        };
        let versions = app.versions().iter().map(stored).collect();
        Entry::Versions { app: name.clone(), versions }
    }

    fn came(&self, name: &Name, generation: u64) -> Came {
        let known = self.history.get(name).and_then(|all| all.get(&generation));
        known.cloned().unwrap_or_default()
    }

    /// Where a spec that an app has had came from, as the origin of what is to be.
    pub(crate) fn origin_of_version(&self, name: &Name, generation: u64) -> Origin {
        let Came { source, base_env, .. } = self.came(name, generation);
        let present = self.origins.get(name).cloned().unwrap_or_default();
        Origin { source, base_env, arriving: None, ..present }
    }

    /// How far a reload is that is under way.
    pub(crate) fn rollout_view(&self, app: &App, now: Time) -> Option<RolloutView> {
        let rollout = app.rollout()?;
        Some(RolloutView {
            generation: rollout.reload.generation,
            done: rollout.done(),
            of: app.to_replace(),
            going_back: rollout.reload.back.is_some(),
            watched_for_ms: rollout.watched_until().map(|until| (until - now).0),
            operation: self.ops.get(rollout.reload.op).map(|op| op.view.key.clone()),
        })
    }

    /// What an app can be rolled back to, the newest first.
    pub(crate) fn versions_view(&self, name: &Name, app: &App) -> Vec<VersionView> {
        let view = |version: &Arc<Version>| {
            let (generation, instances) = (version.generation, version.instances);
            let came = self.history.get(name).and_then(|all| all.get(&generation));
            let source = came.map(|came| came.source.clone()).unwrap_or_default();
            let differs = came.map(|came| came.differs.clone()).unwrap_or_default();
            VersionView { generation, instances, source, differs }
        };
        app.versions().iter().rev().map(view).collect()
    }
}

/// How the number of an app's instances follows their load.
pub(crate) fn scaling_view(app: &App) -> Option<ScalingView> {
    match app.spec().instances {
        Instances::Auto(Autoscale { min, max, target_cpu: target_cpu_percent, .. }) => {
            Some(ScalingView { min, max, target_cpu_percent })
        }
        Instances::AllBut(_) | Instances::Count(_) | Instances::Max => None,
    }
}

impl Came {
    fn of(origin: &Origin) -> Came {
        let (source, base_env) = (origin.source.clone(), origin.base_env.clone());
        Came { source, base_env, differs: Vec::new() }
    }
}
