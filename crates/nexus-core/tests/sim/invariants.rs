//! What must hold at every moment of a simulated life.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{ChildId, Event, Purpose, SlotId};

use crate::world::World;

impl World {
    /// A successor comes only when nothing of its predecessor is left, apart from what has been
    /// told to go and from what the core has not been told of.
    pub(crate) fn one_at_a_time(&self, purpose: Purpose) {
        let Purpose::Worker { id, .. } = purpose else { return };
        let strays: BTreeSet<ChildId> = self.state.strays().map(|(&child, _)| child).collect();
        for kept in self.keeper.kept.values().filter(|kept| kept.lives()) {
            let child = kept.entry.child;
            let untold =
                self.keeper.reports.iter().any(
                    |(_, event)| matches!(event, Event::Respawned { new, .. } if *new == child),
                );
            let other = kept.slot() != Some(id) || strays.contains(&child) || untold;
            assert!(other, "spawned while {child:?} of the same slot lives");
        }
    }

    /// What must hold after every turn.
    pub(crate) fn check(&mut self) {
        self.turns += 1;
        // A debug build asks the oracle in `step` already.
        if !cfg!(debug_assertions) {
            assert_eq!(self.state.check(), Ok(()));
        }
        // What one turn forgets to keep is still missing a few turns later.
        if self.turns.is_multiple_of(4) {
            assert_eq!(self.disk.differs(&self.state), None, "not kept");
        }
        let due = self.state.next_deadline();
        assert!(due.is_none_or(|at| at > self.now), "a deadline in the past: the shell would spin");
        if !self.keeper.reports.is_empty() {
            return;
        }
        if let Some(what) = self.truth.differs(&self.state) {
            panic!("{what}");
        }
        let strays: BTreeSet<ChildId> = self.state.strays().map(|(&child, _)| child).collect();
        let builds = self.state.apps().filter_map(|(_, app)| app.build()?.phase.child());
        let builds: BTreeSet<ChildId> = builds.collect();
        let mut serving: BTreeMap<SlotId, ChildId> = BTreeMap::new();
        for kept in self.keeper.kept.values().filter(|kept| kept.lives()) {
            let child = kept.entry.child;
            let seated = self.state.by_child(child).is_some() || builds.contains(&child);
            assert!(seated || strays.contains(&child), "{child:?} was forgotten alive");
            if let (Some(slot), false) = (kept.slot(), kept.terminated || !kept.alive) {
                let other = serving.insert(slot, child);
                assert!(other.is_none(), "{child:?} and {other:?} both serve {slot:?}");
            }
        }
    }
}
