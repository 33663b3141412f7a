//! The unit: whose, where, with which program; and its text, which is the committed example with
//! those filled in.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::service::ROOT_HOME;

/// The example, which is the text for root's daemon.
const EXAMPLE: &str = include_str!("../../../../../examples/systemd/nexusd.service");
/// The program in it.
const EXAMPLE_PROGRAM: &str = "/usr/local/bin/nexusctl";
/// First words of every unit of ours: only such a one is overwritten or removed.
pub(super) const OURS: &str = "# Written by `nexusctl startup`";
/// Where an administrator's units are.
const UNITS: &str = "/etc/systemd/system";

/// One daemon's unit.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// `nexusd.service`, or `nexusd-alice.service`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) home: PathBuf,
    pub(super) program: PathBuf,
    /// `None` = root.
    pub(super) user: Option<User>,
}

impl Unit {
    /// For `--user NAME`, else for the caller.
    pub(super) fn of(context: &Context, user: Option<&str>) -> Result<Unit, Failure> {
        let caller = nix::unistd::geteuid();
        let user = match user {
            Some(name) => User::from_name(name).ok().flatten().ok_or_else(|| {
                let name = crate::text::plain(name);
                Failure::new(Exit::Usage, format!("there is no user `{name}`"))
            })?,
            None => User::from_uid(caller).ok().flatten().ok_or_else(|| {
                let title = format!("your uid {caller} has no name on this machine");
                Failure::new(Exit::Usage, title).help("nexusctl startup --user NAME")
            })?,
        };
        // The home that the caller uses already; another user's is where she would look.
        let home = if user.uid == caller {
            context.home.path().to_owned()
        } else if user.uid.is_root() {
            PathBuf::from(ROOT_HOME)
        } else {
            user.dir.join(".nexus")
        };
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(Exit::Failed, "our own program cannot be found").cause(error.to_string())
        })?;
        Unit::new(user, home, program)
    }

    fn new(user: User, home: PathBuf, program: PathBuf) -> Result<Unit, Failure> {
        let user = Some(user).filter(|user| !user.uid.is_root());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = match &user {
            None => "nexusd.service".to_owned(),
            Some(user) if user.name.chars().all(plain) => format!("nexusd-{}.service", user.name),
            Some(user) => {
                let name = crate::text::plain(&user.name);
                let title = format!("`{name}` cannot be part of a unit's name");
                return Err(Failure::new(Exit::Refused, title).help("nexusctl startup --print"));
            }
        };
        for path in [&home, &program] {
            if path.to_str().is_none_or(|text| text.chars().any(char::is_control)) {
                let title = format!("{} cannot be written into a unit", path.display());
                return Err(Failure::new(Exit::Refused, title));
            }
        }
        Ok(Unit { path: Path::new(UNITS).join(&name), name, home, program, user })
    }

    /// Whose it is, for people.
    pub(super) fn whose(&self) -> &str {
        self.user.as_ref().map_or("root", |user| &user.name)
    }

    /// The words of a command about it.
    pub(super) fn command(&self, verb: &str) -> String {
        match &self.user {
            Some(user) => format!("nexusctl {verb} --user {}", user.name),
            None => format!("nexusctl {verb}"),
        }
    }

    /// The unit's text.
    pub(super) fn text(&self) -> String {
        let body = EXAMPLE.find("[Unit]").map_or(EXAMPLE, |at| &EXAMPLE[at..]);
        let mut out = format!(
            "{OURS}; `{}` removes it.\n# Changes belong beside it: systemctl edit {}\n\n",
            self.command("unstartup"),
            self.name
        );
        for paragraph in body.split("\n\n") {
            let paragraph = match paragraph.strip_prefix("[Service]\n") {
                Some(_) if self.user.is_none() && self.home == Path::new(ROOT_HOME) => {
                    paragraph.to_owned()
                }
                Some(_) => self.place(),
                None => paragraph.to_owned(),
            };
            out.push_str(paragraph.trim_end());
            out.push_str("\n\n");
        }
        let program = quoted(&self.program);
        let exec = |line: &str| line.replacen(EXAMPLE_PROGRAM, &program, 1);
        let whose = self.user.as_ref().map(|user| format!(" of {}", user.name));
        let lines = out.trim_end().lines().map(|line| match line.split_once('=') {
            Some(("ExecStart" | "ExecStop", _)) => exec(line),
            Some(("Description", _)) => format!("{line}{}", whose.as_deref().unwrap_or("")),
            Some(_) | None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// Where it lives, if not where the example says.
    fn place(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("User={}\n", user.name));
        let home = format!("NEXUS_HOME={}", self.home.display());
        format!(
            "[Service]\n# Where it lives, and with whose rights.\n{}Environment={}",
            user.unwrap_or_default(),
            quoted(Path::new(&home))
        )
    }

    /// Why the user could not run the program; `None` = can.
    pub(super) fn unreachable(&self) -> Option<PathBuf> {
        let (uid, gid) = match &self.user {
            Some(user) => (user.uid.as_raw(), user.gid.as_raw()),
            None => return None,
        };
        let may = |path: &&Path| {
            path.metadata().is_ok_and(|there| {
                let mode = there.mode();
                mode & 0o001 != 0
                    || (there.uid() == uid && mode & 0o100 != 0)
                    || (there.gid() == gid && mode & 0o010 != 0)
            })
        };
        self.program.ancestors().find(|path| !may(path)).map(Path::to_owned)
    }

    /// Who besides root can change what root would run; `None` = nobody.
    pub(super) fn changeable_by(&self) -> Option<String> {
        let there = self.program.metadata().ok().filter(|_| self.user.is_none())?;
        if there.mode() & 0o022 != 0 {
            return Some("others".to_owned());
        }
        let owner = Uid::from_raw(there.uid());
        (!owner.is_root()).then(|| {
            let user = User::from_uid(owner).ok().flatten();
            user.map_or_else(|| format!("uid {owner}"), |user| user.name)
        })
    }

    /// Whether the program is where a compiler puts it, or where files do not last.
    pub(super) fn is_fleeting(&self) -> bool {
        let path = &self.program;
        path.starts_with("/tmp") || path.components().any(|part| part.as_os_str() == "target")
    }
}

/// As systemd reads one word: percent signs doubled; quoted, with escapes, where it needs to be.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@:,%".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    // `$` begins a variable in ExecStart=.
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        let mut user = User::from_uid(Uid::from_raw(0)).unwrap().unwrap();
        if name != "root" {
            (user.uid, user.name) = (Uid::from_raw(1_000), name.to_owned());
            user.dir = PathBuf::from("/home").join(name);
        }
        user
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
    }

    #[test]
    fn the_unit_of_root_is_the_example() {
        let unit = Unit::new(user("root"), ROOT_HOME.into(), EXAMPLE_PROGRAM.into()).unwrap();
        assert_eq!(lines(&unit.text()), lines(EXAMPLE));
        assert!(unit.text().starts_with(OURS));
    }

    #[test]
    fn the_unit_of_a_user_differs_in_whose_and_where() {
        let program = "/opt/my tools/100%/nexusctl";
        let unit = Unit::new(user("al-ice"), "/home/al-ice/.nexus".into(), program.into()).unwrap();
        assert_eq!(unit.path, Path::new("/etc/systemd/system/nexusd-al-ice.service"));
        let text = unit.text();
        let here = lines(&text);
        for line in [
            "Description=Nexus process manager of al-ice",
            "User=al-ice",
            "Environment=NEXUS_HOME=/home/al-ice/.nexus",
            "ExecStart=\"/opt/my tools/100%%/nexusctl\" daemon run",
            "ExecStop=\"/opt/my tools/100%%/nexusctl\" daemon stop --apps",
        ] {
            assert!(here.contains(&line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("Directory="), "{text}");
        let kept =
            |line: &&&str| ["Watchdog", "Kill", "Exit", "OOM"].iter().any(|k| line.starts_with(k));
        assert_eq!(here.iter().filter(kept).count(), lines(EXAMPLE).iter().filter(kept).count());
    }

    #[test]
    fn a_home_of_roots_own_choice_is_written_into_the_unit() {
        let unit = Unit::new(user("root"), "/srv/a b".into(), EXAMPLE_PROGRAM.into()).unwrap();
        assert!(unit.text().contains("Environment=\"NEXUS_HOME=/srv/a b\"\n"), "{}", unit.text());
        assert!(!unit.text().contains("User="));
    }
}
