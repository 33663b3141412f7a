//! PM2, from npm: `npm install --prefix target/peers pm2`.

use std::path::PathBuf;
use std::process::Command;

use nexus_tests::{Home, program_dir};
use serde_json::json;

use super::{boxed, version_in};
use crate::Fault;
use crate::manager::{Job, Manager, me, run};

struct Pm2 {
    home: Home,
    program: PathBuf,
}

pub(super) fn new() -> Result<Box<dyn Manager>, Fault> {
    // Of `target/release`, where we are.
    let program = program_dir().join("../peers/node_modules/.bin/pm2");
    if !program.is_file() {
        return Err("pm2 is not installed: npm install --prefix target/peers pm2".to_owned());
    }
    Ok(boxed(Pm2 { home: Home::new(), program }))
}

impl Pm2 {
    fn command(&self) -> Command {
        let mut command = self.home.command(&self.program);
        // Its interactive module, as shipped; no colours for either side.
        command.env("PM2_HOME", self.home.path());
        command
    }
}

impl Manager for Pm2 {
    fn name(&self) -> &'static str {
        "pm2"
    }

    fn version(&self) -> Result<String, Fault> {
        Ok(version_in(&run(self.command().arg("--version"))?))
    }

    fn home(&self) -> &Home {
        &self.home
    }

    fn warm(&self) -> Result<(), Fault> {
        run(self.command().arg("ping")).map(drop)
    }

    fn start(&self, job: &Job<'_>) -> Result<(), Fault> {
        let app = json!({
            "name": job.name, "script": me()?, "args": job.args, "instances": job.instances,
            "exec_mode": "fork", "interpreter": "none", "min_uptime": 0, "max_restarts": 1_000_000,
        });
        let file = self.home.write("app.json", &json!({ "apps": [app] }).to_string());
        run(self.command().arg("start").arg(file)).map(drop)
    }

    fn list(&self) -> Command {
        let mut command = self.command();
        command.arg("list");
        command
    }

    fn logs(&self) -> PathBuf {
        self.home.path().join("logs")
    }
}
