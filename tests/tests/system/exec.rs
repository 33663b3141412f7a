//! Programs that can not be run: exit 1, the cause with the path named, nothing online.

use std::os::unix::fs::PermissionsExt;

use nexus_tests::Home;

use crate::app;

/// Start it; stderr must say each of `words`.
#[track_caller]
fn refused(home: &Home, script: &str, more: &str, words: &[&str]) {
    home.write("ecosystem.toml", &app("wrong", script, &[], more));
    let output = home.ctl(&["start"]).expect_code(1);
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in {output:?}");
    }
    let known = home.known("wrong");
    assert!(known.statuses().iter().all(|status| status != "online"), "{known:?}");
    assert_eq!(known.pids(), [0]);
    assert!(home.events_of("wrong", "ready").is_empty());
    let why = home.ctl(&["why", "wrong"]).ok().stdout;
    assert!(why.contains(words[0]), "no {:?} in {why}", words[0]);
}

#[test]
fn a_program_that_is_not_there() {
    let home = Home::new();
    refused(&home, "/nowhere/at/all", "", &["/nowhere/at/all", "No such file"]);
}

#[test]
fn a_word_that_is_not_in_path() {
    let home = Home::new();
    refused(&home, "no-such-word-anywhere", "", &["no-such-word-anywhere"]);
}

#[test]
fn a_file_that_is_not_executable() {
    let home = Home::new();
    let file = home.write("plain", "#!/bin/sh\nexec sleep 1000\n");
    let path = file.display().to_string();
    refused(&home, &path, "", &[&path, "Permission denied"]);
}

#[test]
fn a_script_whose_interpreter_is_not_there() {
    let home = Home::new();
    let file = home.write("script", "#!/nowhere/perl -w\nexit 1\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = file.display().to_string();
    refused(&home, &path, "", &[&path, "/nowhere/perl"]);
}

#[test]
fn a_directory_that_is_not_there() {
    let home = Home::new();
    refused(&home, "/bin/sleep", "cwd = \"/nowhere/to/stand\"", &["/nowhere/to/stand", "No such"]);
}

#[test]
fn a_user_who_is_not_there() {
    let home = Home::new();
    refused(&home, "/bin/sleep", "user = \"nobody-by-that-name\"", &["nobody-by-that-name"]);
}
