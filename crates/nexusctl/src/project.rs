//! From project files and flags to checked apps: the one place that reads them.

use std::path::{Path, PathBuf};

use nexus_proto::Code;
use nexus_spec::{AppSpec, Options};

use crate::cli::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::look::Look;

/// The file that is read when none is named.
pub(crate) const DEFAULT: &str = "ecosystem.toml";
/// The longest project file.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// A project file that has been read, and every app in it checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Project {
    /// Absolute.
    pub(crate) file: PathBuf,
    /// In the order written.
    pub(crate) apps: Vec<AppSpec>,
}

/// Whether what was typed names a project file.
pub(crate) fn is_project(typed: &str) -> bool {
    let path = Path::new(typed);
    path.extension().is_some_and(|extension| extension == "toml")
}

/// Read a project file, all of it or `only` some of its apps. `look` is that of stderr.
///
/// # Errors
/// The file cannot be read, has flaws (all of them are told), or has no app of a name in `only`.
pub(crate) fn load(path: &Path, only: &[String], look: &Look) -> Result<Project, Failure> {
    let file = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    let size = std::fs::metadata(&file).map_err(|error| unreadable(path, &error))?.len();
    if size > FILE_MAX {
        let title = format!("{} is longer than {FILE_MAX} bytes", path.display());
        return Err(Failure::new(Exit::BadConfig, title).code(Code::BadConfig));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| unreadable(path, &error))?;
    let base = file.parent().unwrap_or(Path::new("/"));
    let shown = path.display().to_string();
    let project = nexus_spec::project(&text, path, base, &|path| path.is_file());
    let apps = match project {
        Ok(project) => project.apps,
        Err(flaws) => return Err(Failure::of_flaws(&flaws, look)),
    };
    let missing = only.iter().find(|name| !apps.iter().any(|app| app.name.as_str() == *name));
    if let Some(name) = missing {
        let known: Vec<&str> = apps.iter().map(|app| app.name.as_str()).collect();
        return Err(unknown(name, &shown, &known));
    }
    let wanted =
        |app: &AppSpec| only.is_empty() || only.iter().any(|name| name == app.name.as_str());
    Ok(Project { file, apps: apps.into_iter().filter(wanted).collect() })
}

/// The app that a script, its arguments and flags make. `command` = the words after `--` without
/// a script: they are run as they are.
///
/// # Errors
/// A flag whose value is none, or a script that is no file.
pub(crate) fn app(
    script: &str,
    args: &[String],
    flags: &App,
    command: bool,
) -> Result<AppSpec, Failure> {
    let base = std::env::current_dir().map_err(|error| {
        Failure::new(Exit::Failed, "no working directory").cause(error.to_string())
    })?;
    let mut options = Options::new();
    let mut set = |key: &str, value: &str| options.set(key, value).map_err(|flaw| usage(&flaw));
    set("script", script)?;
    for (key, value) in settings(flags, command) {
        set(key, &value)?;
    }
    for (name, value) in &flags.env {
        set("env", &format!("{name}={value}"))?;
    }
    if !args.is_empty() {
        options.set_list("args", args).map_err(|flaw| usage(&flaw))?;
    }
    if !flags.listen.is_empty() {
        options.set_list("listen", &flags.listen).map_err(|flaw| usage(&flaw))?;
    }
    options.finish(&base, &|path| path.is_file()).map_err(|flaws| {
        let mut flaws = flaws.iter();
        let first = flaws.next().map_or_else(|| Failure::new(Exit::Usage, "no app"), usage);
        flaws.fold(first, |failure, flaw| {
            failure.cause(format!("--{} {}", flag(&flaw.key), flaw.problem))
        })
    })
}

/// The flags that were given, by the names that the project file has for them.
fn settings(flags: &App, command: bool) -> Vec<(&'static str, String)> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let interpreter = flags.interpreter.clone().or_else(|| command.then(|| "none".to_owned()));
    let given = [
        ("name", flags.name.clone()),
        ("namespace", flags.namespace.clone()),
        ("instances", flags.instances.clone()),
        ("interpreter", interpreter),
        ("cwd", path(&flags.cwd)),
        ("ready", flags.ready.clone()),
        ("ready_timeout", flags.ready_timeout.clone()),
        ("kill_timeout", flags.kill_timeout.clone()),
        ("stop_signal", flags.stop_signal.clone()),
        ("max_memory_restart", flags.max_memory_restart.clone()),
        ("max_restarts", flags.max_restarts.clone()),
        ("restart_delay", flags.restart_delay.clone()),
        ("autorestart", flags.no_autorestart.then(|| "false".to_owned())),
        ("user", flags.user.clone()),
        ("group", flags.group.clone()),
        ("out_file", path(&flags.out_file)),
        ("error_file", path(&flags.error_file)),
        ("merge_logs", flags.merge_logs.then(|| "true".to_owned())),
    ];
    given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn flag(key: &str) -> String {
    key.replace('_', "-")
}

fn usage(flaw: &nexus_spec::OptionFlaw) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("--{} {}", flag(&flaw.key), flaw.problem));
    if flaw.remedy.is_empty() { failure } else { failure.help(flaw.remedy.clone()) }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let title = format!("cannot read {}", path.display());
    let failure =
        Failure::new(Exit::BadConfig, title).code(Code::BadConfig).cause(error.to_string());
    if error.kind() == std::io::ErrorKind::NotFound {
        failure.help("nexusctl start server.js --name api    starts a script without a file")
    } else {
        failure
    }
}

fn unknown(name: &str, file: &str, known: &[&str]) -> Failure {
    let title = format!("no app named `{name}` in {file}");
    let failure = Failure::new(Exit::Unknown, title).code(Code::NotFound);
    let near = crate::near::near(name, known.iter().copied());
    near.iter().fold(failure, |failure, name| failure.help(format!("did you mean `{name}`?")))
}
