//! More and fewer instances under load; none, and back.

use nexus_tests::{Home, Load, free_port};

use crate::reload::passed;
use crate::worker;

#[test]
fn up_and_down_without_a_lost_request() {
    let home = Home::new();
    let port = free_port();
    let args = ["--drain", "--serve", "--ready-after", "50"];
    home.write("ecosystem.toml", &worker("api", &args, &passed(port, 2)));
    home.ctl(&["start"]).ok();
    let before = home.known("api");
    let load = Load::start(port, 3, 3);
    home.ctl(&["scale", "api", "+2", "-q"]).ok();
    let more = home.known("api");
    assert_eq!(more.pids().len(), 4);
    assert_eq!(more.pids().get(..2), Some(&before.pids()[..]));
    home.ctl(&["scale", "api", "-3", "-q"]).ok();
    let fewer = home.known("api");
    assert_eq!((fewer.pids().len(), fewer.ids().first()), (1, before.ids().first()));
    assert_eq!(fewer.pids().first(), before.pids().first());
    // None at all: whoever comes waits at the socket, which stays.
    home.ctl(&["scale", "api", "0", "-q"]).ok();
    assert_eq!(home.known("api").status(), "stopped");
    home.ctl(&["scale", "api", "3", "-q"]).ok();
    let back = home.known("api");
    assert_eq!((back.pids().len(), back.status()), (3, "online"));
    assert_eq!(back.ids().first(), before.ids().first());
    load.end().flawless();
    assert_eq!(home.events_of("api", "scale").len(), 4);
}

#[test]
fn a_number_that_makes_no_sense_changes_nothing() {
    let home = Home::new();
    home.write("ecosystem.toml", &worker("api", &["--ready-after", "0"], "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    let before = home.known("api");
    home.ctl(&["scale", "api", "many"]).expect_code(2);
    home.ctl(&["scale", "api", "-2"]).expect_code(2);
    home.ctl(&["scale", "api", "99999"]).expect_code(2);
    home.ctl(&["scale", "nobody", "2"]).expect_code(4);
    home.ctl(&["scale", "api/0", "2"]).expect_code(2);
    assert_eq!(home.known("api").pids(), before.pids());
    let planned = home.ctl(&["scale", "api", "+1", "--dry-run"]).ok().stdout;
    assert_eq!(planned, "would scale api from 1 to +1\n");
}

#[test]
fn a_count_of_restarts_begins_again() {
    let home = Home::new();
    home.write("ecosystem.toml", &worker("api", &["--ready-after", "0"], "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    home.known("api").main().signal(nix::sys::signal::Signal::SIGKILL);
    home.until("api", "its restart", |app| app.restarts() == [1] && app.status() == "online");
    home.ctl(&["reset", "api", "-q"]).ok();
    assert_eq!(home.known("api").restarts(), [0]);
}
