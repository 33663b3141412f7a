//! `MAINPID=` (`sd_notify(3)`): a worker says which process of its tree is its main one from here
//! on: a server that executes its successor itself, or a program that goes on in a child.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use nexus_core::{ChildId, Event, Pid};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::daemon::Daemon;
use crate::facts::NOBODY;
use crate::notify::main_of;

impl Daemon {
    /// From here on this process gets the signals, is measured, and ends the worker when it ends.
    /// It must be a descendant of the one that has been the main process: anything else is told,
    /// and changes nothing.
    pub(crate) fn set_main(&mut self, child: ChildId, pid: i32) {
        let Some(&old) = self.pid_by_child.get(&child.0) else { return };
        // The last one that it names counts.
        self.next_mains.remove(&child.0);
        if pid == old || self.pids.get(&pid) == Some(&child.0) {
            return;
        }
        if self.holdings.link.main_waits(child.0) {
            // It may name others all the time, and the keeper may be busy.
            self.next_mains.insert(child.0, pid);
            return;
        }
        let pidfd = match self.descendant(pid, old) {
            Ok(pidfd) => pidfd,
            Err(why) => return self.tell_main_refused(child, pid, why),
        };
        match self.holdings.link.set_main(child.0, pid, pidfd) {
            // A keeper that is gone is replaced by the loop, with what it was told.
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => {
                let why = format!("the keeper cannot be told of: {error}");
                return self.tell_main_refused(child, pid, &why);
            }
        }
        // Whatever it says meanwhile, it is this child's.
        self.pids.insert(pid, child.0);
    }

    /// The keeper has answered.
    pub(crate) fn main_is_set(&mut self, child: ChildId, pid: i32, errno: i32) {
        let next = self.next_mains.remove(&child.0);
        self.main_is_answered(child, pid, errno);
        if let Some(next) = next {
            self.set_main(child, next);
        }
    }

    fn main_is_answered(&mut self, child: ChildId, pid: i32, errno: i32) {
        let old = self.pid_by_child.get(&child.0).copied();
        // Also of one that has ended since: somebody else may have that number next.
        if Some(pid) != old && self.pids.get(&pid) == Some(&child.0) {
            self.pids.remove(&pid);
        }
        let Some(old) = old else { return };
        if errno != 0 {
            let words = nix::errno::Errno::from_raw(errno).desc();
            let why = format!("the keeper cannot take in place of the one it has: {words}");
            return self.tell_main_refused(child, pid, &why);
        }
        self.pids.remove(&old);
        self.pids.insert(pid, child.0);
        self.pid_by_child.insert(child.0, pid);
        self.holdings.dies(child.0);
        self.holdings.lives(child.0);
        self.keep_run(child.0);
        self.sampling.forget(child.0);
        self.sample(child.0);
        self.turn(Event::Main { child, pid: Pid(pid) }, NOBODY);
        self.tell_main(child, pid, old);
    }

    /// A pidfd that is certain to be of a process below `main`.
    fn descendant(&self, pid: i32, main: i32) -> Result<OwnedFd, &'static str> {
        const GONE: &str = "is not there";
        let pidfd = rustix::process::Pid::from_raw(pid)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .ok_or(GONE)?;
        if main_of(pid, |pid| self.pids.contains_key(&pid)) != Some(main) {
            return Err("does not descend from the one it has");
        }
        // What was read was read of this process only if it has not ended meanwhile.
        let mut asked = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut asked, PollTimeout::ZERO) {
            Ok(0) => Ok(pidfd),
            Ok(_) | Err(_) => Err(GONE),
        }
    }
}
