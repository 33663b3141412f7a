//! `save` and `resurrect`.

use nexus_tests::Home;

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
