//! systemd, as a command meets it: is it there, which unit runs a home's daemon, and orders to it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::home::Home;

/// Exists while systemd is the machine's process 1 (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
/// The home of root's daemon where systemd runs the machine.
pub(crate) const ROOT_HOME: &str = "/var/lib/nexus";

/// Whether systemd runs this machine.
pub(crate) fn booted() -> bool {
    Path::new(BOOTED).is_dir()
}

/// What runs this machine instead, for people.
pub(crate) fn instead() -> String {
    let name = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}

/// The unit that runs this home's daemon, when its daemon last ran under one.
pub(crate) fn unit_of(home: &Home) -> Option<String> {
    let unit = std::fs::read_to_string(marker(home)).ok()?;
    let unit = unit.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@:\\".contains(c);
    let is_unit = unit.ends_with(".service") && !unit.starts_with('-') && unit.chars().all(plain);
    (booted() && is_unit).then(|| unit.to_owned())
}

/// Where nexusd notes the unit that runs it.
pub(crate) fn marker(home: &Home) -> PathBuf {
    home.path().join("state").join("unit")
}

/// Run `systemctl`; what it prints on stdout.
///
/// # Errors
/// What it said on stderr, in one line.
pub(crate) fn systemctl(args: &[&str]) -> io::Result<String> {
    let output = Command::new("systemctl")
        .args(["--no-ask-password", "--no-pager"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::other(format!("systemctl cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = nexus_log::printable(said.trim().replace('\n', " ").as_bytes(), false);
    Err(io::Error::other(format!("systemctl {}: {said}", args.join(" "))))
}
