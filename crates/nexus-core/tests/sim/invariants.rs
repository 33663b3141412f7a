//! What must hold at every moment of a simulated life.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{ChildId, Event, Fact, Milestone, Purpose, SlotId};

use crate::pids::{main_of, pid_of};
use crate::world::World;

impl World {
    /// A successor comes only when nothing of its predecessor is left, apart from what has been
    /// told to go and from what the core has not been told of; unless it is to take its place later.
    pub(crate) fn one_at_a_time(&self, spawned: ChildId, purpose: Purpose) {
        let Purpose::Worker { id, .. } = purpose else { return };
        let beside = self.is_successor(spawned);
        let strays: BTreeSet<ChildId> = self.state.strays().map(|(&child, _)| child).collect();
        if strays.contains(&spawned) {
            // It is told to go in the same turn.
            return;
        }
        for kept in self.keeper.kept.values().filter(|kept| kept.lives()) {
            let child = kept.entry.child;
            let untold =
                self.keeper.reports.iter().any(
                    |(_, event)| matches!(event, Event::Respawned { new, .. } if *new == child),
                );
            let serves = beside && self.state.by_child(child).is_some();
            let other = kept.slot() != Some(id) || strays.contains(&child) || untold || serves;
            assert!(other, "spawned while {child:?} of the same slot lives");
        }
    }

    /// Where a build runs, nothing lives of another one, whoever waits for it, or nobody does.
    pub(crate) fn one_build_in_each_directory(&mut self, spawned: ChildId, purpose: Purpose) {
        if purpose != Purpose::Build {
            return;
        }
        let its = |app: &nexus_core::App| {
            let build = app.build().filter(|build| build.phase.child() == Some(spawned))?;
            let change = build.plan.change.as_ref();
            Some(change.map_or(app.spec(), |(spec, _)| spec).cwd.clone())
        };
        let stray = || self.state.strays().find(|(child, _)| **child == spawned)?.1.site.clone();
        let site = self.state.apps().find_map(|(_, app)| its(app)).or_else(stray);
        assert!(site.is_some(), "nobody knows where {spawned:?} builds");
        let others =
            self.keeper.kept.values().filter(|kept| {
                kept.lives() && kept.entry.site == site && kept.entry.child != spawned
            });
        let others: Vec<ChildId> = others.map(|kept| kept.entry.child).collect();
        assert!(others.is_empty(), "{spawned:?} builds in {site:?} beside {others:?}");
        self.keeper.kept.get_mut(&spawned).unwrap().entry.site = site;
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
        let exams = self.state.exams().map(|(&child, _)| child);
        let builds: BTreeSet<ChildId> = builds.chain(exams).collect();
        let mut serving: BTreeMap<SlotId, ChildId> = BTreeMap::new();
        for kept in self.keeper.kept.values().filter(|kept| kept.lives()) {
            let child = kept.entry.child;
            let beside = self.is_successor(child);
            let seated = self.state.by_child(child).is_some() || builds.contains(&child) || beside;
            assert!(seated || strays.contains(&child), "{child:?} was forgotten alive");
            let place = self
                .state
                .by_child(child)
                .and_then(|(app, at)| self.state.app(app.as_str())?.slot(at));
            if let Some(slot) = place.filter(|_| kept.alive && kept.born && !kept.terminated) {
                let pid = slot.phase.pid();
                let is_its = [pid_of(child), main_of(child)].map(Some).contains(&pid);
                assert!(is_its, "of {child:?}: {slot:?}");
            }
            if let (Some(slot), false) = (kept.slot(), kept.terminated || !kept.alive || beside) {
                let other = serving.insert(slot, child);
                assert!(other.is_none(), "{child:?} and {other:?} both serve {slot:?}");
            }
        }
    }

    /// It is on its way to take the place of another.
    pub(crate) fn is_successor(&self, child: ChildId) -> bool {
        let slots = self.state.apps().flat_map(|(_, app)| app.slots());
        slots.filter_map(|slot| slot.successor?.phase.child()).any(|next| next == child)
    }

    /// A reload of one instance may have nothing to do, and end at once.
    pub(crate) fn begins(&mut self, fact: &Fact) {
        let Fact::Reload { app, generation, milestone } = fact else { return };
        let Milestone::Begun { instances, .. } = milestone else { return };
        let all = self.state.app(app.as_str()).map_or(0, nexus_core::App::instances);
        if *instances < all {
            self.scoped.insert((app.clone(), *generation));
        }
    }

    /// A reload ends in one of two whole states, and says in which.
    pub(crate) fn whole(&self, fact: &Fact) {
        let Fact::Reload { app: name, generation, milestone } = fact else { return };
        let new = match milestone {
            Milestone::Done => true,
            Milestone::RolledBack { replaced: 0, stuck: 0, .. } => false,
            _ => return,
        };
        let Some(app) = self.state.app(name.as_str()) else { return };
        assert!(app.rollout().is_none(), "{fact:?}, and it goes on");
        for slot in app.slots().iter().filter(|slot| slot.phase.is_online()) {
            let left = slot.successor.is_some_and(|successor| successor.counts.is_none());
            assert!(slot.moved_to.is_none() && !left, "{fact:?}: {slot:?}");
            let fresh = slot.generation >= *generation;
            let one = self.scoped.contains(&(name.clone(), *generation));
            assert!(one || !new || fresh, "{fact:?}, and an old one serves: {slot:?}");
            assert!(new || slot.generation != *generation, "{fact:?}, and serves: {slot:?}");
        }
    }
}
