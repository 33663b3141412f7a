//! The bare limit: spawn, wait and copy in one process, with nothing else to do.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::fcntl::{SpliceFFlags, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Fault;
use crate::stamps::Stamps;

/// The most that one splice or read takes: a whole pipe.
const CHUNK: usize = 64 * 1024;

/// A worker that ends with us.
pub(crate) struct Bare(Child);

impl Drop for Bare {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Bare {
    /// `posix_spawn` of this program with these arguments: the least that a spawn can cost.
    pub(crate) fn spawn(args: &[&str], stdout: Stdio) -> Result<Bare, Fault> {
        let me = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(me);
        command.args(args).stdin(Stdio::null()).stdout(stdout);
        command.spawn().map(Bare).map_err(|error| format!("spawn: {error}"))
    }

    /// A worker that stamps and stays.
    pub(crate) fn worker(stamps: &Stamps) -> Result<Bare, Fault> {
        Bare::spawn(&["worker", &stamps.path.to_string_lossy()], Stdio::null())
    }

    /// SIGKILL, wait, spawn the next: the loop whose time is the limit.
    pub(crate) fn replace(&mut self, stamps: &Stamps) -> Result<(), Fault> {
        self.0.kill().map_err(|error| error.to_string())?;
        self.0.wait().map_err(|error| error.to_string())?;
        *self = Bare::worker(stamps)?;
        Ok(())
    }

    /// Its pipe, when it was spawned with one.
    pub(crate) fn output(&mut self) -> Result<ChildStdout, Fault> {
        self.0.stdout.take().ok_or_else(|| "no pipe".to_owned())
    }
}

/// How bytes go from a pipe to a file.
#[derive(Clone, Copy)]
pub(crate) enum Copy {
    /// In the kernel.
    Splice,
    /// Through a buffer of ours.
    ReadWrite,
}

/// Move everything from these pipes into files of `dir`, one each, until all are at their end;
/// the number of bytes.
pub(crate) fn copy_all(how: Copy, pipes: Vec<ChildStdout>, dir: &Path) -> Result<u64, Fault> {
    let mut lines = Vec::new();
    for (index, pipe) in pipes.into_iter().enumerate() {
        let file = File::create(dir.join(format!("limit-{index}.log")));
        lines.push((pipe, file.map_err(|error| error.to_string())?));
    }
    let mut total = 0;
    let mut buffer = vec![0; CHUNK];
    while !lines.is_empty() {
        let ready: Vec<bool> = {
            let mut fds: Vec<PollFd<'_>> = lines
                .iter()
                .map(|(pipe, _)| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
                .collect();
            poll(&mut fds, PollTimeout::NONE).map_err(|errno| errno.to_string())?;
            fds.iter().map(|fd| fd.any().unwrap_or(true)).collect()
        };
        let mut done = Vec::new();
        for (index, (pipe, file)) in lines.iter_mut().enumerate().filter(|(i, _)| ready[*i]) {
            let moved = match how {
                Copy::Splice => {
                    splice(&*pipe, None, &*file, None, CHUNK, SpliceFFlags::SPLICE_F_MOVE)
                        .map_err(|errno| format!("splice: {errno}"))?
                }
                Copy::ReadWrite => {
                    let length = pipe.read(&mut buffer).map_err(|error| error.to_string())?;
                    file.write_all(&buffer[..length]).map_err(|error| error.to_string())?;
                    length
                }
            };
            total += moved as u64;
            if moved == 0 {
                done.push(index);
            }
        }
        for index in done.into_iter().rev() {
            lines.remove(index);
        }
    }
    Ok(total)
}
