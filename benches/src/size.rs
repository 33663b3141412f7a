//! Large fleets: what a worker more costs.

use std::time::Duration;

use nexus_tests::Process;
use nix::sys::signal::Signal;

use crate::Fault;
use crate::idle::watch;
use crate::list::timed;
use crate::managed::Managed;
use crate::stamps::{Stamps, now};
use crate::table::{Table, median, quantile, shown};

/// Fleets.
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Workers of one app.
const OF_AN_APP: usize = 1_000;
/// Kills of a worker, and runs of the list.
const KILLS: usize = 50;
const LISTS: usize = 10;
/// After the workers have begun: let the pair come to rest.
const SETTLE: Duration = Duration::from_secs(6);
/// How long the end of all workers may take.
const END_MAX: Duration = Duration::from_secs(120);

/// Measure each size.
pub(crate) fn measure() -> Result<Table, Fault> {
    let mut rows: [(&str, &str, Vec<f64>); 7] = [
        ("all workers up", "ms", Vec::new()),
        ("killed → successor, p50", "ms", Vec::new()),
        ("killed → successor, p95", "ms", Vec::new()),
        ("list", "ms", Vec::new()),
        ("memory of the pair (PSS)", "MiB", Vec::new()),
        ("CPU when idle", "%", Vec::new()),
        ("wake-ups when idle", "1/s", Vec::new()),
    ];
    for size in SIZES {
        eprintln!("measuring: {size} workers");
        for (row, value) in rows.iter_mut().zip(fleet(size)?) {
            row.2.push(value);
        }
    }
    let heading: Vec<String> = SIZES.iter().map(|size| format!("{size} workers")).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    let mut table = Table::new(&[&["measure"], heading.as_slice()].concat());
    for (what, unit, values) in rows {
        let cells = values.into_iter().map(|value| shown(Some(value), unit));
        table.row(std::iter::once(what.to_owned()).chain(cells).collect());
    }
    Ok(table)
}

fn fleet(size: usize) -> Result<[f64; 7], Fault> {
    let ours = Managed::begin()?;
    let measured = figures(&ours, size);
    ours.home.ctl_within(END_MAX, &["kill"]);
    measured
}

fn figures(ours: &Managed, size: usize) -> Result<[f64; 7], Fault> {
    let stamps = Stamps::new(ours.dir().join("fleet"))?;
    let args = ["worker", &stamps.path.to_string_lossy()];
    let begin = now()?;
    for app in 0..size.div_ceil(OF_AN_APP) {
        // With pipes, eleven open files a worker: more than many a machine allows.
        ours.start(&format!("fleet{app}"), &args, OF_AN_APP.min(size), "disable_logs = true")?;
    }
    let up = stamps.since(begin, size)?;
    std::thread::sleep(SETTLE);
    let usage = watch(&ours.pair()?)?;
    let mut restarts = Vec::new();
    for kill in 1..=KILLS {
        let Some(worker) = stamps.read().pop() else { continue };
        let begin = now()?;
        Process(worker.pid).signal(Signal::SIGKILL);
        restarts.push(stamps.since(begin, size + kill)?);
    }
    let mut lists = Vec::new();
    for _ in 0..LISTS {
        lists.push(timed(ours.home.command(&ours.nexusctl).arg("list"))?);
    }
    let of = |value: Option<f64>| value.unwrap_or(f64::NAN);
    let (p50, p95) = (of(median(&restarts)), of(quantile(&restarts, 95)));
    Ok([up, p50, p95, of(median(&lists)), usage.memory, usage.cpu, usage.wakes])
}
