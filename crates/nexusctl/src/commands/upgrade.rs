//! `daemon upgrade`, `update`: another version in the place of nexusd and its keeper.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nexus_proto::{
    Code, DaemonResult, OpState, Operation, UpgradeDaemon, Verdict, Version, client,
};
use serde_json::json;

use crate::cli::{Change, Format, Upgrade};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::identity::{self, Identity};
use crate::{interrupt, out, settled, text};

/// On top of the deadline: the way back takes its time, too.
const WAY_BACK: Duration = Duration::from_secs(10);

/// How much later than the time limit an answer may come that was asked for before.
const LATE: Duration = Duration::from_millis(500);

/// Do it.
pub(super) fn run(context: &Context, args: &Upgrade) -> Result<ExitCode, Failure> {
    let daemon = match context.client.version() {
        Ok(daemon) => daemon,
        Err(client::Failure::NoDaemon { .. }) => {
            context.note("no daemon runs: there is nothing to upgrade");
            return Ok(ExitCode::SUCCESS);
        }
        Err(failure) => return Err(failure.into()),
    };
    let file = file(args.to.as_deref()).map_err(|why| cannot(&daemon, &why))?;
    let shown = file.display().to_string();
    let identity =
        identity::of(&file).map_err(|why| cannot(&daemon, &format!("{shown}: {why}")))?;
    can_take_over(&identity, &daemon).map_err(|why| cannot(&daemon, &format!("{shown}: {why}")))?;
    if runs_already(&file, &daemon) {
        context.note(&format!("the daemon is this program already ({})", identity.version));
        return show(context, &shown, &daemon, &same(&daemon));
    }
    if args.change.dry_run {
        let plan = format!("would upgrade {} to {} ({shown})", daemon.version, identity.version);
        context.note(&text::plain(&plan));
        return Ok(ExitCode::SUCCESS);
    }
    let key = client::fresh_key()
        .map_err(|error| Failure::new(Exit::Failed, "no random number").cause(error.to_string()))?;
    interrupt::watch(&key, false);
    let asked = UpgradeDaemon { file: shown.clone(), deadline_ms: Some(args.deadline.0) };
    // While the new program has the deadline to itself, nobody may answer.
    let patience = Duration::from_millis(args.deadline.0) + WAY_BACK;
    let wait = args.change.timeout.map(|time| Duration::from_millis(time.0));
    let begins = wait.map_or(patience, |wait| patience.min(wait.max(client::ANSWER)));
    let begun = context.client.clone().through_silence(begins).upgrade_daemon(&key, &asked)?;
    let client = context.client.clone().through_silence(patience);
    let operation = match begun.state {
        OpState::Running if !args.change.no_wait => outcome(context, &client, wait, begun)?,
        OpState::Running | OpState::Ended => begun,
    };
    ended(context, &shown, &operation, &args.change)
}

/// How it ended, or how far it is known to be when the time is over, in which nobody may answer.
fn outcome(
    context: &Context,
    patient: &client::Client,
    wait: Option<Duration>,
    begun: Operation,
) -> Result<Operation, Failure> {
    let Some(wait) = wait else { return Ok(patient.settle(&begun.key, None)?) };
    let client = context.client.clone().with_patience(LATE, wait);
    match client.settle(&begun.key, Some(wait)) {
        Err(client::Failure::TimedOut | client::Failure::NoDaemon { .. }) => Ok(begun),
        known => Ok(known?),
    }
}

/// The file that is to take over, by its true path.
fn file(to: Option<&Path>) -> Result<PathBuf, String> {
    let path = match to {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().map_err(|error| format!("this program: {error}"))?,
    };
    std::fs::canonicalize(&path).map_err(|error| match to {
        Some(_) => format!("{}: {error}", path.display()),
        None => format!("this program's own file is gone ({})", path.display()),
    })
}

/// Whether a pair of both versions could hand over.
fn can_take_over(new: &Identity, daemon: &Version) -> Result<(), String> {
    if new.protocol != daemon.protocol {
        return Err(format!(
            "its keeper speaks version {}, the running one {}: it cannot take over in place. \
             `nexusctl daemon stop`, then any command of the new one, does the same, and the apps \
             run on",
            new.protocol, daemon.protocol
        ));
    }
    if new.state_format < daemon.state_format {
        return Err(format!(
            "version {} is too old to read the state of {}",
            new.version, daemon.version
        ));
    }
    Ok(())
}

/// Whether both of the pair run this very file.
fn runs_already(file: &Path, daemon: &Version) -> bool {
    let id = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let of = |pid: i32| id(Path::new(&format!("/proc/{pid}/exe")));
    let own = id(file);
    own.is_some() && of(daemon.pid) == own && of(daemon.keeper_pid) == own
}

fn cannot(daemon: &Version, why: &str) -> Failure {
    let title = format!("no upgrade: {} serves, and nothing was changed", daemon.version);
    Failure::new(Exit::RolledBack, title).code(Code::RolledBack).cause(why)
}

fn same(daemon: &Version) -> DaemonResult {
    DaemonResult {
        verdict: Verdict::AlreadyRunning,
        message: String::new(),
        from: daemon.version.clone(),
        version: daemon.version.clone(),
    }
}

fn ended(
    context: &Context,
    file: &str,
    operation: &Operation,
    change: &Change,
) -> Result<ExitCode, Failure> {
    let Some(result) = &operation.daemon else {
        return settled::running(context, operation, change);
    };
    if result.verdict != Verdict::Done {
        let title = format!("no upgrade: {} serves again, and every app runs on", result.version);
        return Err(Failure::new(Exit::RolledBack, title)
            .code(Code::RolledBack)
            .cause(format!("{file}: {}", result.message))
            .help(format!("less {}", context.home.daemon_log().display())));
    }
    show(context, file, &context.client.version()?, result)
}

fn show(
    context: &Context,
    file: &str,
    daemon: &Version,
    result: &DaemonResult,
) -> Result<ExitCode, Failure> {
    match context.format {
        Format::Json | Format::Jsonl => context.document(&json!({
            "schema": "nexus.upgrade/1",
            "verdict": result.verdict,
            "file": file,
            "from": result.from,
            "version": result.version,
            "keeper_version": daemon.keeper_version,
            "pid": daemon.pid,
            "keeper_pid": daemon.keeper_pid,
        }))?,
        Format::Name => out::result(&format!("{}\n", text::plain(&result.version)))?,
        Format::Table | Format::Wide if result.verdict == Verdict::Done => {
            let (from, to) = (text::plain(&result.from), text::plain(&result.version));
            context.note(&format!(
                "upgraded {from} to {to}: nexusd (pid {}), nexus-keeper (pid {}); every app ran on",
                daemon.pid, daemon.keeper_pid
            ));
        }
        Format::Table | Format::Wide => {}
    }
    Ok(ExitCode::SUCCESS)
}
