//! Whose home: PM2's own variable goes before ours, and a living PM2 is not stepped upon.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How PM2 calls its daemon's process.
const TITLE: &str = "PM2 v";
/// Where it writes its pid.
const PID_FILE: &str = "pm2.pid";

/// The home that is meant: `$PM2_HOME`; `None` = ours.
pub fn home(pm2_home: Option<OsString>) -> Option<PathBuf> {
    pm2_home.filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// The pid of a PM2 that runs with this home. Its file may be old: the process has to be one.
pub fn real_daemon(home: &Path) -> Option<u32> {
    let pid: u32 = std::fs::read_to_string(home.join(PID_FILE)).ok()?.trim().parse().ok()?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    name.starts_with(TITLE).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_pid_file_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(real_daemon(dir.path()), None);
        std::fs::write(dir.path().join(PID_FILE), std::process::id().to_string()).unwrap();
        assert_eq!(real_daemon(dir.path()), None, "we are no PM2");
        std::fs::write(dir.path().join(PID_FILE), "x").unwrap();
        assert_eq!(real_daemon(dir.path()), None);
    }

    #[test]
    fn an_empty_variable_is_none() {
        assert_eq!(home(Some("".into())), None);
        assert_eq!(home(Some("/h".into())), Some("/h".into()));
        assert_eq!(home(None), None);
    }
}
