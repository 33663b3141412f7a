//! Death at an exact instant: at the n-th system call that the threads of a process make.
//!
//! Between two system calls nothing of a process can be seen from outside, but in memory that it
//! shares; so its calls are all the instants at which a death can make a difference. The program is
//! the one that is shipped: nothing is compiled into it for this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nexus_tests::Process;
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Between two looks at a process that is in no system call that we wait for.
const LOOK: Duration = Duration::from_micros(50);

/// What is asked of the kernel about a process whose calls are counted, and about one whose child
/// is awaited. A program that it executes is told as any call.
const CALLS: ptrace::Options =
    ptrace::Options::PTRACE_O_TRACESYSGOOD.union(ptrace::Options::PTRACE_O_TRACECLONE);
const FORKS: ptrace::Options = ptrace::Options::PTRACE_O_TRACEFORK
    .union(ptrace::Options::PTRACE_O_TRACEVFORK)
    .union(ptrace::Options::PTRACE_O_TRACECLONE);

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// Nothing: its calls are counted.
    Count,
    /// SIGKILL.
    Kill,
    /// It stays there, neither dead nor alive, as after SIGSTOP.
    Halt,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Caught {
    /// System calls that it began.
    pub(crate) calls: usize,
    /// The number of the one at which it was hit; `None` = it made fewer.
    pub(crate) hit: Option<u64>,
    /// Who it was; 0 = the child whose calls were to be counted never came.
    pub(crate) pid: i32,
}

/// Whose calls are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prey {
    /// This process, also once it has executed another program.
    Itself(Process),
    /// The next child of this process, from its first call on.
    ChildOf(Process),
}

/// A process whose calls are counted, by a thread of ours.
pub(crate) struct Trap {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<Caught, Errno>>,
}

impl Trap {
    /// From here on the calls count; the blow comes at call `at`.
    pub(crate) fn set(prey: Prey, at: usize, blow: Blow) -> Trap {
        let end = Arc::new(AtomicBool::new(false));
        let (told, set) = std::sync::mpsc::channel();
        let over = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let mut caught = Caught::default();
            let threads = match prey {
                Prey::Itself(victim) => {
                    let pid = Pid::from_raw(victim.0);
                    let threads = Threads::seize(pid)?;
                    let _nobody = told.send(());
                    Some(threads)
                }
                Prey::ChildOf(parent) => {
                    let pid = Pid::from_raw(parent.0);
                    ptrace::seize(pid, FORKS)?;
                    let _nobody = told.send(());
                    await_child(pid, &over)?
                }
            };
            let Some(mut threads) = threads else { return Ok(caught) };
            caught.pid = threads.leader.as_raw();
            match threads.watch(at, blow, &over, &mut caught) {
                // Dead between two of our own calls.
                Ok(()) | Err(Errno::ESRCH | Errno::ECHILD) => Ok(caught),
                Err(errno) => Err(errno),
            }
        });
        // One that could not be seized says so at its end.
        let _ended = set.recv();
        Trap { end, thread }
    }

    /// Let it go, if it is still there.
    pub(crate) fn end(self) -> Result<Caught, String> {
        self.end.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(caught) => caught.map_err(|errno| format!("ptrace: {errno}")),
            Err(_) => Err("the tracing thread panicked".into()),
        }
    }
}

/// The next child of a process that is seized; `None` = it was over before there was one.
fn await_child(parent: Pid, over: &AtomicBool) -> Result<Option<Threads>, Errno> {
    let mut leaving = false;
    let child = loop {
        match waitpid(parent, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::StillAlive) => {
                if over.load(Ordering::Relaxed) && !leaving {
                    leaving = true;
                    ptrace::interrupt(parent)?;
                }
                std::thread::sleep(LOOK);
            }
            Ok(WaitStatus::PtraceEvent(_, _, event)) if event != libc::PTRACE_EVENT_STOP => {
                let child = ptrace::getevent(parent)?;
                break Pid::from_raw(i32::try_from(child).map_err(|_| Errno::ERANGE)?);
            }
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => return Ok(None),
            Ok(_) if leaving => return ptrace::detach(parent, None).map(|()| None),
            Ok(WaitStatus::Stopped(_, signal)) => ptrace::cont(parent, signal)?,
            Ok(_) => ptrace::cont(parent, None)?,
            Err(errno) => return Err(errno),
        }
    };
    ptrace::detach(parent, None)?;
    // It has not made a call yet.
    waitpid(child, Some(WaitPidFlag::__WALL))?;
    ptrace::setoptions(child, CALLS)?;
    let mut threads = Threads { leader: child, all: BTreeMap::from([(child, Thread::default())]) };
    threads.resume(child, None)?;
    Ok(Some(threads))
}

/// All threads of one process, each seized by this thread of ours.
struct Threads {
    leader: Pid,
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
    fn seize(leader: Pid) -> Result<Threads, Errno> {
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
        Ok(Threads { leader, all })
    }

    fn watch(
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
                    let known = self.all.entry(thread).or_default();
                    known.inside = !known.inside;
                    let inside = known.inside;
                    caught.calls += usize::from(inside);
                    if inside && caught.calls == at && blow != Blow::Count && !leaving {
                        caught.hit = Some(call(self.leader, thread));
                        self.strike(thread, blow)?;
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

    /// It was in the middle of a call; the others are wherever they are.
    fn strike(&mut self, thread: Pid, blow: Blow) -> Result<(), Errno> {
        match blow {
            Blow::Count => Ok(()),
            Blow::Kill => kill(self.leader, Signal::SIGKILL),
            Blow::Halt => self.running().filter(|other| *other != thread).try_for_each(interrupt),
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

/// The threads of a process (`/proc/PID/task`); none once it is gone.
fn tasks(pid: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let number = |name: std::ffi::OsString| name.to_str()?.parse().ok().map(Pid::from_raw);
    entries.flatten().filter_map(|entry| number(entry.file_name())).collect()
}

/// Which call it is in (`/proc/PID/task/TID/syscall`, its first word).
fn call(pid: Pid, thread: Pid) -> u64 {
    let path = format!("/proc/{pid}/task/{thread}/syscall");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(u64::MAX)
}
