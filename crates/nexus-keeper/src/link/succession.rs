//! The keeper is dead: nexusd takes its place, or finds it a successor.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use super::{Handoff, Link};
use crate::handoff::{self, Table};
use crate::sys::{files, process, socket};

impl Link {
    /// Become the keeper: proof of death must have been seen on [`Link::keeper_pidfd`]. Executes
    /// our own program into the keeper's role; returns only when that failed.
    ///
    /// Call it from any thread; the others end with the exec. One that is stuck in the kernel
    /// delays it: then use [`Link::found_fresh_keeper`].
    pub fn promote(mut self) -> io::Error {
        self.drain();
        let table = self.table();
        let handoff = match table.write() {
            Ok(handoff) => handoff,
            Err(e) => return e,
        };
        let argv = handoff::argv(crate::ARG_KEEPER, &handoff);
        let command = process::Command::new(&argv, &handoff::environment(&self.home));
        table.set_inherited(true);
        let error = command.exec(c"/proc/self/exe");
        table.set_inherited(false);
        error
    }

    /// Where [`Link::promote`] would wait for a stuck thread: fork a fresh keeper that keeps this
    /// nexusd, and begin anew with it: what is returned is what a new nexusd would find, since what
    /// the old keeper had not read, or had not told, is lost. Proof of its death must have been
    /// seen. Until `Order::Resumed` the new one decides what follows an exit. [`Link::socket`] and
    /// [`Link::keeper_pidfd`] are others than before.
    ///
    /// # Errors
    /// What fork, socketpair and memfd_create say; then nothing has changed.
    pub fn found_fresh_keeper(&mut self) -> io::Result<Handoff> {
        self.drain();
        let (ours, theirs) = socket::pair(true)?;
        // It takes the keeper's lock by a description of its own: ours stays nexusd's.
        let lock = crate::lock::open(&self.home)?;
        let own = process::pidfd_open(std::process::id().cast_signed())?;
        let mut table = self.table();
        table.link = Some(theirs.as_raw_fd());
        table.lock = Some(lock.as_raw_fd());
        table.peer = Some((std::process::id().cast_signed(), own.as_raw_fd()));
        let handoff = table.write()?;
        let argv = handoff::argv(crate::ARG_KEEPER, &handoff);
        let command = process::Command::new(&argv, &handoff::environment(&self.home));
        let inherited: Vec<RawFd> = table.descriptors().collect();
        match process::fork(false, None)? {
            process::Forked::Child => {
                // We may have had threads: from here on only system calls.
                for fd in inherited {
                    let _ = files::set_cloexec(fd, false);
                }
                process::default_signals();
                command.exec(c"/proc/self/exe");
                process::exit_now(127)
            }
            process::Forked::Parent(pid, pidfd) => {
                self.keeper = (pid, pidfd);
                self.socket = ours;
                let children = std::mem::take(&mut self.children);
                self.handoff(children)
            }
        }
    }

    /// Take what the dead keeper had still said: pidfds of its last spawns.
    fn drain(&mut self) {
        while let Ok(Some(_)) = self.recv() {}
        self.queue.clear();
        (self.queued, self.again_at) = (0, None);
        self.take_mains();
    }

    fn table(&self) -> Table {
        let (held, children) = (self.mirror.iter(), self.children.iter());
        Table {
            home: self.home.clone(),
            arena: self.arena.fd().as_raw_fd(),
            lock: Some(self.lock.as_raw_fd()),
            limits: self.limits,
            cgroup: self.cgroup.clone(),
            held: held.map(|(id, (fd, note))| (*id, fd.as_raw_fd(), note.clone())).collect(),
            children: children.map(|(child, (pid, fd))| (*child, fd.as_raw_fd(), *pid)).collect(),
            old_program: self.old_program.as_ref().map(AsRawFd::as_raw_fd),
            undone: self.undone(),
            ..Table::default()
        }
    }
}
