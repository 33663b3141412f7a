//! Death at an exact instant: at the n-th system call that the main thread of a process makes.
//!
//! Between two system calls nothing of a process can be seen from outside, so that its calls are
//! all the instants at which a death can make a difference. The program is the one that is shipped:
//! nothing is compiled into it for this.

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
const CALLS: ptrace::Options = ptrace::Options::PTRACE_O_TRACESYSGOOD;
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
            let pid = match prey {
                Prey::Itself(victim) => {
                    let pid = Pid::from_raw(victim.0);
                    ptrace::seize(pid, CALLS)?;
                    ptrace::interrupt(pid)?;
                    let _nobody = told.send(());
                    Some(pid)
                }
                Prey::ChildOf(parent) => {
                    let pid = Pid::from_raw(parent.0);
                    ptrace::seize(pid, FORKS)?;
                    let _nobody = told.send(());
                    await_child(pid, &over)?
                }
            };
            let Some(pid) = pid else { return Ok(caught) };
            caught.pid = pid.as_raw();
            match watch(pid, at, blow, &over, &mut caught) {
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
fn await_child(parent: Pid, over: &AtomicBool) -> Result<Option<Pid>, Errno> {
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
    resume(child, None)?;
    Ok(Some(child))
}

fn watch(
    pid: Pid,
    at: usize,
    blow: Blow,
    over: &AtomicBool,
    caught: &mut Caught,
) -> Result<(), Errno> {
    let (mut inside, mut leaving) = (false, false);
    loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            Ok(WaitStatus::StillAlive) => {
                if over.load(Ordering::Relaxed) && !leaving {
                    leaving = true;
                    // What is halted is in a stop already.
                    if caught.hit.is_some() {
                        return ptrace::detach(pid, None);
                    }
                    ptrace::interrupt(pid)?;
                }
                std::thread::sleep(LOOK);
            }
            Ok(WaitStatus::PtraceSyscall(_)) => {
                inside = !inside;
                caught.calls += usize::from(inside);
                let now = inside && caught.calls == at && blow != Blow::Count;
                if leaving {
                    return ptrace::detach(pid, None);
                }
                if now {
                    caught.hit = Some(call(pid));
                }
                match (now, blow) {
                    (true, Blow::Kill) => kill(pid, Signal::SIGKILL)?,
                    (true, Blow::Halt) => {}
                    (true, Blow::Count) | (false, _) => resume(pid, None)?,
                }
            }
            Ok(WaitStatus::Stopped(_, signal)) if !leaving && signal != Signal::SIGTRAP => {
                resume(pid, Some(signal))?;
            }
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => return Ok(()),
            Ok(_) if leaving => return ptrace::detach(pid, None),
            Ok(_) => resume(pid, None)?,
            Err(errno) => return Err(errno),
        }
    }
}

/// One that was killed meanwhile is not there to be resumed; its end is told next.
fn resume(pid: Pid, signal: Option<Signal>) -> Result<(), Errno> {
    match ptrace::syscall(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Which call it is in (`/proc/PID/syscall`, its first word).
fn call(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(u64::MAX)
}
