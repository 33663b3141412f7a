//! Logs, their indexes and what was rotated, read back.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").expect("room for a log"));

fuzz_target!(|bytes: &[u8]| {
    nexus_log::fuzz::lines(bytes, FOLDER.path());
});
