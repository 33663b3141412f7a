//! Restarts, stops and starts of apps and of single instances: generations and ids.

use nexus_tests::Home;

use crate::{AT_ONCE, shell, worker};

const THREE: &str = "instances = 3\nready = \"notify\"";

fn three() -> Home {
    let home = Home::new();
    home.write("ecosystem.toml", &worker("api", &["--ready-after", "0"], THREE));
    home.ctl(&["start"]).ok();
    home
}

fn generations(home: &Home) -> Vec<u64> {
    let app = home.known("api").0;
    let each = app["instances"].as_array().unwrap().iter();
    each.map(|one| one["generation"].as_u64().unwrap()).collect()
}

#[test]
fn a_restart_gives_new_processes_and_a_new_generation_to_the_same_ids() {
    let home = three();
    let (before, old) = (home.known("api"), generations(&home));
    home.ctl(&["restart", "api"]).ok();
    let (after, new) = (home.known("api"), generations(&home));
    assert_eq!(after.ids(), before.ids());
    assert!(after.pids().iter().all(|pid| !before.pids().contains(pid)), "{after:?}");
    assert!(old.iter().zip(&new).all(|(old, new)| new > old), "{old:?} {new:?}");
    assert_eq!(after.restarts(), [0, 0, 0], "a restart that was asked for does not count");
    assert!(before.pids().iter().all(|&pid| !nexus_tests::Process(pid).alive()));
}

#[test]
fn a_restart_of_one_instance_leaves_the_others_alone() {
    let home = three();
    let before = home.known("api").pids();
    home.ctl(&["restart", "api/1"]).ok();
    let after = home.known("api").pids();
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert!(after[1] != before[1] && after[1] > 0);
}

#[test]
fn one_instance_is_stopped_and_started() {
    let home = three();
    let before = home.known("api");
    home.ctl(&["stop", "api/2"]).ok();
    let app = home.known("api");
    assert_eq!(app.statuses(), ["online", "online", "stopped"]);
    assert_eq!(app.status(), "partial");
    assert_eq!(app.pids()[..2], before.pids()[..2]);
    home.ctl(&["start", "api/2"]).ok();
    let app = home.known("api");
    assert_eq!(app.statuses(), ["online", "online", "online"]);
    assert_eq!(app.ids(), before.ids());
    assert_eq!(app.pids()[..2], before.pids()[..2]);
}

#[test]
fn every_instance_knows_its_number() {
    let home = three();
    for (number, (pid, id)) in
        home.known("api").pids().into_iter().zip(home.known("api").ids()).enumerate()
    {
        let process = nexus_tests::Process(pid);
        assert_eq!(process.env("NEXUS_INSTANCE"), Some(number.to_string()));
        assert_eq!(process.env("NODE_APP_INSTANCE"), Some(number.to_string()));
        assert_eq!(process.env("pm_id"), Some(id.to_string()));
    }
}

#[test]
fn a_restart_with_the_file_takes_what_it_says_now() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let id = home.known("app").ids();
    home.write("ecosystem.toml", &shell("app", "exec sleep 2000", AT_ONCE));
    home.ctl(&["restart", "ecosystem.toml"]).ok();
    let app = home.known("app");
    assert_eq!(app.main().args().unwrap(), ["sleep", "2000"]);
    assert_eq!(app.ids(), id);
}

#[test]
fn ids_are_never_reused() {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", AT_ONCE));
    home.ctl(&["start"]).ok();
    let id = home.known("app").ids()[0];
    home.ctl(&["delete", "app"]).ok();
    assert!(home.app("app").is_none());
    assert_eq!(home.processes().len(), 2, "only the pair is left");
    home.ctl(&["start"]).ok();
    assert!(home.known("app").ids()[0] > id);
}
