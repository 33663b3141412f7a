//! The same workers under Nexus, in a home of their own, through `nexusctl`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nexus_tests::{Home, Output, Process, program_dir};

use crate::Fault;
use crate::manager::{Job, Manager, me, run};
use crate::stamps::{Stamps, until};

/// How long the pair may take to be seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A home with a running pair. Dropping it ends everything in it.
pub(crate) struct Managed {
    pub(crate) home: Home,
    pub(crate) nexusctl: PathBuf,
}

impl Managed {
    /// A home in which nothing runs.
    pub(crate) fn new() -> Result<Managed, Fault> {
        let nexusctl = program_dir().join("nexusctl");
        if !nexusctl.is_file() {
            return Err(format!("{} is not built; run `cargo xtask bench`", nexusctl.display()));
        }
        Ok(Managed { home: Home::new(), nexusctl })
    }

    /// A home whose pair is up: one start and delete, so that no measurement pays for the first.
    pub(crate) fn begin() -> Result<Managed, Fault> {
        let ours = Managed::new()?;
        ours.warm()?;
        Ok(ours)
    }

    /// A directory for files of the measurements, on the file system of the logs.
    pub(crate) fn dir(&self) -> PathBuf {
        self.home.project()
    }

    /// Start an app that runs this program with these arguments, and wait until it is up. `more`
    /// are further lines of its section.
    pub(crate) fn start(
        &self,
        name: &str,
        args: &[&str],
        instances: usize,
        more: &str,
    ) -> Result<(), Fault> {
        let me = me()?;
        let text = format!(
            "[[apps]]\nname = {name:?}\nscript = {:?}\nargs = {args:?}\ninstances = {instances}\n\
             ready = \"delay:1ms\"\nmin_uptime = 0\nmax_restarts = 1000000\n{more}\n",
            me
        );
        let file = self.dir().join(format!("{name}.toml"));
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        self.ctl(&["start", &file.to_string_lossy()]).map(|_| ())
    }

    /// Delete an app.
    pub(crate) fn delete(&self, name: &str) -> Result<(), Fault> {
        self.ctl(&["delete", name]).map(|_| ())
    }

    fn ctl(&self, args: &[&str]) -> Result<Output, Fault> {
        let output = self.home.ctl(args);
        if output.code == 0 {
            return Ok(output);
        }
        let said = output.stderr.lines().next().unwrap_or("nothing on standard error");
        Err(format!("`nexusctl {}` exits {}: {said}", args.join(" "), output.code))
    }

    /// The keeper and the daemon.
    pub(crate) fn pair(&self) -> Result<[Process; 2], Fault> {
        until(PATIENCE, "nexus-keeper and nexusd", || {
            Some([self.home.keeper()?, self.home.daemon()?])
        })
    }
}

impl Manager for Managed {
    fn name(&self) -> &'static str {
        "nexus"
    }

    fn version(&self) -> Result<String, Fault> {
        let said = run(self.home.command(&self.nexusctl).arg("--version"))?;
        Ok(said.split_whitespace().nth(1).unwrap_or("unknown version").to_owned())
    }

    fn home(&self) -> &Home {
        &self.home
    }

    fn warm(&self) -> Result<(), Fault> {
        let stamps = Stamps::new(self.home.project().join("warm"))?;
        Managed::start(self, "warm", &["worker", &stamps.path.to_string_lossy()], 1, "")?;
        stamps.wait(1).map_err(|problem| format!("`nexusctl start` ran nothing: {problem}"))?;
        self.delete("warm")
    }

    fn start(&self, job: &Job<'_>) -> Result<(), Fault> {
        Managed::start(self, job.name, job.args, job.instances, "log = { max_size = \"none\" }")
    }

    fn list(&self) -> Command {
        let mut command = self.home.command(&self.nexusctl);
        command.arg("list");
        command
    }

    fn logs(&self) -> PathBuf {
        self.home.path().join("logs")
    }
}
