//! Options that have been read into an app: what they mean together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::app::{AppSpec, interpreter_of};
use crate::door::Door;
use crate::environment::Source;
use crate::fit;
use crate::flaw::Code;
use crate::log::LogFiles;
use crate::name::Name;
use crate::options::Options;
use crate::restart::Restart;
use crate::watch::Watch;
use crate::wrong::{Wrong, Wrongs};

impl Options {
    /// As [`Options::finish`], with flaws that a place can be given to.
    pub(crate) fn assemble(
        &self,
        base_dir: &Path,
        profile: Option<&str>,
        exists: &dyn Fn(&Path) -> bool,
    ) -> Result<AppSpec, Wrongs> {
        let mut wrongs = Wrongs::default();
        let cwd = wrongs.keep(self.directory(base_dir));
        self.ranges(&mut wrongs);
        let script = wrongs.keep(self.written_script());
        let (Some(cwd), Some(script)) = (cwd, script) else { return Err(wrongs) };
        let (program, name) = (self.program(script, &cwd, exists), self.app_name(script, profile));
        let Some((script, interpreter)) = wrongs.keep(program) else { return Err(wrongs) };
        let Some(name) = wrongs.keep(name) else { return Err(wrongs) };
        let app = AppSpec {
            namespace: self.namespace.as_deref().unwrap_or(AppSpec::NAMESPACE).to_owned(),
            args: self.args.clone(),
            interpreter,
            env: self.variables(profile),
            instances: self.instances,
            restart: self.after_exit(),
            stop: self.stop,
            listen: self.listen.clone(),
            ready: self.ready.clone(),
            ready_timeout: self.ready_timeout.unwrap_or(AppSpec::READY_TIMEOUT),
            build: self.build.clone(),
            build_timeout: self.build_timeout.unwrap_or(AppSpec::BUILD_TIMEOUT),
            run_as: self.run_as.clone(),
            log: self.log_files(&cwd),
            door: self.door,
            inherit: self.inherit.clone(),
            env_file: self.env_file.iter().map(|file| join(&cwd, file)).collect(),
            secrets: self.sources(&cwd),
            secret_names: self.secret_names.clone(),
            not_secret: self.not_secret.clone(),
            instance_var: self.instance_var.as_deref().unwrap_or(AppSpec::INSTANCE_VAR).to_owned(),
            increment_var: self.increment_var.clone(),
            memory: self.memory,
            limits: self.limits.clone(),
            stdin: self.stdin.unwrap_or_default(),
            watch: self.watch(&cwd),
            cron_restart: self.cron_restart.clone(),
            schedule: self.schedule.clone(),
            health: self.health.clone(),
            watchdog: self.watchdog,
            depends_on: self.depends_on.clone(),
            drain_timeout: self.drain_timeout,
            rollout: self.rollout.clone(),
            shared_memory: self.shared_memory,
            protected: self.protected,
            autostart: self.autostart,
            pid_file: self.pid_file.as_ref().map(|file| join(&cwd, file)),
            name,
            script,
            cwd,
        };
        wrongs.0.extend(fit::flaws(&app));
        wrongs.unless(app)
    }

    fn written_script(&self) -> Result<&str, Wrong> {
        let remedy = "write `script = \"...\"`: the program or the file to run";
        let missing = || Wrong::of("script", Code::Missing, "is missing", remedy);
        self.script.as_deref().ok_or_else(missing)
    }

    /// `env`, what a profile puts on top, and PORT below.
    fn variables(&self, profile: Option<&str>) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        let profile = profile.and_then(|profile| self.profiles.get(profile));
        env.extend(profile.cloned().unwrap_or_default());
        if let Some(port) = &self.port {
            env.entry("PORT".to_owned()).or_insert_with(|| port.clone());
        }
        env
    }

    fn log_files(&self, cwd: &Path) -> LogFiles {
        let nowhere = self.disable_logs.then(|| PathBuf::from(LogFiles::NOWHERE));
        let file = |file: &Option<String>| {
            file.as_ref().map(|file| join(cwd, file)).or_else(|| nowhere.clone())
        };
        let stamp = || self.time.then(|| LogFiles::TIME.to_owned());
        LogFiles {
            out_file: file(&self.out_file),
            error_file: file(&self.error_file),
            date_format: self.log.date_format.clone().or_else(stamp),
            ..self.log.clone()
        }
    }

    fn sources(&self, cwd: &Path) -> BTreeMap<String, Source> {
        let absolute = |source: &Source| match source {
            Source::File(path) => Source::File(join(cwd, &path.to_string_lossy())),
            Source::Command(_) | Source::Credential(_) => source.clone(),
        };
        self.secrets.iter().map(|(name, source)| (name.clone(), absolute(source))).collect()
    }

    /// A job is done when it exits.
    fn after_exit(&self) -> Restart {
        let auto = self.restart.auto && self.schedule.cron.is_none();
        Restart { auto, ..self.restart.clone() }
    }

    /// Options that cannot both hold.
    fn ranges(&self, wrongs: &mut Wrongs) {
        let watch = (!self.watch.is_empty()).then_some("watch");
        let cron = self.cron_restart.is_some().then_some("cron_restart");
        for key in [watch, cron].into_iter().flatten().filter(|_| self.schedule.cron.is_some()) {
            let problem = "is set for a job, which runs by its `schedule`";
            wrongs.0.push(Wrong::of(key, Code::Value, problem, "leave one of the two out"));
        }
        let backoff = &self.restart.backoff;
        if backoff.min > backoff.max {
            let problem =
                format!("has a `min` of {} above its `max` of {}", backoff.min, backoff.max);
            wrongs.0.push(Wrong::of("backoff", Code::Value, problem, "raise `max` or lower `min`"));
        }
        if let (Some(high), Some(max)) = (self.memory.high, self.memory.max)
            && high > max
        {
            let problem = format!("has a `high` of {high} above its `max` of {max}");
            wrongs.0.push(Wrong::of("memory", Code::Value, problem, "raise `max` or lower `high`"));
        }
    }

    fn watch(&self, cwd: &Path) -> Watch {
        let default = Watch::default();
        Watch {
            paths: self.watch.iter().map(|path| join(cwd, path)).collect(),
            ignore: self.ignore_watch.clone().unwrap_or(default.ignore),
            delay: self.watch_delay.unwrap_or(default.delay),
            follow_symlinks: self.follow_symlinks.unwrap_or(default.follow_symlinks),
            poll: self.use_polling.then(|| self.poll_interval.unwrap_or(Watch::INTERVAL)),
        }
    }

    fn directory(&self, base_dir: &Path) -> Result<PathBuf, Wrong> {
        let cwd = join(base_dir, self.cwd.as_deref().unwrap_or("."));
        let flaw = |problem| Wrong::of("cwd", Code::Value, problem, "write an absolute path");
        if cwd.to_str().is_none() {
            return Err(flaw("is below a directory whose name is not UTF-8"));
        }
        if !cwd.is_absolute() {
            return Err(flaw("is relative, and so is the directory that it is relative to"));
        }
        Ok(cwd)
    }

    /// What `script` names (a command line for a shell, a file, or a word for `PATH`), and what
    /// runs it.
    fn program(
        &self,
        script: &str,
        cwd: &Path,
        exists: &dyn Fn(&Path) -> bool,
    ) -> Result<(PathBuf, Vec<String>), Wrong> {
        let shell = |words: &Vec<String>| words.len() > 1 && words.ends_with(&["-c".to_owned()]);
        if let Some(interpreter) = self.interpreter.as_ref().filter(|words| shell(words)) {
            return Ok((PathBuf::from(script), interpreter.clone()));
        }
        let file = join(cwd, script);
        let is_path = script.contains('/') || !interpreter_of(Path::new(script)).is_empty();
        let spaced = script.contains(char::is_whitespace) && !script.starts_with('/');
        if spaced && !exists(&file) && self.door == Door::Pm2 {
            // PM2 hands a line with spaces to a shell.
            return Ok((PathBuf::from(script), ["bash", "-c"].map(str::to_owned).into()));
        }
        if spaced && !exists(&file) {
            let remedy = "write the program in `script` and the rest in `args`, or set \
                          `interpreter = \"bash -c\"` for a line of shell";
            return Err(Wrong::of("script", Code::Value, "has a space, and is no file", remedy));
        }
        let script = if is_path || exists(&file) { file } else { PathBuf::from(script) };
        let mut interpreter = self.interpreter.clone().unwrap_or_else(|| interpreter_of(&script));
        if !interpreter.is_empty() {
            interpreter.extend(self.node_args.iter().cloned());
        }
        Ok((script, interpreter))
    }

    /// The name with what is put before and after it.
    fn app_name(&self, script: &str, profile: Option<&str>) -> Result<Name, Wrong> {
        let name = self.own_name(script)?;
        let before = self.name_prefix.as_ref().map(|prefix| format!("{prefix}-"));
        let after =
            profile.filter(|_| self.append_env_to_name).map(|profile| format!("-{profile}"));
        if before.is_none() && after.is_none() {
            return Ok(name);
        }
        let whole = format!("{}{name}{}", before.unwrap_or_default(), after.unwrap_or_default());
        Name::new(&whole).map_err(|flaw| {
            let problem = format!("with what is put before and after it {}", flaw.problem);
            Wrong::of("name", Code::Value, problem, "choose a shorter name")
        })
    }

    fn own_name(&self, script: &str) -> Result<Name, Wrong> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let stem = Path::new(script).file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
        let near = || Name::near(stem).filter(|_| self.door == Door::Pm2);
        Name::new(stem).or_else(|flaw| near().ok_or(flaw)).map_err(|flaw| {
            let problem = format!("is missing, and the script's name, taken for it, {flaw}");
            Wrong::of("name", Code::Missing, problem, "write `name = \"...\"`")
        })
    }
}

/// `path` below `dir`, or itself when absolute, without `.` parts. `..` stays: what it means
/// depends on links.
fn join(dir: &Path, path: &str) -> PathBuf {
    dir.join(path).components().collect()
}
