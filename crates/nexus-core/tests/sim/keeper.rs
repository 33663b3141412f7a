//! A pretend keeper with pretend workers. It holds to the contract of the real one: an exit is told
//! until it is acknowledged, `OnExit` is carried out at most once and only while no daemon has
//! resumed, an acknowledgement comes only after the whole tree is gone.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::{
    Breach, ChildId, Ended, Entry, Event, Exam, Exit, Limit, OnExit, Purpose, Roll, SlotId,
    SpawnError, Time,
};
use nexus_spec::{Name, Span};

use crate::deaths::{Death, exit_of};
use crate::pids::{main_of, pid_of};
use crate::rng::Rng;

/// What the world does to a child, sooner or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Born(ChildId),
    Beats(ChildId),
    Breaches(ChildId),
    Checked(ChildId),
    Dies(ChildId, Death),
    Extends(ChildId),
    Leads(ChildId),
    Ready(ChildId),
    Respawn(ChildId),
    TreeEnds(ChildId),
}

/// One kept child.
pub(crate) struct Kept {
    pub(crate) entry: Entry,
    pub(crate) on_exit: Option<OnExit>,
    /// The main process runs.
    pub(crate) alive: bool,
    /// Something else of its tree runs.
    pub(crate) tree: bool,
    /// A daemon has told it to stop.
    pub(crate) terminated: bool,
    /// Someone asked for its end; see `truth.rs`.
    pub(crate) asked: bool,
    /// A roll has told of it.
    pub(crate) told: bool,
    /// Its birth has been reported.
    pub(crate) born: bool,
    deaf: bool,
    leaves_tree: bool,
}

impl Kept {
    pub(crate) fn lives(&self) -> bool {
        self.alive || self.tree
    }

    pub(crate) fn slot(&self) -> Option<SlotId> {
        match self.entry.purpose {
            Purpose::Build | Purpose::Exam { .. } => None,
            Purpose::Worker { id, .. } => Some(id),
        }
    }
}

#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) kept: BTreeMap<ChildId, Kept>,
    pub(crate) ever: BTreeSet<ChildId>,
    /// What happens when; the counter keeps ties in order.
    pub(crate) future: BTreeMap<(Time, u64), Fate>,
    counter: u64,
    /// Workers say no more that they are alive.
    pub(crate) quiet: bool,
    last_child: ChildId,
    /// A daemon is there and has resumed: it decides what follows an exit.
    pub(crate) resumed: bool,
    /// Reports, in order, with when they arrive.
    pub(crate) reports: Vec<(Time, Event)>,
}

impl Keeper {
    pub(crate) fn new() -> Keeper {
        Keeper { resumed: true, ..Keeper::default() }
    }

    pub(crate) fn later(&mut self, at: Time, fate: Fate) {
        self.counter += 1;
        self.future.insert((at, self.counter), fate);
    }

    fn report(&mut self, rng: &mut Rng, now: Time, event: Event) {
        let after = now + Span(rng.below(3));
        let at = self.reports.last().map_or(after, |&(last, _)| after.max(last));
        self.reports.push((at, event));
    }

    pub(crate) fn roll(&mut self) -> Roll {
        self.kept.values_mut().for_each(|kept| kept.told = true);
        // Whoever has not been born yet has no process.
        let entry = |kept: &Kept| {
            let pid = kept.entry.pid.filter(|_| kept.born);
            Entry { pid, ..kept.entry.clone() }
        };
        let living = self.kept.values().map(entry).collect();
        Roll { living, cold: false, last_child: self.last_child }
    }

    #[expect(clippy::too_many_arguments, reason = "an order to spawn has as many parts")]
    pub(crate) fn spawn(
        &mut self,
        rng: &mut Rng,
        now: Time,
        child: ChildId,
        app: Name,
        purpose: Purpose,
        generation: u64,
        on_exit: Option<OnExit>,
        respawn_of: Option<ChildId>,
    ) {
        assert!(self.ever.insert(child), "a child's number was used twice: {child:?}");
        let reserved = on_exit.as_ref().and_then(|on_exit| on_exit.next).unwrap_or(child);
        self.last_child = self.last_child.max(child).max(reserved);
        let entry = Entry {
            child,
            pid: Some(pid_of(child)),
            app,
            purpose,
            site: None,
            generation,
            ready: false,
            started_at: now,
            until: None,
            told: None,
            respawn_of,
            ended: None,
        };
        let kept = Kept {
            entry,
            on_exit,
            alive: true,
            tree: false,
            terminated: false,
            asked: false,
            told: false,
            born: false,
            deaf: rng.chance(20),
            leaves_tree: rng.chance(25),
        };
        self.kept.insert(child, kept);
        if rng.chance(6) {
            let death = if rng.chance(40) { Death::Refused } else { Death::NoRoom };
            return self.later(now + Span(1), Fate::Dies(child, death));
        }
        let born = now + Span(1 + rng.below(20));
        self.later(born, Fate::Born(child));
        self.live(rng, born, child, purpose);
    }

    /// What becomes of one that was born.
    fn live(&mut self, rng: &mut Rng, born: Time, child: ChildId, purpose: Purpose) {
        match purpose {
            Purpose::Build => {
                let death = if rng.chance(65) { Death::Finish } else { Death::Crash };
                self.later(born + Span(rng.below(400)), Fate::Dies(child, death));
            }
            Purpose::Exam { .. } => {
                let death = if rng.chance(65) { Death::Finish } else { Death::Crash };
                self.later(born + Span(rng.below(150)), Fate::Dies(child, death));
            }
            Purpose::Worker { .. } => {
                if rng.chance(50) {
                    self.later(born, Fate::Beats(child));
                }
                for _ in 0..rng.below(3) {
                    self.later(born + Span(rng.below(2_000)), Fate::Checked(child));
                }
                if rng.chance(20) {
                    self.later(born + Span(rng.below(300)), Fate::Extends(child));
                    self.later(born + Span(rng.below(300)), Fate::Leads(child));
                }
                if rng.chance(80) {
                    self.later(born + Span(rng.below(200)), Fate::Ready(child));
                }
                if rng.chance(15) {
                    let within = if rng.chance(30) { 100 } else { 4_000 };
                    let at = born + Span(rng.below(within));
                    self.later(at, Fate::Breaches(child));
                    self.later(at + Span(10), Fate::Breaches(child));
                }
                if rng.chance(35) {
                    let lived = if rng.chance(50) { 100 } else { 8_000 };
                    let death = if rng.chance(20) { Death::Finish } else { Death::Crash };
                    self.later(born + Span(rng.below(lived)), Fate::Dies(child, death));
                }
            }
        }
    }

    pub(crate) fn terminate(&mut self, rng: &mut Rng, now: Time, child: ChildId) {
        assert!(self.ever.contains(&child), "a signal to a child never ordered: {child:?}");
        let Some(kept) = self.kept.get_mut(&child) else { return };
        kept.on_exit = None;
        kept.entry.told.get_or_insert(now);
        kept.terminated = true;
        if kept.alive && !kept.deaf {
            self.later(now + Span(rng.below(500)), Fate::Dies(child, Death::Terminated));
        }
    }

    pub(crate) fn kill(&mut self, rng: &mut Rng, now: Time, child: ChildId) {
        assert!(self.ever.contains(&child), "a signal to a child never ordered: {child:?}");
        // One in ten sits in the kernel and does not go yet.
        let Some(kept) = self.kept.get_mut(&child) else { return };
        // As with `terminate`: whatever is killed by an order has no successor by the keeper.
        kept.on_exit = None;
        if rng.chance(10) {
            return;
        }
        let fate =
            if kept.alive { Fate::Dies(child, Death::Killed) } else { Fate::TreeEnds(child) };
        self.later(now + Span(1), fate);
    }

    pub(crate) fn acknowledge(&mut self, child: ChildId) {
        assert!(self.ever.contains(&child), "an acknowledgement of nothing: {child:?}");
        if let Some(kept) = self.kept.get(&child) {
            assert!(!kept.lives(), "acknowledged while something of it lives: {child:?}");
            self.kept.remove(&child);
        }
    }

    /// The daemon is gone: what it had not read is lost, what is kept is told to the next one.
    pub(crate) fn abandoned(&mut self, rng: &mut Rng, now: Time) {
        self.resumed = false;
        self.reports.clear();
        // Exits that it had not acknowledged are for the next daemon: no successor is due unless
        // the child's order still says so.
        let due: Vec<ChildId> = self
            .kept
            .values()
            .filter(|kept| kept.on_exit.is_some() && !kept.alive && kept.entry.ended.is_some())
            .map(|kept| kept.entry.child)
            .collect();
        for child in due {
            if rng.chance(50) {
                self.plan_respawn(now, child);
            }
        }
    }

    /// The machine begins anew: nothing lives, and nobody can say how it ended.
    pub(crate) fn reboots(&mut self, now: Time) {
        for kept in self.kept.values_mut().filter(|kept| kept.lives()) {
            let exit = match kept.born {
                true => Exit::Unknown,
                false => Exit::NotSpawned(SpawnError::Resources(11)),
            };
            kept.entry.ended.get_or_insert(Ended { exit, at: now, tree_gone: true }).tree_gone =
                true;
            (kept.alive, kept.tree) = (false, false);
        }
        self.kept.values_mut().for_each(|kept| kept.on_exit = None);
    }

    /// Let a fate happen.
    pub(crate) fn happens(&mut self, rng: &mut Rng, now: Time, fate: Fate) {
        match fate {
            Fate::Born(child) => self.is_born(rng, now, child),
            Fate::Beats(child) => {
                if self.kept.get(&child).is_some_and(|kept| kept.alive) && !self.quiet {
                    let well = rng.chance(30);
                    let beat = if well { Event::Well { child } } else { Event::Alive { child } };
                    self.report(rng, now, beat);
                    self.later(now + Span(rng.below(400)), Fate::Beats(child));
                }
            }
            Fate::Breaches(child) => {
                if self.kept.get(&child).is_some_and(|kept| kept.alive) {
                    let limits = [Limit::Memory, Limit::Health, Limit::Log, Limit::TrialMemory];
                    let limit = limits[usize::try_from(rng.below(4)).unwrap()];
                    let breach = Breach { limit, measured: 2, allowed: 1, lasted: Span(0) };
                    self.report(rng, now, Event::Breach { child, breach });
                }
            }
            Fate::Checked(of) => {
                if self.kept.get(&of).is_some_and(|kept| kept.alive) {
                    let exam = if rng.chance(50) { Exam::Ready } else { Exam::Health };
                    let patience = Span(100);
                    self.report(rng, now, Event::Examine { of, exam, patience });
                }
            }
            Fate::Dies(child, death) => self.dies(rng, now, child, death),
            Fate::Extends(child) => {
                let until = now + Span(rng.below(400));
                if let Some(kept) = self.kept.get_mut(&child).filter(|kept| kept.alive) {
                    kept.entry.until = kept.entry.until.max(Some(until));
                    self.report(rng, now, Event::Extend { child, until });
                }
            }
            Fate::Leads(child) => {
                let kept = self.kept.get_mut(&child).filter(|kept| kept.alive && kept.born);
                let Some(kept) = kept else { return };
                kept.entry.pid = Some(main_of(child));
                self.report(rng, now, Event::Main { child, pid: main_of(child) });
            }
            Fate::Ready(child) => {
                let kept = self.kept.get_mut(&child).filter(|kept| kept.alive);
                let Some(kept) = kept else { return };
                kept.entry.ready = true;
                self.report(rng, now, Event::Ready { child });
            }
            Fate::Respawn(child) => self.respawns(rng, now, child),
            Fate::TreeEnds(child) => {
                let kept = self.kept.get_mut(&child).filter(|kept| !kept.alive && kept.tree);
                let Some(kept) = kept else { return };
                kept.tree = false;
                kept.entry.ended.as_mut().unwrap().tree_gone = true;
                self.report(rng, now, Event::TreeGone { child });
                self.plan_respawn(now, child);
            }
        }
    }

    /// Told once, and before anything else of it.
    fn is_born(&mut self, rng: &mut Rng, now: Time, child: ChildId) {
        let Some(kept) = self.kept.get_mut(&child).filter(|kept| kept.alive) else { return };
        if !std::mem::replace(&mut kept.born, true) {
            self.report(rng, now, Event::Spawned { child, pid: pid_of(child) });
        }
    }

    fn dies(&mut self, rng: &mut Rng, now: Time, child: ChildId, death: Death) {
        let exit = exit_of(rng, death);
        let never_ran = matches!(exit, Exit::NotSpawned(_));
        if !never_ran {
            self.is_born(rng, now, child);
        }
        let Some(kept) = self.kept.get_mut(&child).filter(|kept| kept.alive) else { return };
        kept.alive = false;
        kept.tree = kept.leaves_tree && !never_ran && death != Death::Killed;
        let tree_gone = !kept.tree;
        kept.entry.ended = Some(Ended { exit, at: now, tree_gone });
        // After a stop the rest may be deaf, too; after a crash the keeper kills it at once.
        let lingers = kept.deaf && (kept.terminated || rng.chance(20));
        match exit {
            Exit::NotSpawned(error) => {
                self.report(rng, now, Event::SpawnFailed { child, error });
            }
            Exit::Code(_)
            | Exit::Core(_)
            | Exit::NeverReady
            | Exit::OverLimit(_)
            | Exit::Signal(_)
            | Exit::Unknown => {
                self.report(rng, now, Event::Exited { child, exit, at: now, tree_gone });
            }
        }
        if !tree_gone && !lingers {
            self.later(now + Span(1 + rng.below(50)), Fate::TreeEnds(child));
        }
        self.plan_respawn(now, child);
    }

    fn plan_respawn(&mut self, now: Time, child: ChildId) {
        let Some(kept) = self.kept.get(&child).filter(|kept| !kept.lives()) else { return };
        let (Some(on_exit), Some(ended)) = (&kept.on_exit, kept.entry.ended) else { return };
        if self.resumed || on_exit.next.is_none() {
            return;
        }
        let at = (ended.at + on_exit.delay).max(now);
        self.later(at, Fate::Respawn(child));
    }

    fn respawns(&mut self, rng: &mut Rng, now: Time, old: ChildId) {
        if self.resumed {
            return;
        }
        let Some(kept) = self.kept.get_mut(&old) else { return };
        let exit = kept.entry.ended.unwrap().exit;
        let Some(OnExit { next: Some(new), stay_codes, .. }) = kept.on_exit.take() else { return };
        match exit {
            Exit::Code(code) if stay_codes.contains(&code) => return,
            Exit::NotSpawned(_) => return,
            Exit::Code(_)
            | Exit::Core(_)
            | Exit::NeverReady
            | Exit::OverLimit(_)
            | Exit::Signal(_)
            | Exit::Unknown => {}
        }
        let asked = kept.asked;
        let Entry { app, purpose, generation, .. } = kept.entry.clone();
        self.spawn(rng, now, new, app, purpose, generation, None, Some(old));
        let heir = self.kept.get_mut(&new).unwrap();
        heir.asked = asked;
        // Nexusd makes one event of `Respawned` and the `Spawned` that follows it.
        heir.born = true;
        self.report(rng, now, Event::Respawned { old, new, pid: pid_of(new) });
    }
}
