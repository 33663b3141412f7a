//! What the pair costs while nothing happens: memory, CPU and wake-ups.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nexus_tests::Process;

use crate::Fault;
use crate::list::WORKERS;
use crate::managed::Managed;
use crate::report::{Goal, Report};
use crate::stamps::Stamps;

/// How long we look.
const WATCH: Duration = Duration::from_secs(10);
/// After the workers have begun: let sampling and log threads come to rest.
const SETTLE: Duration = Duration::from_secs(3);

/// Keeper and nexusd together, with 50 idle workers.
pub(crate) fn at_rest(
    ours: Option<&Managed>,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Fault> {
    let Some(ours) = ours else { return Ok(()) };
    let stamps = Stamps::new(dir.join("idle"))?;
    ours.start("idle", &["worker", &stamps.path.to_string_lossy()], WORKERS, "")?;
    stamps.wait(WORKERS)?;
    std::thread::sleep(SETTLE);
    let usage = watch(&ours.pair()?)?;
    ours.delete("idle")?;
    let Usage { memory, cpu, wakes } = usage;
    report.add("memory (PSS), 50 workers", "MiB", None, Some(memory), Goal::AtMost(6.0));
    report.add("CPU when idle, 50 workers", "%", None, Some(cpu), Goal::AtMost(0.1));
    report.add("wake-ups when idle", "1/s", None, Some(wakes), Goal::None);
    Ok(())
}

/// What some processes use together.
pub(crate) struct Usage {
    /// Proportional set size, in MiB.
    pub(crate) memory: f64,
    /// Percent of one CPU.
    pub(crate) cpu: f64,
    /// Wake-ups a second.
    pub(crate) wakes: f64,
}

/// Look at them for a while.
pub(crate) fn watch(processes: &[Process]) -> Result<Usage, Fault> {
    let sum = |fact: fn(Process) -> Option<u64>| {
        processes
            .iter()
            .map(|&process| fact(process).ok_or("a process of the manager has gone"))
            .sum()
    };
    let cpu: Result<u64, &str> = sum(cpu_ns);
    let wakes: Result<u64, &str> = sum(wake_ups);
    std::thread::sleep(WATCH);
    let cpu = sum(cpu_ns)?.saturating_sub(cpu?);
    let wakes = sum(wake_ups)?.saturating_sub(wakes?);
    let memory: u64 = sum(pss_kib)?;
    let seconds = WATCH.as_secs_f64();
    Ok(Usage {
        memory: memory as f64 / 1024.0,
        cpu: cpu as f64 / 1e9 / seconds * 100.0,
        wakes: wakes as f64 / seconds,
    })
}

/// CPU time of all threads, in nanoseconds (the kernel's scheduler statistics, sched-stats.rst: the
/// first number of `/proc/PID/task/TID/schedstat`). Clock ticks would be too coarse.
fn cpu_ns(process: Process) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.0)).ok()?;
    let each = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("schedstat")));
    let first = |text: String| text.split_whitespace().next()?.parse::<u64>().ok();
    Some(each.filter_map(Result::ok).filter_map(first).sum())
}

/// Voluntary context switches of all threads: how often one of them was woken.
fn wake_ups(process: Process) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.0)).ok()?;
    let count = |status: String| number(&status, "voluntary_ctxt_switches:");
    let each = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("status")));
    Some(each.filter_map(Result::ok).filter_map(count).sum())
}

/// Proportional set size, in KiB: shared pages are divided among those who share them.
pub(crate) fn pss_kib(process: Process) -> Option<u64> {
    number(&fs::read_to_string(format!("/proc/{}/smaps_rollup", process.0)).ok()?, "Pss:")
}

fn number(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}
