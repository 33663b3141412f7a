//! Project files with flaws, and in conflict with what runs.

use nexus_tests::Home;

use crate::{AT_ONCE, shell};

#[test]
fn a_file_with_flaws_is_refused_whole_with_each_place_shown() {
    let home = Home::new();
    let good = shell("good", "exec sleep 1000", AT_ONCE);
    let bad =
        "[[apps]]\nname = \"bad\"\nscript = \"/bin/true\"\nintances = 2\nkill_timeout = \"soon\"\n";
    home.write("ecosystem.toml", &(good + bad));
    for verb in ["check", "start"] {
        let output = home.ctl(&[verb, "--ascii"]).expect_code(6);
        let said = &output.stderr;
        assert!(
            said.contains("ecosystem.toml:10:1") && said.contains("ecosystem.toml:11:16"),
            "{said}"
        );
        assert!(said.contains("intances") && said.contains("instances"), "{said}");
        assert!(said.contains("kill_timeout") && said.contains("^^^"), "{said}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(home.processes(), [], "not even a daemon is started");
}

#[test]
fn a_flaw_in_the_file_of_what_runs_changes_nothing() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let before = home.known("calm");
    home.write("ecosystem.toml", "[[apps]]\nname = \"calm\"\nscript = 3\n");
    for args in [["start"].as_slice(), &["restart", "ecosystem.toml"], &["check"]] {
        home.ctl(args).expect_code(6);
    }
    home.write("ecosystem.toml", "[[apps]\nname = ");
    home.ctl(&["start"]).expect_code(6);
    let after = home.known("calm");
    assert_eq!(
        (after.identity(), &after.0["generation"]),
        (before.identity(), &before.0["generation"])
    );
}

#[test]
fn another_configuration_for_what_runs_is_a_conflict_and_changes_nothing() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let before = home.known("calm").identity();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 2000", AT_ONCE));
    let output = home.ctl(&["start"]).expect_code(5);
    assert!(output.stderr.contains("restart"), "says what to do: {output:?}");
    assert_eq!(home.known("calm").identity(), before);
    assert_eq!(home.known("calm").main().args().unwrap(), ["sleep", "1000"]);
}

#[test]
fn check_says_that_a_good_file_is_good_and_starts_nothing() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("calm", "exec sleep 1000", AT_ONCE));
    home.ctl(&["check"]).ok();
    assert_eq!(home.processes(), []);
}

#[test]
fn an_address_that_is_taken_is_told_with_the_address() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let more = format!("listen = \"tcp://{address}\"\nmax_restarts = 0\n{AT_ONCE}");
    home.write("ecosystem.toml", &shell("late", "exec sleep 1000", &more));
    let output = home.ctl(&["start"]).expect_code(1);
    assert!(output.stderr.contains(&address), "{output:?}");
    assert!(home.known("late").pids().iter().all(|&pid| pid == 0));
}
