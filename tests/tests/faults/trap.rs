//! Death at an exact instant: at the n-th system call that the threads of a process make.
//!
//! Between two system calls nothing of a process can be seen from outside, but in memory that it
//! shares, as the keeper and nexusd do: for that, a death may also come some instructions after a
//! call. The program is the one that is shipped: nothing is compiled into it for this.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nexus_tests::Process;
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::threads::{CALLS, Threads};

/// Between two looks at a process that is in no system call that we wait for.
pub(crate) const LOOK: Duration = Duration::from_micros(50);

/// What is asked of the kernel about a process whose child is awaited.
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
    /// SIGKILL so many instructions after the call, or just before the next one.
    Within(u32),
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
    Threads::of(child).map(Some)
}
