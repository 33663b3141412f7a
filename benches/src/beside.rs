//! Process managers side by side: the same workers, the same machine, the same minutes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nexus_tests::{Home, Process};
use nix::sys::signal::Signal;

use crate::Fault;
use crate::idle::{Usage, watch};
use crate::limit::{Bare, Copy};
use crate::list::{WORKERS, timed};
use crate::logs;
use crate::manager::{Job, Manager, log_bytes, processes};
use crate::peers::{ALL, Make};
use crate::stamps::{Stamps, now, until};
use crate::table::{Table, median, quantile, shown};

/// Kills of a worker of each manager.
const KILLS: usize = 30;
/// How old a worker is when it is killed: runit and s6 keep who dies sooner waiting for a second.
const AGE: Duration = Duration::from_millis(1_200);
/// Workers started at once, and how often.
const MANY: usize = 200;
const ROUNDS: usize = 3;
/// Runs of each manager's list.
const LISTS: usize = 20;
/// After the workers have begun: let the manager come to rest.
const SETTLE: Duration = Duration::from_secs(5);

/// What was measured of one manager, or of the bare limit.
#[derive(Default)]
struct Column {
    name: String,
    version: String,
    restart: Vec<f64>,
    many: Vec<f64>,
    list: Vec<f64>,
    logs: Vec<f64>,
    usage: Option<Usage>,
}

/// Measure us and whoever is installed; the table.
pub(crate) fn measure() -> Result<Table, Fault> {
    let mut missing = Vec::new();
    let mut found: Vec<(Make, Column)> = Vec::new();
    for make in ALL {
        match make() {
            Ok(manager) => {
                let (name, version) = (manager.name().to_owned(), manager.version()?);
                found.push((make, Column { name, version, ..Column::default() }));
            }
            Err(problem) => missing.push(problem),
        }
    }
    let room = Home::new();
    let dir = room.project();
    let mut limit = Column { name: "limit".to_owned(), ..Column::default() };
    eprintln!("measuring: restart");
    restart(&mut limit, &mut found, &dir)?;
    for round in 0..ROUNDS {
        eprintln!("measuring: 200 up and logs, round {} of {ROUNDS}", round + 1);
        limit.many.push(bare_many(&dir)?);
        limit.logs.extend([logs::bare(Copy::Splice, &dir)?, logs::bare(Copy::ReadWrite, &dir)?]);
        for (make, column) in &mut found {
            column.many.push(many(*make)?);
            column.logs.push(throughput(*make)?);
        }
    }
    for _ in 0..LISTS {
        limit.list.push(timed(&mut Command::new("/bin/true"))?);
    }
    for (make, column) in &mut found {
        eprintln!("measuring: {} at rest", column.name);
        at_rest(*make, column)?;
    }
    let columns: Vec<Column> =
        std::iter::once(limit).chain(found.into_iter().map(|(_, column)| column)).collect();
    Ok(table(&columns, &missing))
}

/// A daemon that is up, and a file of stamps for its workers.
fn begin(make: Make) -> Result<(Box<dyn Manager>, Stamps), Fault> {
    let manager = make()?;
    manager.warm().map_err(|problem| format!("{}: {problem}", manager.name()))?;
    let stamps = Stamps::new(manager.home().project().join("stamps"))?;
    Ok((manager, stamps))
}

fn start(manager: &dyn Manager, args: &[&str], instances: usize) -> Result<(), Fault> {
    let job = Job { name: "job", args, instances };
    manager.start(&job).map_err(|problem| format!("{}: {problem}", manager.name()))
}

/// All at the same time, each with one worker: they are killed in turn.
fn restart(limit: &mut Column, found: &mut [(Make, Column)], dir: &Path) -> Result<(), Fault> {
    let bare_stamps = Stamps::new(dir.join("restart-limit"))?;
    let mut bare = Bare::worker(&bare_stamps)?;
    bare_stamps.wait(1)?;
    let mut running = Vec::new();
    for (make, column) in found {
        let (manager, stamps) = begin(*make)?;
        start(&*manager, &["worker", &stamps.path.to_string_lossy()], 1)?;
        stamps.wait(1)?;
        running.push((manager, stamps, column));
    }
    for kill in 1..=KILLS {
        std::thread::sleep(AGE);
        let begin = now()?;
        bare.replace(&bare_stamps)?;
        limit.restart.push(bare_stamps.since(begin, kill + 1)?);
        for (_, stamps, column) in &mut running {
            let Some(worker) = stamps.read().pop() else { continue };
            let begin = now()?;
            Process(worker.pid).signal(Signal::SIGKILL);
            column.restart.push(stamps.since(begin, kill + 1)?);
        }
    }
    Ok(())
}

fn bare_many(dir: &Path) -> Result<f64, Fault> {
    let stamps = Stamps::new(dir.join("many-limit"))?;
    let begin = now()?;
    let workers: Result<Vec<Bare>, Fault> = (0..MANY).map(|_| Bare::worker(&stamps)).collect();
    let took = stamps.since(begin, MANY);
    drop(workers?);
    took
}

fn many(make: Make) -> Result<f64, Fault> {
    let (manager, stamps) = begin(make)?;
    let begin = now()?;
    start(&*manager, &["worker", &stamps.path.to_string_lossy()], MANY)?;
    stamps.since(begin, MANY)
}

fn throughput(make: Make) -> Result<f64, Fault> {
    let (manager, stamps) = begin(make)?;
    let args = ["writer-stays", &stamps.path.to_string_lossy(), &logs::LINES.to_string()];
    start(&*manager, &args, logs::WRITERS)?;
    let dir = manager.logs();
    let what = format!("{} bytes in {}", logs::TOTAL, dir.display());
    until(logs::PATIENCE, &what, || (log_bytes(&dir, "job") >= logs::TOTAL).then_some(()))
        .map_err(|problem| format!("{}: {problem}", manager.name()))?;
    let rate = logs::rate(&stamps)?;
    let size = log_bytes(&dir, "job");
    if size == logs::TOTAL {
        return Ok(rate);
    }
    Err(format!("{}: {size} bytes in the logs, not {}", manager.name(), logs::TOTAL))
}

fn at_rest(make: Make, column: &mut Column) -> Result<(), Fault> {
    let (manager, stamps) = begin(make)?;
    start(&*manager, &["worker", &stamps.path.to_string_lossy()], WORKERS)?;
    stamps.wait(WORKERS)?;
    std::thread::sleep(SETTLE);
    column.usage = Some(watch(&processes(&*manager)?)?);
    for _ in 0..LISTS {
        column.list.push(timed(manager.list().stdin(Stdio::null()))?);
    }
    Ok(())
}

fn table(columns: &[Column], missing: &[Fault]) -> Table {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut table = Table::new(&[&["measure"], names.as_slice()].concat());
    let mut row = |what: &str, unit: &str, value: &dyn Fn(&Column) -> Option<f64>| {
        let cells = columns.iter().map(|column| shown(value(column), unit));
        table.row(std::iter::once(what.to_owned()).chain(cells).collect());
    };
    row("killed → successor, p50", "ms", &|column| median(&column.restart));
    row("killed → successor, p95", "ms", &|column| quantile(&column.restart, 95));
    row("200 workers up", "ms", &|column| median(&column.many));
    row("list, 50 workers", "ms", &|column| median(&column.list));
    row("log bytes, 4 writers", "MB/s", &|column| median(&column.logs));
    let usage = |of: fn(&Usage) -> f64| move |column: &Column| column.usage.as_ref().map(of);
    row("memory (PSS), 50 workers", "MiB", &usage(|usage| usage.memory));
    row("CPU when idle, 50 workers", "%", &usage(|usage| usage.cpu));
    row("wake-ups when idle", "1/s", &usage(|usage| usage.wakes));
    let versions: Vec<String> = columns
        .iter()
        .filter(|column| !column.version.is_empty())
        .map(|column| format!("{} {}", column.name, column.version))
        .collect();
    table.note(format!("Versions: {}.", versions.join(", ")));
    for problem in missing {
        table.note(format!("Not measured: {problem}."));
    }
    table
}
