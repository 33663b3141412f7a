//! What happens in the middle of a change: whoever asked for it dies, its file changes, or it is asked
//! for otherwise again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use nexus_tests::http::request;
use nexus_tests::{App, Home, Load, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::reload::passed;
use crate::worker;

/// Three workers of which each waits for its file `go-N` until it is ready.
fn begin(word: &str) -> (Home, u16) {
    let home = Home::new();
    let port = free_port();
    home.write("ecosystem.toml", &text(port, word));
    go(&home, true);
    home.ctl(&["start"]).ok();
    go(&home, false);
    (home, port)
}

fn text(port: u16, word: &str) -> String {
    let args = ["--await", "go", "--drain", "--serve", "--ready-after", "0"];
    let more = passed(port, 3).replace("20s", "60s");
    worker("api", &args, &format!("{more}\nenv = {{ WORD = \"{word}\" }}"))
}

fn go(home: &Home, on: bool) {
    for name in ["go-0", "go-1", "go-2"] {
        let path = home.project().join(name);
        if on { std::fs::write(path, "") } else { std::fs::remove_file(path) }.unwrap();
    }
}

fn words(home: &Home) -> Vec<String> {
    home.known("api").pids().into_iter().map(|pid| Process(pid).env("WORD").unwrap()).collect()
}

fn replaced(home: &Home, count: usize) {
    wait_for(PROMPT, "a replacement", || {
        (home.events_of("api", "replaced").len() == count).then_some(())
    });
}

#[test]
fn a_reload_whose_nexusctl_is_killed_goes_on_and_its_result_can_be_asked_for() {
    let (home, port) = begin("old");
    let before = home.known("api");
    let load = Load::start(port, 2, 2);
    home.write("ecosystem.toml", &text(port, "new"));
    let mut asking = home.foreground(&["reload", "ecosystem.toml"], "said");
    home.write("go-0", "");
    replaced(&home, 1);
    assert_eq!(asking.end_by(Signal::SIGKILL), None, "it was over before the kill");
    assert!(home.events_of("api", "reloaded").is_empty());
    home.write("go-1", "");
    replaced(&home, 2);
    // The daemon's death in the middle makes no difference to that.
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.write("go-2", "");
    wait_for(PROMPT, "its end", || home.events_of("api", "reloaded").pop());
    load.end().flawless();
    assert_eq!(words(&home), ["new"; 3]);
    let after = home.known("api");
    assert_eq!((after.ids(), after.restarts()), (before.ids(), vec![0; 3]));
    assert!(home.events_of("api", "rolled_back").is_empty());
}

#[test]
fn who_hangs_up_at_once_has_asked_all_the_same() {
    let (home, _) = begin("old");
    let before = home.known("api").pids();
    go(&home, true);
    let body = r#"{"targets":["api"],"specs":null}"#;
    let reload = request("POST", "/v1/apps/reload", "Idempotency-Key: mine\r\n", body);
    home.connect().unwrap().write_all(reload.as_bytes()).unwrap();
    // It may not have been heard yet.
    let asked = || home.ask("GET", "/v1/operations/mine?wait_ms=20000", "", "").ok();
    let end = wait_for(PROMPT, "its operation", || asked().filter(|answer| answer.status == 200));
    let end = end.json();
    assert_eq!((&end["state"], &end["verb"]), (&"ended".into(), &"reload".into()), "{end}");
    assert_eq!(end["results"][0]["verdict"], "done", "{end}");
    assert!(home.known("api").pids().iter().all(|pid| !before.contains(pid)));
}

#[test]
fn a_file_that_is_written_anew_in_the_middle_of_a_reload_is_not_read_by_it() {
    let (home, port) = begin("first");
    home.write("ecosystem.toml", &text(port, "second"));
    let reload = home.begin(&["reload", "ecosystem.toml"]);
    home.write("go-0", "");
    replaced(&home, 1);
    // Half of another file, as an editor leaves it for a moment.
    let third = text(port, "third");
    home.write("ecosystem.toml", &third[..third.len() - 10]);
    home.ctl(&["reload", "ecosystem.toml"]).expect_code(6);
    home.write("go-1", "");
    replaced(&home, 2);
    home.write("ecosystem.toml", &third);
    home.ctl(&["reload", "ecosystem.toml"]).expect_code(5);
    // The next nexusd has not read it either, nor does it for whoever crashes.
    home.daemon().unwrap().signal(Signal::SIGKILL);
    Process(home.known("api").pids()[0]).signal(Signal::SIGKILL);
    wait_for(PROMPT, "the end of one of the new", || home.events_of("api", "exit").pop());
    home.write("go-2", "");
    reload.end().ok();
    home.until("api", "all three", |app| app.statuses() == ["online"; 3]);
    assert_eq!(words(&home), ["second"; 3]);
    // It is for the next one.
    home.ctl(&["diff"]).expect_code(1);
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    assert_eq!(words(&home), ["third"; 3]);
}

/// The instances of `api` whenever one looks: no number is another instance's.
struct Watched<'a> {
    home: &'a Home,
    ids: BTreeMap<u64, usize>,
}

impl Watched<'_> {
    fn look(&mut self) -> App {
        let app = self.home.known("api");
        for (instance, id) in app.ids().into_iter().enumerate() {
            assert_eq!(*self.ids.entry(id).or_insert(instance), instance, "{id} is another's");
        }
        app
    }

    /// Only so many are left, which stay, and each child has been one only.
    fn settles(&mut self, count: usize) {
        wait_for(3 * PROMPT, "as many as were asked for last", || {
            (self.look().statuses() == vec!["online"; count]).then_some(())
        });
        let last = self.look();
        // Beside them and the pair, nothing.
        let left = || (self.home.processes().len() == count + 2).then_some(());
        wait_for(PROMPT, "the end of the others", left);
        assert_eq!(self.look().pids(), last.pids());
        let mut children = BTreeSet::new();
        for start in self.home.events_of("api", "start") {
            assert!(children.insert(start["child"].as_u64().unwrap()), "twice: {start}");
        }
        let exits = self.home.events_of("api", "exit").len();
        assert_eq!(exits, children.len() - count, "each has ended but those");
    }
}

#[test]
fn many_more_and_many_fewer_at_once_end_with_the_last_that_was_asked_for() {
    let home = Home::new();
    let text =
        |count: u16| worker("api", &[], &format!("ready = \"delay:20ms\"\ninstances = {count}"));
    home.write("ecosystem.toml", &text(4));
    home.ctl(&["start", "-q"]).ok();
    let first = home.known("api");
    let mut watched = Watched { home: &home, ids: BTreeMap::new() };
    watched.look();
    for count in ["0", "40", "2", "0", "40", "2"] {
        // While one is under way the next is refused, changes nothing, and can be asked for again.
        wait_for(3 * PROMPT, "it to be taken", || {
            watched.look();
            let said = home.ctl(&["scale", "api", count, "--no-wait", "-q"]);
            assert!(said.code == 0 || said.code == 5 && said.stderr.contains("scaled"), "{said:?}");
            (said.code == 0).then_some(())
        });
    }
    watched.settles(2);
    // A file takes over from what is under way.
    for count in [40, 1, 40, 3] {
        home.write("ecosystem.toml", &text(count));
        let words = ["reload", "ecosystem.toml", "--replace", "--no-wait", "-q"];
        home.ctl(&words).ok();
        watched.look();
    }
    watched.settles(3);
    assert_eq!(watched.look().ids()[0], first.ids()[0]);
}
