//! The thread: whose turn it is, within what sampling may cost.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::time::{Duration, Instant};

use nexus_core::{Breach, ChildId, Load};
use nexus_spec::{Autoscale, Name};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;

use super::host::Host;
use super::sweep::Sweep;
use super::tree::{Pids, Tree};
use super::{Changes, Figures, PERIOD, PERIOD_MAX, Room, SHARE, Shared};
use crate::clock;
use crate::command::Command;

/// Look at trees for ever; sleep while there is none.
pub(super) fn run(shared: &Shared, cgroups: Option<&Path>, own: &mpsc::Sender<Command>) {
    let mut fleet = Fleet::new();
    let mut due = Instant::now();
    loop {
        let changes = shared.wait((!fleet.trees.is_empty()).then_some(due));
        if changes.is_empty() {
            fleet.pass(shared);
            // After a pause of the machine, or of ours, nothing is made up for.
            due = (due + PERIOD).max(Instant::now() + PERIOD / 2);
        } else {
            fleet.change(changes, cgroups, shared);
        }
        for (child, breach) in fleet.breaches.drain(..) {
            // Where the loop has no room for it, the next look says it again.
            let _ = own.try_send(Command::Breach(ChildId(child), breach));
        }
        for (app, from, to, used) in fleet.wanted.drain(..) {
            let _ = own.try_send(Command::Loaded(app, from, to, used));
        }
    }
}

struct Fleet {
    trees: BTreeMap<u64, Tree>,
    /// Those near a limit: their turns come first.
    near: Turns,
    /// All others.
    far: Turns,
    room: Room,
    pids: Pids,
    sweep: Sweep,
    host: Host,
    /// Who has been found beyond a limit.
    breaches: Vec<(u64, Breach)>,
    /// How long apps have needed another number of workers.
    loads: HashMap<Name, Load>,
    /// Those that do: how many there are, and are to be, and what they use.
    wanted: Vec<(Name, u16, u16, u64)>,
    /// The step of history that was last told.
    told: u64,
}

/// Children that take turns.
#[derive(Default)]
struct Turns {
    children: BTreeSet<u64>,
    /// Who was looked at last: the next one's turn is next.
    last: u64,
}

impl Turns {
    /// All of them, from the one whose turn is next.
    fn all(&self) -> Vec<u64> {
        let after = self.children.range((Bound::Excluded(self.last), Bound::Unbounded));
        after.chain(self.children.range(..=self.last)).copied().collect()
    }
}

impl Fleet {
    fn new() -> Fleet {
        Fleet {
            trees: BTreeMap::new(),
            near: Turns::default(),
            far: Turns::default(),
            room: Room::of_this_process(),
            pids: Pids::default(),
            sweep: Sweep::default(),
            host: Host::default(),
            breaches: Vec::new(),
            loads: HashMap::new(),
            wanted: Vec::new(),
            told: 0,
        }
    }

    /// Who has come is looked at at once, so that no worker is long without figures.
    fn change(&mut self, changes: Changes, cgroups: Option<&Path>, shared: &Shared) {
        let (mut came, mut gone) = (Vec::new(), Vec::new());
        for (child, watched) in changes.children {
            self.remove(child);
            match watched {
                Some(watched) => {
                    self.trees.insert(child, Tree::new(watched, cgroups, &mut self.room));
                    came.extend(self.measure(child));
                }
                None => gone.push(child),
            }
        }
        for (child, allowed) in changes.allowed {
            if let Some(tree) = self.trees.get_mut(&child) {
                tree.limits.allow(allowed);
            }
        }
        let mut seen = shared.seen();
        for child in gone {
            seen.figures.remove(&child);
        }
        if self.trees.is_empty() {
            // Nobody looks any more: what was seen last would be told for ever.
            self.host = Host::default();
            seen.host_cpu_percent = None;
        }
        seen.figures.extend(came);
    }

    fn remove(&mut self, child: u64) {
        if let Some(tree) = self.trees.remove(&child) {
            self.room.give(tree.files());
            self.near.children.remove(&child);
            self.far.children.remove(&child);
        }
    }

    /// One second's looks.
    fn pass(&mut self, shared: &Shared) {
        let until = cpu_time() + PERIOD.mul_f64(SHARE);
        if self.trees.values().any(|tree| !tree.has_group()) {
            let mains = self.trees.iter().map(|(child, tree)| (tree.main, *child)).collect();
            self.sweep.run(&mains);
        }
        let mut looked = Vec::new();
        let (near, far) = (self.near.all(), self.far.all());
        if let Some(last) = self.look(&near, until, &mut looked) {
            self.near.last = last;
        }
        if let Some(last) = self.look(&far, until, &mut looked) {
            self.far.last = last;
        }
        shared.seen().figures.extend(looked);
        self.weigh();
        self.tell(shared);
    }

    /// How many workers those apps need that follow their load. One that is new to us, whose share is
    /// not known yet, has them wait.
    fn weigh(&mut self) {
        let mut apps: HashMap<Name, (Autoscale, u16, Option<f64>)> = HashMap::new();
        for tree in self.trees.values() {
            let Some(rule) = tree.scaling else { continue };
            let one = apps.entry(tree.app.clone()).or_insert((rule, 0, Some(0.0)));
            let used = one.2.zip(tree.figures.cpu_percent).map(|(all, one)| all + one);
            *one = (rule, one.1.saturating_add(1), used);
        }
        self.loads.retain(|app, _| apps.contains_key(app));
        for (app, (rule, workers, used)) in apps {
            let Some(used) = used.map(|used| used.round() as u64) else { continue };
            let load = self.loads.entry(app.clone()).or_default();
            if let Some(to) = load.judge(&rule, clock::now(), workers, used) {
                self.wanted.push((app, workers, to, used));
            }
        }
    }

    /// Look at as many as there is time for, and at so many at least that each has its turn within
    /// the longest period; the last one.
    fn look(
        &mut self,
        children: &[u64],
        until: Duration,
        looked: &mut Vec<(u64, Figures)>,
    ) -> Option<u64> {
        let least = children.len().div_ceil((PERIOD_MAX.as_secs() / PERIOD.as_secs()) as usize);
        let mut last = None;
        for (number, &child) in children.iter().enumerate() {
            if number >= least && cpu_time() >= until {
                break;
            }
            looked.extend(self.measure(child));
            last = Some(child);
        }
        last
    }

    fn measure(&mut self, child: u64) -> Option<(u64, Figures)> {
        let tree = self.trees.get_mut(&child)?;
        let breach = tree.measure(self.sweep.of(child), &mut self.pids, &mut self.room);
        self.breaches.extend(breach.map(|breach| (child, breach)));
        let (here, there) = match tree.limits.is_near() {
            true => (&mut self.near, &mut self.far),
            false => (&mut self.far, &mut self.near),
        };
        there.children.remove(&child);
        here.children.insert(child);
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
        let host = self.host.cpu_percent();
        let mut seen = shared.seen();
        seen.host_cpu_percent = host;
        seen.rings.add(step, apps);
        self.told = seen.rings.step(clock::now().0);
    }
}

/// The CPU time that this thread has used.
fn cpu_time() -> Duration {
    // The clock exists on every kernel that we run on.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use nexus_core::Allowed;
    use nexus_spec::{Memory, Size, Span};

    use super::super::Watched;
    use super::*;

    fn allowed(max: Option<Size>) -> Allowed {
        Allowed { limits: Memory { high: None, max, hold: Span(0) }, trial: None }
    }

    /// So many trees, all of our own process; the first `near` of them near a limit.
    fn fleet(trees: u64, near: u64) -> Fleet {
        let mut fleet = Fleet::new();
        let max = |child| (child <= near).then_some(Size(1 << 20));
        let watched = |child| Watched {
            app: Name::new("a").unwrap(),
            pid: std::process::id().cast_signed(),
            allowed: allowed(max(child)),
            scaling: None,
        };
        let children = (1..=trees).map(|child| (child, Some(watched(child)))).collect();
        let changes = Changes { children, ..Changes::default() };
        fleet.change(changes, None, &Shared::default());
        fleet
    }

    #[test]
    fn without_any_time_each_has_its_turn_within_the_longest_period() {
        let mut fleet = fleet(40, 0);
        let mut seen = BTreeSet::new();
        for _ in 0..PERIOD_MAX.as_secs() {
            let mut looked = Vec::new();
            let turns = fleet.far.all();
            fleet.far.last = fleet.look(&turns, Duration::ZERO, &mut looked).unwrap();
            assert_eq!(looked.len(), 3);
            seen.extend(looked.into_iter().map(|(child, _)| child));
        }
        assert_eq!(seen.len(), 40);
    }

    #[test]
    fn with_time_for_all_all_are_looked_at() {
        let mut fleet = fleet(40, 0);
        let turns = fleet.far.all();
        let mut looked = Vec::new();
        fleet.look(&turns, Duration::MAX, &mut looked);
        assert_eq!(looked.len(), 40);
    }

    #[test]
    fn who_is_near_a_limit_is_in_a_class_of_its_own_and_who_is_beyond_is_told() {
        let mut fleet = fleet(10, 4);
        assert_eq!(fleet.near.children, BTreeSet::from([1, 2, 3, 4]));
        let told: BTreeSet<u64> = fleet.breaches.iter().map(|(child, _)| *child).collect();
        assert_eq!(told, fleet.near.children);
        // A higher limit makes them as all others, from the next look on.
        let allowed = (1..=4).map(|child| (child, allowed(Some(Size(1 << 50))))).collect();
        let changes = Changes { allowed, ..Changes::default() };
        fleet.change(changes, None, &Shared::default());
        fleet.breaches.clear();
        fleet.pass(&Shared::default());
        assert!(fleet.near.children.is_empty() && fleet.breaches.is_empty());
        assert_eq!(fleet.far.children.len(), 10);
    }

    #[test]
    fn who_has_gone_takes_no_turns_and_no_files() {
        let mut fleet = fleet(10, 4);
        let children = (1..=10).map(|child| (child, None)).collect();
        let changes = Changes { children, ..Changes::default() };
        fleet.change(changes, None, &Shared::default());
        assert!(fleet.near.all().is_empty() && fleet.far.all().is_empty());
        assert_eq!(fleet.room.left(), Room::of_this_process().left());
    }
}
