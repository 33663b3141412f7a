//! The oracle: recomputes every count and index from the slots, and compares.

use nexus_spec::Name;

use crate::app::{App, Counts};
use crate::order;
use crate::phase::{Next, Phase, Want};
use crate::site::{self, Stand};
use crate::slot::Slot;
use crate::state::{Index, Marks, Seat, State};
use crate::versions::VERSIONS_MAX;

/// Up to so many slots, debug builds ask the oracle after every step; beyond, it would cost more
/// than it finds.
const ORACLE_MAX: usize = 256;

impl State {
    /// Compare every count and index with what the slots say.
    ///
    /// # Errors
    /// The first disagreement, in words. It is a fault of this crate.
    pub fn check(&self) -> Result<(), String> {
        let mut index = Index::default();
        for (name, app) in &self.apps {
            check_app(self, name, app, &mut index)?;
            let leaving =
                self.strays.values().filter(|stray| stray.app.as_ref() == Some(name)).count();
            same(name, "leaving", &usize::try_from(app.leaving).ok(), &Some(leaving))?;
        }
        for (&child, stray) in &self.strays {
            index.moved(&Seat::Stray(child), Marks::default(), Marks::of_phase(stray.phase));
            if let Some(at) = stray.site.clone() {
                site::come(&mut index.sites, at, Stand::Runs(child));
            }
            let at_end = matches!(stray.phase, Phase::Reaping { .. } | Phase::Stopping { .. });
            if !at_end {
                return Err(format!("stray {child:?} is {:?}", stray.phase));
            }
        }
        self.check_exams(&mut index)?;
        for slot in self.apps.values().flat_map(|app| app.slots.uncounted()) {
            let of_slot = |stray: &&crate::Stray| stray.slot == Some(slot.id);
            let leaving = self.strays.values().filter(of_slot).count();
            same(&slot.id, "leaving", &usize::try_from(slot.leaving).ok(), &Some(leaving))?;
        }
        same(&"index", "children", &self.index.children, &index.children)?;
        same(&"index", "dependents", &self.index.dependents, &index.dependents)?;
        same(&"index", "waiters", &self.index.waiters, &index.waiters)?;
        same(&"turn", "stirred", &self.stirred.len(), &0)?;
        same(&"index", "deadlines", &self.index.deadlines, &index.deadlines)?;
        same(&"index", "heirs", &self.index.heirs, &index.heirs)?;
        same(&"index", "sites", &self.index.sites, &index.sites)?;
        site::check(&self.index.sites)?;
        same(&"index", "ids", &self.index.ids, &index.ids)
    }

    /// Each is of a child that somebody knows, and is found by it.
    fn check_exams(&self, index: &mut Index) -> Result<(), String> {
        for (&child, examiner) in &self.exams {
            index.moved(&Seat::Exam(child), Marks::default(), Marks::of_phase(examiner.phase));
            if !self.index.children.contains_key(&examiner.of) {
                return Err(format!("{child:?} examines nobody: {examiner:?}"));
            }
        }
        let all = self.exams.iter().map(|(&child, examiner)| (examiner.of, child)).collect();
        same(&"exams", "examined", &self.examined, &all)
    }

    pub(crate) fn check_if_small(&self) {
        if cfg!(debug_assertions) && self.index.ids.len() <= ORACLE_MAX {
            debug_assert_eq!(self.check(), Ok(()));
        }
    }
}

fn check_app(state: &State, name: &Name, app: &App, index: &mut Index) -> Result<(), String> {
    let mut counts = Counts::default();
    let held = order::is_held(state, name);
    for (instance, slot) in (0..).zip(app.slots.uncounted()) {
        counts.swap(Counts::default(), Counts::of(slot, app.generation));
        same(name, "instance", &slot.instance, &instance)?;
        let next = Seat::Successor(name.clone(), slot.instance);
        index.moved(&next, Marks::default(), Marks::of_successor(slot.successor));
        let seat = Seat::Worker(name.clone(), slot.instance);
        index.moved(&seat, Marks::default(), Marks::of_slot(slot));
        index.ids.insert(slot.id, (name.clone(), slot.instance));
        check_slot(slot, held).map_err(|what| format!("{name}/{instance}: {what}: {slot:?}"))?;
    }
    if let Some(build) = &app.build {
        index.moved(&Seat::Build(name.clone()), Marks::default(), Marks::of_phase(build.phase));
        if let Some((at, stand)) = Stand::of(name, Some(build)) {
            site::come(&mut index.sites, at, stand);
        }
    }
    let numbers: Vec<u64> = app.versions.iter().map(|version| version.generation).collect();
    let in_order = numbers.is_sorted_by(|one, next| one < next);
    if !in_order || numbers.contains(&app.version) || numbers.len() > VERSIONS_MAX {
        return Err(format!("{name}: {} has had {numbers:?}", app.version));
    }
    let pause = app.rollout().and_then(|rollout| rollout.soak_until);
    index.moved(&Seat::Trial(name.clone()), Marks::default(), Marks::of_deadline(pause));
    index.depends(&app.spec, true);
    if counts.waiting > 0 {
        index.waits(&app.spec, true);
    }
    let patience = Marks::of_deadline(app.patience.until);
    index.moved(&Seat::Patience(name.clone()), Marks::default(), patience);
    if counts.waiting > 0 && state.lacking(name).is_none() {
        return Err(format!("{name} waits for nothing"));
    }
    let changes = Marks::of_changes(&app.changes);
    index.moved(&Seat::Changes(name.clone()), Marks::default(), changes);
    same(name, "name", &app.spec.name, name)?;
    same(name, "counts", &app.counts, &counts)
}

/// Pairs that no turn may leave behind.
fn check_slot(slot: &Slot, held: bool) -> Result<(), &'static str> {
    if let Some(successor) = slot.successor {
        let beside = slot.phase.is_running() || matches!(slot.phase, Phase::Stopping { .. });
        if slot.want != Want::Up || !beside {
            return Err("a successor of nobody");
        }
        if !matches!(successor.phase, Phase::Spawning { .. } | Phase::Warming { .. }) {
            return Err("a successor that is not on its way");
        }
        if slot.phase.child() >= successor.phase.child() {
            return Err("a successor that is older than its predecessor");
        }
    }
    match (slot.want, slot.phase, slot.next) {
        (Want::Down | Want::Gone, phase, _) if phase.is_running() && !held => {
            Err("runs though unwanted")
        }
        (Want::Down | Want::Gone, Phase::Backoff { .. } | Phase::Errored | Phase::Waiting, _) => {
            Err("would come back though unwanted")
        }
        (Want::Up, Phase::Idle, Next::Run | Next::At(_) | Next::GivenUp) => {
            Err("wanted, and forgotten")
        }
        (_, phase, Next::At(_) | Next::GivenUp | Next::Stay) if phase.is_running() => {
            Err("runs with a future after its end")
        }
        (Want::Down | Want::Gone | Want::Up, _, _) => Ok(()),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    place: &impl std::fmt::Debug,
    what: &str,
    kept: &T,
    true_one: &T,
) -> Result<(), String> {
    if kept == true_one {
        return Ok(());
    }
    Err(format!("{place:?}: {what}: kept {kept:?}, but it is {true_one:?}"))
}
