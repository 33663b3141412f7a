//! The beginning of a nexusd: what was handed down, what is on disk and what runs, put together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::path::Path;

use nexus_core::{Action, ChildId, Entry, Exit, Intents};
use nexus_keeper::{Counters, Handoff, Link, Order};
use tokio::sync::mpsc;

use crate::admission::Gate;
use crate::clock;
use crate::clockwork::Clockwork;
use crate::command::Command;
use crate::daemon::{Course, Daemon, Published, Standing};
use crate::facts::NOBODY;
use crate::held::Held;
use crate::holdings::Holdings;
use crate::home::Home;
use crate::journal::Journal;
use crate::ops::Ops;
use crate::outputs::Outputs;
use crate::probes::Probes;
use crate::roll::{self, Main, Reading};
use crate::sampling::Sampling;
use crate::store::{Image, Store};
use crate::strays::Strays;
use crate::survivors::{self, LeftAlone, Survivor};
use crate::watching::Watching;

/// Everything in place, nothing decided yet.
pub(super) fn begin(
    link: Link,
    handoff: Handoff,
    outputs: Outputs,
    home: Home,
    own: mpsc::Sender<Command>,
) -> io::Result<Daemon> {
    let (keeper_pid, mut holdings) = (link.keeper_pid(), Holdings::new(link, handoff.held)?);
    let (store, mut image) = Store::open(&home.state())?;
    let journal = Journal::open(&home.state(), std::mem::take(&mut image.told))?;
    let notify = notify_socket(&mut holdings, &home.state())?;
    let (intents, origins, history) = image.intents();
    let (home_id, counters, trees) = (home.id(), handoff.counters, handoff.trees);
    let mut reading = roll::read(handoff.children, handoff.last_child.max(image.last_child));
    let unread = reading.make_ready(&image.runs);
    let alone = take_back(&mut holdings, &mut reading, &image, &intents, (&home_id, counters))?;
    let ended = ends(&reading.roll);
    let (state, actions) = nexus_core::resume(intents, reading.roll, clock::now());
    let mut daemon = Daemon {
        home,
        state,
        sampling: Sampling::new(holdings.link.cgroups(), own.clone()),
        holdings,
        outputs,
        watching: Watching::new(own.clone()),
        probes: Probes::new(own.clone()),
        clockwork: Clockwork::new()?,
        store,
        journal,
        ops: Ops::restored(std::mem::take(&mut image.ops).into_values()),
        origins,
        history,
        notes: HashMap::new(),
        forgotten: VecDeque::new(),
        pid_by_child: HashMap::new(),
        pids: HashMap::new(),
        next_mains: HashMap::new(),
        newborn: HashMap::new(),
        excuses: BTreeMap::new(),
        unadopted: BTreeSet::new(),
        queue: VecDeque::new(),
        course: Course::Serve,
        shutdown: None,
        upgrade_until: None,
        gate: Gate::default(),
        published: Published::new(),
        own,
        facts: Standing::new(keeper_pid, counters, trees, home_id, notify),
    };
    daemon.know(reading.notes, reading.failed, &image.runs);
    daemon.tell_births_of(&ended, &image);
    daemon.tell_found(alone);
    daemon.mend_roll(unread, reading.strange);
    daemon.resume_outputs();
    if !daemon.holdings.link.stopping() {
        daemon.look_at_all();
        daemon.tell_ends_and_perform(&ended, actions);
    }
    Ok(daemon)
}

/// A child that has ended and was not acknowledged.
struct Dead {
    child: u64,
    pid: Option<i32>,
    exit: Exit,
}

fn ends(roll: &nexus_core::Roll) -> Vec<Dead> {
    let dead = |entry: &Entry| {
        let (child, pid) = (entry.child.0, entry.pid.map(|pid| pid.0));
        entry.ended.map(|ended| Dead { child, pid, exit: ended.exit })
    };
    roll.living.iter().filter_map(dead).collect()
}

impl Daemon {
    /// Have the keeper know what it could not read, and end whom nobody knows.
    fn mend_roll(&mut self, unread: Vec<(u64, Vec<u8>)>, strange: Vec<u64>) {
        unread.into_iter().for_each(|(child, note)| self.order(&Order::Note { child, note }));
        strange.into_iter().for_each(|child| self.order(&Order::Kill { child }));
    }

    /// Who has ended before anybody told that it lives.
    fn tell_births_of(&mut self, dead: &[Dead], image: &Image) {
        let untold = dead.iter().filter(|dead| !image.runs.contains_key(&dead.child));
        self.with_the_dead(dead, |daemon| {
            untold.for_each(|dead| daemon.tell_birth(dead.child));
        });
    }

    fn tell_ends_and_perform(&mut self, dead: &[Dead], actions: Vec<Action>) {
        self.with_the_dead(dead, |daemon| {
            for Dead { child, exit, .. } in dead {
                let note = daemon.notes.get(child).cloned();
                daemon.tell_end(&actions, note.as_ref(), *child, *exit);
            }
            daemon.perform(actions, NOBODY);
        });
    }

    /// Do something that tells of the dead, who had their pids as long as they lived.
    fn with_the_dead(&mut self, dead: &[Dead], tell: impl FnOnce(&mut Daemon)) {
        for Dead { child, pid, .. } in dead {
            pid.and_then(|pid| self.pid_by_child.insert(*child, pid));
        }
        tell(self);
        for Dead { child, .. } in dead {
            self.pid_by_child.remove(child);
        }
    }
}

/// An app is forgotten only when nothing of it lives: whoever is left of one has lost its place on
/// disk, and is not ended for that.
fn leave_the_unknown_alone(intents: &Intents, roll: &mut nexus_core::Roll) -> Vec<LeftAlone> {
    let mut left_alone = Vec::new();
    let known = |app: &nexus_spec::Name| intents.apps.iter().any(|known| known.spec.name == *app);
    roll.living.retain(|entry| {
        let keep = known(&entry.app) || entry.ended.is_some();
        if !keep {
            let why = format!("a worker of `{}`, of which nothing is known", entry.app);
            left_alone.push(LeftAlone { pid: entry.pid.map(|pid| pid.0), why });
        }
        keep
    });
    left_alone
}

/// Find what outlived both of the last pair: those that are on disk, and at a cold start those that
/// are not. What hears their channels is there then.
fn take_back(
    holdings: &mut Holdings,
    reading: &mut Reading,
    image: &Image,
    intents: &Intents,
    (home_id, counters): (&str, Counters),
) -> io::Result<Vec<LeftAlone>> {
    let cold = is_cold(counters);
    let last_hearer = holdings.hearer();
    reading.roll.cold = cold;
    let strays = cold.then(|| Strays::find(home_id, holdings.link.keeper_pid()));
    let mut runs = image.runs.clone();
    if let Some(strays) = &strays {
        strays.complete(&mut runs, intents);
        let last = &mut reading.roll.last_child;
        *last = (*last).max(ChildId(strays.last_child()));
    }
    let children: HashSet<u64> = reading.notes.iter().map(|(child, ..)| *child).collect();
    let known = |child: u64| children.contains(&child);
    let generation = |child| strays.as_ref().and_then(|strays| strays.generation(child));
    let found = survivors::take_back(holdings, &runs, known, intents, (home_id, cold), generation);
    for Survivor { entry, note } in found.survivors {
        let main = entry.pid.map(|pid| Main { pid: pid.0, runs: true });
        reading.notes.push((entry.child.0, note, main));
        reading.roll.living.push(entry);
    }
    let ended = if cold { found.ended } else { Vec::new() };
    // Where the state could not be read, whose they are cannot be known: they are left alone.
    let kept = reading.notes.iter().map(|(child, ..)| *child);
    let kept = kept.chain(found.left_alone.keys().copied()).collect();
    let more = match strays {
        Some(strays) if image.aside.is_empty() => {
            strays.end(holdings.link.cgroups(), &kept, intents)
        }
        Some(strays) => strays.leave(&kept),
        None => found.placeless,
    };
    // Only now: what is left of theirs has been ended.
    for Survivor { entry, note } in ended {
        reading.notes.push((entry.child.0, note, None));
        reading.roll.living.push(entry);
    }
    hear_channels(holdings)?;
    if cold && holdings.hearer() != last_hearer {
        forget_templates(holdings)?;
    }
    let unknown = leave_the_unknown_alone(intents, &mut reading.roll);
    Ok(found.left_alone.into_values().chain(more).chain(unknown).collect())
}

/// Of a pair that has just been founded: what runs here is an earlier one's.
fn is_cold(counters: Counters) -> bool {
    counters.nexusd_restarts == 0 && counters.keeper_restarts == 0
}

/// NOTIFY_SOCKET of all workers: the one that is held, or a new one.
fn notify_socket(holdings: &mut Holdings, state: &Path) -> io::Result<String> {
    if holdings.notify().is_none() {
        let (socket, name) = crate::notify::open(state)?;
        holdings.hold(Held::Notify(name), socket)?;
    }
    Ok(holdings.notify().map(|(name, _)| format!("@{name}")).unwrap_or_default())
}

/// What hears the channels of workers: the one that is held, or was found with a worker that
/// outlived both, or a new one.
fn hear_channels(holdings: &mut Holdings) -> io::Result<()> {
    let state = holdings.link.home().join("state");
    if let Some((name, id)) = holdings.hearer() {
        if let Some(socket) = holdings.link.held(id) {
            crate::hearer::take_over(&state, socket, &name);
        }
        return Ok(());
    }
    let (socket, name) = crate::hearer::open(&state)?;
    holdings.hold(Held::Hearer(name), socket).map(drop)
}

/// Templates that a third holder has kept would hand on the hearer that is lost.
fn forget_templates(holdings: &mut Holdings) -> io::Result<()> {
    let all = holdings.apps().into_iter().flat_map(|app| holdings.of_app(&app));
    let is_template = |held: &Held| matches!(held, Held::Template(..));
    for template in all.filter(is_template).collect::<Vec<_>>() {
        holdings.release(&template)?;
    }
    Ok(())
}
