//! Workers that end although nobody asked: replaced, counted, given up, told.

use nexus_tests::http::get;
use nexus_tests::{Home, Load, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell, worker};

/// Restarts quickly and gives up soon.
const HASTY: &str = "max_restarts = 2\nbackoff = { min = \"10ms\", max = \"20ms\" }";

#[test]
fn a_killed_worker_is_replaced_counted_once_and_told() {
    let home = Home::new();
    let port = free_port();
    let more = format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"");
    let text = worker("api", &["--serve", "--ready-after", "0"], &more);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let before = home.known("api");
    before.main().signal(Signal::SIGKILL);
    let after = home.until("api", "its replacement", |app| {
        app.status() == "online" && app.pids() != before.pids()
    });
    assert_eq!(get(port, "/x").unwrap().body, format!("{} /x\n", after.main().0));
    assert_eq!(after.restarts(), [1]);
    assert_eq!(after.ids(), before.ids());
    let exits = home.events_of("api", "exit");
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!(exits[0]["exit"], "SIGKILL");
    assert_eq!(exits[0]["pid"], before.main().0);
    assert_eq!(home.events_of("api", "start").len(), 2);
    let told = home.ctl(&["events", "--app", "api"]).ok();
    assert!(told.stdout.contains("SIGKILL"), "{told:?}");
    let why = home.ctl(&["why", "api"]).ok();
    assert!(why.stdout.contains("SIGKILL"), "{why:?}");
}

#[test]
fn no_client_sees_the_death_of_a_worker_between_its_requests() {
    let home = Home::new();
    let port = free_port();
    let more = format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"");
    let text = worker("api", &["--serve", "--ready-after", "300"], &more);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let old = home.known("api").main();
    old.signal(Signal::SIGKILL);
    wait_for(PROMPT, "the death", || (!old.alive()).then_some(()));
    // Nobody accepts now; the socket is held, so a client waits instead of being refused.
    let answer = get(port, "/patient").unwrap();
    assert!(answer.body.ends_with(" /patient\n"), "{answer:?}");
}

#[test]
fn a_crash_loop_is_given_up_with_its_reason_everywhere() {
    let home = Home::new();
    let line = "echo hello; echo reading config >&2; echo cannot open the database >&2; exit 3";
    home.write("ecosystem.toml", &shell("doomed", line, HASTY));
    let output = home.ctl(&["start"]).expect_code(1);
    assert!(output.stderr.contains("cannot open the database"), "{output:?}");
    assert!(output.stderr.contains("code 3"), "{output:?}");
    let app = home.until("doomed", "its being given up", |app| app.status() == "errored");
    let exits = home.events_of("doomed", "exit");
    assert_eq!(exits.len() as u64, app.restarts()[0] + 1, "{exits:?}");
    assert_eq!(app.restarts(), [2]);
    assert!(exits.iter().all(|event| event["exit"] == "code 3"), "{exits:?}");
    assert_eq!(home.events_of("doomed", "errored").len(), 1);
    for verb in ["list", "describe", "why"] {
        let args: &[&str] = if verb == "list" { &["list"] } else { &[verb, "doomed"] };
        let said = home.ctl(args).ok().stdout;
        assert!(said.contains("errored") && said.contains("code 3"), "{verb}: {said}");
        assert!(said.contains("cannot open the database"), "{verb}: {said}");
    }
    assert_eq!(home.processes().len(), 2, "only the pair is left");
}

#[test]
fn one_that_was_given_up_can_be_started_again() {
    let home = Home::new();
    let line = "test -e mended || exit 1; exec sleep 1000";
    home.write("ecosystem.toml", &shell("ill", line, &format!("{HASTY}\n{AT_ONCE}")));
    home.ctl(&["start"]);
    home.until("ill", "its being given up", |app| app.status() == "errored");
    home.write("mended", "");
    home.ctl(&["start", "ill"]).ok();
    assert_eq!(home.known("ill").status(), "online");
}

#[test]
fn stop_codes_and_no_autorestart_leave_a_worker_down() {
    let home = Home::new();
    let coded = shell("coded", "exit 4", "stop_exit_codes = [4]\nready = \"delay:0s\"");
    let once = shell("once", "exit 0", "autorestart = false\nready = \"delay:0s\"");
    home.write("ecosystem.toml", &(coded + &once));
    home.ctl(&["start"]);
    for name in ["coded", "once"] {
        let app = home.until(name, "its end", |app| app.status() == "stopped");
        assert_eq!((app.pids(), app.restarts()), (vec![0], vec![0]), "{name}");
        assert_eq!(home.events_of(name, "start").len(), 1, "{name}");
    }
}

/// Its siblings and its successor take what waits; what it had in its hands is lost with it.
#[test]
fn only_what_a_killed_worker_had_accepted_fails() {
    let (home, port) = (Home::new(), free_port());
    let more = format!(
        "listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"\ninstances = 3\n\
         max_restarts = 100"
    );
    home.write("ecosystem.toml", &worker("api", &["--serve", "--ready-after", "0"], &more));
    home.ctl(&["start"]).ok();
    let load = Load::start(port, 6, 6);
    let mut may_fail = 0;
    for round in 0..6 {
        let pid = home.known("api").pids()[round % 3];
        let victim = Process(pid);
        victim.signal(Signal::SIGSTOP);
        may_fail += victim.connections(port);
        victim.signal(Signal::SIGKILL);
        home.until("api", "its successor", |app| {
            app.status() == "online" && app.pids().iter().all(|&now| now > 0 && now != pid)
        });
    }
    let account = load.end();
    assert!(account.failed() <= may_fail as u64, "{may_fail} may fail: {account:?}");
    assert!(account.right > 0 && account.refused + account.wrong + account.timed_out == 0);
}
