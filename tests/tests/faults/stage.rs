//! A home with four apps under load, and what each of them should be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nexus_tests::{Home, Process, free_port, program, wait_for};
use serde_json::Value;

use crate::change::Change;

/// How long an app may take to be what a command has said it is.
const SETTLED: std::time::Duration = std::time::Duration::from_secs(20);

/// What an app should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The daemon knows it.
    pub(crate) known: bool,
    /// It runs.
    pub(crate) up: bool,
    pub(crate) instances: usize,
    /// Which of its versions.
    pub(crate) version: u32,
}

/// The home, the truth that its workers write down, and the model.
pub(crate) struct Stage {
    pub(crate) home: Home,
    /// Where `web` is asked.
    pub(crate) port: u16,
    pub(crate) wanted: BTreeMap<&'static str, Wanted>,
    /// The program that runs, and the one that may take its place.
    pub(crate) programs: [PathBuf; 2],
}

/// Serves requests and writes numbered lines; replaced without a lost request.
pub(crate) const WEB: &str = "web";
/// Writes numbered lines as fast as a log is usually written.
pub(crate) const TALK: &str = "talk";
/// Exits all the time, with a code that it writes down before.
pub(crate) const MORTAL: &str = "mortal";
/// Started, stopped, scaled, deleted.
pub(crate) const CHURN: &str = "churn";

/// More than any run writes: a bound that takes lines away would look like a loss.
const KEEP_ALL: &str = "log = { keep = 10000, total = \"8G\" }";

impl Stage {
    /// The four apps, started. `mortal` = with the one that exits all the time.
    pub(crate) fn start(mortal: bool) -> Stage {
        let home = Home::new();
        let programs = [program("nexusctl"), home.project().join("another-nexusctl")];
        std::fs::copy(&programs[0], &programs[1]).unwrap();
        let mut stage = Stage { home, port: free_port(), wanted: BTreeMap::new(), programs };
        let apps = [(WEB, 2), (TALK, 1), (CHURN, 2), (MORTAL, 2)];
        for (name, instances) in apps.into_iter().filter(|(name, _)| mortal || *name != MORTAL) {
            std::fs::create_dir_all(stage.truth(name)).unwrap();
            let wanted = Wanted { known: true, up: true, instances, version: 1 };
            stage.write(name, &wanted, false);
            stage.wanted.insert(name, wanted);
            stage.home.ctl(&["start", &stage.file(name), "-q"]).ok();
        }
        stage
    }

    /// Where the workers of an app write down what they did.
    pub(crate) fn truth(&self, app: &str) -> PathBuf {
        self.home.project().join(format!("truth-{app}"))
    }

    /// The project file of an app.
    pub(crate) fn file(&self, app: &str) -> String {
        self.home.project().join(format!("{app}.toml")).display().to_string()
    }

    /// Write an app's project file; `broken` = with a program that exits before it is ready.
    pub(crate) fn write(&self, app: &str, wanted: &Wanted, broken: bool) {
        let truth = self.truth(app).display().to_string();
        let mut args: Vec<&str> = match app {
            // One that exits at once must not have accepted anybody.
            WEB if broken => Vec::new(),
            WEB => vec!["--serve", "--drain", "--lines", "2000", "--truth", &truth],
            TALK => vec!["--lines", "300", "--truth", &truth],
            MORTAL => vec!["--ready-after", "0", "--mortal", &truth],
            _ => Vec::new(),
        };
        args.extend(if broken {
            ["--exit-after", "20", "--code", "5"]
        } else {
            ["--ready-after", "0", "", ""]
        });
        args.retain(|arg| !arg.is_empty());
        let more = match app {
            WEB => format!("listen = \"tcp://127.0.0.1:{}\"", self.port),
            MORTAL => "min_uptime = 0\nmax_restarts = 1000000".into(),
            _ => String::new(),
        };
        let script = program("nexus-test-worker").display().to_string();
        let (instances, version) = (wanted.instances, wanted.version);
        let args = serde_json::to_string(&args).unwrap();
        let text = format!(
            "[[apps]]\nname = \"{app}\"\nscript = \"{script}\"\nargs = {args}\nready = \"notify\"\n\
             instances = {instances}\nenv = {{ VERSION = \"{version}\" }}\n{KEEP_ALL}\n{more}\n"
        );
        self.home.write(&format!("{app}.toml"), &text);
    }

    /// Hold an app against what a change should have made of it.
    ///
    /// # Errors
    /// What differs, after waiting for what may take a moment: old workers that drain.
    pub(crate) fn check(&self, app: &'static str) -> Result<(), String> {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(SETTLED, "the app to be as it was said", || {
                self.differs(app).map_err(|why| last = why).ok()
            });
        }));
        found.map_err(|_| format!("{app} should be {:?}: {last}", self.wanted[app]))
    }

    fn differs(&self, app: &'static str) -> Result<(), String> {
        let wanted = &self.wanted[app];
        let Some(seen) = self.home.app(app) else {
            return if wanted.known { Err("it is not known".into()) } else { Ok(()) };
        };
        if !wanted.known {
            return Err(format!("it is still known: {}", seen.0));
        }
        let status = if wanted.up { "online" } else { "stopped" };
        let instances = seen.statuses();
        if instances.len() != wanted.instances || instances.iter().any(|one| one != status) {
            return Err(format!("its instances are {instances:?}"));
        }
        let told: BTreeSet<i32> = seen.pids().into_iter().filter(|pid| *pid > 0).collect();
        let real: BTreeSet<i32> = self.workers(app).iter().map(|process| process.0).collect();
        if told != real {
            return Err(format!("pids {told:?} are told, {real:?} are there"));
        }
        if told.len() != if wanted.up { wanted.instances } else { 0 } {
            return Err(format!("pids {told:?}"));
        }
        for pid in told {
            let version = Process(pid).env("VERSION").unwrap_or_default();
            if version != wanted.version.to_string() {
                return Err(format!("{pid} is of version {version}"));
            }
        }
        Ok(())
    }

    /// Every living process of an app, whoever knows it.
    pub(crate) fn workers(&self, app: &str) -> Vec<Process> {
        let mut all = self.home.processes();
        all.retain(|process| process.carries("NEXUS_APP", app));
        all
    }

    /// What may be asked of an app now.
    pub(crate) fn possible(&self, app: &'static str) -> Vec<Change> {
        let wanted = &self.wanted[app];
        match app {
            WEB => vec![
                Change::Reload,
                Change::ReloadBroken,
                Change::Scale(if wanted.instances == 2 { 3 } else { 2 }),
            ],
            TALK => vec![Change::Restart, Change::Rotate, Change::Save],
            _ if !wanted.known => vec![Change::Start],
            _ if !wanted.up => vec![Change::Start, Change::Delete],
            _ => vec![
                Change::Stop,
                Change::Restart,
                Change::Delete,
                Change::Reload,
                Change::ReloadBroken,
                Change::Scale(if wanted.instances == 2 { 3 } else { 2 }),
            ],
        }
    }

    /// The pids of the pair, as the one that answers tells them; `None` = nobody answers.
    pub(crate) fn pair(&self) -> Option<Pair> {
        let answer = self.home.ask("GET", "/v1/version", "", "").ok();
        let answer = answer.filter(|answer| answer.status == 200)?.json();
        let pid = |key: &str| answer[key].as_i64().and_then(|pid| i32::try_from(pid).ok());
        Some(Pair { nexusd: Process(pid("pid")?), keeper: Process(pid("keeper_pid")?) })
    }

    /// The program that may take the place of the one that runs.
    pub(crate) fn other_program(&self) -> &Path {
        &self.programs[1]
    }

    /// Whether both of the pair run this program, after waiting for one that is on its way.
    ///
    /// # Errors
    /// Which they run.
    pub(crate) fn is_run_by(&self, program: &Path) -> Result<(), String> {
        let program = std::fs::canonicalize(program).map_err(|error| error.to_string())?;
        let mut last = String::new();
        let mut all_do = || {
            let pair = self.pair()?;
            let exe = |process: Process| std::fs::read_link(format!("/proc/{}/exe", process.0));
            let run = [exe(pair.keeper), exe(pair.nexusd)];
            last = format!("{pair:?} run {run:?}, not {}", program.display());
            // One that has given way, and is still there, would want its place back.
            let all = self.home.processes();
            let is_nexusd = |one: &&Process| one.comm().as_deref() == Some("nexusd");
            let nexusds: Vec<&Process> = all.iter().filter(is_nexusd).collect();
            last.push_str(&format!("; {nexusds:?}"));
            (run.iter().all(|run| run.as_ref().is_ok_and(|run| *run == program))
                && nexusds == [&pair.nexusd])
            .then_some(())
        };
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(SETTLED, "the program", &mut all_do);
        }));
        found.map_err(|_| last)
    }

    /// All lines of an app in its log files, rotated ones too and those of instances that are gone,
    /// against what its workers wrote down.
    pub(crate) fn lines(&self, app: &str) -> Result<u64, String> {
        let logs = self.home.path().join("logs");
        let names = std::fs::read_dir(&logs).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter(|name| name.starts_with(&format!("{app}-out")))
            .filter(|name| !name.contains(".idx") && !name.ends_with(".tmp"))
            .collect();
        // Beside one that is not compressed to its end, the original counts.
        let plain = names.clone();
        names.retain(|name| {
            name.strip_suffix(".gz").is_none_or(|name| !plain.contains(&name.to_owned()))
        });
        // The one that is written last has no time in its name, and the newest lines.
        names.sort_by_key(|name| (!name.contains(".log."), name.clone()));
        let mut files = Vec::new();
        for name in names {
            let mut file = logs.join(&name);
            if name.ends_with(".gz") {
                let packed = std::process::Command::new("gzip").arg("-dc").arg(&file).output();
                let text = packed.map_err(|error| format!("{name}: {error}"))?.stdout;
                file = self.home.project().join(&name);
                std::fs::write(&file, text).map_err(|error| format!("{name}: {error}"))?;
            }
            files.push(file);
        }
        nexus_tests::truth::compare(&files, &self.truth(app))
    }
}

impl Stage {
    /// Copy what the daemon wrote of itself, before the home is gone. Where it is.
    pub(crate) fn evidence(&self) -> String {
        let name = self.home.project().parent().and_then(Path::file_name).map(PathBuf::from);
        let name = name.unwrap_or_default().display().to_string();
        let kept = std::env::temp_dir().join(format!("nexus-faults-{name}"));
        let (from, to) = (self.home.path(), kept.display().to_string());
        let mut copy = std::process::Command::new("cp");
        copy.arg("-r").arg(from.join("nexusd.log")).arg(from.join("state"));
        let copied = std::fs::create_dir_all(&kept).and_then(|()| copy.arg(&kept).status());
        format!("the daemon's log and state are in {to} ({copied:?})")
    }
}

/// Who the two are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) nexusd: Process,
    pub(crate) keeper: Process,
}

/// The numbered files of a directory of truth.
pub(crate) fn numbered(dir: &Path) -> BTreeMap<u64, String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let read = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, std::fs::read_to_string(entry.path()).ok()?))
    });
    read.collect()
}

/// A number of an event, or 0.
pub(crate) fn number(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap_or(0)
}
