//! `startup` and `unstartup`: systemd runs the daemon from boot on, or no longer.

mod unit;

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use nexus_proto::Version;
use nexus_proto::client::{self, Client};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::json;

use crate::cli::{Format, Startup, Unstartup};
use crate::confirm::confirm;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::home::Home;
use crate::human::count;
use crate::service::{self, systemctl};
use crate::{out, text};

use unit::{OURS, Unit};

/// How long the daemon of before may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// `startup`: show, ask, do, check, and name the undo.
pub(super) fn run(context: &Context, args: &Startup) -> Result<ExitCode, Failure> {
    let unit = Unit::of(context, args.user.as_deref())?;
    if args.print {
        out::result(&unit.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    needs_systemd()?;
    check_program(context, &unit)?;
    let before = Before::look(&unit)?;
    context.note(&plan(&unit, &before));
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(code) = as_root(&unit, "startup", args.yes)? {
        return Ok(code);
    }
    if !args.yes && !before.is_done(&unit) {
        confirm("go on?", &format!("{} --yes", unit.command("startup")))?;
    }
    if !before.is_done(&unit) {
        install(&unit, &before)?;
    }
    let version = check(&unit)?;
    done(context, &unit, &version)
}

/// What there is before anything is done.
struct Before {
    /// The unit's file.
    text: Option<String>,
    /// It starts at boot, and runs now.
    enabled: bool,
    active: bool,
    /// The daemon of this home, if it runs.
    daemon: Option<Version>,
}

impl Before {
    fn look(unit: &Unit) -> Result<Before, Failure> {
        let text = match fs::read_to_string(&unit.path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let title = format!("{} cannot be read", unit.path.display());
                return Err(Failure::new(Exit::Failed, title).cause(error.to_string()));
            }
        };
        if text.as_ref().is_some_and(|text| !text.starts_with(OURS)) {
            let title = format!("{} was not written by nexusctl", unit.path.display());
            return Err(Failure::new(Exit::Refused, title)
                .cause("it is left as it is")
                .help(format!("{} --print    what it would be", unit.command("startup")))
                .help(format!("sudo mv {0} {0}.old", unit.path.display())));
        }
        Ok(Before {
            text,
            enabled: systemctl(&["is-enabled", &unit.name]).is_ok(),
            active: systemctl(&["is-active", &unit.name]).is_ok(),
            daemon: client(unit).version().ok(),
        })
    }

    fn is_done(&self, unit: &Unit) -> bool {
        self.text.as_ref() == Some(&unit.text()) && self.enabled && self.active
    }

    /// A daemon that no unit, or another one, runs.
    fn outsider(&self, unit: &Unit) -> Option<&Version> {
        self.daemon.as_ref().filter(|daemon| daemon.service.as_ref() != Some(&unit.name))
    }
}

fn client(unit: &Unit) -> Client {
    Client::new(Home::at(unit.home.clone()).socket())
}

/// A machine that systemd does not run is told so, and what to do there.
fn needs_systemd() -> Result<(), Failure> {
    if service::booted() {
        return Ok(());
    }
    let title = "systemd does not run this machine";
    Err(Failure::new(Exit::Failed, title)
        .cause(format!("its process 1 is `{}`", text::plain(&service::instead())))
        .help("nexusctl daemon run        in the foreground, for another init or a container")
        .help("nexusctl startup --print   the unit, for another machine"))
}

fn check_program(context: &Context, unit: &Unit) -> Result<(), Failure> {
    let program = unit.program.display();
    if let Some(stop) = unit.unreachable() {
        let title = format!("{} may not run {program}", unit.whose());
        return Err(Failure::new(Exit::Refused, title)
            .cause(format!("{} is closed to that user", stop.display()))
            .help(format!("sudo install -m 755 {program} /usr/local/bin/nexusctl")));
    }
    if let Some(who) = unit.changeable_by() {
        let who = text::plain(&who);
        context.note(&format!("warning: {program} can be changed by {who}, and root will run it"));
    }
    if unit.is_fleeting() {
        context.note(&format!(
            "warning: {program} is not where programs stay; better: \
             install -m 755 {program} /usr/local/bin/nexusctl"
        ));
    }
    Ok(())
}

/// What is about to be done, in the order of doing.
fn plan(unit: &Unit, before: &Before) -> String {
    if before.is_done(unit) {
        return format!("{} is installed, enabled and runs: nothing to do", unit.name);
    }
    let mut steps = Vec::new();
    match &before.text {
        Some(text) if *text == unit.text() => {}
        Some(_) => steps.push(format!("write {} anew", unit.path.display())),
        None => steps.push(format!("write {}", unit.path.display())),
    }
    if let Some(daemon) = before.outsider(unit) {
        steps.push(format!("end the daemon that runs now (pid {}); its apps run on", daemon.pid));
    }
    steps.push(format!("systemctl enable --now {}", unit.name));
    if before.outsider(unit).is_some() {
        steps.push("take the apps back under systemd".to_owned());
    }
    let mut plan = format!(
        "systemd is to run the daemon of {} from boot on\n  home     {}\n  program  {}\n",
        unit.whose(),
        unit.home.display(),
        unit.program.display()
    );
    for (number, step) in steps.iter().enumerate() {
        plan.push_str(&format!("  step {}   {step}\n", number + 1));
    }
    plan + &format!("  undo     sudo {}", unit.command("unstartup"))
}

/// Only root may: elsewhere the command for it is named and, on a terminal, run.
fn as_root(unit: &Unit, verb: &str, yes: bool) -> Result<Option<ExitCode>, Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let caller = nix::unistd::geteuid();
    if unit.user.as_ref().is_none_or(|user| user.uid != caller) {
        let title = format!("only root may do this for {}", unit.whose());
        let command = unit.command(verb);
        return Err(Failure::new(Exit::NotPermitted, title).help(format!("sudo {command}")));
    }
    let program = unit.program.display().to_string();
    let home = format!("NEXUS_HOME={}", unit.home.display());
    let own = Home::at(unit.user.as_ref().map(|user| user.dir.join(".nexus")).unwrap_or_default());
    let mut words = vec!["sudo".to_owned()];
    if own.path() != unit.home {
        words.extend(["env".to_owned(), home]);
    }
    words.extend([program, verb.to_owned(), "--user".to_owned(), unit.whose().to_owned()]);
    let line = words.join(" ");
    let refused = Failure::new(Exit::NotPermitted, "only root may install a unit").help(&line);
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused);
    }
    if !yes {
        confirm(&format!("run it as root: {line}"), &line).map_err(|_| refused.clone())?;
    }
    words.push("--yes".to_owned());
    let status = Command::new("sudo").args(&words[1..]).status().map_err(|_| refused)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(Some(ExitCode::from(code)))
}

fn install(unit: &Unit, before: &Before) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Failed, format!("{} is not installed", unit.name))
            .cause(error.to_string())
    };
    if before.text.as_ref() != Some(&unit.text()) {
        write(&unit.path, &unit.text()).map_err(failed)?;
    }
    let begun = systemctl(&["daemon-reload"]).and_then(|_| match before.outsider(unit) {
        Some(daemon) => end_daemon(unit, daemon),
        None => Ok(()),
    });
    let begun = begun.and_then(|()| systemctl(&["enable", "--now", &unit.name]));
    begun.map(drop).map_err(|error| {
        take_back(unit, before);
        let failure = failed(error).help(format!("journalctl -u {} -n 50", unit.name));
        match before.outsider(unit) {
            Some(_) => failure.help("nexusctl list    takes the apps back, without systemd"),
            None => failure,
        }
    })
}

/// Leave the machine as it was.
fn take_back(unit: &Unit, before: &Before) {
    // What cannot be undone is left for the next try, which writes it anew.
    let _ = systemctl(&["disable", "--now", &unit.name]);
    let _ = match &before.text {
        Some(text) => write(&unit.path, text),
        None => fs::remove_file(&unit.path),
    };
    let _ = systemctl(&["daemon-reload"]);
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("service.new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// End the daemon of before, and wait for its keeper's end: the home's lock is free then.
fn end_daemon(unit: &Unit, daemon: &Version) -> io::Result<()> {
    let pidfd =
        Pid::from_raw(daemon.keeper_pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let told = client::fresh_key()?;
    client(unit).stop_daemon(&told).map_err(|error| io::Error::other(error.to_string()))?;
    let Some(pidfd) = pidfd else { return Ok(()) };
    let wait = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    let mut asked = [PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), PollFlags::POLLIN)];
    match poll(&mut asked, wait)? {
        0 => Err(io::Error::other(format!("the keeper (pid {}) does not end", daemon.keeper_pid))),
        _ => Ok(()),
    }
}

/// It starts at boot, it runs, and it is what answers in this home.
fn check(unit: &Unit) -> Result<Version, Failure> {
    let failed = |why: String| {
        Failure::new(Exit::Failed, format!("{} is installed, but not as it should be", unit.name))
            .cause(why)
            .help(format!("systemctl status {}", unit.name))
    };
    for question in ["is-enabled", "is-active"] {
        systemctl(&[question, &unit.name]).map_err(|error| failed(error.to_string()))?;
    }
    let version = client(unit).version().map_err(|error| failed(error.to_string()))?;
    if version.service.as_ref() != Some(&unit.name) {
        return Err(failed(format!(
            "the daemon of {} is not run by it (pid {})",
            unit.home.display(),
            version.pid
        )));
    }
    Ok(version)
}

fn done(context: &Context, unit: &Unit, version: &Version) -> Result<ExitCode, Failure> {
    let apps = client(unit).apps().map(|snapshot| snapshot.apps.len() as u64).unwrap_or_default();
    match context.format {
        Format::Json | Format::Jsonl => context.document(&json!({
            "schema": "nexus.startup/1",
            "unit": unit.name,
            "path": unit.path,
            "home": unit.home,
            "user": unit.whose(),
            "keeper_pid": version.keeper_pid,
            "apps": apps,
        }))?,
        Format::Name => out::result(&format!("{}\n", unit.name))?,
        Format::Table | Format::Wide => out::result(&format!(
            "{} is enabled and runs (pid {}), with {}\nundo: sudo {}\n",
            unit.name,
            version.keeper_pid,
            count(apps, "app"),
            unit.command("unstartup")
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `unstartup`: the unit goes; what runs, runs on.
pub(super) fn undo(context: &Context, args: &Unstartup) -> Result<ExitCode, Failure> {
    let unit = Unit::of(context, args.user.as_deref())?;
    needs_systemd()?;
    let before = Before::look(&unit)?;
    if before.text.is_none() {
        context.note(&format!("{} is not installed: nothing to do", unit.name));
        return Ok(ExitCode::SUCCESS);
    }
    context.note(&format!(
        "the daemon of {} is no longer to start at boot\n  step 1   systemctl disable {}\n  \
         step 2   remove {}\n  what runs now, runs on until `nexusctl kill` or a reboot",
        unit.whose(),
        unit.name,
        unit.path.display()
    ));
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(code) = as_root(&unit, "unstartup", args.yes)? {
        return Ok(code);
    }
    if !args.yes {
        confirm("go on?", &format!("{} --yes", unit.command("unstartup")))?;
    }
    let failed = |error: io::Error| {
        Failure::new(Exit::Failed, format!("{} is not removed", unit.name)).cause(error.to_string())
    };
    systemctl(&["disable", &unit.name]).map_err(failed)?;
    fs::remove_file(&unit.path).map_err(failed)?;
    systemctl(&["daemon-reload"]).map_err(failed)?;
    // Commands must not have a unit started that is not there.
    let _ = fs::remove_file(service::marker(&Home::at(unit.home.clone())));
    match context.format {
        Format::Json | Format::Jsonl => {
            context.document(&json!({"schema": "nexus.unstartup/1", "unit": unit.name}))?;
        }
        Format::Name => out::result(&format!("{}\n", unit.name))?,
        Format::Table | Format::Wide => {
            let again = unit.command("startup");
            out::result(&format!("{} is removed\nundo: sudo {again}\n", unit.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
