//! A private home: a pair of its own for one test, and nothing left of it afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{Process, with_env};
use crate::program::{Output, program, run};
use crate::wait::wait_for;

/// The longest that one command of a test may take.
const COMMAND_MAX: Duration = Duration::from_secs(60);
/// How long `nexusctl kill` may take at the end of a test, stop time-outs of workers included.
const KILL_MAX: Duration = Duration::from_secs(15);
/// How long SIGKILL may take to empty a process table.
const SWEEP_MAX: Duration = Duration::from_secs(10);

/// A private `NEXUS_HOME` in a temporary directory, with a directory for project files beside it.
/// Dropping it ends everything that was started there.
pub struct Home {
    dir: TempDir,
}

impl Default for Home {
    fn default() -> Home {
        Home::new()
    }
}

impl Home {
    /// An empty home. No process is started.
    ///
    /// # Panics
    /// When there is no room for a temporary directory.
    #[track_caller]
    pub fn new() -> Home {
        let dir = tempfile::Builder::new().prefix("nexus-test-").tempdir();
        let dir = dir.unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        let project = dir.path().join("project");
        std::fs::create_dir(&project).unwrap_or_else(|error| panic!("{error}"));
        Home { dir }
    }

    /// `NEXUS_HOME`. The daemon makes it.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A directory for the test's own files; commands run there.
    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// Write a file into the project directory.
    ///
    /// # Panics
    /// When it can not be written.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project().join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// A program with this home in its environment, the project as its directory, no standard
    /// input, and nothing of the tester's own settings.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if ["NEXUS_", "PM2_", "NOTIFY_", "LISTEN_"].iter().any(|own| name.starts_with(own)) {
                command.env_remove(&key);
            }
        }
        command
            .env("NEXUS_HOME", self.path())
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.project())
            .stdin(Stdio::null());
        command
    }

    /// Run `nexusctl` with these arguments to its end.
    ///
    /// # Panics
    /// When it takes longer than a minute.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Output {
        self.ctl_within(COMMAND_MAX, args)
    }

    /// As [`Home::ctl`], with a deadline of one's own.
    ///
    /// # Panics
    /// When it takes longer.
    #[track_caller]
    pub fn ctl_within(&self, deadline: Duration, args: &[&str]) -> Output {
        run(self.command(&program("nexusctl")).args(args), deadline)
    }

    /// Every live process that carries this home in its environment: the pair and all workers.
    pub fn processes(&self) -> Vec<Process> {
        with_env("NEXUS_HOME", &self.path().to_string_lossy())
    }

    /// The keeper, if one lives.
    pub fn keeper(&self) -> Option<Process> {
        self.named("nexus-keeper")
    }

    /// The daemon, if one lives.
    pub fn daemon(&self) -> Option<Process> {
        self.named("nexusd")
    }

    fn named(&self, comm: &str) -> Option<Process> {
        self.processes().into_iter().find(|process| process.comm().as_deref() == Some(comm))
    }

    /// SIGKILL to everything of this home. The pair is frozen first: otherwise one would replace
    /// the other, or a worker, while we kill.
    fn sweep(&self) {
        wait_for(SWEEP_MAX, "the end of everything in the test's home", || {
            let left = self.processes();
            let pair = |process: &&Process| {
                matches!(process.comm().as_deref(), Some("nexus-keeper" | "nexusd"))
            };
            left.iter().filter(pair).for_each(|process| process.signal(Signal::SIGSTOP));
            left.iter().for_each(|process| process.signal(Signal::SIGKILL));
            left.is_empty().then_some(())
        });
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if self.keeper().is_some() || self.daemon().is_some() {
                self.ctl_within(KILL_MAX, &["kill"]);
            }
        }));
        let swept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.sweep()));
        // A panic while panicking would abort and hide the first, which is the one that counts.
        if let (Err(panic), false) = (asked.and(swept), std::thread::panicking()) {
            std::panic::resume_unwind(panic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PROMPT;

    #[test]
    fn what_carries_the_home_ends_with_it() {
        let home = Home::new();
        let path = home.path();
        let mut child = home.command(Path::new("sleep")).arg("1000").spawn().unwrap();
        let mut ended = None;
        wait_for(PROMPT, "sleep to be seen", || home.processes().pop());
        assert!(home.keeper().is_none() && home.daemon().is_none());
        drop(home);
        wait_for(PROMPT, "its end", || {
            ended = child.try_wait().unwrap();
            ended
        });
        assert!(ended.is_some() && !path.exists());
    }

    #[test]
    fn commands_see_the_home_and_none_of_the_testers_settings() {
        let home = Home::new();
        let output = run(&mut home.command(Path::new("env")), PROMPT).ok();
        assert!(output.stdout.contains(&format!("NEXUS_HOME={}\n", home.path().display())));
        assert!(!output.stdout.contains("PM2_HOME="));
    }
}
