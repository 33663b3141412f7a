//! From what the user asked for to what a child is born with: environment, rights, paths.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nexus_keeper::{Channel, Grants, HoldId, Template};
use nexus_spec::{AppSpec, Bound, Check, Limits, Ready, Rlimit, RunAs, Span};
use nix::unistd::{Gid, Group, Uid, User};

use crate::credentials::Executed;
use crate::sources::Sourced;

/// The shell that runs a `build` command.
const SHELL: &str = "/bin/sh";
/// Variables of the caller that a build may need to find its toolchain and that workers do not get.
pub(crate) const TOOLCHAIN: [&str; 2] = ["CARGO_HOME", "RUSTUP_HOME"];
/// Where programs are looked for when the app's environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// uid, gid and supplementary groups.
pub(crate) type Ids = (u32, u32, Vec<u32>);

/// What the surroundings add to a spec.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// The caller's variables.
    pub(crate) base_env: &'a BTreeMap<String, String>,
    /// NEXUS_HOME.
    pub(crate) home: &'a Path,
    /// NOTIFY_SOCKET, with its leading `@`.
    pub(crate) notify: &'a str,
    /// What hears the channels of Node's workers of our own user.
    pub(crate) hearer: Option<HoldId>,
    /// Sockets to hand on, with their names.
    pub(crate) sockets: Vec<(HoldId, String)>,
    /// The generation.
    pub(crate) generation: u64,
}

/// What all workers of one generation have in common.
///
/// # Errors
/// A sentence, when the user or group does not exist or may not be taken.
pub(crate) fn worker(spec: &AppSpec, around: &Surroundings<'_>) -> Result<Template, String> {
    let ids = ids(&spec.run_as)?;
    let mut env = variables(spec, around, ids.as_ref(), &[])?;
    let mut ours = ours(spec, around);
    ours.insert("name".into(), spec.name.to_string());
    ours.insert("namespace".into(), spec.namespace.clone());
    ours.insert("NOTIFY_SOCKET".into(), around.notify.to_owned());
    if let Some(Span(period)) = spec.watchdog {
        ours.insert("WATCHDOG_USEC".into(), period.saturating_mul(1_000).to_string());
    }
    env.extend(ours.clone());
    let mut argv: Vec<Vec<u8>> = spec.interpreter.iter().map(|word| word.clone().into()).collect();
    argv.push(spec.script.as_os_str().as_bytes().to_vec());
    argv.extend(spec.args.iter().map(|word| word.clone().into_bytes()));
    let program = look_up(&argv[0], &spec.cwd, env.get("PATH"));
    let path = spec.cwd.join(OsStr::from_bytes(&program));
    let mut executed = Executed { program, argv };
    // What cannot be run is refused under its own name.
    if is_program(&path) && missing_interpreter(&path).is_none() {
        executed = executed.after_credentials(&path, spec, |name| is_ours(name, &ours, spec));
    }
    let Executed { program, argv } = executed;
    let hearer = around.hearer.filter(|_| holds_hearer(spec, ids.as_ref()));
    Ok(Template {
        program,
        argv,
        env: assignments(&env),
        cwd: spec.cwd.as_os_str().as_bytes().to_vec(),
        umask: spec.run_as.umask,
        ids,
        grants: grants(&spec.limits),
        listen: around.sockets.iter().map(|(id, name)| (*id, name.clone().into_bytes())).collect(),
        channel: channel(spec),
        hearer,
    })
}

/// On what a worker speaks beside `sd_notify(3)`.
pub(crate) fn channel(spec: &AppSpec) -> Channel {
    match spec.ready {
        Ready::Fd => Channel::Ready,
        Ready::Ipc => Channel::Node,
        Ready::Default | Ready::Delay(_) | Ready::Log(_) | Ready::Notify | Ready::Probe(_) => {
            if spec.stop.message || reports(spec) {
                Channel::Node
            } else {
                Channel::None
            }
        }
    }
}

/// Whether a worker holds the socket that hears channels, too. Who does can read what all say, and
/// spoil it: nobody of another user does, and nobody whose children would inherit it. Node's do not.
pub(crate) fn holds_hearer(spec: &AppSpec, ids: Option<&Ids>) -> bool {
    let is_ours = ids.is_none_or(|(uid, ..)| *uid == nix::unistd::geteuid().as_raw());
    is_ours && channel(spec) == Channel::Node
}

/// Whether its health is what it reports over its channel.
fn reports(spec: &AppSpec) -> bool {
    spec.health.as_ref().is_some_and(|health| matches!(health.check, Check::Lag(_)))
}

/// What the build command runs with: the app's rights, directory and environment.
///
/// # Errors
/// As [`worker`].
pub(crate) fn build(
    spec: &AppSpec,
    command: &str,
    around: &Surroundings<'_>,
) -> Result<Template, String> {
    // Of several lines none is to be passed over that fails.
    let flags = if command.trim().contains('\n') { "-ec" } else { "-c" };
    shell(spec, (flags, command), around, &TOOLCHAIN)
}

/// What a command that checks workers runs with: the app's rights, directory and environment.
///
/// # Errors
/// As [`worker`].
pub(crate) fn exam(
    spec: &AppSpec,
    command: &str,
    around: &Surroundings<'_>,
) -> Result<Template, String> {
    shell(spec, ("-c", command), around, &[])
}

fn shell(
    spec: &AppSpec,
    (flags, command): (&str, &str),
    around: &Surroundings<'_>,
    toolchain: &[&str],
) -> Result<Template, String> {
    let ids = ids(&spec.run_as)?;
    let mut env = variables(spec, around, ids.as_ref(), toolchain)?;
    let ours = ours(spec, around);
    env.extend(ours.clone());
    let argv = [SHELL, flags, command].map(|word| word.as_bytes().to_vec()).into();
    let executed = Executed { program: SHELL.into(), argv };
    let Executed { program, argv } =
        executed.after_credentials(Path::new(SHELL), spec, |name| is_ours(name, &ours, spec));
    Ok(Template {
        program,
        argv,
        env: assignments(&env),
        cwd: spec.cwd.as_os_str().as_bytes().to_vec(),
        umask: spec.run_as.umask,
        ids,
        grants: grants(&spec.limits),
        listen: Vec::new(),
        channel: Channel::None,
        hearer: None,
    })
}

/// What whatever runs for an app can know it by.
fn ours(spec: &AppSpec, around: &Surroundings<'_>) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("NEXUS_HOME".to_owned(), around.home.display().to_string()),
        ("NEXUS_APP".to_owned(), spec.name.to_string()),
        ("NEXUS_GENERATION".to_owned(), around.generation.to_string()),
    ])
}

/// Whether a variable is not the app's to give: it is in the environment already when a secret's
/// command is run, whether by us or by the keeper.
fn is_ours(name: &str, ours: &BTreeMap<String, String>, spec: &AppSpec) -> bool {
    let numbers = Some(name) == spec.increment_var.as_deref() || name == spec.instance_var;
    let keepers = name == "pm_id" || name.starts_with("NEXUS_") || name.starts_with("LISTEN_");
    numbers || keepers || ours.contains_key(name)
}

fn grants(limits: &Limits) -> Grants {
    let bound = |amount: Option<u64>| amount.unwrap_or(u64::MAX);
    let limit = |(limit, b): (&Rlimit, &Bound)| (limit.number(), bound(b.soft), bound(b.hard));
    Grants {
        nice: limits.nice,
        oom_score_adj: limits.oom_score_adj,
        rlimits: limits.rlimits.iter().map(limit).collect(),
        no_new_privs: limits.no_new_privs,
    }
}

/// What the app's file, its sources and the caller say, each over the one after it but for secrets,
/// which are over all.
fn variables(
    spec: &AppSpec,
    around: &Surroundings<'_>,
    ids: Option<&Ids>,
    toolchain: &[&str],
) -> Result<BTreeMap<String, String>, String> {
    let sourced = Sourced::read(spec)?;
    let mut env = base(spec, around, ids, toolchain);
    env.extend(sourced.below);
    env.extend(spec.env.clone());
    env.extend(sourced.above);
    Ok(env)
}

/// The caller's environment as far as the app inherits it; with a user of its own, that user's
/// HOME, USER and so on.
fn base(
    spec: &AppSpec,
    around: &Surroundings<'_>,
    ids: Option<&Ids>,
    toolchain: &[&str],
) -> BTreeMap<String, String> {
    let wanted = |name: &str| spec.inherit.takes(name) || toolchain.contains(&name);
    let from_caller = around.base_env.iter().filter(|(name, _)| wanted(name));
    let mut env: BTreeMap<_, _> =
        from_caller.map(|(name, value)| (name.clone(), value.clone())).collect();
    let user = ids.and_then(|(uid, ..)| User::from_uid(Uid::from_raw(*uid)).ok().flatten());
    if let Some(user) = user {
        env.insert("HOME".into(), user.dir.display().to_string());
        env.insert("SHELL".into(), user.shell.display().to_string());
        env.insert("USER".into(), user.name.clone());
        env.insert("LOGNAME".into(), user.name);
    }
    env
}

fn assignments(env: &BTreeMap<String, String>) -> Vec<Vec<u8>> {
    env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect()
}

/// The rights that a spec asks for; `None` = the daemon's own.
pub(crate) fn ids(run_as: &RunAs) -> Result<Option<Ids>, String> {
    if run_as.user.is_none() && run_as.group.is_none() {
        return Ok(None);
    }
    let user = run_as.user.as_deref().map(user).transpose()?;
    let group = run_as.group.as_deref().map(group).transpose()?;
    let (uid, own_gid, groups) = match &user {
        Some(user) => (user.uid, user.gid, groups_of(user)?),
        None => (nix::unistd::geteuid(), nix::unistd::getegid(), Vec::new()),
    };
    let gid = group.unwrap_or(own_gid);
    if !nix::unistd::geteuid().is_root() && uid != nix::unistd::geteuid() {
        let name = run_as.user.as_deref().unwrap_or_default();
        return Err(format!("only root can run workers as another user (`user = \"{name}\"`)"));
    }
    Ok(Some((uid.as_raw(), gid.as_raw(), groups)))
}

/// An account by name or number.
///
/// # Errors
/// A sentence, when there is none.
pub(crate) fn user(written: &str) -> Result<User, String> {
    let found = match written.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(written),
    };
    found
        .map_err(|errno| format!("cannot look up the user `{written}`: {}", errno.desc()))?
        .ok_or_else(|| format!("there is no user `{written}`"))
}

/// A group by name or number.
///
/// # Errors
/// A sentence, when there is none.
pub(crate) fn group(written: &str) -> Result<Gid, String> {
    if let Ok(number) = written.parse() {
        return Ok(Gid::from_raw(number));
    }
    Group::from_name(written)
        .map_err(|errno| format!("cannot look up the group `{written}`: {}", errno.desc()))?
        .map(|group| group.gid)
        .ok_or_else(|| format!("there is no group `{written}`"))
}

fn groups_of(user: &User) -> Result<Vec<u32>, String> {
    let name = std::ffi::CString::new(user.name.clone())
        .map_err(|_| format!("the user's name {:?} has a NUL in it", user.name))?;
    let groups = nix::unistd::getgrouplist(&name, user.gid)
        .map_err(|errno| format!("cannot list the groups of {}: {}", user.name, errno.desc()))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

/// A bare word is looked up in PATH, as `execvp(3)` does; anything else is taken as it is. What is
/// not found stays as it is, so that the failed `execve` names what was asked for.
fn look_up(word: &[u8], cwd: &Path, path: Option<&String>) -> Vec<u8> {
    if word.contains(&b'/') {
        return word.to_vec();
    }
    let path = path.map_or(DEFAULT_PATH, String::as_str);
    let candidates = path.split(':').map(|folder| cwd.join(folder).join(OsStr::from_bytes(word)));
    candidates
        .into_iter()
        .find(|candidate| is_program(candidate))
        .map_or_else(|| word.to_vec(), |found| found.into_os_string().into_encoded_bytes())
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The file whose absence or rights explain a failed `execve` of `program`: its interpreter, when
/// the script itself is there.
pub(crate) fn missing_interpreter(program: &Path) -> Option<PathBuf> {
    use std::io::Read;
    let mut first = Vec::new();
    std::fs::File::open(program).ok()?.take(256).read_to_end(&mut first).ok()?;
    let line = first.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let word = line.split(|byte| byte.is_ascii_whitespace()).find(|word| !word.is_empty())?;
    let interpreter = PathBuf::from(OsStr::from_bytes(word));
    (!interpreter.exists()).then_some(interpreter)
}
