//! Settings of ours that are not carried out yet: refused by name, so that nobody relies on them.

use super::Setting;

/// The row of every `env_…` that is no setting of its own.
pub(super) const PROFILE: &str = "env_<profile>";

pub(super) static ROWS: [Setting; 30] = [
    Setting::later(PROFILE, "a table", "Variables for one profile, on top of `env`.")
        .instead("write the variables in `env`"),
    Setting::later("env_file", "a path or an array of them", "Files of variables."),
    Setting::later(
        "inherit_env",
        "true, false or names",
        "What to take of the caller's environment.",
    )
    .instead("write the variables in `env`"),
    Setting::later("instance_var", "a string", "The variable that holds a worker's number.")
        .default("NODE_APP_INSTANCE"),
    Setting::later("secrets", "a table", "Variables read from a protected source at each spawn."),
    Setting::later("secret_names", "an array of patterns", "Variables to treat as secret."),
    Setting::later("not_secret", "an array of patterns", "Variables not to treat as secret."),
    Setting::later("shared_memory", "a size", "Memory that all workers of the app share."),
    Setting::later("stdin", "a string", "What standard input is.").default("null"),
    Setting::later("health", "a table", "A check that is repeated while a worker is online."),
    Setting::later("watchdog", "a length of time", "How often a worker says that it is alive."),
    Setting::later("depends_on", "names of apps", "What has to be up before this app is started."),
    Setting::later(
        "drain_timeout",
        "a length of time",
        "How long a worker may finish what it has begun.",
    )
    .instead("`kill_timeout` bounds the whole stop"),
    Setting::later("memory", "a table of `high`, `max`, `for`", "Limits of memory."),
    Setting::later("cpu", "a number", "The share of the processors."),
    Setting::later("nice", "a whole number", "The priority for the processors."),
    Setting::later("rlimits", "a table", "Limits of the kernel's, as `ulimit` sets them."),
    Setting::later("no_new_privs", "true or false", "Whether setuid programs are powerless."),
    Setting::later("sandbox", "a table", "What of the system the workers see."),
    Setting::later("log", "a table", "Size, age, number, rate and form of the log files."),
    Setting::later("schedule", "a cron expression", "When a one-shot job runs."),
    Setting::later("overlap", "a string", "What happens when a job is due and still runs."),
    Setting::later("timezone", "a string", "The time zone of `schedule`."),
    Setting::later("jitter", "a length of time", "Spread of the start of a job."),
    Setting::later("missed", "a string", "What happens to a run that was missed."),
    Setting::later("hooks", "a table", "Commands run at points of an app's life."),
    Setting::later("canary", "a table", "How many workers a reload tries first."),
    Setting::later("soak", "a length of time", "How long a new worker is watched in a reload."),
    Setting::later("rollback_on", "a table", "What takes a reload back."),
    Setting::later("protected", "true or false", "Whether stopping the app needs a confirmation."),
];
