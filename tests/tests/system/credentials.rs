//! Secrets that are what a command prints: the worker has it run, at each start.

use nexus_tests::http::get;
use nexus_tests::{Home, PROMPT, Process, free_port, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, app, shell, worker};

/// Once the worker has become its own program.
fn pin(home: &Home, name: &str) -> (Process, String) {
    wait_for(PROMPT, "the program with its secret", || {
        let process = home.app(name)?.main();
        Some((process, process.env("PIN")?))
    })
}

#[test]
fn a_secret_of_a_command_is_what_it_prints_at_each_start() {
    let (home, port) = (Home::new(), free_port());
    home.write("pin", "zq-first-8e1\n");
    let secrets = "secrets = { PIN = \"command:cat pin\", NEXUS_APP = \"command:echo other\" }\n\
                   env = { PIN = \"beneath\", MODE = \"x\" }";
    let api = worker(
        "api",
        &["--serve", "--ready-after", "0"],
        &format!("listen = \"tcp://127.0.0.1:{port}\"\nready = \"notify\"\n{secrets}"),
    );
    let calm = shell("calm", "exec sleep 1000", &format!("{AT_ONCE}\nmin_uptime = 0\n{secrets}"));
    home.write("ecosystem.toml", &(api + &calm));
    home.ctl(&["start"]).ok();
    let (api, value) = pin(&home, "api");
    assert_eq!(value, "zq-first-8e1");
    assert_eq!(api.env("NEXUS_APP").as_deref(), Some("api"));
    assert_eq!(get(port, "/").unwrap().status, 200);
    // Nobody is between: not in the list of processes, nor in what the worker has.
    let (calm, _) = pin(&home, "calm");
    wait_for(PROMPT, "its own program", || (calm.args()? == ["sleep", "1000"]).then_some(()));
    assert_eq!(calm.env("MODE").as_deref(), Some("x"));
    // Another one at the next start, also where the keeper alone begins it.
    home.write("pin", "zq-second-8e2\n");
    home.ctl(&["restart", "api"]).ok();
    assert_eq!(pin(&home, "api").1, "zq-second-8e2");
    let daemon = home.daemon().unwrap();
    daemon.signal(Signal::SIGSTOP);
    calm.signal(Signal::SIGKILL);
    let next = wait_for(PROMPT, "the successor", || {
        let mut all = home.processes();
        all.retain(|process| process.carries("NEXUS_APP", "calm") && process.env("PIN").is_some());
        all.pop().filter(|next| *next != calm)
    });
    wait_for(PROMPT, "its secret", || {
        (next.env("PIN").as_deref() == Some("zq-second-8e2")).then_some(())
    });
    daemon.signal(Signal::SIGCONT);
    // Only the source is anywhere.
    let described = home.ctl(&["describe", "api", "-o", "json"]).ok().stdout;
    assert!(!described.contains("zq-"), "{described}");
    for dir in ["state", "logs"] {
        for file in std::fs::read_dir(home.path().join(dir)).unwrap().flatten() {
            let bytes = std::fs::read(file.path()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("zq-"), "{file:?}");
        }
    }
}

#[test]
fn a_build_and_a_check_have_them_too() {
    let home = Home::new();
    let more = "ready = \"exec:test $PIN = 4711\"\nbuild = \"test $PIN = 4711\"\n\
                secrets = { PIN = \"command:echo 4711\" }";
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", more));
    home.ctl(&["start"]).ok();
    assert_eq!(home.known("app").statuses(), ["online"]);
}

#[test]
fn a_command_that_fails_is_told_in_the_log_and_holds_nobody_up() {
    let home = Home::new();
    let broken = "ready = \"delay:0s\"\n\
                  secrets = { PIN = \"command:test -e home || { echo nobody home >&2; exit 3; }\" }";
    let calm = shell("calm", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &(calm + &shell("broken", "exec sleep 1000", broken)));
    let said = home.ctl(&["start"]).expect_code(10).stdout;
    assert!(said.contains("broken/0 could not have its secrets"), "{said}");
    assert_eq!(home.known("calm").statuses(), ["online"]);
    let log = home.ctl(&["logs", "broken"]).ok().stdout;
    assert!(log.contains("nobody home"), "{log}");
    assert!(log.contains("not started: its secret PIN (command:"), "{log}");
    assert!(log.contains("exited with 3"), "{log}");
    // It is tried again, and comes as soon as there is somebody home.
    home.write("home", "");
    home.until("broken", "its secret", |app| app.statuses() == ["online"]);
    // What cannot be run at all is refused under its own name, without another try.
    let gone = format!("{AT_ONCE}\nsecrets = {{ PIN = \"command:echo 4711\" }}");
    home.write("gone.toml", &app("gone", "/nowhere/at-all", &[], &gone));
    let said = home.ctl(&["start", "gone.toml"]).expect_code(1);
    assert!(said.stderr.contains("/nowhere/at-all"), "{said:?}");
    assert_eq!(home.known("gone").restarts(), [0]);
}

/// A reload whose new workers cannot have their secrets keeps the old ones, however soon a worker is
/// taken for ready.
#[test]
fn a_worker_without_its_secrets_is_never_ready_and_takes_nobodys_place() {
    let home = Home::new();
    home.write("answer", "exit 0");
    for ready in ["delay:0s", "default"] {
        let ready = if ready == "default" { String::new() } else { format!("ready = {ready:?}") };
        let more = |version: u32| {
            format!(
                "{ready}\nenv = {{ V = \"{version}\" }}\nlisten = \"unix:{}\"\n\
                 secrets = {{ PIN = \"command:sleep 2; echo 1; . ./answer\" }}",
                home.project().join("app.sock").display()
            )
        };
        home.write("answer", "exit 0");
        home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more(1)));
        home.ctl(&["start"]).ok();
        let old = home.known("app").main();
        assert_eq!(old.env("PIN").as_deref(), Some("1"));
        // Nothing of ours is left in it.
        assert_eq!(old.env("NEXUS_GATE"), None);
        home.write("answer", "exit 3");
        home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more(2)));
        home.ctl(&["reload", "ecosystem.toml"]).expect_code(9);
        assert_eq!(home.known("app").main(), old, "{ready}");
        home.ctl(&["delete", "app"]).ok();
    }
}
