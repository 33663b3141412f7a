//! What is not carried out yet: refused by name, so that nobody relies on it.
//!
//! A line is taken out of the table by whoever carries the setting out; none is added.

use super::Scope;
use crate::flaw::Code;
use crate::wrong::Wrong;

/// A setting that is not carried out, and what to write in its place, or nothing.
type Later = (Scope, &'static str, &'static str);

/// What replaces the two delays of PM2's that grow or bound restarts.
const USE_BACKOFF: &str = "write `backoff = { min = \"100ms\", max = \"15s\" }`";

static NOT_YET: [Later; 81] = [
    (Scope::File, "daemon", ""),
    (Scope::File, "alerts", ""),
    (Scope::File, "deploy", ""),
    (Scope::File, "static", ""),
    (Scope::App, super::later_ours::PROFILE, "write the variables in `env`"),
    (Scope::App, "env_file", ""),
    (Scope::App, "inherit_env", "write the variables in `env`"),
    (Scope::App, "instance_var", ""),
    (Scope::App, "secrets", ""),
    (Scope::App, "secret_names", ""),
    (Scope::App, "not_secret", ""),
    (Scope::App, "shared_memory", ""),
    (Scope::App, "stdin", ""),
    (Scope::App, "health", ""),
    (Scope::App, "watchdog", ""),
    (Scope::App, "depends_on", ""),
    (Scope::App, "drain_timeout", "`kill_timeout` bounds the whole stop"),
    (Scope::App, "cpu", ""),
    (Scope::App, "no_new_privs", ""),
    (Scope::App, "sandbox", ""),
    (Scope::App, "log", ""),
    (Scope::App, "schedule", ""),
    (Scope::App, "overlap", ""),
    (Scope::App, "timezone", ""),
    (Scope::App, "jitter", ""),
    (Scope::App, "missed", ""),
    (Scope::App, "hooks", ""),
    (Scope::App, "canary", ""),
    (Scope::App, "soak", ""),
    (Scope::App, "rollback_on", ""),
    (Scope::App, "protected", ""),
    (Scope::App, "name_prefix", "write it in `name`"),
    (Scope::App, "node_args", "write them after the program: `interpreter = \"node --flag\"`"),
    (Scope::App, "exec_mode", "leave it out; with `listen` all workers share the sockets"),
    (Scope::App, "execute_command", ""),
    (Scope::App, "force", ""),
    (Scope::App, "log_file", ""),
    (
        Scope::App,
        "disable_logs",
        "write `out_file = \"/dev/null\"` and `error_file = \"/dev/null\"`",
    ),
    (Scope::App, "log_type", ""),
    (Scope::App, "log_date_format", ""),
    (Scope::App, "time", ""),
    (Scope::App, "pid_file", ""),
    (Scope::App, "filter_env", ""),
    (Scope::App, "append_env_to_name", ""),
    (Scope::App, "port", "write `env.PORT`"),
    (Scope::App, "increment_var", ""),
    (Scope::App, "autostart", ""),
    (Scope::App, "exp_backoff_restart_delay", USE_BACKOFF),
    (Scope::App, "kill_retry_time", "leave it out: an exit is seen at once"),
    (Scope::App, "treekill", "leave it out: nothing of a worker's tree is left"),
    (Scope::App, "shutdown_with_message", "write `stop_signal`"),
    (Scope::App, "wait_ready", "write `ready = \"notify\"`"),
    (Scope::App, "listen_timeout", "write `ready_timeout`"),
    (Scope::App, "cron_restart", ""),
    (Scope::App, "watch", ""),
    (Scope::App, "ignore_watch", ""),
    (Scope::App, "watch_options", ""),
    (Scope::App, "watch_delay", ""),
    (Scope::App, "username", "write `user` for whose rights the workers have"),
    (Scope::App, "source_map_support", ""),
    (Scope::App, "disable_source_map_support", ""),
    (Scope::App, "vizion", ""),
    (Scope::App, "pmx", ""),
    (Scope::App, "automation", ""),
    (Scope::App, "trace", ""),
    (Scope::App, "disable_trace", ""),
    (Scope::App, "v8", ""),
    (Scope::App, "event_loop_inspector", ""),
    (Scope::App, "deep_monitoring", ""),
    (Scope::App, "io", ""),
    (Scope::App, "post_update", ""),
    (Scope::App, "exec_timeout", ""),
    (Scope::App, "write", ""),
    (Scope::App, "windows_hide", ""),
    (Scope::App, "install_url", ""),
    (Scope::App, "container", ""),
    (Scope::App, "dist", ""),
    (Scope::App, "image_name", ""),
    (Scope::App, "node_version", ""),
    (Scope::App, "fresh", ""),
    (Scope::App, "dockerdaemon", ""),
];

/// What to write in place of a setting that is not carried out; `None`: it is.
pub(super) fn find(scope: Scope, key: &str) -> Option<&'static str> {
    NOT_YET
        .iter()
        .find(|(of, known, _)| *of == scope && *known == key)
        .map(|(.., instead)| *instead)
}

/// The flaw of a key that is known and not acted upon.
pub(super) fn wrong(key: &str, instead: &str) -> Wrong {
    let remedy = if instead.is_empty() { "leave it out" } else { instead };
    Wrong::of(key, Code::NotYet, "is not carried out yet", remedy)
}
