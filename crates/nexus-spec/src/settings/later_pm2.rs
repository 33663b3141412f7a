//! Settings of PM2's that are known by their names alone.

use super::Setting;

pub(super) static ROWS: [Setting; 9] = [
    Setting::named("log_file", "a path", "A file of both outputs, besides theirs."),
    Setting::named("post_update", "an array of commands", "Commands after a pull."),
    Setting::named("exec_timeout", "a length of time", "How long such a command may take."),
    Setting::named("container", "true or false", "Run in a container."),
    Setting::named("dist", "true or false", "Build a container for delivery."),
    Setting::named("image_name", "a string", "The name of the container's image."),
    Setting::named("node_version", "a string", "The version of Node in the container."),
    Setting::named("fresh", "true or false", "Build the container anew."),
    Setting::named("dockerdaemon", "true or false", "Run PM2 in the container."),
];
