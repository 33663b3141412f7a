//! Random kills under load: of nexusd, of the keeper, of workers, at any moment of any change.
//! Nothing may be lost, doubled or forgotten, and every change ends in one of its two whole states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use nexus_tests::{Load, Running, program, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::attempt;
use crate::chance::Chance;
use crate::change::Asked;
use crate::journal::Told;
use crate::stage::{CHURN, MORTAL, Pair, Stage, TALK, WEB, number, numbered};

/// The longest that we wait for a successor; one that hangs is replaced after ten seconds.
const SUCCESSOR_MAX: Duration = Duration::from_secs(30);
/// From a kill to control: within this in half of all cases at least, and nearly always within the
/// other, whatever else the machine does meanwhile.
const BACK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// Between the beginning of changes and a kill.
const PAUSE_MAX: Duration = Duration::from_millis(60);

/// Before so many of a hundred kills an upgrade begins.
const UPGRADES: usize = 8;
/// So many of a hundred are of both at once.
const BOTH: usize = 4;

/// After so many kills it is said how many there were.
const PROGRESS: usize = 100;

/// What became of a run.
#[derive(Default)]
struct Tally {
    nexusd: usize,
    keeper: usize,
    hung: usize,
    both: usize,
    upgrades: Upgrades,
    workers: BTreeSet<i32>,
    changes: usize,
    /// From each kill to the first answer of the whole pair.
    back: Vec<Duration>,
}

/// How upgrades ended.
#[derive(Default)]
struct Upgrades {
    done: usize,
    rolled_back: usize,
}

impl Tally {
    fn kills(&self) -> usize {
        self.nexusd + self.keeper + 2 * self.both + self.workers.len()
    }
}

/// A change that somebody waits for.
struct Pending {
    asked: Asked,
    running: Running,
    /// The last event before it.
    since: u64,
}

/// Kill for so long, and at least so often.
///
/// # Errors
/// The first thing that is not as it should be.
pub(crate) fn run(seed: u64, time: Duration, kills: usize) -> Result<String, String> {
    let mut stage = Stage::start(true);
    let done = attempt(|| attack(&mut stage, seed, time, kills));
    done.map_err(|why| format!("{why}\n{}", stage.evidence()))
}

fn attack(stage: &mut Stage, seed: u64, time: Duration, kills: usize) -> Result<String, String> {
    let mut chance = Chance::new(seed);
    let load = Load::start(stage.port, 2, 2);
    let mut told = Told::default();
    let mut tally = Tally::default();
    let mut pending: Vec<Pending> = Vec::new();
    let mut upgrade = None;
    let begin = Instant::now();
    while begin.elapsed() < time || tally.kills() < kills {
        told.read(stage)?;
        for app in [WEB, TALK, CHURN] {
            let busy = pending.iter().any(|one| one.asked.app == app);
            if busy || !chance.percent(60) {
                continue;
            }
            let change = *chance.one_of(&stage.possible(app));
            let asked = Asked::of(stage, app, change);
            let args: Vec<&str> = asked.args.iter().map(String::as_str).collect();
            let running = stage.home.begin(&args);
            pending.push(Pending { asked, running, since: told.last() });
            tally.changes += 1;
        }
        std::thread::sleep(chance.pause(PAUSE_MAX));
        let before = tally.kills();
        if upgrade.is_none() && chance.percent(UPGRADES) {
            upgrade = Some(begin_upgrade(stage, &told));
        }
        if upgrade.is_none() && chance.percent(BOTH) {
            // What a new worker says while nobody hears is lost, and its start fails.
            judge(stage, &mut told, &mut pending, true)?;
            tally.both += 1;
            kill_both(stage)?;
        } else {
            kill(stage, &mut chance, &mut tally)?;
        }
        end_upgrade(stage, &mut told, &mut upgrade, &mut tally.upgrades, false)?;
        if before / PROGRESS != tally.kills() / PROGRESS {
            println!("{} kills in {} s", tally.kills(), begin.elapsed().as_secs());
        }
        judge(stage, &mut told, &mut pending, false)?;
    }
    end_upgrade(stage, &mut told, &mut upgrade, &mut tally.upgrades, true)?;
    judge(stage, &mut told, &mut pending, true)?;
    let requests = load.end();
    finish(stage, &mut told, &tally, &requests)
}

/// Kill somebody, and wait until both of the pair are there again.
fn kill(stage: &Stage, chance: &mut Chance, tally: &mut Tally) -> Result<(), String> {
    let before = wait_for(SUCCESSOR_MAX, "the pair", || stage.pair());
    let dice = chance.below(100);
    if dice < 15 {
        if let Some(worker) = stage.workers(MORTAL).first() {
            worker.signal(Signal::SIGKILL);
            tally.workers.insert(worker.0);
        }
        return Ok(());
    }
    let nexusd = dice < 55;
    let victim = if nexusd { before.nexusd } else { before.keeper };
    let hangs = dice == 15 || dice == 99;
    let begin = Instant::now();
    victim.signal(if hangs { Signal::SIGSTOP } else { Signal::SIGKILL });
    match (hangs, nexusd) {
        (true, _) => tally.hung += 1,
        (false, true) => tally.nexusd += 1,
        (false, false) => tally.keeper += 1,
    }
    wait_for(SUCCESSOR_MAX, "a whole pair after a kill", || {
        let now = stage.pair()?;
        let other = if nexusd { now.nexusd != victim } else { now.keeper != victim };
        other.then_some(())
    });
    if !hangs {
        tally.back.push(begin.elapsed());
        return Ok(());
    }
    let Pair { nexusd: new, keeper } = wait_for(SUCCESSOR_MAX, "the pair", || stage.pair());
    if victim == new || victim == keeper {
        Err("one that hangs is still there".into())
    } else {
        Ok(())
    }
}

/// Both at once: neither takes the other's place. The next command starts a pair that adopts.
fn kill_both(stage: &mut Stage) -> Result<(), String> {
    let Pair { keeper, nexusd } = wait_for(SUCCESSOR_MAX, "the pair", || stage.pair());
    let both = [keeper, nexusd];
    both.iter().for_each(|process| process.signal(Signal::SIGSTOP));
    both.iter().for_each(|process| process.signal(Signal::SIGKILL));
    wait_for(SUCCESSOR_MAX, "the end of both", || {
        both.iter().all(|process| !process.alive()).then_some(())
    });
    let said = stage.home.ctl(&["list", "-q"]);
    if said.code != 0 {
        return Err(format!("list after the death of both: {said:?}"));
    }
    wait_for(SUCCESSOR_MAX, "a pair after the death of both", || stage.pair().map(drop));
    // It is of the program that the command is.
    if stage.programs[0] != program("nexusctl") {
        stage.programs.swap(0, 1);
    }
    Ok(())
}

/// A command that puts another program in the place of both.
struct Upgrade {
    running: Running,
    /// The last event before it.
    since: u64,
}

fn begin_upgrade(stage: &Stage, told: &Told) -> Upgrade {
    let file = stage.other_program().display().to_string();
    let running = stage.home.begin(&["daemon", "upgrade", "--to", &file]);
    Upgrade { running, since: told.last() }
}

/// Hold one that has ended against what runs and what is told; `wait` = until it has.
fn end_upgrade(
    stage: &mut Stage,
    told: &mut Told,
    upgrade: &mut Option<Upgrade>,
    tally: &mut Upgrades,
    wait: bool,
) -> Result<(), String> {
    let ended = upgrade.take_if(|one| wait || one.running.ended());
    let Some(Upgrade { running, since }) = ended else { return Ok(()) };
    let said = running.end();
    let kind = match said.code {
        0 => "upgraded",
        9 => "rolled_back",
        code => {
            return Err(format!("an upgrade ended with {code}: {}{}", said.stdout, said.stderr));
        }
    };
    if kind == "upgraded" {
        tally.done += 1;
        stage.programs.swap(0, 1);
    } else {
        tally.rolled_back += 1;
    }
    stage.is_run_by(&stage.programs[0])?;
    told.read(stage)?;
    let mut kinds: Vec<String> = told
        .of_nobody(since)
        .iter()
        .map(|event| event["kind"].as_str().unwrap_or_default().to_owned())
        .collect();
    kinds.retain(|kind| ["upgraded", "rolled_back"].contains(&kind.as_str()));
    if kinds == [kind] {
        Ok(())
    } else {
        Err(format!("told of an upgrade is {kinds:?}: {}{}", said.stdout, said.stderr))
    }
}

/// Judge what has ended; `all` = wait for every end.
fn judge(
    stage: &mut Stage,
    told: &mut Told,
    pending: &mut Vec<Pending>,
    all: bool,
) -> Result<(), String> {
    let (ended, rest): (Vec<Pending>, Vec<Pending>) =
        std::mem::take(pending).into_iter().partition(|one| all || one.running.ended());
    *pending = rest;
    for Pending { asked, running, since } in ended {
        let said = running.end();
        told.read(stage)?;
        let events: Vec<Value> = told.of(asked.app, since);
        asked.judge(stage, &said, &events)?;
    }
    Ok(())
}

fn finish(
    stage: &Stage,
    told: &mut Told,
    tally: &Tally,
    requests: &nexus_tests::Account,
) -> Result<String, String> {
    let right = requests.right;
    if requests.failed() > 0 || right == 0 {
        return Err(format!("requests: {requests:?}"));
    }
    stage.home.ctl(&["stop", "all", "-q"]).ok();
    let restarts: u64 = stage.home.known(MORTAL).restarts().iter().sum();
    told.read(stage)?;
    let (exits, surplus) = exits(stage, told, tally)?;
    // Each of the two was stopped once, or had just exited for the last time.
    if exits != restarts + 2 + surplus {
        return Err(format!(
            "{exits} exits are told, {surplus} of workers that were one too many; {restarts} restarts \
             were counted"
        ));
    }
    [WEB, TALK, CHURN].iter().try_for_each(|app| each_ends_once(told, app))?;
    let lines = stage.lines(WEB)? + stage.lines(TALK)?;
    let mut back = tally.back.clone();
    back.sort();
    let at = |percent: usize| back.get(back.len() * percent / 100).copied().unwrap_or_default();
    let text = format!(
        "{} kills of nexusd, {} of the keeper, {} of both at once, {} of workers, {} hung; {} upgrades \
         done and {} undone; {} changes; \
         {right} requests, {lines} lines, {exits} exits: none lost, none doubled; control back after {:?} (median), \
         {:?} (99 of 100), {:?} (the longest)",
        tally.nexusd,
        tally.keeper,
        tally.both,
        tally.workers.len(),
        tally.hung,
        tally.upgrades.done,
        tally.upgrades.rolled_back,
        tally.changes,
        at(50),
        at(99),
        back.last().copied().unwrap_or_default(),
    );
    if at(50) > BACK.0 || at(99) > BACK.1 {
        return Err(format!("control was not back in time: {text}"));
    }
    Ok(text)
}

/// Starts and ends, by child.
fn lives(events: &[Value]) -> (BTreeSet<u64>, BTreeMap<u64, Vec<&Value>>) {
    let mut exits: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["kind"] == "exit") {
        exits.entry(number(event, "child")).or_default().push(event);
    }
    let starts = events.iter().filter(|event| event["kind"] == "start");
    (starts.map(|event| number(event, "child")).collect(), exits)
}

/// Whatever became of an app, each of its children was started once and has ended once.
fn each_ends_once(told: &Told, app: &str) -> Result<(), String> {
    let events = told.of(app, 0);
    let (started, exits) = lives(&events);
    if let Some((child, all)) = exits.iter().find(|(_, all)| all.len() != 1) {
        return Err(format!("{app}: child {child} has these exits: {all:?}"));
    }
    let ended: BTreeSet<u64> = exits.keys().copied().collect();
    let differ: Vec<&u64> = started.symmetric_difference(&ended).collect();
    if differ.is_empty() { Ok(()) } else { Err(format!("{app}: {differ:?} began or ended only")) }
}

/// Every child of `mortal` has one exit, and it is the one that it had announced. Their number, and
/// how many were of workers that held no place: the keeper and nexusd had both started a successor.
fn exits(stage: &Stage, told: &Told, tally: &Tally) -> Result<(u64, u64), String> {
    let planned = numbered(&stage.truth(MORTAL));
    let events = told.of(MORTAL, 0);
    let (started, exits) = lives(&events);
    for child in planned.keys().chain(&started) {
        match exits.get(child).map(Vec::as_slice) {
            Some([exit]) => agrees(exit, planned.get(child), tally)?,
            found => return Err(format!("child {child} has these exits: {found:?}")),
        }
    }
    if let Some(child) = exits.keys().find(|child| !started.contains(child)) {
        return Err(format!("child {child} has ended and was never started"));
    }
    // How long it had run is told of one that held a place.
    let surplus = exits.values().flatten().filter(|exit| {
        let detail = exit["detail"].as_str().unwrap_or_default();
        detail.ends_with("(as asked)") && !detail.contains(" after ")
    });
    Ok((exits.len() as u64, surplus.count() as u64))
}

/// SIGKILL is ours, or that of a stop whose patience is over; the end by a stop is `asked`.
fn agrees(exit: &Value, planned: Option<&String>, tally: &Tally) -> Result<(), String> {
    let said = exit["exit"].as_str().unwrap_or_default();
    let pid = exit["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    let killed = said == "SIGKILL" && tally.workers.contains(&pid);
    let asked = exit["detail"].as_str().is_some_and(|detail| detail.ends_with("(as asked)"));
    // Whoever ended while both were dead was reaped by init, which tells nobody.
    let unknown = said == "unknown" && tally.both > 0;
    match planned {
        Some(planned) if planned == said => Ok(()),
        _ if killed || asked || unknown => Ok(()),
        planned => Err(format!("planned was {planned:?}, told is {exit}")),
    }
}
