//! Facts about processes, read from `/proc`, and signals to them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{PROMPT, wait_for};

/// A process by its pid. It may be gone at any moment: every fact is an `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process(pub i32);

impl Process {
    /// The name that `ps -o comm` shows.
    pub fn comm(self) -> Option<String> {
        Some(self.read("comm")?.trim_end().to_owned())
    }

    /// Its parent's pid.
    pub fn ppid(self) -> Option<i32> {
        self.stat_field(1)?.parse().ok()
    }

    /// The kernel's letter: `R`, `S`, `D`, `T`, `Z` …
    pub fn state(self) -> Option<char> {
        self.stat_field(0)?.chars().next()
    }

    /// When it started, in clock ticks since boot: with the pid it names a process for good.
    pub fn start_ticks(self) -> Option<u64> {
        self.stat_field(19)?.parse().ok()
    }

    /// There, and not a zombie.
    pub fn alive(self) -> bool {
        self.state().is_some_and(|state| state != 'Z' && state != 'X')
    }

    /// Its arguments.
    pub fn args(self) -> Option<Vec<String>> {
        let line = fs::read(format!("/proc/{}/cmdline", self.0)).ok()?;
        let parts = line.split(|&byte| byte == 0).filter(|part| !part.is_empty());
        Some(parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect())
    }

    /// A variable of the environment it was executed with; of one that is about to be executed,
    /// that one's.
    ///
    /// # Panics
    /// When a worker has not executed its program in time.
    pub fn env(self, key: &str) -> Option<String> {
        wait_for(PROMPT, "a program to be executed", || {
            let environ = self.environ();
            let executed = !self.alive() || !self.is_to_execute(environ.is_empty());
            executed.then(|| value_of(&environ, key))
        })
    }

    /// Whether its environment, as it is now, has this.
    pub fn carries(self, key: &str, value: &str) -> bool {
        value_of(&self.environ(), key).as_deref() == Some(value)
    }

    fn environ(self) -> Vec<u8> {
        fs::read(format!("/proc/{}/environ", self.0)).unwrap_or_default()
    }

    /// A child of a keeper that has not executed its program yet, or is about to: then it has no
    /// environment.
    fn is_to_execute(self, bare: bool) -> bool {
        let keeper = |process: Process| process.comm().as_deref() == Some("nexus-keeper");
        (bare || keeper(self)) && self.ppid().is_some_and(|parent| keeper(Process(parent)))
    }

    /// Its children, by a look at every process.
    pub fn children(self) -> Vec<Process> {
        all().filter(|process| process.ppid() == Some(self.0)).collect()
    }

    /// The number of descriptors it has open.
    pub fn descriptors(self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.0)).ok()?.count())
    }

    /// What each of its open descriptors is, as the links of `/proc/PID/fd` say.
    pub fn open(self) -> Vec<String> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.0)).into_iter().flatten().flatten();
        let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    /// Its resident memory, in bytes.
    pub fn resident(self) -> Option<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// The most of its memory that was ever resident, in bytes.
    pub fn resident_peak(self) -> Option<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// How many connections it has accepted on a port of IPv4, and has not closed.
    pub fn connections(self, port: u16) -> usize {
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.0));
        let local = format!(":{port:04X}");
        let of_a_line = |line: &str| {
            // proc_net_tcp: number, local address, remote one, state (0A listens), … the inode.
            let words: Vec<&str> = line.split_whitespace().collect();
            let ours = words.get(1)?.ends_with(&local) && *words.get(3)? != "0A";
            ours.then(|| format!("socket:[{}]", words.get(9).unwrap_or(&"")))
        };
        let ours: Vec<String> = table.unwrap_or_default().lines().filter_map(of_a_line).collect();
        self.open().iter().filter(|open| ours.contains(open)).count()
    }

    /// Send a signal; one that is gone already is no error. SIGSTOP is seen to have acted.
    pub fn signal(self, signal: Signal) {
        // Pid 0 and below would mean a group, or everything.
        if self.0 <= 0 {
            return;
        }
        let _gone = kill(Pid::from_raw(self.0), signal);
        if signal == Signal::SIGSTOP {
            wait_for(PROMPT, "a process to stand still", || {
                matches!(self.stat_field(0).as_deref(), None | Some("T" | "Z" | "X")).then_some(())
            });
        }
    }

    fn read(self, file: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).ok()
    }

    /// Field `index` of `/proc/PID/stat`, counted from the state (proc_pid_stat(5), field 3). The
    /// name before it may hold spaces and brackets, so fields are counted from the last bracket.
    fn stat_field(self, index: usize) -> Option<String> {
        let stat = self.read("stat")?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(index).map(str::to_owned)
    }
}

/// Every process whose environment has `key=value`, zombies excepted, ourselves excepted.
pub fn with_env(key: &str, value: &str) -> Vec<Process> {
    let me = std::process::id();
    all()
        .filter(|process| u32::try_from(process.0) != Ok(me))
        .filter(|process| process.carries(key, value) && process.alive())
        .collect()
}

fn value_of(environ: &[u8], key: &str) -> Option<String> {
    environ.split(|&byte| byte == 0).find_map(|entry| {
        let entry = String::from_utf8_lossy(entry);
        let (name, value) = entry.split_once('=')?;
        (name == key).then(|| value.to_owned())
    })
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").unwrap_or_else(|error| panic!("no /proc: {error}"));
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Process))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::{PROMPT, wait_for};

    #[test]
    fn a_child_is_found_by_its_environment_and_gone_after_sigkill() {
        let marker = format!("process-test-{}", std::process::id());
        let mut child = Command::new("cat")
            .env("NEXUS_TEST_MARKER", &marker)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let found = wait_for(PROMPT, "cat", || {
            let found = with_env("NEXUS_TEST_MARKER", &marker).pop()?;
            (found.comm()? == "cat").then_some(found)
        });
        assert_eq!(u32::try_from(found.0).unwrap(), child.id());
        assert_eq!(found.ppid(), i32::try_from(std::process::id()).ok());
        assert_eq!(found.args().unwrap(), ["cat"]);
        assert!(found.alive() && found.start_ticks().is_some());
        found.signal(Signal::SIGKILL);
        child.wait().unwrap();
        assert!(!found.alive());
        assert_eq!(with_env("NEXUS_TEST_MARKER", &marker), []);
    }
}
