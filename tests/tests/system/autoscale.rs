//! A number of workers that follows their load.

use nexus_tests::{App, Home, PROMPT, console, repository, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell};

/// It burns a CPU while `busy` is there.
const BURNER: &str = "while :; do if test -e busy; then i=0; while [ $i -lt 5000 ]; do \
                      i=$((i+1)); done; else sleep 1; fi; done";

fn burner(home: &Home, more: &str) {
    let rule = "instances = { min = 1, max = 2, target_cpu = 10, up_after = \"1s\", \
                down_after = \"2s\" }";
    home.write("ecosystem.toml", &shell("burner", BURNER, &format!("{AT_ONCE}\n{rule}\n{more}")));
}

/// So many, all of them up.
fn has(home: &Home, count: usize) -> App {
    home.until("burner", "as many workers", |app| app.statuses() == vec!["online"; count])
}

/// The last of so many changes.
fn changed(home: &Home, times: usize) -> String {
    let changes = wait_for(PROMPT, "a change", || {
        Some(home.events_of("burner", "autoscale")).filter(|all| all.len() == times)
    });
    changes[times - 1]["detail"].as_str().unwrap().to_owned()
}

#[test]
fn more_work_brings_another_worker_and_its_end_takes_it_away() {
    let home = Home::new();
    burner(&home, "");
    home.ctl(&["start"]).ok();
    let first = has(&home, 1).identity();
    home.write("busy", "");
    assert!(changed(&home, 1).ends_with("% of a CPU each: from 1 to 2 instances"));
    let two = has(&home, 2).identity();
    assert_eq!(two[0], first[0], "the one that was there is left alone");
    // What the file says is what is: nothing differs, and a reload keeps the number.
    home.ctl(&["diff"]).ok();
    home.ctl(&["reload", "ecosystem.toml", "-q"]).ok();
    let two = has(&home, 2).ids();
    home.daemon().unwrap().signal(Signal::SIGKILL);
    std::fs::remove_file(home.project().join("busy")).unwrap();
    assert!(changed(&home, 2).ends_with("from 2 to 1 instances"));
    assert_eq!(has(&home, 1).ids(), two[..1]);
    let shown = home.ctl(&["describe", "burner"]).ok().stdout;
    assert!(shown.contains("1 to 2 instances, each at 10 % of a CPU"), "{shown}");
}

#[test]
fn by_hand_it_is_scaled_within_its_bounds_only() {
    let home = Home::new();
    burner(&home, "");
    home.ctl(&["start"]).ok();
    for beyond in ["0", "3"] {
        let said = home.ctl(&["scale", "burner", beyond]).expect_code(5).stderr;
        assert!(said.contains("1 to 2 instances"), "{said}");
    }
    home.ctl(&["scale", "burner", "2", "-q"]).ok();
    assert!(changed(&home, 1).ends_with("from 2 to 1 instances"));
    has(&home, 1);
}

#[test]
fn the_page_about_it_is_true() {
    let page = repository().join("docs/SCALING.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let project = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let home = Home::new();
    home.write("ecosystem.toml", project.unwrap());
    let commands = console::play(&page, &home, &home.project());
    assert!(commands.unwrap_or_else(|flaw| panic!("{flaw}")) > 4);
}
