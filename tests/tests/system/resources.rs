//! Nothing left of what the machine lends: descriptors, processes, memory, numbers of processes.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nexus_tests::{Home, PROMPT, Process, program, repository, run, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell};

/// A worker that is started anew as soon as it has ended.
const EAGER: &str = "ready = \"delay:0s\"\nmin_uptime = 0\nmax_restarts = 100000";

fn begin() -> Home {
    let home = Home::new();
    let text =
        shell("calm", "exec sleep 1000", AT_ONCE) + &shell("eager", "exec sleep 1000", EAGER);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start", "-q"]).ok();
    home
}

/// Change the limit of open files of a living process.
pub(crate) fn limit(process: Process, files: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &process.0.to_string(), &format!("--nofile={files}:")])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Give it back what it may have: the limit that it cannot raise itself beyond.
pub(crate) fn unlimit(process: Process) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.0)).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    limit(process, line.split_whitespace().nth(1).unwrap().parse().unwrap());
}

/// Its workers, by a look at every process: nobody of ours need answer.
fn workers(home: &Home, app: &str) -> Vec<Process> {
    let mut all = home.processes();
    all.retain(|process| process.carries("NEXUS_APP", app));
    all
}

#[test]
fn without_descriptors_nexusd_still_restarts_what_crashes() {
    let home = begin();
    let (daemon, keeper) = (home.daemon().unwrap(), home.keeper().unwrap());
    let (calm, eager) = (home.known("calm").main(), home.known("eager").main());
    // Below what is open already: not one more.
    limit(daemon, 8);
    eager.signal(Signal::SIGKILL);
    wait_for(PROMPT, "a successor", || {
        let now = workers(&home, "eager");
        (now.len() == 1 && now[0] != eager).then_some(())
    });
    // Clients wait; they are not what it dies of.
    let waiting: Vec<_> = (0..3).map(|_| home.connect()).collect();
    drop(waiting);
    unlimit(daemon);
    home.until("eager", "its restart", |app| app.restarts() == [1] && app.status() == "online");
    assert_eq!(home.known("calm").main(), calm);
    assert_eq!((home.daemon().unwrap(), home.keeper().unwrap()), (daemon, keeper));
    home.ctl(&["restart", "eager", "-q"]).ok();
}

#[test]
fn without_descriptors_the_keeper_tries_again_and_says_why() {
    let home = begin();
    let (daemon, keeper) = (home.daemon().unwrap(), home.keeper().unwrap());
    let (calm, eager) = (home.known("calm").main(), home.known("eager").main());
    limit(keeper, 8);
    eager.signal(Signal::SIGKILL);
    let refused = wait_for(PROMPT, "a spawn that fails", || {
        let events = home.events_of("eager", "exit");
        events
            .into_iter()
            .find(|event| event["exit"].as_str().is_some_and(|e| e.starts_with("not started")))
    });
    assert!(refused.to_string().contains("open files"), "{refused}");
    assert!(calm.alive());
    unlimit(keeper);
    home.until("eager", "a worker again", |app| app.status() == "online" && app.pids()[0] > 0);
    assert_eq!(home.known("calm").main(), calm);
    assert_eq!((home.daemon().unwrap(), home.keeper().unwrap()), (daemon, keeper));
}

#[test]
fn a_keeper_without_descriptors_starts_the_next_nexusd_as_soon_as_there_are_some() {
    let home = begin();
    let (daemon, keeper) = (home.daemon().unwrap(), home.keeper().unwrap());
    let before = home.known("calm").identity();
    let eager = home.known("eager").main();
    limit(keeper, 8);
    daemon.signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end", || (!daemon.alive()).then_some(()));
    // It cannot fork one, and it cannot replace this one: it stays, and so does who runs.
    eager.signal(Signal::SIGKILL);
    wait_for(PROMPT, "the end of a worker", || (!eager.alive()).then_some(()));
    assert!(keeper.alive() && home.daemon().is_none());
    unlimit(keeper);
    wait_for(PROMPT, "another nexusd", || home.daemon().filter(|now| *now != daemon));
    // What the keeper tried in vain counts, too.
    home.until("eager", "its successor", |app| app.restarts()[0] > 0 && app.status() == "online");
    assert_eq!((home.known("calm").identity(), home.keeper()), (before, Some(keeper)));
    let exits = home.events_of("eager", "exit");
    assert!(exits.iter().any(|exit| exit["exit"] == "SIGKILL"), "{exits:?}");
}

/// A cgroup with a limit, where this machine lets us make one.
pub(crate) struct Group {
    path: PathBuf,
    /// The file in which the kernel counts whom it has killed for want of memory.
    kills: &'static str,
    /// Where whoever is left of it goes in the end.
    exit: PathBuf,
}

const GROUPS: &str = "/sys/fs/cgroup";

impl Group {
    /// With so many bytes of memory: of version 1 where memory has a hierarchy of its own, else of
    /// version 2.
    pub(crate) fn memory(name: &str, bytes: u64) -> Option<Group> {
        if Path::new(GROUPS).join("cgroup.controllers").exists() {
            return Group::left_out_or(Group::second_version(name, "memory", bytes));
        }
        Group::first_version("memory", name, "memory.limit_in_bytes", bytes)
    }

    fn first_version(controller: &str, name: &str, file: &str, value: u64) -> Option<Group> {
        let top = Path::new(GROUPS).join(controller);
        let (exit, kills) = (top.join("cgroup.procs"), "memory.oom_control");
        Group::left_out_or(Group { path: top.join(named(name)), kills, exit }.made(file, value))
    }

    /// Below the top of the hierarchy: there alone a group may have processes of its own and lend
    /// its controllers to groups below it. So it is in nobody's way that some run there.
    fn second_version(name: &str, controller: &str, value: u64) -> io::Result<Group> {
        let top = Path::new(GROUPS);
        std::fs::write(top.join("cgroup.subtree_control"), format!("+{controller}"))?;
        let groups = std::fs::read_to_string("/proc/self/cgroup")?;
        let ours = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let exit = top.join(ours).join("cgroup.procs");
        let group = Group { path: top.join(named(name)), kills: "memory.events", exit };
        group.made(&format!("{controller}.max"), value)
    }

    fn made(self, file: &str, value: u64) -> io::Result<Group> {
        std::fs::create_dir(&self.path)?;
        std::fs::write(self.path.join(file), value.to_string())?;
        Ok(self)
    }

    fn left_out_or(made: io::Result<Group>) -> Option<Group> {
        made.inspect_err(|error| println!("LEFT OUT: no cgroup with a limit here: {error}")).ok()
    }

    /// The file that takes pids.
    pub(crate) fn procs(&self) -> String {
        self.path.join("cgroup.procs").display().to_string()
    }

    /// How many of it the kernel has killed for want of memory.
    pub(crate) fn killed(&self) -> u64 {
        let text = std::fs::read_to_string(self.path.join(self.kills)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn take(&self, process: Process) {
        std::fs::write(self.procs(), process.0.to_string()).unwrap();
    }

    fn set(&self, file: &str, value: &str) {
        std::fs::write(self.path.join(file), value).unwrap();
    }
}

fn named(name: &str) -> String {
    format!("nexus-test-{name}-{}", std::process::id())
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who still lives goes elsewhere; what is empty can be removed.
        let all = std::fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        for pid in all.lines() {
            let _gone = std::fs::write(&self.exit, pid);
        }
        let _busy = std::fs::remove_dir(&self.path);
    }
}

#[test]
fn without_processes_a_spawn_is_tried_again_until_there_are_some() {
    let home = begin();
    let (keeper, daemon) = (home.keeper().unwrap(), home.daemon().unwrap());
    let Some(group) = Group::first_version("pids", "fork", "pids.max", 1) else { return };
    let (calm, eager) = (home.known("calm").main(), home.known("eager").main());
    group.take(keeper);
    eager.signal(Signal::SIGKILL);
    let refused = wait_for(PROMPT, "a spawn that fails", || {
        let events = home.events_of("eager", "exit");
        events
            .into_iter()
            .find(|event| event["exit"].as_str().is_some_and(|e| e.starts_with("not started")))
    });
    assert!(refused.to_string().contains("Try again"), "{refused}");
    group.set("pids.max", "max");
    home.until("eager", "a worker again", |app| app.status() == "online" && app.pids()[0] > 0);
    assert_eq!(home.known("calm").main(), calm);
    assert_eq!((home.daemon().unwrap(), home.keeper().unwrap()), (daemon, keeper));
}

#[test]
fn a_nexusd_or_a_keeper_that_the_kernel_kills_for_want_of_memory_is_replaced() {
    let home = begin();
    let before = (home.known("calm").identity(), home.known("eager").identity());
    for (number, who) in [Home::daemon, Home::keeper].into_iter().enumerate() {
        let Some(group) = Group::memory(&format!("pair-{number}"), 64 << 20) else { return };
        let victim = who(&home).unwrap();
        // Whoever takes too much: the kernel ends the one that it was told to end first.
        std::fs::write(format!("/proc/{}/oom_score_adj", victim.0), "1000").unwrap();
        group.take(victim);
        let hog = format!(
            "echo 0 > /proc/self/oom_score_adj; echo $$ > {}; exec {} --hold 200000000",
            group.procs(),
            program("nexus-test-worker").display(),
        );
        let mut hog = Command::new("sh").args(["-c", &hog]).spawn().unwrap();
        wait_for(PROMPT, "its end", || (!victim.alive()).then_some(()));
        hog.kill().unwrap();
        hog.wait().unwrap();
        assert!(group.killed() > 0, "it was the kernel's doing");
        wait_for(PROMPT, "another one", || who(&home).filter(|now| *now != victim));
        wait_for(PROMPT, "the pair", || home.daemon().zip(home.keeper()));
        assert_eq!(home.known("calm").identity(), before.0);
        assert_eq!(home.known("eager").identity(), before.1);
    }
}

/// A keeper that can get no more memory at all, at a spawn, at an exit and at the death of its
/// nexusd: it has what it needs since its start.
#[test]
fn a_keeper_that_gets_no_more_memory_goes_on() {
    let home = begin();
    let (daemon, keeper) = (home.daemon().unwrap(), home.keeper().unwrap());
    let (calm, eager) = (home.known("calm").main(), home.known("eager").main());
    let memory = |bound: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &keeper.0.to_string(), &format!("--as={bound}:")]);
        assert!(prlimit.status().unwrap().success());
    };
    // Less than it has: whatever asks the kernel for memory, in it or in what it forks, gets none.
    memory("4096");
    eager.signal(Signal::SIGKILL);
    let failed = wait_for(PROMPT, "a spawn that fails", || {
        let events = home.events_of("eager", "exit");
        events.into_iter().find(|event| {
            let exit = event["exit"].as_str().unwrap_or_default();
            exit.starts_with("not started") || exit.starts_with("SIG") && event["pid"] != eager.0
        })
    });
    assert!(keeper.alive(), "{failed}");
    // Who forks a nexusd that gets no memory either forks the next.
    daemon.signal(Signal::SIGKILL);
    wait_for(PROMPT, "its end", || (!daemon.alive()).then_some(()));
    assert!(keeper.alive() && calm.alive());
    memory("unlimited");
    wait_for(PROMPT, "another nexusd", || home.daemon().filter(|now| *now != daemon));
    home.until("eager", "a worker again", |app| app.status() == "online" && app.pids()[0] > 0);
    assert_eq!((home.known("calm").main(), home.keeper()), (calm, Some(keeper)));
}

/// In a pid namespace of its own the next number of a process can be chosen.
#[test]
fn another_process_with_the_number_of_a_dead_worker_is_let_alone() {
    if !nix::unistd::geteuid().is_root() {
        println!("LEFT OUT: a namespace with numbers of our choice needs root");
        return;
    }
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    let script = repository().join("tests/tests/system/reused_pid.sh");
    let mut command = home.command(Path::new("unshare"));
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "bash"]);
    command.arg(&script).arg(program("nexusctl"));
    let said = run(&mut command, Duration::from_secs(60)).ok().stdout;
    assert!(said.ends_with("all well\n"), "{said}");
}
