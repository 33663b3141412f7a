//! Reloads and deaths under load, and every request that failed.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nexus_tests::{Account, Home, Load, Process, free_port};
use nix::sys::signal::Signal;

use crate::Fault;
use crate::served::{APP, PYTHON, Server, TRADING_API, serve};
use crate::stamps::until;
use crate::table::Table;

/// Reloads of each app, and the requests that it is asked at the least.
const RELOADS: usize = 50;
const REQUESTS: u64 = 100_000;
/// Kills of workers, and of one of the pair in the middle of a reload.
const KILLS: usize = 50;
const DEATHS: usize = 10;
/// Clients of each kind, and how often each asks: 2,400 times a second in all.
const CLIENTS: usize = 6;
const EACH: Duration = Duration::from_millis(5);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Fewer of everything, for a machine that has other things to do: a part of `1 / NEXUS_BENCH_PART`.
const PART: &str = "NEXUS_BENCH_PART";

/// Something that is done to an app while it is asked.
struct Case {
    name: &'static str,
    server: &'static Server,
    instances: u16,
    times: usize,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Reload,
    WorkerKilled,
    DaemonKilled,
    KeeperKilled,
}

const fn case(
    name: &'static str,
    server: &'static Server,
    instances: u16,
    times: usize,
    what: What,
) -> Case {
    Case { name, server, instances, times, what }
}

const CASES: [Case; 6] = [
    case("reload, trading API × 4", &TRADING_API, 4, RELOADS, What::Reload),
    case("reload, trading API × 1", &TRADING_API, 1, RELOADS, What::Reload),
    case("reload, Python (asyncio) × 2", &PYTHON, 2, RELOADS, What::Reload),
    case("nexusd killed in a reload, × 4", &TRADING_API, 4, DEATHS, What::DaemonKilled),
    case("keeper killed in a reload, × 4", &TRADING_API, 4, DEATHS, What::KeeperKilled),
    case("SIGKILL of a worker, × 4", &TRADING_API, 4, KILLS, What::WorkerKilled),
];

/// Measure.
pub(crate) fn measure() -> Result<Table, Fault> {
    let part = std::env::var(PART).ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
    let mut table = Table::new(&[
        "what",
        "times",
        "requests",
        "refused",
        "reset",
        "short",
        "wrong",
        "late",
        "may fail",
        "slowest",
        "wrk: requests",
        "wrk: errors",
    ]);
    for case in &CASES {
        eprintln!("measuring: {}", case.name);
        table.row(carry_out(case, part).map_err(|problem| format!("{}: {problem}", case.name))?);
    }
    if part > 1 {
        table.note(format!("Not the whole suite, but a part of it: 1 in {part}."));
    }
    if cfg!(debug_assertions) {
        table.note("A build for tests, without optimisation.".to_owned());
    }
    Ok(table)
}

fn carry_out(case: &Case, part: usize) -> Result<Vec<String>, Fault> {
    let (home, port) = (Home::new(), free_port());
    serve(&home, case.server, port, case.instances)?;
    let second = Wrk::start(port, case.server.path);
    let load = Load::every(EACH, port, CLIENTS, CLIENTS, case.server.path);
    let times = (case.times / part).max(1);
    let mut may_fail = 0;
    for time in 0..times {
        match case.what {
            What::Reload => reload(&home)?,
            What::WorkerKilled => may_fail += kill_worker(&home, port, time)?,
            What::DaemonKilled | What::KeeperKilled => reload_and_kill(&home, case.what)?,
        }
    }
    if case.what == What::Reload {
        // Requests do not wait for reloads: there are as many as were promised.
        until(PATIENCE * 5, "enough requests", || {
            (load.asked() >= REQUESTS / part as u64).then_some(())
        })?;
    }
    let account = load.end();
    let second = second.map(Wrk::end);
    check(&account, second.unwrap_or_default().1, may_fail)?;
    Ok(row(case, times, &account, may_fail, second))
}

/// What fails must be what a killed worker had in its hands.
fn check(account: &Account, by_wrk: u64, may_fail: u64) -> Result<(), Fault> {
    let failed = account.failed() + by_wrk;
    if failed > may_fail {
        return Err(format!(
            "{failed} requests failed, {may_fail} may: {account:?}, wrk: {by_wrk}"
        ));
    }
    Ok(())
}

fn row(
    case: &Case,
    times: usize,
    account: &Account,
    may_fail: u64,
    second: Option<(u64, u64)>,
) -> Vec<String> {
    let mut row = vec![case.name.to_owned(), times.to_string()];
    row.push((account.right + account.failed()).to_string());
    let failed =
        [account.refused, account.reset, account.short, account.wrong, account.timed_out, may_fail];
    row.extend(failed.map(|count| count.to_string()));
    row.push(format!("{} ms", account.slowest.as_millis()));
    row.extend(match second {
        Some((requests, errors)) => [requests.to_string(), errors.to_string()],
        None => ["–", "–"].map(str::to_owned),
    });
    row
}

fn reload(home: &Home) -> Result<(), Fault> {
    let output = home.ctl_within(PATIENCE, &["reload", APP, "-q"]);
    if output.code == 0 { Ok(()) } else { Err(output.stderr) }
}

/// Once its first worker has been replaced.
fn reload_and_kill(home: &Home, what: What) -> Result<(), Fault> {
    let replaced = || home.events_of(APP, "replaced").len();
    let before = replaced();
    let command = home.begin(&["reload", APP, "-q"]);
    until(PATIENCE, "the first replacement", || (replaced() > before).then_some(()))?;
    let victim = if what == What::KeeperKilled { home.keeper() } else { home.daemon() };
    let victim = victim.ok_or("there is nobody to kill")?;
    victim.signal(Signal::SIGKILL);
    until(PATIENCE, "its end", || (!victim.alive()).then_some(()))?;
    let output = command.end();
    if output.code == 0 { Ok(()) } else { Err(output.stderr) }
}

/// How many connections it had: so many requests may fail.
fn kill_worker(home: &Home, port: u16, time: usize) -> Result<u64, Fault> {
    let pids = home.known(APP).pids();
    // Any will do; not always the one that is asked most.
    let pid = pids.get((time * 7 + 3) % pids.len()).copied().ok_or("no workers")?;
    let worker = Process(pid);
    worker.signal(Signal::SIGSTOP);
    let held = worker.connections(port) as u64;
    worker.signal(Signal::SIGKILL);
    let all_others = |app: &nexus_tests::App| {
        app.status() == "online" && app.pids().iter().all(|&now| now > 0 && now != pid)
    };
    until(PATIENCE, "its successor", || home.app(APP).filter(all_others).map(|_| ()))?;
    Ok(held)
}

/// wrk, as a second opinion.
struct Wrk(Option<Child>);

impl Drop for Wrk {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }
}

impl Wrk {
    fn start(port: u16, path: &str) -> Option<Wrk> {
        let url = format!("http://127.0.0.1:{port}{path}");
        let child = Command::new("wrk")
            .args(["-t1", "-c4", "-d3600", "--timeout", "10", &url])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        child.ok().map(|child| Wrk(Some(child)))
    }

    /// Its requests and errors.
    fn end(mut self) -> (u64, u64) {
        let Some(child) = self.0.take() else { return (0, 0) };
        // It says what it has counted when it is interrupted.
        Process(i32::try_from(child.id()).unwrap_or(0)).signal(Signal::SIGINT);
        let output = child.wait_with_output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        counts(&said.unwrap_or_default())
    }
}

/// `N requests in …`, `Socket errors: connect A, read B, write C, timeout D`, `Non-2xx or 3xx
/// responses: E`.
fn counts(said: &str) -> (u64, u64) {
    let numbers = |line: &str| {
        let words = line.split(|c: char| !c.is_ascii_digit());
        words.filter_map(|word| word.parse::<u64>().ok()).collect::<Vec<u64>>()
    };
    let (mut requests, mut errors) = (0, 0);
    for line in said.lines().map(str::trim) {
        if line.contains(" requests in ") {
            requests = numbers(line).first().copied().unwrap_or(0);
        } else if let Some(rest) = line.strip_prefix("Socket errors:") {
            errors += numbers(rest).iter().sum::<u64>();
        } else if let Some(rest) = line.strip_prefix("Non-2xx or 3xx responses:") {
            errors += numbers(rest).iter().sum::<u64>();
        }
    }
    (requests, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let said = "  2 threads and 8 connections\n  12345 requests in 10.00s, 1.20MB read\n  \
                    Socket errors: connect 1, read 2, write 3, timeout 4\n  \
                    Non-2xx or 3xx responses: 5\nRequests/sec: 1234.50\n";
        assert_eq!(counts(said), (12_345, 15));
        assert_eq!(counts("  7 requests in 1.00s\n"), (7, 0));
    }
}
