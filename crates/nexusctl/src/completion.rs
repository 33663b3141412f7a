//! What a Tab offers: verbs, flags and their values by the command line itself, names by the daemon.
//!
//! A shell asks by executing us with [`VARIABLE`] set. Nothing is ever started from a Tab: without
//! a daemon, or with one that is slow, there are no names.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use nexus_proto::AppView;
use nexus_proto::client::Client;

use crate::cli::{Cli, Shell};
use crate::dialect::Dialect;
use crate::home::Home;

/// Set by the scripts: complete, and do nothing else.
const VARIABLE: &str = "NEXUSCTL_COMPLETE";
/// The longest that a Tab waits for names.
const PATIENCE: Duration = Duration::from_millis(100);
/// Verbs whose targets may be files as well.
const WITH_FILES: [&str; 5] = ["start", "restart", "reload", "stop", "delete"];

/// Whether this is a shell that asks; then it has its answer.
pub(crate) fn answered() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
    true
}

/// The script that makes a shell ask us. `program` = how it is to call us.
pub(crate) fn script(shell: Shell, program: &str) -> std::io::Result<Vec<u8>> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Fish => &Fish,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "nexusctl", "nexusctl", program, &mut script)?;
    Ok(script)
}

/// The command line, with names for whatever takes targets.
fn command() -> Command {
    let command = Cli::command();
    let verbs: Vec<String> =
        command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    verbs.into_iter().fold(command, |command, name| {
        let files = WITH_FILES.contains(&name.as_str());
        command.mut_subcommand(name, |verb| verb.mut_args(|arg| with_names(arg, files)))
    })
}

fn with_names(arg: Arg, files: bool) -> Arg {
    let takes = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    match (takes.as_deref(), files) {
        (Some("TARGET"), true) => arg.add(ArgValueCompleter::new(targets_or_files)),
        (Some("TARGET"), false) => arg.add(ArgValueCompleter::new(targets)),
        (Some("SIGNAL"), _) => arg.add(ArgValueCompleter::new(signals)),
        (Some(_) | None, _) => arg,
    }
}

fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let apps = apps().unwrap_or_default();
    candidates(typed, names(&typed.to_string_lossy(), &apps))
}

fn targets_or_files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut all = targets(typed);
    all.extend(PathCompleter::file().complete(typed));
    all
}

fn signals(typed: &OsStr) -> Vec<CompletionCandidate> {
    let names = (1..32).filter_map(|number| nexus_spec::Signal::try_from(number).ok());
    let names = names.map(|signal| signal.to_string());
    let short = !typed.to_string_lossy().to_ascii_uppercase().starts_with('S');
    let bare = |name: String| name.trim_start_matches("SIG").to_owned();
    candidates(typed, names.map(|name| if short { bare(name) } else { name }).collect())
}

fn candidates(typed: &OsStr, words: Vec<String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let fitting = words.into_iter().filter(|word| word.starts_with(&*typed));
    fitting.map(CompletionCandidate::new).collect()
}

fn apps() -> Option<Vec<AppView>> {
    let socket = Home::from_env(Dialect::Ours).ok()?.socket();
    let client = Client::new(socket).with_patience(PATIENCE, Duration::ZERO);
    Some(client.apps().ok()?.apps)
}

/// Apps, namespaces and `all`; the instances of an app once its name and a slash are typed.
fn names(typed: &str, apps: &[AppView]) -> Vec<String> {
    if let Some((name, _)) = typed.split_once('/') {
        let app = apps.iter().find(|app| app.name.as_str() == name);
        let instances = app.map(|app| app.instances.as_slice()).unwrap_or_default();
        return instances.iter().map(|one| format!("{name}/{}", one.instance)).collect();
    }
    let mut names: Vec<String> = apps.iter().map(|app| app.name.to_string()).collect();
    names.extend(apps.iter().map(|app| app.namespace.clone()).filter(|name| name != "default"));
    if !apps.is_empty() {
        names.push("all".to_owned());
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use nexus_proto::Status;

    use super::*;
    use crate::view::fixture;

    #[test]
    fn names_come_from_the_fleet_and_instances_after_a_slash() {
        let mut api = fixture::app("api", 0, 2, Status::Online);
        api.namespace = "web".into();
        let apps = [api, fixture::app("job", 2, 1, Status::Online)];
        assert_eq!(names("", &apps), ["all", "api", "job", "web"]);
        assert_eq!(names("api/", &apps), ["api/0", "api/1"]);
        assert_eq!(names("no/", &apps), Vec::<String>::new());
        assert_eq!(names("", &[]), Vec::<String>::new());
    }

    #[test]
    fn whatever_takes_a_target_offers_names() {
        command().debug_assert();
    }
}
