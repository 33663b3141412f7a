//! `save` and `resurrect`.

use std::path::Path;

use nexus_tests::{Home, repository};

use crate::{AT_ONCE, shell, worker};

#[test]
fn what_was_saved_comes_back_after_a_kill() {
    let home = Home::new();
    let text = shell("calm", "exec sleep 1000", AT_ONCE)
        + &worker("api", &["--ready-after", "0"], "ready = \"notify\"\ninstances = 2")
        + &shell("idle", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    home.ctl(&["stop", "idle"]).ok();
    let saved = home.ctl(&["save"]).ok();
    assert!(saved.stdout.contains('3'), "{saved:?}");
    home.ctl(&["kill"]).ok();
    assert_eq!(home.processes(), []);
    home.ctl(&["resurrect"]).ok();
    assert_eq!(home.known("calm").status(), "online");
    assert_eq!(home.known("api").statuses(), ["online", "online"]);
    assert!(home.app("idle").is_none_or(|app| app.status() == "stopped"));
}

#[test]
fn what_was_deleted_since_comes_back_and_what_runs_is_left_alone() {
    let home = Home::new();
    let text =
        shell("kept", "exec sleep 1000", AT_ONCE) + &shell("lost", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    home.ctl(&["save"]).ok();
    home.ctl(&["delete", "lost"]).ok();
    let kept = home.known("kept").identity();
    home.ctl(&["resurrect"]).ok();
    assert_eq!(home.known("kept").identity(), kept);
    assert_eq!(home.known("lost").status(), "online");
    home.ctl(&["resurrect"]).ok();
    assert_eq!(home.known("kept").identity(), kept);
}

#[test]
fn an_empty_list_does_not_replace_a_full_one() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    home.ctl(&["save"]).ok();
    home.ctl(&["delete", "all"]).ok();
    home.ctl(&["save"]).expect_code(5);
    home.ctl(&["resurrect"]).ok();
    assert_eq!(home.known("calm").status(), "online");
}

#[test]
fn state_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    home.ctl(&["save"]).ok();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&home.path()), 0o700);
    assert_eq!(mode(&home.path().join("nexus.sock")), 0o600);
    let state = home.path().join("state");
    let files: Vec<_> = std::fs::read_dir(&state).unwrap().flatten().collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(mode(&file.path()) & 0o077, 0, "{}", file.path().display());
    }
}

/// The state folder of every version and format that there ever was, as it was when the machine
/// went down.
#[test]
fn what_every_older_version_stored_is_read_and_comes_back() {
    let versions = repository().join("tests/fixtures");
    let versions: Vec<_> = std::fs::read_dir(versions).unwrap().flatten().collect();
    assert!(!versions.is_empty());
    for version in versions {
        let home = Home::new();
        restore(&home, &version.path().join("state"));
        home.ctl(&["resurrect"]).ok();
        let calm = home.until("calm", "its workers", |app| app.status() == "online");
        assert_eq!((calm.pids().len(), calm.restarts()[2]), (3, 1), "{:?}", version.path());
        assert_eq!(calm.0["memory_max_bytes"], 209_715_200);
        let reloaded = home.until("reloaded", "its worker", |app| app.status() == "online");
        assert_eq!(reloaded.0["generation"], 2);
        assert!(reloaded.0["listen"][0].as_str().unwrap().starts_with("unix:"));
        let stopped = home.known("stopped");
        assert_eq!((stopped.status(), &stopped.0["namespace"]), ("stopped", &"back".into()));
        assert_eq!(home.events_of("reloaded", "reloaded").len(), 1, "the journal is read, too");
        // What it has been is kept since format 2.
        if !version.path().ends_with("0.1.0") {
            home.ctl(&["rollback", "reloaded"]).ok();
            assert_eq!(home.known("reloaded").0["generation"], 3);
        }
        let log = std::fs::read_to_string(home.path().join("nexusd.log")).unwrap();
        assert!(!log.contains("ERROR"), "{log}");
        // `saved.json` by itself, too.
        home.ctl(&["delete", "all"]).ok();
        home.ctl(&["resurrect"]).ok();
        assert_eq!(home.known("calm").status(), "online");
    }
}

fn restore(home: &Home, state: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let socket = home.project().join("s");
    let mut private = std::fs::DirBuilder::new();
    private.mode(0o700).recursive(true).create(home.path().join("state")).unwrap();
    for file in std::fs::read_dir(state).unwrap().flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let text = text.replace("/tmp/nexus-fixture.sock", &socket.display().to_string());
        // What ran then ran before the machine was booted, on the machine where it was written, too.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let text = text.replace(boot.trim(), "7e57ab1e-0000-4000-8000-000000000000");
        std::fs::write(home.path().join("state").join(file.file_name()), text).unwrap();
    }
}
