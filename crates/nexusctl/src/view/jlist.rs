//! `jlist`: PM2's array, one object a process, without the environment's values.

use nexus_proto::{AppView, InstanceView, Snapshot, Status};
use serde_json::{Value, json};

/// PM2's array.
pub(crate) fn jlist(snapshot: Option<&Snapshot>) -> Value {
    let apps = snapshot.map(|snapshot| snapshot.apps.as_slice()).unwrap_or_default();
    let now = snapshot.and_then(|snapshot| snapshot.generated_at.parse::<jiff::Timestamp>().ok());
    let now = now.map(jiff::Timestamp::as_millisecond);
    let mut rows: Vec<(u32, Value)> = apps
        .iter()
        .flat_map(|app| app.instances.iter().map(move |one| (one.id, process(app, one, now))))
        .collect();
    rows.sort_by_key(|(id, _)| *id);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn process(app: &AppView, one: &InstanceView, now: Option<i64>) -> Value {
    let log =
        |stream: &str| one.logs.iter().find(|log| log.stream == stream).map(|log| log.path.clone());
    let started = one.started_at_unix_ms.or_else(|| {
        let now = u64::try_from(now?).ok()?;
        now.checked_sub(one.uptime_ms?)
    });
    let program = app.command.first().cloned().unwrap_or_default();
    let (interpreter, script) = run_by(app);
    json!({
        "pid": one.pid.unwrap_or(0),
        "name": app.name,
        "pm_id": one.id,
        "monit": { "memory": one.memory_bytes.unwrap_or(0), "cpu": one.cpu_percent.unwrap_or(0.0) },
        "pm2_env": {
            "name": app.name,
            "namespace": app.namespace,
            "pm_id": one.id,
            "status": status(one.status),
            "pm_exec_path": script.unwrap_or(program),
            "pm_cwd": app.cwd,
            "exec_interpreter": interpreter,
            "exec_mode": "fork_mode",
            "instances": app.wanted,
            "args": arguments(app),
            "node_args": [],
            "autorestart": autorestart(app),
            "watch": app.watch.as_ref().is_some_and(|watch| watch.on),
            "cron_restart": app.times.iter().find(|times| times.does == "restart").map(|times| &times.cron),
            "vizion": false,
            "pmx": false,
            "merge_logs": false,
            "instance_var": "NODE_APP_INSTANCE",
            "kill_timeout": app.kill_timeout_ms,
            "restart_time": one.restarts,
            "unstable_restarts": if one.status == Status::Errored { one.restarts } else { 0 },
            "pm_uptime": started,
            "created_at": started,
            "exit_code": one.last_exit_code,
            "pm_out_log_path": log("out"),
            "pm_err_log_path": log("err"),
            "NODE_APP_INSTANCE": one.instance,
            "username": app.user,
            "axm_actions": [],
            "axm_monitor": {},
            "axm_options": {},
            "axm_dynamic": {},
            "env": {},
        },
    })
}

/// PM2's word.
const fn status(status: Status) -> &'static str {
    match status {
        Status::Online | Status::Partial => "online",
        Status::Building | Status::Starting | Status::Waiting => "launching",
        Status::Stopping => "stopping",
        Status::Backoff => "waiting restart",
        Status::Errored => "errored",
        Status::Scheduled | Status::Stopped => "stopped",
    }
}

/// Interpreters that PM2 names; the script is then the first argument that is no flag.
const INTERPRETERS: [&str; 11] =
    ["node", "bun", "deno", "python", "python3", "ruby", "php", "perl", "bash", "sh", "java"];

/// The interpreter, and the script that it runs, if it runs one.
fn run_by(app: &AppView) -> (String, Option<String>) {
    let program = app.command.first().map(String::as_str).unwrap_or_default();
    let base = program.rsplit('/').next().unwrap_or_default();
    if !INTERPRETERS.contains(&base) {
        return ("none".to_owned(), None);
    }
    (program.to_owned(), script_at(app).and_then(|at| app.command.get(at).cloned()))
}

fn script_at(app: &AppView) -> Option<usize> {
    app.command.iter().skip(1).position(|word| !word.starts_with('-')).map(|at| at + 1)
}

/// What follows the program, or the script that an interpreter runs.
fn arguments(app: &AppView) -> Vec<String> {
    let skip = match run_by(app) {
        (_, Some(_)) => script_at(app).map_or(1, |at| at + 1),
        (_, None) => 1,
    };
    app.command.iter().skip(skip).cloned().collect()
}

/// The policy in words says when there is none.
fn autorestart(app: &AppView) -> bool {
    !app.restart_policy.starts_with("never") && !app.restart_policy.starts_with("none")
}
