//! The pair against the real kernel.
//!
//! This executable plays every role: the runner, who founds a pair for each case; the keeper; and
//! nexusd, in which the case itself runs. A case that kills one of the pair goes on in the next
//! nexusd: `Puppet::life` tells which one it is. Cases are named after the facts that they try to
//! break; those that can be seen in what is said are watched in all of them (`contract.rs`). Run one with `cargo test -p nexus-keeper --test pair -- NAME`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test, though without the harness"
)]

mod contract;
mod endings;
mod kernel;
mod mains;
mod pairs;
mod puppet;
mod soak;
mod spawns;
mod speed;
mod stay;
mod trees;
mod upgrades;
mod workers;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use puppet::Puppet;

/// One case: a name, how trees are found, what is tried in nexusd.
pub(crate) struct Case {
    name: &'static str,
    sweep: bool,
    run: fn(&mut Puppet),
}

const fn case(name: &'static str, run: fn(&mut Puppet)) -> Case {
    Case { name, sweep: false, run }
}

const fn swept(name: &'static str, run: fn(&mut Puppet)) -> Case {
    Case { name, sweep: true, run }
}

const CASES: &[&[Case]] = &[
    spawns::CASES,
    endings::CASES,
    mains::CASES,
    trees::CASES,
    stay::CASES,
    pairs::CASES,
    upgrades::CASES,
    soak::CASES,
    speed::CASES,
];
const DEADLINE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let word = |i: usize| args.get(i).map_or("", String::as_str);
    upgrades::be_broken(word(1));
    match word(1) {
        nexus_keeper::ARG_KEEPER => nexus_keeper::adopt(word(2).parse().unwrap()),
        nexus_keeper::ARG_NEXUSD => puppet::be_nexusd(word(2).parse().unwrap()),
        "__found" => {
            let founding = nexus_keeper::found(Path::new(word(2))).unwrap();
            match nexus_keeper::run(founding) {
                Ok(never) => match never {},
                Err(error) => panic!("the keeper cannot begin: {error}"),
            }
        }
        "__worker" => workers::be(word(2), args.get(3..).unwrap_or(&[])),
        "__continuer" => upgrades::be_continuer(word(2).parse().unwrap(), word(3).parse().unwrap()),
        "--list" => {
            all().for_each(|case| println!("{}: test", case.name));
            ExitCode::SUCCESS
        }
        _ => run_all(&args[1..]),
    }
}

fn all() -> impl Iterator<Item = &'static Case> {
    CASES.iter().copied().flatten()
}

fn run_all(args: &[String]) -> ExitCode {
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let started = Instant::now();
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    println!("running {} tests", all().count());
    for case in all() {
        // A measurement runs when it is asked for: beside other tests it would tell nothing.
        let asked = filters.iter().any(|f| case.name.contains(f.as_str()));
        let measures = case.name.starts_with("spawn_latency");
        if !asked && (measures || !filters.is_empty()) {
            left_out += 1;
            continue;
        }
        match run_case(case) {
            Ok(said) => {
                passed += 1;
                println!("test {} ... ok{said}", case.name);
            }
            Err(why) => {
                failed += 1;
                println!("test {} ... FAILED\n{why}", case.name);
            }
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; \
         {left_out} filtered out; finished in {:.2}s",
        started.elapsed().as_secs_f32()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_case(case: &Case) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let (verdict, writer) = std::io::pipe().unwrap();
    // Roles inherit it by number; workers get nothing of it.
    let writer = nix::unistd::dup(&writer).unwrap();
    let mut command = Command::new("/proc/self/exe");
    command.arg0("nexus-keeper").arg("__found").arg(&home);
    command.env("NEXUS_HOME", &home).env("NEXUS_CASE", case.name);
    command.env("NEXUS_VERDICT", writer.as_raw_fd().to_string());
    if case.sweep {
        command.env("NEXUS_NO_CGROUP", "1");
    }
    let mut keeper = command.spawn().unwrap();
    drop(writer);
    let result = read_verdict(File::from(std::os::fd::OwnedFd::from(verdict)));
    end_home(&home);
    let _ = keeper.wait();
    let left = processes_of(&home);
    match result {
        Ok(_) if !left.is_empty() => Err(format!("processes left: {left:?}")),
        other => other,
    }
}

fn read_verdict(mut verdict: File) -> Result<String, String> {
    let end = Instant::now() + DEADLINE;
    let mut text = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut asked = [PollFd::new(verdict.as_fd(), PollFlags::POLLIN)];
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if poll(&mut asked, wait).unwrap() == 0 {
            return Err("no verdict in time".to_string());
        }
        let mut part = [0; 4096];
        let got = verdict.read(&mut part).unwrap();
        text.extend_from_slice(&part[..got]);
        let said = String::from_utf8_lossy(&text);
        if let Some((_, said)) = said.split_once("ok:").filter(|(_, s)| s.ends_with('\n')) {
            return Ok(said.trim_end().to_string());
        }
        if got == 0 || said.contains("FAILED\n") {
            return Err(said.into_owned());
        }
    }
}

/// Freeze the pair, then kill it with everything that belongs to this home: killing one of two
/// only makes the other one take its place.
fn end_home(home: &Path) {
    for _ in 0..50 {
        let all = processes_of(home);
        if all.is_empty() {
            return;
        }
        for signal in [nix::sys::signal::Signal::SIGSTOP, nix::sys::signal::Signal::SIGKILL] {
            for pid in &all {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), signal);
            }
        }
        all.iter().for_each(|pid| await_end(*pid));
    }
}

fn await_end(pid: i32) {
    let end = Instant::now() + puppet::PATIENCE;
    while puppet::is_alive(pid) && Instant::now() < end {
        std::thread::yield_now();
    }
}

/// Living processes whose environment names this home.
fn processes_of(home: &Path) -> Vec<i32> {
    let mark = format!("NEXUS_HOME={}", home.display());
    puppet::marked(mark.as_bytes())
}
