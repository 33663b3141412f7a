//! Nothing left of what the machine lends: descriptors, processes, memory, numbers of processes.

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
fn limit(process: Process, files: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &process.0.to_string(), &format!("--nofile={files}:")])
        .status()
        .unwrap();
    assert!(status.success());
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
    limit(daemon, 20_000);
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
    limit(keeper, 20_000);
    home.until("eager", "a worker again", |app| app.status() == "online" && app.pids()[0] > 0);
    assert_eq!(home.known("calm").main(), calm);
    assert_eq!((home.daemon().unwrap(), home.keeper().unwrap()), (daemon, keeper));
}

/// A cgroup (of version 1) with a limit, where this machine lets us make one.
pub(crate) struct Group(PathBuf);

impl Group {
    /// With so many bytes of memory.
    pub(crate) fn memory(name: &str, bytes: u64) -> Option<Group> {
        Group::make("memory", name, "memory.limit_in_bytes", bytes)
    }

    fn make(controller: &str, name: &str, file: &str, value: u64) -> Option<Group> {
        let path = Path::new("/sys/fs/cgroup").join(controller);
        let path = path.join(format!("nexus-test-{name}-{}", std::process::id()));
        let made = std::fs::create_dir(&path);
        let limited = made.and_then(|()| std::fs::write(path.join(file), value.to_string()));
        if let Err(error) = limited {
            println!("LEFT OUT: no cgroup of {controller} here: {}: {error}", path.display());
            return None;
        }
        Some(Group(path))
    }

    /// The file that takes pids.
    pub(crate) fn procs(&self) -> String {
        self.0.join("cgroup.procs").display().to_string()
    }

    fn take(&self, process: Process) {
        std::fs::write(self.0.join("cgroup.procs"), process.0.to_string()).unwrap();
    }

    fn set(&self, file: &str, value: &str) {
        std::fs::write(self.0.join(file), value).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Who still lives goes where it was; what is empty can be removed.
        let all = std::fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        let parent = self.0.with_file_name("cgroup.procs");
        for pid in all.lines() {
            let _gone = std::fs::write(&parent, pid);
        }
        let _busy = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn without_processes_a_spawn_is_tried_again_until_there_are_some() {
    let home = begin();
    let (keeper, daemon) = (home.keeper().unwrap(), home.daemon().unwrap());
    let Some(group) = Group::make("pids", "fork", "pids.max", 1) else { return };
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
    for number in 0..2 {
        let Some(group) = Group::memory(&format!("pair-{number}"), 256 << 10) else { return };
        let victim = if number == 0 { home.daemon() } else { home.keeper() }.unwrap();
        group.take(victim);
        let body = format!("{{\"x\":\"{}\"}}", "x".repeat(3 << 20));
        wait_for(PROMPT, "its end", || {
            // Whatever it does needs memory; a keeper does little: it is asked to spawn.
            let _lost = home.ask("POST", "/v1/apps", "Idempotency-Key: oom\r\n", &body);
            if number == 1 {
                let _lost = home.ctl(&["restart", "eager", "--no-wait", "-q"]);
            }
            (!victim.alive() || number == 1).then_some(())
        });
        if number == 1 {
            // It allocates nothing after its start, so the limit need not end it: nobody dies.
            home.until("eager", "a worker", |app| app.status() == "online");
        }
        wait_for(PROMPT, "the pair", || home.daemon().zip(home.keeper()));
    }
    assert_eq!(home.known("calm").identity(), before.0);
    home.until("eager", "a worker", |app| app.status() == "online" && app.pids()[0] > 0);
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
