//! The daemon's own settings.

use std::path::PathBuf;

use super::{Scope, Setting, set_table};
use crate::daemon::{GROUP, Member};
use crate::flaw::Code;
use crate::given::{Given, What};
use crate::options::Options;
use crate::read;
use crate::wrong::{Wrong, Wrongs};

/// The most members of one role.
const MEMBERS_MAX: usize = 256;

/// The keys of `daemon`.
pub(super) static TABLE: [Setting; 5] = [
    Setting::new(
        "group",
        "a group, by name or number",
        "Its members may reach the daemon, by a socket of their own; they are viewers unless more \
         is said of them.",
        |options, given| {
            options.daemon.group = Some(read::account(given)?);
            Ok(())
        },
        |_| None,
    ),
    Setting::new(
        "socket",
        "an absolute path",
        "Where that socket is; its directory must hold nothing else.",
        |options, given| {
            options.daemon.socket = Some(socket(given)?);
            Ok(())
        },
        |_| None,
    )
    .default(
        "\"/run/nexus/nexus.sock\"; for others than root `nexus/nexus.sock` in $XDG_RUNTIME_DIR",
    ),
    Setting::new(
        "viewers",
        MEMBERS,
        "Who may look: listings, logs, events, metrics.",
        |options, given| {
            options.daemon.viewers = members(given)?;
            Ok(())
        },
        |_| None,
    ),
    Setting::new(
        "operators",
        MEMBERS,
        "Who may start, stop, restart, reload, scale and signal apps that are known as well.",
        |options, given| {
            options.daemon.operators = members(given)?;
            Ok(())
        },
        |_| None,
    ),
    Setting::new(
        "admins",
        MEMBERS,
        "Who may do everything as well: whoever may add an app runs any program as the daemon's \
         user.",
        |options, given| {
            options.daemon.admins = members(given)?;
            Ok(())
        },
        |_| None,
    ),
];

const MEMBERS: &str = "users by name or number, groups as \"group:NAME\"";

/// Reads the table, and what its settings mean together.
pub(super) fn table(options: &mut Options, given: &Given) -> Result<(), Wrongs> {
    set_table(Scope::Daemon, options, given)?;
    let daemon = &options.daemon;
    let listed = daemon.roles().into_iter().find(|(_, members)| !members.is_empty());
    let listed = listed.map(|(role, _)| role.setting());
    let alone = listed.or(daemon.socket.as_ref().map(|_| "socket"));
    match alone.filter(|_| daemon.group.is_none()) {
        None => Ok(()),
        Some(key) => {
            let at = given.entries().iter().find(|(of, _)| of.text == key);
            let remedy = "write `group = \"...\"`, a group that they are all members of";
            let problem = "is set, and no `group` that could reach the daemon";
            let wrong = Wrong::of(key, Code::Missing, problem, remedy);
            Err(Wrong { at: at.map(|(of, _)| of.at.clone()), ..wrong }.into())
        }
    }
}

fn socket(given: &Given) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(read::path(given)?);
    let remedy = "write an absolute path, such as \"/run/shop/nexus.sock\"";
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(Wrong::value(given, "is no absolute path of a socket", remedy));
    }
    Ok(path)
}

fn members(given: &Given) -> Result<Vec<Member>, Wrongs> {
    let items = read::items(given);
    if items.len() > MEMBERS_MAX {
        let problem = format!("has {} members; {MEMBERS_MAX} are kept", items.len());
        return Err(Wrong::value(given, problem, "make a group of them").into());
    }
    let mut wrongs = Wrongs::default();
    let mut members = Vec::new();
    for item in items {
        let read = member(item).map_err(|wrong| read::in_array(given, item, wrong));
        members.extend(wrongs.keep(read));
    }
    wrongs.unless(members)
}

fn member(given: &Given) -> Result<Member, Wrong> {
    let (What::Text(text) | What::Flag(text)) = &given.what else {
        return read::account(given).map(Member::User);
    };
    match text.strip_prefix(GROUP) {
        Some(name) => {
            let name = Given { at: given.at.clone(), what: What::Text(name.to_owned()) };
            read::account(&name).map(Member::Group)
        }
        None => read::account(given).map(Member::User),
    }
}
