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

/// After so many kills it is said how many there were.
const PROGRESS: usize = 100;

/// What became of a run.
#[derive(Default)]
struct Tally {
    nexusd: usize,
    keeper: usize,
    hung: usize,
    upgrades: usize,
    workers: BTreeSet<i32>,
    changes: usize,
    /// From each kill to the first answer of the whole pair.
    back: Vec<Duration>,
}

impl Tally {
    fn kills(&self) -> usize {
        self.nexusd + self.keeper + self.workers.len()
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
        kill(stage, &mut chance, &mut tally)?;
        if before / PROGRESS != tally.kills() / PROGRESS {
            println!("{} kills in {} s", tally.kills(), begin.elapsed().as_secs());
        }
        judge(stage, &mut told, &mut pending, false)?;
    }
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
    if (93..99).contains(&dice) {
        tally.upgrades += 1;
        return upgrade(stage);
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

/// Put the program in the place of both, in the middle of whatever goes on.
fn upgrade(stage: &Stage) -> Result<(), String> {
    let file = program("nexusctl").display().to_string();
    let said = stage.home.ctl(&["daemon", "upgrade", "--to", &file]);
    match said.code {
        0 => Ok(()),
        code => Err(format!("an upgrade ended with {code}: {}{}", said.stdout, said.stderr)),
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
    let restarts = stage.home.known(MORTAL).restarts();
    stage.home.ctl(&["stop", MORTAL, WEB, TALK, "-q"]).ok();
    told.read(stage)?;
    let exits = exits(stage, told, tally)?;
    let counted: u64 = restarts.iter().sum();
    // Both of them may have exited once more before they were told to stop.
    if !(counted..=counted + 2 * 4).contains(&(exits as u64 - 2)) && exits as u64 != counted {
        return Err(format!("{exits} exits are told, {counted} restarts were counted"));
    }
    let lines = stage.lines(WEB)? + stage.lines(TALK)?;
    let mut back = tally.back.clone();
    back.sort();
    let at = |percent: usize| back.get(back.len() * percent / 100).copied().unwrap_or_default();
    let text = format!(
        "{} kills of nexusd, {} of the keeper, {} of workers, {} hung, {} upgrades; {} changes; \
         {right} requests, {lines} lines, {exits} exits: none lost, none doubled; control back after {:?} (median), \
         {:?} (99 of 100), {:?} (the longest)",
        tally.nexusd,
        tally.keeper,
        tally.workers.len(),
        tally.hung,
        tally.upgrades,
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

/// Every child of `mortal` has one exit, and it is the one that it had announced. Their number.
fn exits(stage: &Stage, told: &Told, tally: &Tally) -> Result<usize, String> {
    let planned = numbered(&stage.truth(MORTAL));
    let events = told.of(MORTAL, 0);
    let mut exits: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["kind"] == "exit") {
        exits.entry(number(event, "child")).or_default().push(event);
    }
    let starts = events.iter().filter(|event| event["kind"] == "start");
    let started: BTreeSet<u64> = starts.map(|event| number(event, "child")).collect();
    for child in planned.keys().chain(&started) {
        match exits.get(child).map(Vec::as_slice) {
            Some([exit]) => agrees(exit, planned.get(child), tally)?,
            found => return Err(format!("child {child} has these exits: {found:?}")),
        }
    }
    if let Some(child) = exits.keys().find(|child| !started.contains(child)) {
        return Err(format!("child {child} has ended and was never started"));
    }
    Ok(exits.len())
}

/// SIGKILL is ours, or that of a stop whose patience is over; the end by a stop is `asked`.
fn agrees(exit: &Value, planned: Option<&String>, tally: &Tally) -> Result<(), String> {
    let said = exit["exit"].as_str().unwrap_or_default();
    let pid = exit["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    let killed = said == "SIGKILL" && tally.workers.contains(&pid);
    let asked = exit["detail"].as_str().is_some_and(|detail| detail.ends_with("(as asked)"));
    match planned {
        Some(planned) if planned == said => Ok(()),
        _ if killed || asked => Ok(()),
        planned => Err(format!("planned was {planned:?}, told is {exit}")),
    }
}
