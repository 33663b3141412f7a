//! A command that runs while the test goes on.

use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::home::Home;
use crate::process::Process;
use crate::program::{Output, program, run};
use crate::wait::{PROMPT, wait_for};

/// How long a command in the background may take in all.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// A command in the background whose output is kept.
pub struct Running(JoinHandle<Output>);

impl Running {
    /// Its end.
    ///
    /// # Panics
    /// When it has taken longer than a minute.
    #[track_caller]
    pub fn end(self) -> Output {
        match self.0.join() {
            Ok(output) => output,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        self.0.is_finished()
    }
}

/// A program that a test ends by a signal. Dropping it kills it.
pub struct Foreground(Child);

impl Foreground {
    /// Its process.
    pub fn process(&self) -> Process {
        Process(i32::try_from(self.0.id()).unwrap_or(0))
    }

    /// Send it a signal and wait for its end; its exit code, `None` when a signal ended it.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn end_by(&mut self, signal: Signal) -> Option<i32> {
        self.process().signal(signal);
        wait_for(PROMPT, &format!("its end by {signal}"), || self.0.try_wait().ok().flatten())
            .code()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Home {
    /// Run `nexusctl` with these arguments in the background.
    ///
    /// # Panics
    /// When it is not built.
    #[track_caller]
    pub fn begin(&self, args: &[&str]) -> Running {
        let mut command = self.command(&program("nexusctl"));
        command.args(args);
        Running(std::thread::spawn(move || run(&mut command, COMMAND_MAX)))
    }

    /// Run `nexusctl` in the foreground of nobody, its output into a file of the project.
    ///
    /// # Panics
    /// When it can not be run.
    #[track_caller]
    pub fn foreground(&self, args: &[&str], output: &str) -> Foreground {
        let mut command: Command = self.command(&program("nexusctl"));
        let file = std::fs::File::create(self.project().join(output));
        let file = file.unwrap_or_else(|error| panic!("{output}: {error}"));
        let twin = file.try_clone().unwrap_or_else(|error| panic!("{output}: {error}"));
        let child = command.args(args).stdout(Stdio::from(file)).stderr(Stdio::from(twin)).spawn();
        Foreground(child.unwrap_or_else(|error| panic!("can not run nexusctl: {error}")))
    }
}
