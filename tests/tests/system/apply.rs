//! `apply` and `diff`: the least that makes what runs the same as the file.

use nexus_tests::{Home, Output};

use crate::{AT_ONCE, shell};

fn app(name: &str, more: &str) -> String {
    shell(name, "exec sleep 1000", &format!("{AT_ONCE}\n{more}"))
}

fn differing(home: &Home, args: &[&str], code: i32) -> Vec<String> {
    let output = home.ctl(args).expect_code(code);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let json: serde_json::Value = output.json();
    assert_eq!(json["schema"], "nexus.diff/1");
    let line = |app: &serde_json::Value| {
        let settings = app["settings"].as_array().unwrap().iter();
        let settings: Vec<String> = settings
            .map(|one| {
                format!("{} {}>{}", text(&one["setting"]), text(&one["old"]), text(&one["new"]))
            })
            .collect();
        let words = [text(&app["app"]), text(&app["change"]), text(&app["action"])].join(" ");
        format!("{words} {}", settings.join(", ")).trim().to_owned()
    };
    json["apps"].as_array().unwrap().iter().map(line).collect()
}

fn diff(home: &Home, code: i32) -> Vec<String> {
    differing(home, &["diff", "-o", "json"], code)
}

fn said(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

#[test]
fn only_what_differs_is_touched_and_both_values_are_told() {
    let home = Home::new();
    let calm = app("calm", "instances = 2");
    let before = app("api", "env = { PORT = \"1\", API_KEY = \"hunter2\" }");
    home.write("ecosystem.toml", &(calm.clone() + &before + &app("old", "")));
    home.ctl(&["apply"]).ok();
    assert_eq!(diff(&home, 0), ["calm same nothing", "api same nothing", "old same nothing"]);
    let output = home.ctl(&["diff"]).ok();
    assert!(output.stdout.starts_with("what runs is what "), "{output:?}");
    let (calm_then, api_then) = (home.known("calm").identity(), home.known("api").main());

    let after = app("api", "env = { PORT = \"2\", API_KEY = \"sesame\" }\nkill_timeout = \"2s\"");
    home.write("ecosystem.toml", &(calm + &after + &app("new", "")));
    let expected = [
        "calm same nothing",
        "api changed reload env.API_KEY ********>********, env.PORT \"1\">\"2\", \
         kill_timeout ->\"2s\"",
        "new added start",
        "old removed nothing",
    ];
    assert_eq!(diff(&home, 1), expected);
    let dry = home.ctl(&["apply", "--dry-run"]).ok();
    assert!(dry.stdout.contains("~ api") && dry.stdout.contains("+ new"), "{dry:?}");
    assert!(home.app("new").is_none());

    let output = home.ctl(&["apply"]).ok();
    assert!(output.stderr.contains("env.PORT"), "{output:?}");
    assert!(!said(&output).contains("hunter2") && !said(&output).contains("sesame"), "{output:?}");
    assert_eq!(home.known("calm").identity(), calm_then, "it was touched");
    assert_ne!(home.known("api").main(), api_then);
    assert_eq!(home.known("api").main().env("PORT").unwrap(), "2");
    assert_eq!(home.known("new").status(), "online");
    assert_eq!(home.known("old").status(), "online");
    let told = home.events_of("api", "config");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["detail"], "env.API_KEY, env.PORT, kill_timeout");

    let again = home.ctl(&["apply"]).ok();
    assert!(again.stdout.is_empty(), "{again:?}");
    assert_eq!(
        differing(&home, &["apply", "--prune", "--dry-run", "-o", "json"], 0)[3],
        "old removed delete"
    );
    let output = home.ctl(&["apply", "--prune"]).ok();
    assert!(output.stderr.contains("deleted old"), "{output:?}");
    assert!(home.app("old").is_none());
    assert_eq!(home.known("calm").identity(), calm_then, "it was touched");
    diff(&home, 0);
}

#[test]
fn what_is_down_or_scaled_differs_and_what_came_from_elsewhere_is_let_alone() {
    let home = Home::new();
    home.write("ecosystem.toml", &(app("api", "instances = 2") + &app("job", "")));
    home.write("other.toml", &app("guest", ""));
    home.ctl(&["start"]).ok();
    home.ctl(&["start", "other.toml"]).ok();
    home.ctl(&["stop", "api/1"]).ok();
    assert_eq!(diff(&home, 1), ["api down start", "job same nothing"]);
    let output = home.ctl(&["diff", "-o", "name"]).expect_code(1);
    assert_eq!(output.stdout, "api\n");
    assert_eq!(differing(&home, &["diff", "--only", "job", "-o", "json"], 0), ["job same nothing"]);
    let job = home.known("job").identity();
    home.ctl(&["apply", "--prune"]).ok();
    assert_eq!(home.known("api").statuses(), ["online", "online"]);
    assert_eq!(home.known("job").identity(), job);
    assert_eq!(home.known("guest").status(), "online", "another file's app was pruned");

    // A file that moved takes its apps with it.
    std::fs::rename(home.project().join("ecosystem.toml"), home.project().join("shop.toml"))
        .unwrap();
    home.ctl(&["apply", "shop.toml"]).ok();
    let source = home.known("job").0["source"].as_str().unwrap().to_owned();
    assert!(source.ends_with("shop.toml"), "{source}");
    assert_eq!(home.known("job").identity(), job);
    home.daemon().unwrap().signal(nix::sys::signal::Signal::SIGKILL);
    home.until("job", "the next daemon", |app| {
        app.0["source"].as_str().is_some_and(|source| source.ends_with("shop.toml"))
    });
}

#[test]
fn a_change_that_fails_leaves_the_old_workers_serving() {
    let home = Home::new();
    home.write("ecosystem.toml", &app("api", "instances = 2"));
    home.ctl(&["apply"]).ok();
    let before = home.known("api").identity();
    home.write("ecosystem.toml", &shell("api", "exit 3", "instances = 2"));
    let output = home.ctl(&["apply"]).expect_code(9);
    assert!(output.stderr.contains("code 3"), "{output:?}");
    assert_eq!(home.known("api").identity()[1], before[1]);
    assert_eq!(home.known("api").statuses(), ["online", "online"]);
    assert_eq!(
        differing(&home, &["diff", "-o", "json"], 1).len(),
        1,
        "it is not what the file says"
    );
}

#[test]
fn a_wrong_file_changes_nothing_and_a_failing_app_is_told() {
    let home = Home::new();
    home.write("ecosystem.toml", &app("api", ""));
    home.ctl(&["diff"]).expect_code(7);
    assert_eq!(home.processes(), [], "asking has started something");
    home.ctl(&["apply"]).ok();
    let before = home.known("api").identity();
    home.write("ecosystem.toml", "[[apps]]\nname = \"api\"\nscrpt = \"x\"\n");
    home.ctl(&["apply"]).expect_code(6);
    home.ctl(&["diff"]).expect_code(6);
    home.ctl(&["apply", "nowhere.toml"]).expect_code(6);
    home.ctl(&["apply", "--only", "x"]).expect_code(6);
    assert_eq!(home.known("api").identity(), before);
    home.write("ecosystem.toml", &(app("api", "") + &shell("bad", "exit 3", "max_restarts = 0")));
    let output = home.ctl(&["apply"]).expect_code(1);
    assert!(output.stderr.contains("`bad` did not start"), "{output:?}");
    assert_eq!(home.known("api").identity(), before);
}
