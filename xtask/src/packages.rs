//! Programs that the tests run, and the Debian packages that bring them.

use std::path::Path;
use std::process::{Command, Stdio};

/// Program → package. Grows with the tests; nothing is in it that no test runs.
const NEEDED: &[(&str, &str)] = &[
    ("curl", "curl"),           // speaks to the control socket as any client would
    ("fsfreeze", "util-linux"), // a disk that hangs
    ("gzip", "gzip"),           // reads rotated logs back
    ("mkfs.ext4", "e2fsprogs"), // the file system on it
    ("mount", "mount"),
    ("node", "nodejs"),    // a worker that speaks over its channel, as PM2's do
    ("perl", "perl-base"), // a fork bomb
    ("prlimit", "util-linux"), // fewer descriptors for one that runs
    ("ps", "procps"),      // the names that an operator sees
    ("promtool", "prometheus"), // reads our metrics as Prometheus does
    ("python3", "python3"), // a worker that is not ours
    // A machine of its own, booted in namespaces, for the unit.
    ("systemctl", "systemd"),
    ("journalctl", "systemd"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("ss", "iproute2"), // how long the queue of a socket may be
];

/// See to it that every program is there: as root by apt-get, else by a sentence that says how.
pub(crate) fn ensure() -> Result<(), String> {
    let missing = missing(NEEDED);
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !root() || find("apt-get").is_none() {
        return Err(format!("the tests need some programs; run as root: {line}"));
    }
    eprintln!("xtask: {line}");
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat())?;
    match self::missing(NEEDED).as_slice() {
        [] => Ok(()),
        still => Err(format!("apt-get brought no program of {}", still.join(", "))),
    }
}

/// Other process managers, to be measured beside us: program → package.
const PEERS: &[(&str, &str)] =
    &[("supervisord", "supervisor"), ("runsvdir", "runit"), ("s6-svscan", "s6")];

/// Bring the other process managers, PM2 into this directory. Whoever cannot be had is not measured,
/// and the page says so.
pub(crate) fn ensure_peers(dir: &Path) {
    let missing = missing(PEERS);
    if !missing.is_empty() && root() && find("apt-get").is_some() {
        let install = [&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat();
        if let Err(problem) = apt(&["update"]).and_then(|()| apt(&install)) {
            eprintln!("xtask: {problem}");
        }
    }
    if dir.join("node_modules/.bin/pm2").is_file() {
        return;
    }
    let Some(npm) = find("npm") else { return };
    let mut install = Command::new(npm);
    install
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(dir)
        .arg("pm2");
    match install.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("xtask: npm install pm2: {status}"),
        Err(error) => eprintln!("xtask: npm: {error}"),
    }
}

/// What `cargo xtask vm` runs: program → package.
const VM: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
    ("unshare", "util-linux"),
    ("systemctl", "systemd"),
];

/// Bring what a machine of its own needs; only root can boot one.
pub(crate) fn ensure_vm() -> Result<(), String> {
    if !root() {
        return Err("only root can boot the machine: it shows it this one's files".into());
    }
    let missing = missing(VM);
    if missing.is_empty() {
        return Ok(());
    }
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat())
}

/// The packages of those programs that are not there.
fn missing(programs: &[(&str, &'static str)]) -> Vec<&'static str> {
    programs.iter().filter(|(program, _)| find(program).is_none()).map(|(_, name)| *name).collect()
}

/// Whether a program is in `PATH`.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Files of `/proc/self` belong to the user we run as.
fn root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&match Path::new("/proc/self").metadata() {
        Ok(metadata) => metadata,
        Err(_) => return false,
    }) == 0
}

/// Run apt-get, which says little.
pub(crate) fn apt(args: &[&str]) -> Result<(), String> {
    let status = Command::new("apt-get")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("apt-get: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("apt-get {}: {status}", args.join(" "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_in_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
