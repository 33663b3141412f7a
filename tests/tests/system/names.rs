//! Names that nobody has, and the table of exit codes.

use nexus_tests::{Home, PROMPT, program, run};

use crate::{AT_ONCE, shell};

fn calm() -> Home {
    let home = Home::new();
    let text = shell("trading-api", "exec sleep 1000", AT_ONCE)
        + &shell("worker", "exec sleep 1000", &format!("{AT_ONCE}\ninstances = 2"));
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    home
}

#[test]
fn an_unknown_name_ends_with_4_and_the_nearest_names() {
    let home = calm();
    let before = home.known("worker").identity();
    for verb in ["stop", "restart", "delete", "start", "describe", "why", "logs"] {
        let output = home.ctl(&[verb, "trading-apy"]).expect_code(4);
        assert!(output.stderr.contains("trading-api"), "{verb}: {output:?}");
        assert!(output.stdout.is_empty(), "{verb}: {output:?}");
    }
    home.ctl(&["stop", "worker/7"]).expect_code(4);
    home.ctl(&["stop", "4711"]).expect_code(4);
    home.ctl(&["stop", "worker", "nobody"]).expect_code(4);
    assert_eq!(home.known("worker").identity(), before, "nothing was changed");
}

#[test]
fn exit_codes_mean_one_thing_each() {
    let home = calm();
    for (args, code) in [
        (["list"].as_slice(), 0),
        (&["describe", "worker"], 0),
        (&["why", "worker"], 0),
        (&["events"], 0),
        (&["daemon", "status"], 0),
        (&["stop"], 2),
        (&["no-such-verb"], 2),
        (&["list", "--no-such-flag"], 2),
        (&["stop", "nobody"], 4),
        (&["delete", "worker/0"], 5),
        (&["start", "nowhere.toml"], 6),
        (&["check", "nowhere.toml"], 6),
    ] {
        let output = home.ctl(args);
        assert_eq!(output.code, code, "{args:?}: {output:?}");
        assert_eq!(output.stdout.is_empty(), code != 0, "{args:?}: {output:?}");
    }
}

#[test]
fn without_a_daemon_changes_end_with_7_and_nothing_is_started() {
    let home = Home::new();
    for args in [["stop", "x"].as_slice(), &["delete", "x"], &["save"]] {
        home.ctl(args).expect_code(7);
    }
    assert_eq!(home.processes(), []);
}

#[test]
fn a_home_that_can_not_be_made_ends_with_7() {
    let home = Home::new();
    home.write("in-the-way", "");
    let mut command = home.command(&program("nexusctl"));
    command.env("NEXUS_HOME", home.project().join("in-the-way/home"));
    let output = run(command.args(["start", "--name", "x", "--", "sleep", "1"]), PROMPT);
    assert_eq!(output.code, 7, "{output:?}");
    assert!(output.stderr.contains("in-the-way"), "{output:?}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let home = calm();
    let ctl = program("nexusctl");
    let line = format!("'{}' list -o json | true; echo ${{PIPESTATUS[0]}}", ctl.display());
    let mut bash = home.command(std::path::Path::new("bash"));
    let output = run(bash.args(["-c", &line]), PROMPT).ok();
    assert!(["0\n", "141\n"].contains(&output.stdout.as_str()), "{output:?}");
    assert!(!output.stderr.contains("panick"), "{output:?}");
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let home = calm();
    let before = home.known("worker").identity();
    for verb in ["stop", "restart", "delete"] {
        let output = home.ctl(&[verb, "worker", "--dry-run"]).ok();
        assert!(output.stdout.contains("worker"), "{output:?}");
    }
    home.ctl(&["kill", "--dry-run"]).ok();
    assert_eq!(home.known("worker").identity(), before);
}
