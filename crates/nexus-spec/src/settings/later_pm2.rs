//! Settings of PM2's that are not carried out yet: refused by name, with what to write instead.

use super::Setting;

/// What replaces the two delays of PM2's that grow or bound restarts.
const USE_BACKOFF: &str = "write `backoff = { min = \"100ms\", max = \"15s\" }`";

pub(super) static ROWS: [Setting; 51] = [
    Setting::later("name_prefix", "a string", "Put before the name.").instead("write it in `name`"),
    Setting::later("node_args", "an array or a string", "Arguments of the interpreter.")
        .also(&["interpreter_args", "node_arguments"])
        .instead("write them after the program: `interpreter = \"node --flag\"`"),
    Setting::later("exec_mode", "\"fork\" or \"cluster\"", "How Node programs share a port.")
        .also(&["execution_mode"])
        .default("fork")
        .instead("leave it out; with `listen` all workers share the sockets"),
    Setting::later("execute_command", "true or false", "Run the script as a command."),
    Setting::later("force", "true or false", "Start what already runs."),
    Setting::later("log_file", "a path", "A file of both outputs, besides theirs."),
    Setting::later("disable_logs", "true or false", "Keep no log files.")
        .instead("write `out_file = \"/dev/null\"` and `error_file = \"/dev/null\"`"),
    Setting::later("log_type", "\"raw\" or \"json\"", "The form of the log files.").default("raw"),
    Setting::later("log_date_format", "a string", "A time before each line."),
    Setting::later("time", "true or false", "A time before each line, in the usual form."),
    Setting::later("pid_file", "a path", "A file that holds the process id.").also(&["pid"]),
    Setting::later("filter_env", "names", "Variables to take away."),
    Setting::later("append_env_to_name", "true or false", "Put the profile after the name."),
    Setting::later("port", "a number", "Sets PORT.").instead("write `env.PORT`"),
    Setting::later("increment_var", "a string", "A variable that grows with each worker."),
    Setting::later("autostart", "true or false", "Whether a start of the file starts the app."),
    Setting::later("exp_backoff_restart_delay", "a length of time", "The first wait of a backoff.")
        .instead(USE_BACKOFF),
    Setting::later("max_memory_restart", "a size", "Restart a worker that uses more memory."),
    Setting::later("kill_retry_time", "a length of time", "How often to look for the death.")
        .instead("leave it out: an exit is seen at once"),
    Setting::later("treekill", "true or false", "Whether children are killed as well.")
        .instead("leave it out: nothing of a worker's tree is left"),
    Setting::later(
        "shutdown_with_message",
        "true or false",
        "Send `shutdown` instead of a signal.",
    )
    .instead("write `stop_signal`"),
    Setting::later("wait_ready", "true or false", "Wait for the worker to say that it is ready.")
        .instead("write `ready = \"notify\"`"),
    Setting::later("listen_timeout", "a length of time", "How long to wait for a ready worker.")
        .instead("write `ready_timeout`"),
    Setting::later("cron_restart", "a cron expression", "Restart at set times.").also(&["cron"]),
    Setting::later("watch", "true, false or paths", "Restart when a file changes."),
    Setting::later("ignore_watch", "patterns", "Files whose changes do not count."),
    Setting::later("watch_options", "a table", "How files are watched."),
    Setting::later("watch_delay", "a length of time", "Wait after a change."),
    Setting::later("username", "a string", "A name to show.")
        .instead("write `user` for whose rights the workers have"),
    Setting::later("source_map_support", "true or false", "Source maps of Node."),
    Setting::later("disable_source_map_support", "true or false", "No source maps of Node."),
    Setting::later("vizion", "true or false", "Show the state of the repository."),
    Setting::later("pmx", "true or false", "Load PM2's probes."),
    Setting::later("automation", "true or false", "Load PM2's probes."),
    Setting::later("trace", "true or false", "PM2's tracing."),
    Setting::later("disable_trace", "true or false", "Not PM2's tracing."),
    Setting::later("v8", "true or false", "PM2's figures of V8."),
    Setting::later("event_loop_inspector", "true or false", "PM2's view of the event loop."),
    Setting::later("deep_monitoring", "true or false", "PM2's deep monitoring."),
    Setting::later("io", "a table", "Options of PM2's probes."),
    Setting::later("post_update", "an array of commands", "Commands after a pull."),
    Setting::later("exec_timeout", "a length of time", "How long such a command may take."),
    Setting::later("write", "true or false", "Write the options into a file."),
    Setting::later("windows_hide", "true or false", "No window, on Windows."),
    Setting::later("install_url", "a string", "Where a module comes from."),
    Setting::later("container", "true or false", "Run in a container."),
    Setting::later("dist", "true or false", "Build a container for delivery."),
    Setting::later("image_name", "a string", "The name of the container's image."),
    Setting::later("node_version", "a string", "The version of Node in the container."),
    Setting::later("fresh", "true or false", "Build the container anew."),
    Setting::later("dockerdaemon", "true or false", "Run PM2 in the container."),
];
