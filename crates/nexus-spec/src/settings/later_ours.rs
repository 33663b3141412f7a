//! Settings of ours that are known by their names alone.

use super::Setting;

pub(super) static ROWS: [Setting; 2] = [
    Setting::named("sandbox", "a table", "What of the system the workers see."),
    Setting::named("hooks", "a table", "Commands run at points of an app's life."),
];
