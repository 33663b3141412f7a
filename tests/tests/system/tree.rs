//! What a worker leaves behind: nothing, whatever ended it and however its children hide.

use std::path::{Path, PathBuf};

use nexus_tests::{Home, Output, PROMPT, Process, program, run, wait_for};
use nix::sys::signal::Signal;

use crate::worker;

/// How the pair finds a worker's tree.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Means {
    Cgroup,
    Sweep,
}

pub(crate) fn ctl(home: &Home, means: Means, args: &[&str]) -> Output {
    let mut command = home.command(&program("nexusctl"));
    if means == Means::Sweep {
        command.env("NEXUS_NO_CGROUP", "1");
    }
    run(command.args(args), PROMPT)
}

/// Pids of the descendants, once all have said theirs.
fn descendants(dir: &Path) -> Vec<Process> {
    let read = |role: &str| std::fs::read_to_string(dir.join(role)).ok()?.parse().ok().map(Process);
    wait_for(PROMPT, "three descendants", || {
        ["child", "grandchild", "daemon"].into_iter().map(read).collect()
    })
}

/// A worker with a tree; its directory and the descendants.
fn planted(home: &Home, means: Means) -> (PathBuf, Vec<Process>) {
    let dir = home.project().join("tree");
    std::fs::create_dir(&dir).unwrap();
    // One that has dropped its environment and its session is known by its cgroup only.
    let word = if means == Means::Cgroup { "--bare-tree" } else { "--tree" };
    let args = [word, &dir.display().to_string(), "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("parent", &args, "ready = \"notify\""));
    ctl(home, means, &["start"]).ok();
    let found = home.known("parent").0["instances"][0]["tree"].clone();
    assert_eq!(found, if means == Means::Cgroup { "cgroup" } else { "sweep" });
    let tree = descendants(&dir);
    assert!(tree.iter().all(|process| process.alive()), "{tree:?}");
    (dir, tree)
}

fn living(tree: &[Process]) -> Vec<Process> {
    tree.iter().copied().filter(|process| process.alive()).collect()
}

fn nothing_is_left_by(means: Means, verb: &str) {
    let home = Home::new();
    let (_, mut tree) = planted(&home, means);
    tree.push(home.known("parent").main());
    ctl(&home, means, &[verb, "parent"]).ok();
    // Said when it is true: no waiting here.
    assert_eq!(living(&tree), [], "after {verb}");
    assert_eq!(home.processes().len(), 2, "only the pair is left");
}

fn a_crash_ends_the_tree(means: Means) {
    let home = Home::new();
    let (dir, tree) = planted(&home, means);
    let before = home.known("parent");
    for role in ["child", "grandchild", "daemon"] {
        std::fs::remove_file(dir.join(role)).unwrap();
    }
    before.main().signal(Signal::SIGKILL);
    home.until("parent", "its replacement", |app| {
        app.status() == "online" && app.pids() != before.pids()
    });
    wait_for(PROMPT, "the end of the old tree", || living(&tree).is_empty().then_some(()));
    let successors = descendants(&dir);
    assert_eq!(living(&successors).len(), 3, "the new tree lives");
}

#[test]
fn a_stop_leaves_nothing_in_a_cgroup() {
    nothing_is_left_by(Means::Cgroup, "stop");
}

#[test]
fn a_stop_leaves_nothing_without_a_cgroup() {
    nothing_is_left_by(Means::Sweep, "stop");
}

#[test]
fn a_delete_leaves_nothing_in_a_cgroup() {
    nothing_is_left_by(Means::Cgroup, "delete");
}

#[test]
fn a_crash_leaves_nothing_in_a_cgroup() {
    a_crash_ends_the_tree(Means::Cgroup);
}

#[test]
fn a_crash_leaves_nothing_without_a_cgroup() {
    a_crash_ends_the_tree(Means::Sweep);
}
