//! What takes a watched reload back, as the file says: ends, lines, memory, and what does not.

use nexus_tests::{Home, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::reload::passed;
use crate::{AT_ONCE, shell, worker};

const OLD: [&str; 4] = ["--drain", "--serve", "--ready-after", "0"];

/// Two of the test worker that serve; the file says from here on that they are `args`.
fn begin(home: &Home, args: &[&str], rule: &str) -> Vec<i32> {
    let more =
        format!("{}\ncanary = 1\nsoak = \"20s\"\nrollback_on = {rule}", passed(free_port(), 2));
    home.write("ecosystem.toml", &worker("api", &OLD, &more));
    home.ctl(&["start"]).ok();
    home.write("ecosystem.toml", &worker("api", args, &more));
    home.known("api").pids()
}

/// The canary has been taken back, and all of the command's words are said; the other is untouched.
fn taken_back(home: &Home, before: &[i32], said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    let api = home.until("api", "two workers", |app| app.statuses() == ["online"; 2]);
    assert_eq!(api.pids()[1], before[1], "{api:?}");
    let args = Process(api.pids()[0]).args().unwrap();
    assert!(args.ends_with(&OLD.map(str::to_owned)), "{args:?}");
    assert_eq!(home.events_of("api", "rolled_back").len(), 1);
}

#[test]
fn the_end_after_the_allowed_ones_takes_a_reload_back() {
    let home = Home::new();
    let args =
        ["--err", "1", "--serve", "--ready-after", "0", "--exit-after", "300", "--code", "5"];
    let before = begin(&home, &args, "{ restarts = 2 }");
    let said = home.ctl(&["reload", "ecosystem.toml"]).expect_code(9).stderr;
    taken_back(&home, &before, &said, &["code 5", "complaint 0"]);
    let ends = home.events_of("api", "exit");
    assert_eq!(ends.iter().filter(|end| end["exit"] == "code 5").count(), 2, "{ends:?}");
}

#[test]
fn too_much_memory_on_trial_takes_a_reload_back() {
    let home = Home::new();
    let args = ["--err", "1", "--hold", "80000000", "--drain", "--serve", "--ready-after", "0"];
    let before = begin(&home, &args, "{ memory = \"40M\" }");
    let said = home.ctl(&["reload", "ecosystem.toml"]).expect_code(9).stderr;
    taken_back(&home, &before, &said, &["rollback_on.memory", "complaint 0"]);
}

#[test]
fn an_illness_that_is_allowed_takes_nothing_back() {
    let home = Home::new();
    let check = "health = { exec = \"test ! -e ill-$NEXUS_GENERATION\", interval = \"50ms\", \
                 failures = 2 }";
    let more = format!(
        "{}\nsoak = \"1s\"\n{check}\nrollback_on = {{ health = false }}",
        passed(free_port(), 1)
    );
    home.write("ecosystem.toml", &worker("api", &OLD, &more));
    home.ctl(&["start"]).ok();
    home.write("ill-2", "");
    home.ctl(&["reload", "ecosystem.toml", "--no-wait"]).ok();
    wait_for(PROMPT, "the end of the reload", || home.events_of("api", "reloaded").pop());
    assert!(home.events_of("api", "rolled_back").is_empty());
    home.ctl(&["reload", "api"]).ok();
    assert_eq!(home.events_of("api", "reloaded").len(), 2);
}

/// One worker that has a socket, which it leaves alone, and goes when it is told to.
fn says(home: &Home, port: u16, line: &str) {
    let line = format!("trap 'exit 0' TERM; while :; do {line}; sleep 0.02; done");
    let more = format!(
        "{AT_ONCE}\nlisten = \"tcp://127.0.0.1:{port}\"\nsoak = \"1s\"\n\
         rollback_on = {{ log = \"/Panic/i\" }}"
    );
    home.write("ecosystem.toml", &shell("talk", &line, &more));
}

/// The worker that serves is the first one, or another of its kind.
fn is_the_first(home: &Home, words: &str) {
    let talk = home.until("talk", "a worker", |app| app.status() == "online");
    let args = Process(talk.main().0).args().unwrap().join(" ");
    assert!(args.contains(words), "{args}");
}

#[test]
fn a_line_of_the_new_worker_takes_a_reload_back_and_is_told() {
    let (home, port) = (Home::new(), free_port());
    says(&home, port, "echo the first");
    home.ctl(&["start"]).ok();
    says(&home, port, "echo fine; echo 'a PANIC of mine' >&2");
    let said = home.ctl(&["reload", "ecosystem.toml"]).expect_code(9).stderr;
    assert!(said.contains("it wrote: a PANIC of mine"), "{said}");
    assert!(said.contains("rollback_on.log"), "{said}");
    is_the_first(&home, "echo the first");
    let matched = home.events_of("talk", "log_match");
    assert!(matched[0]["detail"].as_str().unwrap().contains("a PANIC of mine"), "{matched:?}");
}

#[test]
fn lines_of_the_workers_of_before_take_nothing_back() {
    let (home, port) = (Home::new(), free_port());
    // What the old worker writes while it is replaced would take the reload back.
    says(&home, port, "echo 'panic of the first'");
    home.ctl(&["start"]).ok();
    says(&home, port, "echo second; test -e late && echo 'panic of the second' >&2");
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    home.write("late", "");
    let log = |of: &str| std::fs::read_to_string(home.path().join("logs").join(of)).unwrap();
    wait_for(PROMPT, "its words", || log("talk-error.log").contains("of the second").then_some(()));
    says(&home, port, "echo third");
    home.ctl(&["reload", "ecosystem.toml"]).ok();
    assert_eq!(home.events_of("talk", "reloaded").len(), 2);
    wait_for(PROMPT, "the third's words", || log("talk-out.log").contains("third").then_some(()));
    // All of them have written into the same files.
    let all = log("talk-out.log");
    assert!(all.contains("panic of the first") && all.contains("second"), "{all}");
    home.ctl(&["flush", "talk"]).ok();
}

/// A worker on trial that says it when `now` is there.
fn on_trial(home: &Home) {
    let port = free_port();
    says(home, port, "echo 'panic of the first'");
    home.ctl(&["start"]).ok();
    says(home, port, "test -e now && echo panic");
    let text = std::fs::read_to_string(home.project().join("ecosystem.toml")).unwrap();
    home.write("ecosystem.toml", &text.replace("\"1s\"", "\"60s\""));
}

#[test]
fn a_nexusd_that_is_killed_meanwhile_listens_on() {
    let home = Home::new();
    on_trial(&home);
    let command = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "its being watched", || home.events_of("talk", "soak").pop());
    let killed = home.daemon().unwrap();
    killed.signal(Signal::SIGKILL);
    wait_for(PROMPT, "another nexusd", || home.daemon().filter(|now| *now != killed));
    home.write("now", "");
    let said = command.end().expect_code(9).stderr;
    assert!(said.contains("it wrote: panic"), "{said}");
}

#[test]
fn the_next_pair_listens_on_after_the_death_of_both() {
    let home = Home::new();
    on_trial(&home);
    let command = home.begin(&["reload", "ecosystem.toml"]);
    wait_for(PROMPT, "its being watched", || home.events_of("talk", "soak").pop());
    crate::daemon::kill_both(&home);
    drop(command);
    home.ctl(&["list"]).ok();
    home.write("now", "");
    wait_for(PROMPT, "the end of the reload", || home.events_of("talk", "rolled_back").pop());
    is_the_first(&home, "of the first");
}
