//! supervisord: one daemon, told by `supervisorctl update` to read its file again.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nexus_tests::Home;

use super::{boxed, version_in};
use crate::Fault;
use crate::manager::{Job, Manager, me, run};
use crate::stamps::until;

const DAEMON: &str = "/usr/bin/supervisord";
const CONTROL: &str = "/usr/bin/supervisorctl";
/// How long the daemon may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(10);

struct Supervisord {
    home: Home,
}

pub(super) fn new() -> Result<Box<dyn Manager>, Fault> {
    if !Path::new(DAEMON).is_file() {
        return Err("supervisord is not installed: apt-get install supervisor".to_owned());
    }
    Ok(boxed(Supervisord { home: Home::new() }))
}

impl Supervisord {
    fn write(&self, job: Option<&Job<'_>>) -> Result<PathBuf, Fault> {
        let dir = self.home.project();
        let dir = dir.display();
        let mut text = format!(
            "[supervisord]\nlogfile = {dir}/supervisord.log\npidfile = {dir}/supervisord.pid\n\
             childlogdir = {dir}\nminfds = 8192\n\
             [unix_http_server]\nfile = {dir}/control\n\
             [supervisorctl]\nserverurl = unix://{dir}/control\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        );
        if let Some(Job { name, args, instances }) = job {
            let (me, args, logs) = (me()?, args.join(" "), self.logs());
            let logs = logs.display();
            let _fine = write!(
                text,
                "[program:{name}]\ncommand = {me} {args}\nnumprocs = {instances}\n\
                 process_name = %(program_name)s-%(process_num)d\nautorestart = true\n\
                 startsecs = 0\nstdout_logfile_maxbytes = 0\nstderr_logfile_maxbytes = 0\n\
                 stdout_logfile = {logs}/{name}-out-%(process_num)d.log\n\
                 stderr_logfile = {logs}/{name}-error-%(process_num)d.log\n"
            );
        }
        Ok(self.home.write("supervisord.conf", &text))
    }

    fn control(&self) -> Command {
        let mut command = self.home.command(Path::new(CONTROL));
        command.arg("-c").arg(self.home.project().join("supervisord.conf"));
        command
    }
}

impl Manager for Supervisord {
    fn name(&self) -> &'static str {
        "supervisord"
    }

    fn version(&self) -> Result<String, Fault> {
        Ok(version_in(&run(self.home.command(Path::new(DAEMON)).arg("--version"))?))
    }

    fn home(&self) -> &Home {
        &self.home
    }

    fn warm(&self) -> Result<(), Fault> {
        std::fs::create_dir_all(self.logs()).map_err(|error| error.to_string())?;
        let file = self.write(None)?;
        run(self.home.command(Path::new(DAEMON)).arg("-c").arg(file))?;
        until(PATIENCE, "supervisord", || run(self.control().arg("version")).ok()).map(drop)
    }

    fn start(&self, job: &Job<'_>) -> Result<(), Fault> {
        self.write(Some(job))?;
        run(self.control().arg("update")).map(drop)
    }

    fn list(&self) -> Command {
        let mut command = self.control();
        command.arg("status");
        command
    }
}
