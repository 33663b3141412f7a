//! The home: where a daemon's socket, logs and state are.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::dialect::Dialect;
use crate::service;

/// A home directory of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// `$NEXUS_HOME`, else `~/.nexus`, made absolute; in PM2's dialect `$PM2_HOME` before both. For
    /// root on a machine that systemd runs `/var/lib/nexus`, unless there is a daemon's state in
    /// `~/.nexus` from before.
    ///
    /// # Errors
    /// When neither NEXUS_HOME nor HOME is set, or the current directory is gone.
    pub(crate) fn from_env(dialect: Dialect) -> io::Result<Home> {
        if dialect == Dialect::Pm2
            && let Some(home) = nexus_pm2::home(std::env::var_os("PM2_HOME"))
        {
            return Ok(Home(std::path::absolute(home)?));
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = nix::unistd::geteuid().is_root() && service::booted();
        let path = match (set("NEXUS_HOME"), set("HOME")) {
            (Some(home), _) => PathBuf::from(home),
            (None, Some(user)) => {
                let own = PathBuf::from(user).join(".nexus");
                if root && !own.join("state").is_dir() { service::ROOT_HOME.into() } else { own }
            }
            (None, None) if root => service::ROOT_HOME.into(),
            (None, None) => {
                let problem = "neither NEXUS_HOME nor HOME is set";
                return Err(io::Error::new(io::ErrorKind::NotFound, problem));
            }
        };
        Ok(Home(std::path::absolute(path)?))
    }

    /// A home by its path.
    pub(crate) fn at(path: PathBuf) -> Home {
        Home(path)
    }

    /// Made with mode 0700 if it is not there.
    ///
    /// # Errors
    /// As `mkdir(2)`.
    pub(crate) fn create(&self) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("nexus.sock")
    }

    /// The logs of apps.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The daemon's own log.
    pub(crate) fn daemon_log(&self) -> PathBuf {
        self.0.join("nexusd.log")
    }
}
