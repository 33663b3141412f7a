//! `[daemon]` is carried out: kept, the group's socket opened, and everybody judged by it from
//! then on.

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexus_proto::{Code, Problem, SettingDiff};
use nexus_spec::{DaemonSpec, Difference};
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::command::What;
use crate::daemon::Daemon;
use crate::door;
use crate::held::Held;
use crate::refused::Refusals;

/// The file's name in the state folder.
const FILE: &str = "daemon.json";
/// One that could not be read, when another takes its place.
const ASIDE: &str = "daemon.aside";
/// What it is; another number is not read.
const VERSION: u32 = 1;

/// What holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(default)]
    version: u32,
    #[serde(default)]
    pub(crate) spec: DaemonSpec,
    /// The file that it came from.
    #[serde(default)]
    source: String,
    /// Names looked up when it was set: a nexusd that begins asks nobody.
    #[serde(default)]
    access: Access,
}

/// Who is let in, and who was not.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    settings: Settings,
    pub(crate) refusals: Refusals,
}

/// For the front door: who may come in, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) access: Arc<Access>,
    /// A socket besides the control socket.
    pub(crate) socket: Option<Arc<OwnedFd>>,
    /// Where the group reaches us.
    pub(crate) path: Option<PathBuf>,
}

impl Settings {
    /// As kept; the default if nothing was ever set.
    ///
    /// # Errors
    /// It cannot be read: then nobody is let in but our own user and root.
    pub(crate) fn read(state: &Path) -> io::Result<Settings> {
        let path = state.join(FILE);
        let mut options = fs::OpenOptions::new();
        let file = match options.read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Settings::default()),
            Err(error) => return Err(error),
        };
        let settings: Settings = serde_json::from_reader(io::BufReader::new(file))?;
        match settings.version {
            VERSION => Ok(settings),
            other => Err(io::Error::other(format!("it has the format {other}"))),
        }
    }

    fn write(&self, state: &Path) -> io::Result<()> {
        let temporary = state.join("daemon.new");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        if Settings::read(state).is_err() {
            // Damaged, or of a later version: never overwritten.
            fs::rename(state.join(FILE), state.join(ASIDE))?;
        }
        fs::rename(&temporary, state.join(FILE))?;
        fs::File::open(state)?.sync_all()
    }
}

impl Daemon {
    /// What of `[daemon]` a file wants to be different. A file that has none asks nothing, unless
    /// what holds came from it and it is wanted whole.
    pub(crate) fn daemon_diff(
        &self,
        wanted: Option<&DaemonSpec>,
        source: &str,
        whole: bool,
    ) -> Vec<SettingDiff> {
        let told = |one| {
            let Difference { setting, old, new } = one;
            SettingDiff { setting, old, new }
        };
        let removed = || (whole && self.gate.settings.source == source).then(DaemonSpec::default);
        let wanted = wanted.cloned().or_else(removed);
        let differing = wanted.map(|wanted| self.gate.settings.spec.differences(&wanted));
        differing.unwrap_or_default().into_iter().map(told).collect()
    }

    /// What a request sets, if it sets anything; `access` is its spec with the names looked up.
    pub(crate) fn settings_of(&self, what: &What, access: Option<Access>) -> Option<Settings> {
        let (start, whole) = what.file()?;
        let (spec, access) = match (&start.daemon, access) {
            (Some(spec), Some(access)) => (spec.clone(), access),
            _ if whole && self.gate.settings.source == start.source => Default::default(),
            _ => return None,
        };
        let source = if spec == DaemonSpec::default() { "" } else { start.source.as_str() };
        let settings = Settings { version: VERSION, spec, source: source.to_owned(), access };
        (settings != self.gate.settings).then_some(settings)
    }

    /// From here on it holds.
    ///
    /// # Errors
    /// The socket cannot be opened, or it cannot be kept: then nothing was changed.
    pub(crate) fn set(&mut self, settings: Settings) -> Result<(), Problem> {
        let refused =
            |title: &str, why: String| Problem::new(Code::Refused, title.into()).cause(why);
        let before = self.gate.settings.clone();
        let (old, new) = (place(&before), place(&settings));
        if let Err(why) = self.open_door(&settings) {
            // What was open for the old group is that group's again.
            let _ = self.open_door(&before);
            return Err(refused("the socket for `[daemon] group` cannot be opened", why));
        }
        if let Err(error) = settings.write(&self.home.state()) {
            let _ = self.open_door(&before);
            if let (Ok(Some(new)), false) = (&new, old == new) {
                self.close_door(new);
            }
            return Err(refused(
                "`[daemon]` cannot be kept, and was not changed",
                error.to_string(),
            ));
        }
        self.gate.settings = settings;
        if let (Ok(Some(old)), false) = (&old, old == new) {
            self.close_door(old);
        }
        self.admit();
        Ok(())
    }

    /// As it was kept: for a nexusd that begins. What cannot be done is told, and lets nobody in.
    pub(crate) fn readmit(&mut self) {
        match Settings::read(&self.home.state()) {
            Ok(settings) => self.gate.settings = settings,
            Err(error) => tracing::error!(%error, "{FILE} cannot be read: others are not let in"),
        }
        if let Err(why) = self.open_door(&self.gate.settings.clone()) {
            tracing::error!("the socket for `[daemon] group` cannot be opened: {why}");
            let detail = format!("the socket of the group cannot be opened: {why}");
            self.log(crate::facts::Line::new("config", detail, crate::facts::NOBODY));
        }
        self.admit();
    }

    fn open_door(&mut self, settings: &Settings) -> Result<(), String> {
        let (Some(gid), Some(path)) = (settings.access.group, place(settings)?) else {
            return Ok(());
        };
        let held = Held::Door(path.clone());
        let home_socket = self.home.socket();
        let bound = self.holdings.id(&held).is_some();
        let opened = match door::open(&path, gid, &home_socket, bound) {
            // Its file is gone: nobody could come in by what we hold.
            Err(_) if bound && !path.exists() => {
                let _ = self.holdings.release(&held);
                door::open(&path, gid, &home_socket, false)
            }
            other => other,
        };
        match opened? {
            Some(socket) => {
                let kept = self.holdings.hold(held, socket);
                kept.map(drop).map_err(|error| format!("{}: {error}", path.display()))
            }
            None => Ok(()),
        }
    }

    fn close_door(&mut self, path: &Path) {
        if let Err(error) = self.holdings.release(&Held::Door(path.to_owned())) {
            tracing::warn!(%error, "the group's socket cannot be released");
        }
        door::close(path, &self.home.socket());
    }

    /// The daemon ends: nobody must find a socket behind which nobody is.
    pub(crate) fn close_doors(&self) {
        if let Ok(Some(path)) = place(&self.gate.settings) {
            door::close(&path, &self.home.socket());
        }
        let _ = fs::remove_file(self.home.socket());
    }

    fn admit(&self) {
        let path = place(&self.gate.settings).ok().flatten();
        let socket = path.as_ref().and_then(|path| {
            let held = Held::Door(path.clone());
            self.holdings.id(&held)?;
            self.holdings.duplicate(&held).ok().map(Arc::new)
        });
        let access = Arc::new(self.gate.settings.access.clone());
        self.published.admitted.send_replace(Admitted { access, socket, path });
    }
}

/// Where the group's socket is; `None` = there is no group.
fn place(settings: &Settings) -> Result<Option<PathBuf>, String> {
    if settings.access.group.is_none() {
        return Ok(None);
    }
    settings.spec.socket.clone().map_or_else(door::usual, Ok).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_a_later_format_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(dir.path()).unwrap(), Settings::default());
        let spec: DaemonSpec =
            serde_json::from_str(r#"{"group": "7", "admins": ["group:8", "9"]}"#).unwrap();
        let access = Access::of(&spec).unwrap();
        let settings = Settings { version: VERSION, spec, source: "/p/e.toml".into(), access };
        settings.write(dir.path()).unwrap();
        assert_eq!(Settings::read(dir.path()).unwrap(), settings);
        // Of the first version that had it: it stays readable.
        let first = r#"{"version":1,"spec":{"group":"7","socket":null,"viewers":[],"operators":[],"admins":["group:8","9"]},"source":"/p/e.toml","access":{"group":7,"users":{"9":"admin"},"groups":{"8":"admin"}}}"#;
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), first);
        fs::write(dir.path().join(FILE), first.replace("\"version\":1", "\"version\":2")).unwrap();
        assert!(Settings::read(dir.path()).is_err());
        settings.write(dir.path()).unwrap();
        assert_eq!(Settings::read(dir.path()).unwrap(), settings);
        let aside = fs::read_to_string(dir.path().join(ASIDE)).unwrap();
        assert!(aside.contains("\"version\":2"), "{aside}");
    }
}
