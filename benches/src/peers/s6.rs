//! s6: `s6-svscan` over a directory of services, `s6-log` for each one's output.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nexus_tests::Home;

use super::{boxed, services};
use crate::Fault;
use crate::manager::{Job, Manager, run};

const SCANNER: &str = "/usr/bin/s6-svscan";

struct S6 {
    home: Home,
}

pub(super) fn new() -> Result<Box<dyn Manager>, Fault> {
    if !Path::new(SCANNER).is_file() {
        return Err("s6 is not installed: apt-get install s6".to_owned());
    }
    Ok(boxed(S6 { home: Home::new() }))
}

impl S6 {
    fn scan(&self) -> PathBuf {
        self.home.project().join("services")
    }
}

impl Manager for S6 {
    fn name(&self) -> &'static str {
        "s6"
    }

    fn version(&self) -> Result<String, Fault> {
        run(Command::new("dpkg-query").args(["-W", "-f", "${Version}", "s6"]))
    }

    fn home(&self) -> &Home {
        &self.home
    }

    fn warm(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn start(&self, job: &Job<'_>) -> Result<(), Fault> {
        // The largest size that it takes before it rotates.
        let logger = |dir: &Path| format!("exec s6-log s268435455 '{}'", dir.display());
        services(&self.scan(), &self.logs(), job, logger)?;
        let mut scanner = self.home.command(Path::new(SCANNER));
        scanner.args(["-c", "1000"]).arg(self.scan());
        scanner.stdout(Stdio::null()).stderr(Stdio::null());
        scanner.spawn().map(drop).map_err(|error| format!("{SCANNER}: {error}"))
    }

    /// It has no list: its users ask for one service after another.
    fn list(&self) -> Command {
        let mut command = self.home.command(Path::new("/bin/sh"));
        command.args(["-c", "for d in \"$0\"/*; do s6-svstat \"$d\" || exit; done"]);
        command.arg(self.scan());
        command
    }
}
