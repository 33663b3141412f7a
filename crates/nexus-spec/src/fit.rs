//! Settings of one app that have to fit together: what is asked, and what could answer.

use crate::app::AppSpec;
use crate::check::Check;
use crate::flaw::Code;
use crate::instances::Instances;
use crate::listen::Listen;
use crate::ready::Ready;
use crate::rollout::{Health, RollbackOn, Rollout};
use crate::wrong::Wrong;

/// What cannot work, though each setting for itself can.
pub(crate) fn flaws(app: &AppSpec) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    match &app.ready {
        Ready::Probe(check) => wrongs.extend(asked(app, "ready", check)),
        Ready::Log(_) => wrongs.extend(read(app)),
        Ready::Default | Ready::Delay(_) | Ready::Fd | Ready::Ipc | Ready::Notify => {}
    }
    if app.stop.message && app.ready == Ready::Fd {
        let problem = "goes over Node's channel, and `ready = \"fd\"` is none";
        let remedy = "write `ready = \"ipc\"`, or leave it out";
        wrongs.push(Wrong::of("shutdown_with_message", Code::Value, problem, remedy));
    }
    let reports = |health: &Health| matches!(health.check, Check::Lag(_));
    if app.health.as_ref().is_some_and(reports) && app.ready == Ready::Fd {
        let problem = "is reported over Node's channel, and `ready = \"fd\"` is none";
        let remedy = "write `ready = \"ipc\"`, or leave it out";
        wrongs.push(Wrong::of("health", Code::Value, problem, remedy));
    }
    if let Some(health) = &app.health {
        wrongs.extend(asked(app, "health", &health.check));
    }
    wrongs.extend(watched(app));
    wrongs
}

/// A check has to reach one worker, not any of them.
fn asked(app: &AppSpec, key: &str, check: &Check) -> Option<Wrong> {
    let endpoint = match check.endpoint(&|name| app.variable(name, 0)) {
        Ok(endpoint) => endpoint?,
        Err(clause) => return Some(Wrong::of(key, Code::Value, clause, "")),
    };
    let port = endpoint.addresses.first()?.port();
    let shared = |listen: &Listen| matches!(listen, Listen::Tcp(at) if at.port() == port);
    let mut addresses = app.listen.iter().map(|socket| &socket.address);
    let shared = addresses.find(|listen| shared(listen))?;
    let problem = format!("asks {shared}, which all workers share: any of them may answer");
    let remedy = match key {
        "ready" => "write \"notify\" or \"fd\", or ask a port that each worker has for itself",
        _ => "write `exec`, use `watchdog`, or ask a port that each worker has for itself",
    };
    Some(Wrong::of(key, Code::Value, problem, remedy))
}

/// What takes a reload back has to be looked for, and where it can be found.
fn watched(app: &AppSpec) -> Option<Wrong> {
    let Rollout { canary, soak, rollback_on } = &app.rollout;
    if *rollback_on == RollbackOn::default() {
        return None;
    }
    if canary.is_none() && soak.is_none() {
        let problem = "is set, and a reload watches no worker";
        let remedy = "set `soak` or `canary`, too";
        return Some(Wrong::of("rollback_on", Code::Value, problem, remedy));
    }
    if rollback_on.log.is_some() && app.log.kept() == 0 {
        let problem = "looks for lines of a log that is not written";
        return Some(Wrong::of("rollback_on.log", Code::Value, problem, "leave it out"));
    }
    None
}

/// A line has to be of one worker, and to be written somewhere.
fn read(app: &AppSpec) -> Option<Wrong> {
    let remedy = "write \"notify\" or \"fd\"";
    if app.log.kept() == 0 {
        let problem = "waits for a line of a log that is not written";
        return Some(Wrong::of("ready", Code::Value, problem, remedy));
    }
    if app.log.merge_logs && app.instances != Instances::Count(1) {
        let problem = "waits for a line in a log of all workers: whose it is cannot be told";
        return Some(Wrong::of("ready", Code::Value, problem, remedy));
    }
    None
}
