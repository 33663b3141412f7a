//! Settings of ours that are known by their names alone.

use super::Setting;

pub(super) static ROWS: [Setting; 13] = [
    Setting::named("shared_memory", "a size", "Memory that all workers of the app share."),
    Setting::named("health", "a table", "A check that is repeated while a worker is online."),
    Setting::named("watchdog", "a length of time", "How often a worker says that it is alive."),
    Setting::named("depends_on", "names of apps", "What has to be up before this app is started."),
    Setting::named(
        "drain_timeout",
        "a length of time",
        "How long a worker may finish what it has begun.",
    ),
    Setting::named("cpu", "a number", "The share of the processors."),
    Setting::named("no_new_privs", "true or false", "Whether setuid programs are powerless."),
    Setting::named("sandbox", "a table", "What of the system the workers see."),
    Setting::named("hooks", "a table", "Commands run at points of an app's life."),
    Setting::named("canary", "a table", "How many workers a reload tries first."),
    Setting::named("soak", "a length of time", "How long a new worker is watched in a reload."),
    Setting::named("rollback_on", "a table", "What takes a reload back."),
    Setting::named("protected", "true or false", "Whether stopping the app needs a confirmation."),
];
