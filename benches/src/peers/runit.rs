//! runit: `runsvdir` over a directory of services, `svlogd` for each one's output.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nexus_tests::Home;

use super::{boxed, services};
use crate::Fault;
use crate::manager::{Job, Manager, run};

const SCANNER: &str = "/usr/bin/runsvdir";

struct Runit {
    home: Home,
}

pub(super) fn new() -> Result<Box<dyn Manager>, Fault> {
    if !Path::new(SCANNER).is_file() {
        return Err("runit is not installed: apt-get install runit".to_owned());
    }
    Ok(boxed(Runit { home: Home::new() }))
}

impl Runit {
    fn scan(&self) -> PathBuf {
        self.home.project().join("services")
    }
}

impl Manager for Runit {
    fn name(&self) -> &'static str {
        "runit"
    }

    fn version(&self) -> Result<String, Fault> {
        let package = ["-W", "-f", "${Version}", "runit"];
        run(Command::new("dpkg-query").args(package))
    }

    fn home(&self) -> &Home {
        &self.home
    }

    fn warm(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn start(&self, job: &Job<'_>) -> Result<(), Fault> {
        // Nothing is rotated.
        let logger = |dir: &Path| {
            let dir = dir.display();
            format!("echo s0 >'{dir}/config'; exec svlogd '{dir}'")
        };
        services(&self.scan(), &self.logs(), job, logger)?;
        let mut scanner = self.home.command(Path::new(SCANNER));
        scanner.arg(self.scan()).stdout(Stdio::null()).stderr(Stdio::null());
        scanner.spawn().map(drop).map_err(|error| format!("{SCANNER}: {error}"))
    }

    fn list(&self) -> Command {
        let mut command = self.home.command(Path::new("/bin/sh"));
        command.args(["-c", "exec sv status \"$0\"/*"]).arg(self.scan());
        command
    }
}
