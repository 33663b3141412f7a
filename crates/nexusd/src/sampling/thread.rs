//! The thread: whose turn it is, within what sampling may cost.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_spec::Name;
use nix::time::{ClockId, clock_gettime};

use super::sweep::Sweep;
use super::tree::{Pids, Tree};
use super::{Figures, PERIOD, PERIOD_MAX, Room, SHARE, Shared, Watched};
use crate::clock;

/// Look at trees for ever; sleep while there is none.
pub(super) fn run(shared: &Shared, cgroups: Option<&Path>) {
    let mut fleet = Fleet::new();
    let mut due = Instant::now();
    loop {
        let changes = shared.wait((!fleet.trees.is_empty()).then_some(due));
        if !changes.is_empty() {
            fleet.change(changes, cgroups, shared);
            continue;
        }
        fleet.pass(shared);
        // After a pause of the machine, or of ours, nothing is made up for.
        due = (due + PERIOD).max(Instant::now() + PERIOD / 2);
    }
}

struct Fleet {
    trees: BTreeMap<u64, Tree>,
    /// The child that was looked at last: the next one's turn is next.
    last: u64,
    room: Room,
    pids: Pids,
    sweep: Sweep,
    /// The step of history that was last told.
    told: u64,
}

impl Fleet {
    fn new() -> Fleet {
        let (room, pids, sweep) = (Room::of_this_process(), Pids::default(), Sweep::default());
        Fleet { trees: BTreeMap::new(), last: 0, room, pids, sweep, told: 0 }
    }

    /// Who has come is looked at at once, so that no worker is long without figures.
    fn change(
        &mut self,
        changes: BTreeMap<u64, Option<Watched>>,
        cgroups: Option<&Path>,
        shared: &Shared,
    ) {
        let (mut came, mut gone) = (Vec::new(), Vec::new());
        for (child, watched) in changes {
            if let Some(tree) = self.trees.remove(&child) {
                self.room.give(tree.files());
            }
            match watched {
                Some(Watched { app, pid }) => {
                    let tree = Tree::new(app, pid, cgroups, &mut self.room);
                    self.trees.insert(child, tree);
                    came.extend(self.measure(child));
                }
                None => gone.push(child),
            }
        }
        let mut seen = shared.seen();
        for child in gone {
            seen.figures.remove(&child);
        }
        seen.figures.extend(came);
    }

    /// One second's looks.
    fn pass(&mut self, shared: &Shared) {
        let (begin, budget) = (cpu_time(), PERIOD.mul_f64(SHARE));
        if self.trees.values().any(|tree| !tree.has_group()) {
            let mains = self.trees.iter().map(|(child, tree)| (tree.main, *child)).collect();
            self.sweep.run(&mains);
        }
        let periods = PERIOD_MAX.as_secs() / PERIOD.as_secs();
        let least = self.trees.len().div_ceil(periods as usize);
        let mut looked = Vec::new();
        for child in self.turns() {
            if looked.len() >= least && cpu_time().saturating_sub(begin) >= budget {
                break;
            }
            looked.extend(self.measure(child));
            self.last = child;
        }
        shared.seen().figures.extend(looked);
        self.tell(shared);
    }

    /// All children, from the one whose turn is next.
    fn turns(&self) -> Vec<u64> {
        let after = self.trees.range((Bound::Excluded(self.last), Bound::Unbounded));
        let before = self.trees.range(..=self.last);
        after.chain(before).map(|(child, _)| *child).collect()
    }

    fn measure(&mut self, child: u64) -> Option<(u64, Figures)> {
        let tree = self.trees.get_mut(&child)?;
        tree.measure(self.sweep.of(child), &mut self.pids, &mut self.room);
        Some((child, tree.figures))
    }

    /// Add a point to each app's history, once a step.
    fn tell(&mut self, shared: &Shared) {
        let step = shared.seen().rings.step(clock::now().0);
        if self.told == step {
            return;
        }
        let mut apps: HashMap<Name, Figures> = HashMap::new();
        for tree in self.trees.values() {
            let sum = apps.entry(tree.app.clone()).or_default();
            *sum = sum.and(tree.figures);
        }
        let mut seen = shared.seen();
        seen.rings.add(step, apps);
        self.told = seen.rings.step(clock::now().0);
    }
}

/// The CPU time that this thread has used.
fn cpu_time() -> Duration {
    // The clock exists on every kernel that we run on.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
