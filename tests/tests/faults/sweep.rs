//! Death at every system call: of the keeper and of nexusd, in the middle of each kind of change.
//! A change that was under way then ends as if nothing had happened.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_tests::{Load, wait_for};

use crate::attempt;
use crate::chance::Chance;
use crate::change::{Asked, Change};
use crate::journal::Told;
use crate::stage::{CHURN, Stage, TALK, WEB};
use crate::trap::{Blow, Caught, Prey, Trap};

/// The longest that we wait for a successor; one that hangs is replaced after ten seconds.
const SUCCESSOR_MAX: Duration = Duration::from_secs(30);
/// Failures after which nobody would read more.
const FAILURES_MAX: usize = 5;
/// Points after which all is made anew: a log of one life should not grow for ever.
const LIFE: usize = 100;

/// Who is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Keeper,
    Nexusd,
    /// The nexusd that an upgrade brings.
    NewNexusd,
}

/// One instant: the `at`-th system call of the victim after a change was asked for.
#[derive(Clone, Copy, Debug)]
struct Point {
    victim: Victim,
    app: &'static str,
    change: Change,
    at: usize,
    blow: Blow,
}

/// Every kind of change, and the app that it is tried with.
const CHANGES: &[(&str, Change)] = &[
    (CHURN, Change::Start),
    (CHURN, Change::Stop),
    (CHURN, Change::Restart),
    (CHURN, Change::Delete),
    (CHURN, Change::Scale(0)),
    (WEB, Change::Reload),
    (WEB, Change::ReloadBroken),
    (TALK, Change::Rotate),
    (TALK, Change::Save),
    (TALK, Change::Upgrade),
];

/// One in so many is tried once more some instructions later.
const LATER: usize = 8;
/// Instructions are drawn from below a power of two, the power from below this.
const STEPS_BITS: usize = 18;

/// From so many points on some must have been hit.
const FEW: usize = 20;

/// Points that are tried every time: there something was found once.
const FOUND: &[(Victim, Change, usize)] = &[(Victim::NewNexusd, Change::Upgrade, 1)];

/// Which points, where not all are meant: by the names that a failure tells.
#[derive(Default)]
pub(crate) struct Only<'a> {
    pub(crate) change: Option<&'a str>,
    pub(crate) victim: Option<&'a str>,
    pub(crate) at: Option<u64>,
    /// Each of them so many instructions later.
    pub(crate) later: Option<u32>,
}

impl Only<'_> {
    fn is(&self, point: &Point) -> bool {
        self.victim.is_none_or(|victim| format!("{:?}", point.victim) == victim)
            && self.at.is_none_or(|at| point.at as u64 == at)
    }
}

/// Try so many points, drawn by the seed, or all; halt instead of kill at so many; and kill some
/// instructions later at others.
///
/// # Errors
/// What did not hold, point by point.
pub(crate) fn run(
    seed: u64,
    points: Option<usize>,
    halts: usize,
    only: &Only<'_>,
) -> Result<String, String> {
    let mut chance = Chance::new(seed);
    let counts = count(only.change)?;
    let mut all = every(&counts);
    all.retain(|point| only.is(point));
    if all.is_empty() {
        return Err("there is no such point: names are those that a failure tells".into());
    }
    if let Some(steps) = only.later {
        all.iter_mut().for_each(|point| point.blow = Blow::Within(steps));
    }
    let whole = all.len();
    let later = points.unwrap_or(whole).min(whole) / LATER;
    let later: Vec<Point> = (0..later)
        .map(|_| Point { blow: Blow::Within(steps(&mut chance)), ..*chance.one_of(&all) })
        .collect();
    let found = |point: &Point| FOUND.contains(&(point.victim, point.change, point.at));
    let mut chosen: Vec<Point> = all.extract_if(.., |point| found(point)).collect();
    while !all.is_empty() && points.is_none_or(|points| chosen.len() < points) {
        let index = if points.is_some() { chance.below(all.len()) } else { 0 };
        chosen.push(all.remove(index));
    }
    let kills = chosen.len();
    chosen.extend(halted(&chosen, halts, &mut chance));
    let halts = chosen.len() - kills;
    chosen.extend(&later);
    let (mut hit, mut failures) = (0, Vec::new());
    let mut rest = chosen.as_slice();
    while !rest.is_empty() && failures.len() < FAILURES_MAX {
        let (tried, found) = life(rest, &mut hit);
        rest = rest.get(tried..).unwrap_or_default();
        if points.is_none() {
            println!("{} of {} tried", chosen.len() - rest.len(), chosen.len());
        }
        // At once: a whole sweep takes hours.
        found.iter().for_each(|why| println!("{why}"));
        failures.extend(found);
    }
    let text = format!(
        "{kills} of {whole} points, {halts} more with a halt instead, {} some instructions later; \
         {hit} hit, the others came too late",
        later.len()
    );
    if !failures.is_empty() {
        return Err(format!("{text}\n{}", failures.join("\n")));
    }
    // One or two may always come too late; when most do, nothing is tried.
    if kills >= FEW && hit * 2 < kills {
        return Err(format!("too few were hit: {text}"));
    }
    Ok(text)
}

/// The same points with a halt, so many for each victim in turn.
fn halted(points: &[Point], halts: usize, chance: &mut Chance) -> Vec<Point> {
    let mut halted = Vec::new();
    for _ in 0..halts {
        for victim in [Victim::Keeper, Victim::Nexusd, Victim::NewNexusd] {
            let its: Vec<&Point> = points.iter().filter(|point| point.victim == victim).collect();
            if !its.is_empty() {
                halted.push(Point { blow: Blow::Halt, ..**chance.one_of(&its) });
            }
        }
    }
    halted
}

/// How many calls each victim makes in each change.
fn count(only: Option<&str>) -> Result<BTreeMap<(Victim, usize), usize>, String> {
    let mut stage = Stage::start(false);
    let mut told = Told::default();
    let mut counts = BTreeMap::new();
    for (index, &(app, change)) in CHANGES.iter().enumerate() {
        if only.is_some_and(|only| format!("{change:?}") != only) {
            continue;
        }
        for victim in [Victim::Keeper, Victim::Nexusd, Victim::NewNexusd] {
            if victim == Victim::NewNexusd && change != Change::Upgrade {
                continue;
            }
            let point = Point { victim, app, change, at: 0, blow: Blow::Count };
            let calls = attack(&mut stage, &mut told, point)?.calls;
            if calls == 0 {
                return Err(format!("{victim:?} was not seen to do anything in {change:?}"));
            }
            counts.insert((victim, index), calls);
        }
    }
    Ok(counts)
}

/// How many instructions after a call: often few, since most calls come soon after another.
fn steps(chance: &mut Chance) -> u32 {
    let most = 1 << chance.below(STEPS_BITS);
    u32::try_from(chance.below(most)).unwrap_or(0)
}

fn every(counts: &BTreeMap<(Victim, usize), usize>) -> Vec<Point> {
    let point = |(&(victim, index), &calls): (&(Victim, usize), &usize)| {
        let (app, change) = CHANGES[index];
        (1..=calls).map(move |at| Point { victim, app, change, at, blow: Blow::Kill })
    };
    counts.iter().flat_map(point).collect()
}

/// Some points in one home, under load. How many were tried, and what failed: after a failure
/// nothing of that home is to be relied on.
fn life(points: &[Point], hit: &mut usize) -> (usize, Option<String>) {
    let mut stage = Stage::start(false);
    let mut told = Told::default();
    let load = Load::start(stage.port, 1, 1);
    let mut tried = 0;
    let done = attempt(|| {
        for &point in points.iter().take(LIFE) {
            tried += 1;
            let caught = attempt(|| attack(&mut stage, &mut told, point));
            *hit += usize::from(caught.map_err(|why| format!("{point:?}: {why}"))?.hit.is_some());
        }
        Ok(())
    });
    let requests = load.end();
    let done = done.and_then(|()| attempt(|| Ok(requests.flawless())));
    let lines = || {
        stage.home.ctl(&["stop", WEB, TALK, "-q"]).ok();
        stage.lines(WEB).and_then(|_| stage.lines(TALK))
    };
    let done = done.and_then(|_| attempt(lines));
    (tried, done.err().map(|why| format!("{why}\n{}", stage.evidence())))
}

/// Ask for a change, hit the victim at its point, and hold everything against what was asked.
fn attack(stage: &mut Stage, told: &mut Told, point: Point) -> Result<Caught, String> {
    let change = prepare(stage, point.app, point.change)?;
    told.read(stage)?;
    let since = told.last();
    let pair = wait_for(SUCCESSOR_MAX, "the pair", || stage.pair());
    let prey = match point.victim {
        Victim::Keeper => Prey::Itself(pair.keeper),
        Victim::Nexusd => Prey::Itself(pair.nexusd),
        Victim::NewNexusd => Prey::ChildOf(pair.keeper),
    };
    let serving = [WEB, TALK].map(|app| stage.home.known(app).identity());
    let asked = Asked::of(stage, point.app, change);
    let args: Vec<&str> = asked.args.iter().map(String::as_str).collect();
    let trap = Trap::set(prey, point.at, point.blow);
    let said = stage.home.ctl(&args);
    if point.blow == Blow::Halt {
        // It was in nobody's way, perhaps: somebody has to ask for something that it does.
        stage.home.ctl(&["save", "-q"]);
    }
    let caught = trap.end()?;
    wait_for(SUCCESSOR_MAX, "a whole pair", || {
        let now = stage.pair()?;
        let replaced = now.nexusd.0 != caught.pid && now.keeper.0 != caught.pid;
        (replaced || caught.hit.is_none() || point.blow == Blow::Halt).then_some(())
    });
    told.read(stage)?;
    let is_upgrade = point.change == Change::Upgrade;
    if is_upgrade && caught.hit.is_none() && said.code != 0 {
        return Err(format!("an upgrade that nobody disturbed was undone: {}", said.stderr));
    }
    let of_nobody = told.of_nobody(since);
    let asks = of_nobody.iter().filter(|event| event["kind"] == "operator").count();
    if asks != 1 && !matches!(point.change, Change::Rotate | Change::Save) {
        return Err(format!("{caught:?}: that it was asked for is told {asks} times"));
    }
    let events = if is_upgrade { of_nobody } else { told.of(point.app, since) };
    asked.judge(stage, &said, &events).map_err(|why| format!("{caught:?}: {why}"))?;
    if is_upgrade {
        let now = [WEB, TALK].map(|app| stage.home.known(app).identity());
        if now != serving {
            return Err(format!("{caught:?}: {serving:?} were there before, {now:?} are now"));
        }
    }
    Ok(caught)
}

/// Bring the app to where the change makes sense; the change with its number, if it has one.
fn prepare(stage: &mut Stage, app: &'static str, change: Change) -> Result<Change, String> {
    // It is possible always.
    if change == Change::Upgrade {
        return Ok(change);
    }
    let first = stage.possible(app);
    let possible = |stage: &Stage| {
        let same = std::mem::discriminant(&change);
        stage.possible(app).into_iter().find(|one| std::mem::discriminant(one) == same)
    };
    if possible(stage).is_none() {
        let towards = if first.contains(&Change::Stop) { Change::Stop } else { Change::Start };
        let asked = Asked::of(stage, app, towards);
        let args: Vec<&str> = asked.args.iter().map(String::as_str).collect();
        let said = stage.home.ctl(&args);
        asked.settle(stage, &said)?;
    }
    possible(stage).ok_or_else(|| format!("{change:?} makes no sense for {app}"))
}
