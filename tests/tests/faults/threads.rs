//! All threads of one process, stopped at each of their system calls.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::trap::{Blow, Caught, LOOK};

/// What is asked of the kernel about a process whose calls are counted. A program that it executes
/// is told as any call.
pub(crate) const CALLS: ptrace::Options =
    ptrace::Options::PTRACE_O_TRACESYSGOOD.union(ptrace::Options::PTRACE_O_TRACECLONE);

/// All threads of one process, each seized by this thread of ours.
pub(crate) struct Threads {
    pub(crate) leader: Pid,
    /// The one whose call was meant.
    struck: Option<Pid>,
    all: BTreeMap<Pid, Thread>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    /// In a system call: told of its begin, not of its end.
    inside: bool,
    /// In a stop that only we can end.
    stopped: bool,
}

impl Threads {
    /// Those that it has. What they create from here on is seized with them.
    pub(crate) fn seize(leader: Pid) -> Result<Threads, Errno> {
        let mut all = BTreeMap::new();
        loop {
            let now = tasks(leader);
            let new: Vec<Pid> =
                now.into_iter().filter(|thread| !all.contains_key(thread)).collect();
            if new.is_empty() {
                break;
            }
            for thread in new {
                match ptrace::seize(thread, CALLS).and_then(|()| ptrace::interrupt(thread)) {
                    // Ended meanwhile, or seized with the one that created it.
                    Err(Errno::ESRCH | Errno::EPERM) if thread != leader => {}
                    done => done?,
                }
                all.insert(thread, Thread::default());
            }
        }
        Ok(Threads { leader, struck: None, all })
    }

    /// A process that has one thread, is seized, and stands still: it goes on.
    pub(crate) fn of(leader: Pid) -> Result<Threads, Errno> {
        let all = BTreeMap::from([(leader, Thread::default())]);
        let mut threads = Threads { leader, struck: None, all };
        threads.resume(leader, None)?;
        Ok(threads)
    }

    /// Until it has ended, or is let go.
    pub(crate) fn watch(
        &mut self,
        at: usize,
        blow: Blow,
        over: &AtomicBool,
        caught: &mut Caught,
    ) -> Result<(), Errno> {
        let mut leaving = false;
        let ours = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            if over.load(Ordering::Relaxed) && !leaving {
                leaving = true;
                self.leave()?;
            }
            let told = match waitpid(None, Some(ours)) {
                // All were let go.
                Err(Errno::ECHILD) => return Ok(()),
                told => told?,
            };
            let (thread, signal) = match told {
                WaitStatus::StillAlive => {
                    std::thread::sleep(LOOK);
                    continue;
                }
                WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..) => {
                    self.all.remove(&thread);
                    if thread == self.leader {
                        return Ok(());
                    }
                    continue;
                }
                WaitStatus::PtraceSyscall(thread) => {
                    let begins = self.begins_or_ends(thread);
                    caught.calls += usize::from(begins);
                    if begins && caught.calls == at && blow != Blow::Count && !leaving {
                        caught.hit = Some(call(self.leader, thread));
                        self.struck = Some(thread);
                    }
                    if self.struck == Some(thread) {
                        self.strike(thread, blow, begins)?;
                    }
                    (thread, None)
                }
                WaitStatus::Stopped(thread, signal) if signal != Signal::SIGTRAP => {
                    (thread, Some(signal))
                }
                WaitStatus::Stopped(thread, _)
                | WaitStatus::PtraceEvent(thread, ..)
                | WaitStatus::Continued(thread) => (thread, None),
            };
            self.all.entry(thread).or_default().stopped = true;
            match (leaving, caught.hit, blow) {
                (true, ..) => self.detach(thread, signal)?,
                (false, Some(_), Blow::Halt) => {}
                (false, ..) => self.resume(thread, signal)?,
            }
        }
    }

    /// Whether it is the begin of a call at which it stands.
    fn begins_or_ends(&mut self, thread: Pid) -> bool {
        let known = self.all.entry(thread).or_default();
        known.inside = !known.inside;
        known.inside
    }

    /// It stands at the begin of its call, or at its end.
    fn strike(&self, thread: Pid, blow: Blow, begins: bool) -> Result<(), Errno> {
        match blow {
            Blow::Kill if begins => kill(self.leader, Signal::SIGKILL),
            Blow::Halt if begins => {
                self.running().filter(|other| *other != thread).try_for_each(interrupt)
            }
            Blow::Within(steps) if !begins => {
                go_on(thread, steps)?;
                kill(self.leader, Signal::SIGKILL)
            }
            Blow::Count | Blow::Halt | Blow::Kill | Blow::Within(_) => Ok(()),
        }
    }

    /// Let go who is stopped, and stop the others for that.
    fn leave(&mut self) -> Result<(), Errno> {
        self.running().try_for_each(interrupt)?;
        let stopped: Vec<Pid> =
            self.all.keys().copied().filter(|one| self.all[one].stopped).collect();
        stopped.into_iter().try_for_each(|thread| self.detach(thread, None))
    }

    fn running(&self) -> impl Iterator<Item = Pid> {
        self.all.iter().filter(|(_, thread)| !thread.stopped).map(|(pid, _)| *pid)
    }

    fn resume(&mut self, thread: Pid, signal: Option<Signal>) -> Result<(), Errno> {
        self.all.entry(thread).or_default().stopped = false;
        unless_dead(ptrace::syscall(thread, signal))
    }

    fn detach(&mut self, thread: Pid, signal: Option<Signal>) -> Result<(), Errno> {
        self.all.remove(&thread);
        unless_dead(ptrace::detach(thread, signal))
    }
}

fn interrupt(thread: Pid) -> Result<(), Errno> {
    unless_dead(ptrace::interrupt(thread))
}

/// Of one that was killed meanwhile the end is told next.
fn unless_dead(done: Result<(), Errno>) -> Result<(), Errno> {
    match done {
        Err(Errno::ESRCH) => Ok(()),
        done => done,
    }
}

/// So many instructions further, but not into the next call: it may wait there for ever. What the
/// other threads do meanwhile makes no difference: all are to die.
fn go_on(thread: Pid, steps: u32) -> Result<(), Errno> {
    let ours = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    for _ in 0..steps {
        if calls_next(thread)? {
            break;
        }
        ptrace::step(thread, None)?;
        // Of any: one that somebody else kills is told only when the others have been waited for.
        let told = loop {
            let told = waitpid(None, Some(ours))?;
            if told.pid() == Some(thread) {
                break told;
            }
        };
        if !matches!(told, WaitStatus::Stopped(_, Signal::SIGTRAP)) {
            break;
        }
    }
    Ok(())
}

/// Whether what it does next is a system call, or the one that our stop broke off: the kernel begins
/// that anew by itself.
#[cfg(target_arch = "x86_64")]
fn calls_next(thread: Pid) -> Result<bool, Errno> {
    let registers = ptrace::getregs(thread)?;
    let begins = ptrace::read(thread, registers.rip as ptrace::AddressType)? & 0xFFFF == 0x050F;
    Ok(begins || BEGUN_ANEW.contains(&(registers.rax as i64)))
}

/// Whether what it does next is a system call, or the one that our stop broke off: the kernel begins
/// that anew by itself.
#[cfg(target_arch = "aarch64")]
fn calls_next(thread: Pid) -> Result<bool, Errno> {
    let registers = ptrace::getregs(thread)?;
    let next = ptrace::read(thread, registers.pc as ptrace::AddressType)?;
    Ok(next & 0xFFFF_FFFF == 0xD400_0001 || BEGUN_ANEW.contains(&(registers.regs[0] as i64)))
}

/// ERESTARTSYS to ERESTART_RESTARTBLOCK (`include/linux/errno.h`), which only a tracer sees.
const BEGUN_ANEW: std::ops::RangeInclusive<i64> = -516..=-512;

/// The threads of a process (`/proc/PID/task`); none once it is gone.
fn tasks(pid: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let number = |name: OsString| name.to_str()?.parse().ok().map(Pid::from_raw);
    entries.flatten().filter_map(|entry| number(entry.file_name())).collect()
}

/// Which call it is in (`/proc/PID/task/TID/syscall`, its first word).
fn call(pid: Pid, thread: Pid) -> u64 {
    let path = format!("/proc/{pid}/task/{thread}/syscall");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(u64::MAX)
}
