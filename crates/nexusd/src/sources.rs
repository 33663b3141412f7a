//! Variables that are read where a worker is born: files of variables, secrets and credentials.
//! Only where they come from is ever kept.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nexus_spec::{AppSpec, DOTENV_MAX, Source};

/// The longest secret, in bytes: with its siblings it has to fit a template.
pub(crate) const SECRET_MAX: usize = 64 * 1024;
/// Where the service manager has put credentials (`systemd.exec(5)`).
pub(crate) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What the sources of an app say.
#[derive(Debug, Default)]
pub(crate) struct Sourced {
    /// Of `env_file`: below the app's `env`.
    pub(crate) below: BTreeMap<String, String>,
    /// Of `secrets`: above all others.
    pub(crate) above: BTreeMap<String, String>,
}

impl Sourced {
    /// Read them anew. They are files of this machine, small, and bounded.
    ///
    /// # Errors
    /// A sentence that names the source, and never a value.
    pub(crate) fn read(spec: &AppSpec) -> Result<Sourced, String> {
        let mut sourced = Sourced::default();
        for file in &spec.env_file {
            let text = text(file, DOTENV_MAX)
                .map_err(|why| format!("its `env_file` {} {why}", file.display()))?;
            let variables = nexus_spec::dotenv(&text).map_err(|flaw| {
                format!("line {} of its `env_file` {} {}", flaw.line, file.display(), flaw.problem)
            })?;
            sourced.below.extend(variables);
        }
        for (name, source) in &spec.secrets {
            let value = match source {
                // Its worker has it run: see `credentials`.
                Source::Command(_) => continue,
                Source::File(path) => text(path, SECRET_MAX),
                Source::Credential(credential) => match std::env::var_os(CREDENTIALS) {
                    Some(folder) => text(&Path::new(&folder).join(credential), SECRET_MAX),
                    None => Err(format!("cannot be read: {CREDENTIALS} is not set")),
                },
            };
            let value = value.map_err(|why| format!("its secret {name} ({source}) {why}"))?;
            let value =
                secret(&value).map_err(|why| format!("its secret {name} ({source}) {why}"))?;
            sourced.above.insert(name.clone(), value.to_owned());
        }
        Ok(sourced)
    }
}

/// A secret without the end of its line.
pub(crate) fn secret(text: &str) -> Result<&str, &'static str> {
    let value = text.strip_suffix('\n').unwrap_or(text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.contains('\0') { Err("has a NUL character") } else { Ok(value) }
}

/// The text of a regular file. A pipe in its place would make us wait.
fn text(path: &Path, most: usize) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {}", plain(&error));
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY)
        .open(path)
        .map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err("is no file".to_owned());
    }
    let mut text = String::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX) + 1;
    file.take(limit).read_to_string(&mut text).map_err(failed)?;
    match text.len() > most {
        true => Err(format!("is longer than {most} bytes")),
        false => Ok(text),
    }
}

fn plain(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno).desc().to_owned(),
        None => error.to_string(),
    }
}
