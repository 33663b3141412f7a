//! From project files and flags to checked apps: the one place that reads them.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use nexus_proto::{Code, Dependency, Problem};
use nexus_spec::{AppSpec, Flaws, Format, Options, Reading, Source};

use crate::cli::App;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The project file, as it is called where nothing else is said.
pub(crate) const DEFAULT: &str = "ecosystem.toml";
/// The files that are looked for when none is named, the first that is there.
const DEFAULTS: [&str; 5] =
    [DEFAULT, "ecosystem.json", "ecosystem.yaml", "ecosystem.yml", "package.json"];
/// Ends of the names of project files that are JavaScript.
const JAVASCRIPT: [&str; 3] = [".config.js", ".config.cjs", ".config.mjs"];
/// The name for standard input.
const STDIN: &str = "-";
/// The longest project file.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// A project file that has been read, and every app in it checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Project {
    /// Absolute; `standard input` for what came from there.
    pub(crate) file: PathBuf,
    /// In the order written.
    pub(crate) apps: Vec<AppSpec>,
    /// `[daemon]`, if the file has one.
    pub(crate) daemon: Option<nexus_spec::DaemonSpec>,
}

/// Which part of a project file is meant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part<'a> {
    /// Only these apps; empty = all.
    pub(crate) only: &'a [String],
    /// Whose `env_<profile>` is put on top of `env`.
    pub(crate) profile: Option<&'a str>,
}

/// Whether what was typed names a project file, `-` among them.
pub(crate) fn is_project(typed: &str) -> bool {
    Format::of(Path::new(typed)).is_some() || is_javascript(typed)
}

fn is_javascript(name: &str) -> bool {
    JAVASCRIPT.iter().any(|end| name.ends_with(end))
}

/// The project file of the current directory. `package.json` is one if it has a key `pm2`.
pub(crate) fn default() -> PathBuf {
    let is_one = |name: &&str| match *name {
        "package.json" => std::fs::read_to_string(name).is_ok_and(|text| text.contains("\"pm2\"")),
        name => Path::new(name).exists(),
    };
    let javascript = || {
        let names = JAVASCRIPT.iter().map(|end| format!("ecosystem{end}"));
        names.into_iter().find(|name| Path::new(name).exists())
    };
    let found = DEFAULTS.iter().find(|name| is_one(name)).map(|name| (*name).to_owned());
    found.or_else(javascript).unwrap_or_else(|| DEFAULT.to_owned()).into()
}

/// Read a project file. What is not taken as it is written is told on stderr.
///
/// # Errors
/// The file cannot be read, has flaws (all of them are told), names a source of variables that
/// cannot be read, or has no app or profile of a name that is asked for.
pub(crate) fn load(context: &Context, path: &Path, part: Part<'_>) -> Result<Project, Failure> {
    let shown = path.display().to_string();
    if is_javascript(&shown) {
        return Err(javascript(&shown));
    }
    if shown != STDIN {
        regular(path)?;
    }
    let Some(format) = Format::of(path) else { return Err(of_no_format(&shown)) };
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| unreadable(path, &error));
    let (file, text) = match shown == STDIN {
        true => (PathBuf::from("standard input"), read_stdin()?),
        false => (absolute(path)?, read(path)?),
    };
    // PM2 takes the caller's directory for its files, whichever theirs is.
    let base = match format {
        Format::Toml => file.parent().unwrap_or(Path::new("/")).to_owned(),
        Format::Json | Format::Yaml | Format::Package => absolute(Path::new("."))?,
    };
    let named = if shown == STDIN { file.as_path() } else { path };
    let (base_dir, exists, profile) = (&base, &|path: &Path| path.is_file(), part.profile);
    let reading = Reading { file: named, format, base_dir, exists, profile };
    let project = match reading.project(&text) {
        Ok(project) => project,
        Err(flaws) => return Err(Failure::of_flaws(&flaws, &context.err)),
    };
    if let Some(warnings) = &project.warnings {
        context.warn(warnings);
    }
    if let Some(profile) = part.profile.filter(|one| !project.profiles.iter().any(|p| p == one)) {
        let known: Vec<&str> = project.profiles.iter().map(String::as_str).collect();
        let failure = unknown("profile", profile, &shown, &known);
        // PM2 goes on without it.
        if format == Format::Toml {
            return Err(failure.help(format!("write `env_{profile} = {{ … }}` into an app")));
        }
        context.note(&format!("warning: no profile `{profile}` in {shown}"));
    }
    let known: Vec<&str> = project.apps.iter().map(|app| app.name.as_str()).collect();
    if let Some(name) = part.only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown("app named", name, &shown, &known));
    }
    let wanted = |app: &AppSpec| {
        part.only.is_empty() || part.only.iter().any(|name| name == app.name.as_str())
    };
    let apps: Vec<AppSpec> = project.apps.into_iter().filter(wanted).collect();
    apps.iter().try_for_each(sources)?;
    Ok(Project { file, apps, daemon: project.daemon })
}

/// What the daemon has refused an entry of `depends_on` for, at its place in the file.
pub(crate) fn wrong_dependency(source: &str, problem: &Problem) -> Option<Flaws> {
    let Dependency { app, on } = problem.dependency.as_deref()?;
    let file = Path::new(source);
    let (format, text) = (Format::of(file)?, read(file).ok()?);
    let base_dir = file.parent()?;
    let exists = &|path: &Path| path.is_file();
    let project = Reading { file, format, base_dir, exists, profile: None }.project(&text).ok()?;
    let remedy = problem.help.first().cloned().unwrap_or_else(|| "leave it out".to_owned());
    project.wrong_dependency(app, on, problem.title.clone(), remedy)
}

fn read(path: &Path) -> Result<String, Failure> {
    let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > FILE_MAX {
        return Err(too_long(&path.display().to_string()));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(FILE_MAX + 1).read_to_string(&mut text);
    match read {
        Ok(_) if text.len() as u64 > FILE_MAX => Err(too_long("standard input")),
        Ok(_) => Ok(text),
        Err(error) => Err(unreadable(Path::new("standard input"), &error)),
    }
}

/// A pipe or a device might never end, a directory is no file.
fn regular(path: &Path) -> Result<(), Failure> {
    let kind = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() { "a directory" } else { "no regular file" };
    let title = format!("{} is {what}, and no project file", path.display());
    Err(Failure::new(Exit::BadConfig, title).code(Code::BadConfig))
}

fn of_no_format(file: &str) -> Failure {
    let title = format!("{file} is none of the project files that are known by their names");
    Failure::new(Exit::BadConfig, title)
        .code(Code::BadConfig)
        .cause("known: .toml, .json, .yaml, .yml, package.json, and - for JSON on standard input")
}

fn too_long(file: &str) -> Failure {
    let title = format!("{file} is longer than {FILE_MAX} bytes");
    Failure::new(Exit::BadConfig, title).code(Code::BadConfig)
}

fn javascript(file: &str) -> Failure {
    Failure::new(Exit::BadConfig, format!("{file} is JavaScript, which is not evaluated yet"))
        .code(Code::BadConfig)
        .help("node -p 'JSON.stringify(require(\"./ecosystem.config.js\"))' | nexusctl start -")
}

/// What an app reads its secrets from has to be there. What only the daemon may read is its
/// business.
fn sources(app: &AppSpec) -> Result<(), Failure> {
    let bad = |title: String| Failure::new(Exit::BadConfig, title).code(Code::BadConfig);
    let missing = |path: &Path, key: &str| {
        let title = format!("`{}`: {key}: there is no file {}", app.name, path.display());
        bad(title).help("paths are relative to the app's `cwd`")
    };
    for file in &app.env_file {
        match std::fs::read_to_string(file) {
            Ok(text) => nexus_spec::dotenv(&text).map(drop).map_err(|flaw| {
                let place = format!("{}:{}", file.display(), flaw.line);
                bad(format!("{place}: the line {}", flaw.problem)).help("write NAME=value")
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(missing(file, "env_file"));
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => {
                let title = format!("`{}`: env_file: cannot read {}", app.name, file.display());
                return Err(bad(title).cause(error.to_string()));
            }
        }
    }
    for (name, source) in &app.secrets {
        if let Source::File(path) = source
            && path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
        {
            return Err(missing(path, &format!("secrets.{name}")));
        }
    }
    Ok(())
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
    for assignment in &flags.env {
        set("env", assignment)?;
    }
    if !args.is_empty() {
        options.set_list("args", args).map_err(|flaw| usage(&flaw))?;
    }
    let lists =
        [("listen", &flags.listen), ("watch", &flags.watch), ("ignore_watch", &flags.ignore_watch)];
    for (key, items) in lists.into_iter().filter(|(_, items)| !items.is_empty()) {
        options.set_list(key, items).map_err(|flaw| usage(&flaw))?;
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
        ("cron_restart", flags.cron_restart.clone()),
        ("watch_delay", flags.watch_delay.clone()),
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
    if error.kind() == ErrorKind::NotFound {
        failure.help("nexusctl start server.js --name api    starts a script without a file")
    } else {
        failure
    }
}

fn unknown(what: &str, name: &str, file: &str, known: &[&str]) -> Failure {
    let title = format!("no {what} `{name}` in {file}");
    let failure = Failure::new(Exit::Unknown, title).code(Code::NotFound);
    let near = crate::near::near(name, known.iter().copied());
    near.iter().fold(failure, |failure, name| failure.help(format!("did you mean `{name}`?")))
}
