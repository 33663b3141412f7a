//! Several first commands at once make one daemon.

use nexus_tests::{Home, PROMPT, wait_for};

#[test]
fn eight_cold_starts_at_once_give_one_pair() {
    let home = Home::new();
    let names: Vec<String> = (0..8).map(|number| format!("app-{number}")).collect();
    let commands: Vec<_> = names
        .iter()
        .map(|name| {
            home.begin(&["start", "--name", name, "--ready", "delay:0s", "--", "sleep", "1000"])
        })
        .collect();
    for command in commands {
        command.end().ok();
    }
    for name in &names {
        assert_eq!(home.known(name).status(), "online", "{name}");
    }
    // Those who came too late to be the keeper may still be on their way out.
    wait_for(PROMPT, "one pair and eight apps", || {
        let names = home.processes().into_iter().filter_map(|process| process.comm());
        let mut names: Vec<String> = names.collect();
        names.sort();
        let mut wanted = vec!["nexus-keeper", "nexusd"];
        wanted.extend(["sleep"; 8]);
        (names == wanted).then_some(())
    });
    let version = home.api("/v1/version");
    assert_eq!(version["pid"], home.daemon().unwrap().0);
    assert_eq!(version["keeper_pid"], home.keeper().unwrap().0);
    assert_eq!((&version["nexusd_restarts"], &version["keeper_restarts"]), (&0.into(), &0.into()));
}
