//! PM2's files beside ours: what they are read from, whose defaults their apps have, and what their
//! workers find in the environment.

use std::fs::File;
use std::process::Stdio;

use nexus_tests::{Home, PROMPT, program, run, wait_for};

use crate::tree::{Means, ctl};
use crate::{AT_ONCE, shell};

/// An app of PM2's that does nothing, as a person writes it.
const CALM: &str = "{ name: 'calm', script: '/bin/sleep', args: ['1000'], /* long */ }";

fn environment(home: &Home, app: &str, key: &str) -> Option<String> {
    wait_for(PROMPT, "its own program", || {
        let process = home.known(app).main();
        process.args().filter(|args| args.last().is_some_and(|last| last == "1000"))?;
        Some(process.env(key))
    })
}

#[test]
fn json_yaml_and_package_json_are_found_and_start() {
    for (file, text) in [
        ("ecosystem.json", format!("{{ apps: [{CALM}] }}")),
        ("ecosystem.yml", "apps:\n- {name: calm, script: /bin/sleep, args: '1000'}\n".to_owned()),
        ("package.json", format!("{{ \"name\": \"shop\", \"pm2\": [{CALM}] }}")),
    ] {
        let home = Home::new();
        home.write(file, &text);
        let checked = home.ctl(&["check"]).ok();
        assert_eq!(checked.stdout, format!("{file} is right: 1 app (calm)\n"));
        home.ctl(&["start"]).ok();
        let app = home.known("calm");
        assert_eq!((&app.0["door"], &app.0["stop_signal"]), (&"pm2".into(), &"SIGINT".into()));
        let told = home.ctl(&["describe", "calm"]).ok().stdout;
        assert!(told.contains("SIGINT to the whole tree, SIGKILL after 1.6s"), "{told}");
        assert!(told.contains("defaults are PM2's"), "{told}");
        home.ctl(&["delete", file]).ok();
        assert_eq!(home.processes().len(), 2, "{file} names what is deleted");
    }
}

#[test]
fn json_comes_from_standard_input_as_well() {
    let home = Home::new();
    let file = home.write("apps.txt", CALM);
    let mut start = home.command(&program("nexusctl"));
    start.args(["start", "-"]).stdin(Stdio::from(File::open(file).unwrap()));
    run(&mut start, PROMPT).ok();
    assert_eq!(home.known("calm").0["source"], "standard input");
    let mut empty = home.command(&program("nexusctl"));
    let output = run(empty.args(["check", "-"]).stdin(Stdio::null()), PROMPT).expect_code(6);
    assert!(output.stderr.contains("standard input:1:1"), "{output:?}");
}

#[test]
fn javascript_is_refused_with_a_way_around_it() {
    let home = Home::new();
    home.write("ecosystem.config.js", "module.exports = { apps: [] }");
    for args in [["start"].as_slice(), &["start", "ecosystem.config.js"], &["check"]] {
        let output = home.ctl(args).expect_code(6);
        assert!(output.stderr.contains("ecosystem.config.js is JavaScript"), "{output:?}");
        assert!(output.stderr.contains("| nexusctl start -"), "{output:?}");
    }
    assert_eq!(home.processes(), []);
}

#[test]
fn what_is_not_taken_of_pm2s_is_a_warning_and_of_ours_an_error() {
    let home = Home::new();
    let json = "{ name: 'calm', script: '/bin/sleep', args: '1000', intances: 2, io: {} }";
    home.write("ecosystem.json", json);
    let output = home.ctl(&["start", "ecosystem.json"]).ok();
    assert!(output.stderr.contains("warning[NX0603]: unknown key `intances`"), "{output:?}");
    assert!(output.stderr.contains("write `instances`"), "{output:?}");
    assert!(output.stderr.contains("2 warnings in ecosystem.json"), "{output:?}");
    let quiet = home.ctl(&["check", "ecosystem.json", "-q"]).ok();
    assert_eq!(quiet.stderr, "");
    let told = home.ctl(&["check", "ecosystem.json", "-o", "json"]).ok();
    let told: serde_json::Value = serde_json::from_str(&told.stderr).unwrap();
    assert_eq!(told["schema"], "nexus.warnings/1");
    assert_eq!(told["warnings"]["flaws"].as_array().unwrap().len(), 2);
    home.write("bad.toml", &shell("x", "exec sleep 1000", "intances = 2"));
    home.ctl(&["start", "bad.toml"]).expect_code(6);
}

#[test]
fn a_profile_is_chosen_by_its_name() {
    let home = Home::new();
    let more = format!("{AT_ONCE}\nenv = {{ MODE = \"test\" }}\nenv_prod = {{ MODE = \"prod\" }}");
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more));
    home.ctl(&["start", "--env", "prod"]).ok();
    assert_eq!(environment(&home, "app", "MODE").as_deref(), Some("prod"));
    home.ctl(&["restart", "ecosystem.toml"]).ok();
    assert_eq!(environment(&home, "app", "MODE").as_deref(), Some("test"));
    home.ctl(&["restart", "ecosystem.toml", "--env", "prod"]).ok();
    assert_eq!(environment(&home, "app", "MODE").as_deref(), Some("prod"));
    let output = home.ctl(&["restart", "ecosystem.toml", "--env", "prd"]).expect_code(4);
    assert!(output.stderr.contains("did you mean `prod`?"), "{output:?}");
    home.ctl(&["start", "--env", "MODE=x"]).expect_code(2);
    // PM2 goes on without it, and says so.
    home.write("ecosystem.json", CALM);
    let output = home.ctl(&["start", "ecosystem.json", "--env", "prod"]).ok();
    assert!(output.stderr.contains("no profile `prod`"), "{output:?}");
}

#[test]
fn pm2s_apps_inherit_all_of_the_callers_environment_and_ours_what_they_ask_for() {
    let home = Home::new();
    let start = |args: &[&str]| {
        let mut command = home.command(&program("nexusctl"));
        command.args(args).env("EDITOR", "ed").env("PAGER", "more").env("MY_SECRET", "hush");
        run(&mut command, PROMPT).ok();
    };
    let json = "{ name: 'calm', script: '/bin/sleep', args: '1000', filter_env: ['PAG'] }";
    home.write("ecosystem.json", json);
    start(&["start", "ecosystem.json"]);
    let more = format!("{AT_ONCE}\ninherit_env = [\"ED*\"]");
    home.write("ecosystem.toml", &shell("few", "exec sleep 1000", &more));
    start(&["start", "ecosystem.toml"]);
    for (app, editor, pager, secret) in [("calm", true, false, true), ("few", true, false, false)] {
        let has = |key| environment(&home, app, key).is_some();
        assert_eq!(
            (has("EDITOR"), has("PAGER"), has("MY_SECRET")),
            (editor, pager, secret),
            "{app}"
        );
    }
}

#[test]
fn instances_are_numbered_by_the_variables_that_the_file_names() {
    let home = Home::new();
    let more = format!(
        "{AT_ONCE}\ninstances = 2\ninstance_var = \"NO\"\nincrement_var = \"PORT\"\nenv.PORT = 4000"
    );
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    let pids = home.known("app").pids();
    for (number, pid) in pids.into_iter().enumerate() {
        let env = |key: &str| nexus_tests::Process(pid).env(key);
        wait_for(PROMPT, "its own program", || env("NO"));
        assert_eq!(env("NO"), Some(number.to_string()));
        assert_eq!(env("PORT"), Some((4000 + number).to_string()));
        assert_eq!(env("NODE_APP_INSTANCE"), None);
    }
}

#[test]
fn a_file_of_variables_is_read_again_at_each_start() {
    let home = Home::new();
    home.write("app.env", "export A=one\nB=below\n");
    let more = format!("{AT_ONCE}\nenv_file = \"app.env\"\nenv = {{ B = \"above\" }}");
    home.write("ecosystem.toml", &shell("app", "exec sleep 1000", &more));
    home.ctl(&["start"]).ok();
    assert_eq!(environment(&home, "app", "A").as_deref(), Some("one"));
    assert_eq!(environment(&home, "app", "B").as_deref(), Some("above"));
    home.write("app.env", "A='two'\n");
    home.ctl(&["restart", "app"]).ok();
    assert_eq!(environment(&home, "app", "A").as_deref(), Some("two"));
    // What it holds is secret, whatever its name.
    let told = home.ctl(&["env", "app"]).ok();
    assert!(told.stdout.contains("A=****") && told.stdout.contains("B=above"), "{told:?}");
    home.write("app.env", "A=x\nhunter2\n");
    let output = home.ctl(&["check"]).expect_code(6);
    assert!(output.stderr.contains("app.env:2: the line has no `=`"), "{output:?}");
    assert!(!output.stderr.contains("hunter2"), "{output:?}");
    let output = home.ctl(&["restart", "app"]).expect_code(1);
    assert!(output.stderr.contains("line 2 of its `env_file`"), "{output:?}");
    std::fs::remove_file(home.project().join("app.env")).unwrap();
    let output = home.ctl(&["check"]).expect_code(6);
    assert!(output.stderr.contains("env_file: there is no file"), "{output:?}");
    home.write("app.env", "A=three\n");
    home.ctl(&["restart", "app"]).ok();
    assert_eq!(environment(&home, "app", "A").as_deref(), Some("three"));
}

/// What was said, in its order, when an app is stopped whose child and main process both trap the
/// signal, the main process for half a second.
fn said_at_a_stop(means: Means, treekill: bool) -> Vec<String> {
    let home = Home::new();
    let script = "sh -c 'trap \"echo child\" USR1; echo up; while :; do sleep 0.02; done' & \
                  trap 'sleep 0.5; echo main; exit 0' USR1; echo up; while :; do sleep 0.02; done";
    let more = format!(
        "{AT_ONCE}\nstop_signal = \"SIGUSR1\"\nkill_timeout = \"1500ms\"\ntreekill = {treekill}"
    );
    home.write("ecosystem.toml", &shell("app", script, &more));
    ctl(&home, means, &["start"]).ok();
    let lines = || {
        let text = std::fs::read_to_string(home.path().join("logs/app-out.log")).ok()?;
        Some(text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    wait_for(PROMPT, "both", || lines().filter(|lines| lines.len() == 2));
    ctl(&home, means, &["stop", "app"]).ok();
    assert_eq!(home.processes().len(), 2, "only the pair is left");
    lines().unwrap().split_off(2)
}

#[test]
fn treekill_signals_the_whole_tree_at_once_and_each_of_it_once() {
    for means in [Means::Cgroup, Means::Sweep] {
        assert_eq!(said_at_a_stop(means, true), ["child", "main"]);
    }
}

#[test]
fn without_treekill_the_main_process_ends_first() {
    for means in [Means::Cgroup, Means::Sweep] {
        assert_eq!(said_at_a_stop(means, false), ["main", "child"]);
    }
}
