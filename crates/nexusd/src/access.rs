//! Who may do what: `[daemon]` with its names looked up, so that to judge somebody takes no look
//! at any file.

use std::collections::BTreeMap;

use nexus_proto::{Code, Problem};
use nexus_spec::{DaemonSpec, Member, Role};
use nix::unistd::{Group, User};
use serde::{Deserialize, Serialize};

/// Roles by the kernel's numbers. The daemon's own user and root are not in it: they are admins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Access {
    /// Who may reach the group's socket.
    pub(crate) group: Option<u32>,
    users: BTreeMap<u32, Role>,
    groups: BTreeMap<u32, Role>,
}

impl Access {
    /// Looks the names up. Whoever answers (LDAP, a file) may take its time: not for the runtime's
    /// thread.
    ///
    /// # Errors
    /// A name that nobody has.
    pub(crate) fn of(spec: &DaemonSpec) -> Result<Access, Problem> {
        let mut access = Access::default();
        if let Some(name) = &spec.group {
            access.group = Some(gid(name).ok_or_else(|| nobody("group", "group", name))?);
        }
        // The highest role of each comes last, and stays.
        for (role, members) in spec.roles() {
            for member in members {
                let setting = role.setting();
                match member {
                    Member::User(name) => {
                        let uid = uid(name).ok_or_else(|| nobody(setting, "user", name))?;
                        access.users.insert(uid, role);
                    }
                    Member::Group(name) => {
                        let gid = gid(name).ok_or_else(|| nobody(setting, "group", name))?;
                        access.groups.insert(gid, role);
                    }
                }
            }
        }
        Ok(access)
    }

    /// The highest role that a user with these groups has, by its own name or by one of them.
    pub(crate) fn role(&self, uid: u32, gids: &[u32]) -> Option<Role> {
        let by_groups = gids.iter().filter_map(|gid| {
            let member = (self.group == Some(*gid)).then_some(Role::Viewer);
            self.groups.get(gid).copied().max(member)
        });
        by_groups.chain(self.users.get(&uid).copied()).max()
    }
}

fn uid(name: &str) -> Option<u32> {
    let by_name = || User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    name.parse().ok().or_else(by_name)
}

fn gid(name: &str) -> Option<u32> {
    let by_name = || Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    name.parse().ok().or_else(by_name)
}

fn nobody(setting: &str, kind: &str, name: &str) -> Problem {
    Problem::new(Code::BadConfig, format!("`[daemon] {setting}`: there is no {kind} `{name}`"))
        .cause("nothing was changed")
        .help("getent passwd; getent group         list them")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(text: &str) -> Access {
        let spec: DaemonSpec = serde_json::from_str(text).unwrap();
        Access::of(&spec).unwrap()
    }

    #[test]
    fn the_highest_role_counts_whichever_way_it_comes() {
        let access = access(
            r#"{"group": "10", "viewers": ["1", "2"], "operators": ["2", "group:20"],
                "admins": ["3", "group:30"]}"#,
        );
        for (uid, gids, role) in [
            (1, &[][..], Some(Role::Viewer)),
            (2, &[], Some(Role::Operator)),
            (2, &[30], Some(Role::Admin)),
            (3, &[10], Some(Role::Admin)),
            (4, &[], None),
            (4, &[11, 10], Some(Role::Viewer)),
            (4, &[10, 20], Some(Role::Operator)),
            (1, &[20, 30], Some(Role::Admin)),
        ] {
            assert_eq!(access.role(uid, gids), role, "{uid} {gids:?}");
        }
        assert_eq!(Access::default().role(0, &[0]), None);
    }

    #[test]
    fn a_name_that_nobody_has_is_refused_by_its_setting() {
        let spec: DaemonSpec =
            serde_json::from_str(r#"{"group": "0", "operators": ["no-such-one"]}"#).unwrap();
        let problem = Access::of(&spec).unwrap_err();
        assert_eq!(problem.code, Code::BadConfig);
        assert_eq!(problem.title, "`[daemon] operators`: there is no user `no-such-one`");
        assert_eq!(access(r#"{"group": "root"}"#).group, Some(0));
    }
}
