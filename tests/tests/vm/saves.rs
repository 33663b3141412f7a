//! Changes of the wanted state, one after another, until somebody cuts the power.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nexus_tests::{Output, program, run, wait_for};
use serde_json::Value;

use crate::say;

/// How many apps there are at most.
const APPS: u64 = 5;
/// How long a command, or what it leads to, may take on a slow machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// The home of root's daemon under systemd.
const STATE: &str = "/var/lib/nexus/state";

/// What is wanted of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Running(u64),
    Stopped(u64),
}

type Apps = BTreeMap<String, Wanted>;

/// The change with this number, from 1 on: its command, and what is wanted after it.
fn change(number: u64, before: &Apps) -> (Vec<String>, Apps) {
    let name = format!("app{}", number % APPS);
    let mut after = before.clone();
    let words: Vec<String> = match before.get(&name) {
        None => {
            after.insert(name.clone(), Wanted::Running(1));
            format!("start --name {name} --ready delay:0s -- /bin/sleep 100000")
        }
        Some(Wanted::Running(count @ 1..=2)) => {
            after.insert(name.clone(), Wanted::Running(count + 1));
            format!("scale {name} {}", count + 1)
        }
        Some(Wanted::Running(count)) => {
            after.insert(name.clone(), Wanted::Stopped(*count));
            format!("stop {name}")
        }
        Some(Wanted::Stopped(_)) => {
            after.remove(&name);
            format!("delete {name} --yes")
        }
    }
    .split(' ')
    .map(str::to_owned)
    .collect();
    (words, after)
}

/// What is wanted once all changes up to this one have been made.
fn wanted(number: u64) -> Apps {
    (1..=number).fold(Apps::new(), |apps, number| change(number, &apps).1)
}

/// Look at what came back of the changes that were acknowledged, and make more.
pub(crate) fn go_on(acknowledged: u64) {
    let mut number = acknowledged;
    if acknowledged == 0 {
        nexusctl(&["startup", "--yes"]).ok();
    } else {
        number = came_back(acknowledged);
    }
    say(&format!("whole: after {acknowledged} changes, as after {number}"));
    let mut apps = wanted(number);
    loop {
        let (words, after) = change(number + 1, &apps);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        nexusctl(&words).ok();
        (number, apps) = (number + 1, after);
        say(&format!("acknowledged {number}"));
    }
}

/// The number of the change after which it is as it is now: the last one that was acknowledged, or
/// the one that was under way.
#[track_caller]
fn came_back(acknowledged: u64) -> u64 {
    let state = || Path::new(STATE).read_dir().map(|files| files.count());
    let listed = wait_for(DEADLINE, "the daemon that systemd started", || {
        let list = nexusctl(&["list", "-o", "json"]);
        (list.code == 0).then(|| list.json())
    });
    let now = known(&listed);
    let number = (acknowledged..=acknowledged + 1)
        .find(|number| wanted(*number) == now)
        .unwrap_or_else(|| {
            let [last, next] = [0, 1].map(|more| wanted(acknowledged + more));
            panic!("it came back as {now:?}, not as {last:?} or {next:?}; state: {:?}", state())
        });
    for (app, wanted) in &now {
        if matches!(wanted, Wanted::Running(_)) {
            nexusctl(&["wait", app, "--for", "ready"]).ok();
        }
        nexusctl(&["logs", app]).ok();
    }
    number
}

/// What the daemon says is wanted.
fn known(list: &Value) -> Apps {
    let apps = list["apps"].as_array().unwrap().iter();
    apps.map(|app| {
        let count = app["wanted"].as_u64().unwrap();
        let stopped = app["status"] == "stopped";
        let wanted = if stopped { Wanted::Stopped(count) } else { Wanted::Running(count) };
        (app["name"].as_str().unwrap().to_owned(), wanted)
    })
    .collect()
}

fn nexusctl(words: &[&str]) -> Output {
    let mut command = Command::new(program("nexusctl"));
    run(command.args(words).env("NO_COLOR", "1").stdin(std::process::Stdio::null()), DEADLINE)
}
