//! Time to recover: from a SIGKILL of one of the pair, or of both, until a command is answered; and
//! what the two who survive each other hold for it.

use std::time::{Duration, Instant};

use nexus_tests::{Home, Process, try_many_files};
use nix::sys::signal::Signal;

use crate::Fault;
use crate::idle::pss_kib;
use crate::list::timed;
use crate::managed::Managed;
use crate::stamps::{Stamps, until};
use crate::table::{Table, median, quantile, shown};

/// Fleets, and the largest one, of which only the memory is asked.
const SIZES: [usize; 3] = [10, 100, 1_000];
const LARGEST: usize = 10_000;
/// Open files that the largest fleet has room in; the limit is raised so far where we may.
const FILES: u64 = 65_536;
/// Workers of one app.
const OF_AN_APP: usize = 1_000;
/// Kills of each kind.
const KILLS: usize = 15;
/// Between two: who dies younger is replaced after a pause.
const PAUSE: Duration = Duration::from_millis(1_500);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// After the workers have begun, and after a death: let the pair come to rest.
const SETTLE: Duration = Duration::from_secs(7);
/// How long the end of all workers may take.
const END_MAX: Duration = Duration::from_secs(120);

/// Who is killed.
#[derive(Clone, Copy)]
enum Victim {
    Nexusd,
    Keeper,
    Both,
}

const VICTIMS: [(Victim, &str); 3] = [
    (Victim::Nexusd, "nexusd killed → answer"),
    (Victim::Keeper, "keeper killed → answer"),
    (Victim::Both, "both killed → `nexusctl list` has ended"),
];

/// Measure.
pub(crate) fn measure() -> Result<Table, Fault> {
    // Who may not is told of it by the daemon, and the page says so.
    let _as_it_was = try_many_files(FILES);
    let mut cells: Vec<Vec<String>> = vec![Vec::new(); 8];
    for size in SIZES {
        eprintln!("measuring: {size} workers");
        let figures = fleet(size, true)?;
        for (row, cell) in cells.iter_mut().zip(figures) {
            row.push(cell);
        }
    }
    eprintln!("measuring: {LARGEST} workers");
    let mut not_measured = None;
    match fleet(LARGEST, false) {
        Ok(figures) => cells.iter_mut().zip(figures).for_each(|(row, cell)| row.push(cell)),
        Err(problem) => {
            eprintln!("not measured: {problem}");
            let why = problem.rsplit(": ").next().unwrap_or_default().to_owned();
            not_measured = Some(format!("{LARGEST} workers were not to be had here: {why}."));
            cells.iter_mut().for_each(|row| row.push("–".to_owned()));
        }
    }
    let sizes = SIZES.iter().chain([&LARGEST]).map(|size| format!("{size} workers"));
    let heading: Vec<String> = std::iter::once("measure".to_owned()).chain(sizes).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    let mut table = Table::new(&heading);
    let of_victims =
        VICTIMS.iter().flat_map(|(_, what)| [format!("{what}, p50"), format!("{what}, max")]);
    let of_memory = ["memory of the keeper (PSS)", "memory of nexusd (PSS)"].map(str::to_owned);
    for (what, row) in of_victims.chain(of_memory).zip(cells) {
        table.row(std::iter::once(what).chain(row).collect());
    }
    if let Some(note) = not_measured {
        table.note(note);
    }
    Ok(table)
}

/// A cell for each row.
fn fleet(size: usize, kills: bool) -> Result<Vec<String>, Fault> {
    let ours = Managed::begin()?;
    let measured = figures(&ours, size, kills);
    ours.home.ctl_within(END_MAX, &["kill", "--yes"]);
    measured
}

fn figures(ours: &Managed, size: usize, kills: bool) -> Result<Vec<String>, Fault> {
    let stamps = Stamps::new(ours.dir().join("fleet"))?;
    let args = ["worker", &stamps.path.to_string_lossy()];
    for app in 0..size.div_ceil(OF_AN_APP) {
        let more = "disable_logs = true";
        ours.start(&format!("fleet{app}"), &args, OF_AN_APP.min(size), more)?;
    }
    stamps.wait(size)?;
    std::thread::sleep(SETTLE);
    let [keeper, nexusd] = ours.pair()?;
    let mib = |process| pss_kib(process).map(|kib| kib as f64 / 1024.0);
    let memory = [shown(mib(keeper), "MiB"), shown(mib(nexusd), "MiB")];
    let mut cells = Vec::new();
    for (victim, _) in VICTIMS {
        let mut back = Vec::new();
        for _ in 0..if kills { KILLS } else { 0 } {
            std::thread::sleep(PAUSE);
            back.push(recovery(ours, victim)?);
        }
        cells.extend([shown(median(&back), "ms"), shown(quantile(&back, 100), "ms")]);
    }
    let born = stamps.read().len();
    if born != size {
        return Err(format!("{born} workers were born where {size} live on"));
    }
    cells.extend(memory);
    Ok(cells)
}

/// One death, in milliseconds until control is back.
fn recovery(ours: &Managed, victim: Victim) -> Result<f64, Fault> {
    let [keeper, nexusd] = ours.pair()?;
    let begin = Instant::now();
    match victim {
        Victim::Nexusd => nexusd.signal(Signal::SIGKILL),
        Victim::Keeper => keeper.signal(Signal::SIGKILL),
        Victim::Both => return both(ours, [keeper, nexusd]),
    }
    until(PATIENCE, "an answer of another pair", || {
        let (now_keeper, now_nexusd) = pair(&ours.home)?;
        match victim {
            Victim::Nexusd => (now_nexusd != nexusd.0).then_some(()),
            Victim::Keeper => (now_keeper != keeper.0).then_some(()),
            Victim::Both => None,
        }
    })?;
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}

/// Frozen first: one of two would take the other's place.
fn both(ours: &Managed, pair: [Process; 2]) -> Result<f64, Fault> {
    pair.iter().for_each(|process| process.signal(Signal::SIGSTOP));
    pair.iter().for_each(|process| process.signal(Signal::SIGKILL));
    until(PATIENCE, "their end", || pair.iter().all(|one| !one.alive()).then_some(()))?;
    timed(ours.home.command(&ours.nexusctl).args(["-q", "list"]))
}

/// Who answers: keeper and nexusd.
fn pair(home: &Home) -> Option<(i32, i32)> {
    let answer =
        home.ask("GET", "/v1/version", "", "").ok().filter(|answer| answer.status == 200)?;
    let version = answer.json();
    let pid = |key: &str| i32::try_from(version[key].as_i64()?).ok();
    Some((pid("keeper_pid")?, pid("pid")?))
}
