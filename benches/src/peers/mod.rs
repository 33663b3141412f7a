//! The process managers that are measured beside us, where they are installed.

mod pm2;
mod runit;
mod s6;
mod supervisord;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::Fault;
use crate::managed::Managed;
use crate::manager::{Job, Manager, me};

/// Makes a manager in a new home; a sentence where it is not installed.
pub(crate) type Make = fn() -> Result<Box<dyn Manager>, Fault>;

/// Us first, then the others.
pub(crate) const ALL: [Make; 5] =
    [|| Managed::new().map(boxed), pm2::new, supervisord::new, runit::new, s6::new];

fn boxed<M: Manager + 'static>(manager: M) -> Box<dyn Manager> {
    Box::new(manager)
}

/// Write a directory of services as runit and s6 know them: `run` for a worker, `log/run` for its
/// logger, which is told the directory to write into.
fn services(
    scan: &Path,
    logs: &Path,
    job: &Job<'_>,
    logger: impl Fn(&Path) -> String,
) -> Result<(), Fault> {
    let me = me()?;
    let args: Vec<String> = job.args.iter().map(|arg| format!("'{arg}'")).collect();
    for number in 0..job.instances {
        let (service, log) = (scan.join(number.to_string()), scan.join(format!("{number}/log")));
        let output = logs.join(format!("{}-out-{number}", job.name));
        fs::create_dir_all(&log).map_err(|error| error.to_string())?;
        fs::create_dir_all(&output).map_err(|error| error.to_string())?;
        let worker = format!("exec '{me}' {} 2>&1", args.join(" "));
        script(&service.join("run"), &worker)?;
        script(&log.join("run"), &logger(&output))?;
    }
    Ok(())
}

fn script(path: &Path, line: &str) -> Result<(), Fault> {
    let fault = |error: std::io::Error| format!("{}: {error}", path.display());
    fs::write(path, format!("#!/bin/sh\n{line}\n")).map_err(fault)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(fault)
}

/// The first number with a dot in what a program says of itself.
fn version_in(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';');
    let mut words = words.map(|word| word.trim_start_matches('v'));
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    words.rfind(is_version).unwrap_or("unknown version").to_owned()
}
