//! Who did what: every path of the control API that changes something leaves its line in the journal.

use std::collections::BTreeSet;
use std::path::Path;

use nexus_tests::{Home, Output, PROMPT, program, run, wait_for};
use nix::unistd::{Gid, Uid, chown};
use serde_json::Value;

use crate::{AT_ONCE, shell};

const NOBODY: u32 = 65_534;

/// What changes nothing, and so needs no line.
const CHANGES_NOTHING: [&str; 1] = ["/v1/diff"];

/// A home of nobody's, which root may use too: two people.
struct Shared(Home);

impl Shared {
    fn new() -> Option<Shared> {
        if !nix::unistd::geteuid().is_root() {
            println!("LEFT OUT: being two people needs root");
            return None;
        }
        let home = Home::new();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(home.path().parent().unwrap(), open).unwrap();
        std::fs::create_dir(home.path()).unwrap();
        let mine = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(home.path(), mine).unwrap();
        chown(&home.path(), Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
        Some(Shared(home))
    }

    fn nobody(&self, args: &[&str]) -> Output {
        let mut command = self.0.command(Path::new("setpriv"));
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        run(command.arg(program("nexusctl")).args(args), 2 * PROMPT)
    }

    fn last(&self) -> u64 {
        let events = self.0.api("/v1/events?last=1");
        events["events"].as_array().unwrap().last().map_or(0, |event| event["id"].as_u64().unwrap())
    }

    /// What came after `last` that tells of somebody's word.
    fn told(&self, last: u64, word: &str) -> Option<Value> {
        let events = self.0.api(&format!("/v1/events?after={last}"));
        let events = events["events"].as_array().unwrap().iter();
        let mut told = events.filter(|event| {
            let detail = event["detail"].as_str().unwrap();
            let named = detail.starts_with(word) && event["kind"] == "operator";
            (named || event["kind"] == word) && !event["actor"].is_null()
        });
        told.next().cloned()
    }
}

/// An app of which the third version is not ready while there is a file `hold`.
fn text(version: &str) -> String {
    let held = "while [ -e hold ]; do sleep 0.02; done; ";
    let held = if version == "third" { held } else { "" };
    let line = format!("{held}echo {version} goes; exec cat");
    let more = "ready = \"log:/goes/\"\nstdin = true\nenv = { TOKEN = \"t\" }";
    shell("talk", &line, more) + &shell("calm", "exec sleep 1000", AT_ONCE)
}

#[test]
fn every_path_that_changes_something_is_in_the_journal_with_who_did_it() {
    let Some(shared) = Shared::new() else { return };
    let home = &shared.0;
    chown(&home.project(), Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
    home.write("ecosystem.toml", &text("first"));
    shared.nobody(&["start", "-q"]).ok();
    // Path, what asks for it, and the word by which it is told.
    let steps: &[(&str, &[&str], &str)] = &[
        ("/v1/apps", &["start", "ecosystem.toml"], "start"),
        ("/v1/apps/stop", &["stop", "calm"], "stop"),
        ("/v1/apps/start", &["start", "calm"], "start"),
        ("/v1/apps/restart", &["restart", "calm"], "restart"),
        ("/v1/apps/scale", &["scale", "calm", "2"], "scale"),
        ("/v1/apps/reset", &["reset", "calm"], "reset"),
        ("/v1/apps/signal", &["signal", "SIGURG", "talk"], "signal"),
        ("/v1/apps/send", &["send", "talk", "a line"], "send"),
        ("/v1/apps/flush", &["flush", "talk"], "flush"),
        ("/v1/apps/reload", &["reload", "ecosystem.toml", "--only", "talk"], "reload"),
        ("/v1/apps/rollback", &["rollback", "talk"], "rollback"),
        ("/v1/apps/abort", &["abort", "talk"], "abort"),
        ("/v1/apply", &["apply"], "apply"),
        ("/v1/save", &["save"], "save"),
        ("/v1/apps/delete", &["delete", "calm"], "delete"),
        ("/v1/resurrect", &["resurrect"], "resurrect"),
        ("/v1/daemon/upgrade", &[], "upgrade"),
        ("/v1/daemon/stop", &["daemon", "stop"], "daemon stop"),
        ("/v1/daemon/kill", &["kill", "--yes"], "kill"),
    ];
    // A path that is added to the API has to be added here.
    let document = home.api("/openapi.json");
    let paths = document["paths"].as_object().unwrap().iter();
    let changing = paths.filter(|(_, methods)| methods.get("post").is_some());
    let changing: BTreeSet<&str> = changing.map(|(path, _)| path.as_str()).collect();
    let tried: BTreeSet<&str> = steps.iter().map(|step| step.0).chain(CHANGES_NOTHING).collect();
    assert_eq!(changing, tried);
    for (number, (path, args, word)) in steps.iter().enumerate() {
        prepare(&shared, path);
        let last = shared.last();
        let as_root = number % 2 == 0;
        match args {
            [] => upgrade(home),
            args if as_root => drop(home.ctl(args).ok()),
            args => drop(shared.nobody(args).ok()),
        }
        // Who ended the daemon, the next one tells.
        if path.starts_with("/v1/daemon/") && !path.ends_with("upgrade") {
            shared.nobody(&["start", "ecosystem.toml", "-q"]).ok();
        }
        let told = wait_for(PROMPT, &format!("{path} in the journal"), || shared.told(last, word));
        let who = if as_root { ("root(0)", 0) } else { ("nobody(65534)", NOBODY) };
        assert_eq!((&told["by"], &told["actor"]["uid"]), (&who.0.into(), &who.1.into()), "{told}");
    }
    // A look at secrets is an action.
    let last = shared.last();
    home.api("/v1/apps/talk/env?reveal=true");
    let told = shared.told(last, "env talk/0 --reveal").expect("the look at secrets");
    assert_eq!(told["by"], "root(0)");
    shared.nobody(&["kill", "--yes", "-q"]).ok();
}

/// To the same program, which `nexusctl` would find needless.
fn upgrade(home: &Home) {
    let body = serde_json::json!({ "file": program("nexusctl"), "deadline_ms": null }).to_string();
    let key = "Idempotency-Key: upgrade\r\n";
    let begun = home.ask("POST", "/v1/daemon/upgrade", key, &body).unwrap();
    assert_eq!(begun.status, 202, "{begun:?}");
    wait_for(PROMPT, "the end of the upgrade", || {
        let asked = home.ask("GET", "/v1/operations/upgrade", "", "").ok()?;
        (asked.status == 200 && asked.json()["state"] == "ended").then_some(())
    });
}

/// What a path needs so that there is something to be changed.
fn prepare(shared: &Shared, path: &str) {
    let home = &shared.0;
    match path {
        "/v1/apps/reload" => drop(home.write("ecosystem.toml", &text("second"))),
        "/v1/apps/abort" => {
            home.write("hold", "");
            home.write("ecosystem.toml", &text("third"));
            shared.nobody(&["reload", "ecosystem.toml", "--only", "talk", "--no-wait"]).ok();
        }
        "/v1/apply" => std::fs::remove_file(home.project().join("hold")).unwrap(),
        _ => {}
    }
}
