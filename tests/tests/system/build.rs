//! The build: before the first start and before a reload, as the app's user, in its directory, with
//! its environment; told as it runs; and what does not build changes nothing.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nexus_tests::{Home, PROMPT, Process, program, run, wait_for, with_env};
use nix::sys::signal::Signal;

use crate::daemon::kill_both;
use crate::{AT_ONCE, shell};

/// It has begun when `began` is there, and goes on when `go` is.
const WAITS: &str = "echo compiling; echo $$ > began; echo once >> builds; \
                     until test -e go; do sleep 0.02; done; echo compiled";

fn project(home: &Home, line: &str, more: &str) {
    home.write("ecosystem.toml", &shell("it", line, &format!("{AT_ONCE}\n{more}")));
}

fn building(command: &str) -> String {
    format!("build = {command:?}")
}

fn read(home: &Home, file: &str) -> String {
    std::fs::read_to_string(home.project().join(file)).unwrap_or_default()
}

/// A line of the build's among what the command has said.
fn said(home: &Home, line: &str) -> bool {
    read(home, "said").lines().any(|said| said == format!("  {line}"))
}

/// The build's shell, once it runs.
fn builder(home: &Home) -> Process {
    wait_for(PROMPT, "a build", || Some(Process(read(home, "began").trim().parse().ok()?)))
}

#[test]
fn its_environment_and_directory_are_the_app_s() {
    let home = Home::new();
    std::fs::create_dir(home.project().join("inner")).unwrap();
    home.write("inner/secret", "zq-secret\n");
    home.write("inner/app.env", "PLAIN=zq-dotenv\n");
    let build = "env > seen; pwd > here; umask > mask";
    let more = format!(
        "{}\ncwd = \"inner\"\numask = \"027\"\nenv_file = \"app.env\"\n\
         secrets = {{ FROM_FILE = \"file:secret\" }}\ninherit_env = [\"WANTED\"]\n\
         env = {{ MODE = \"zq-mode\" }}",
        building(build)
    );
    project(&home, "exec sleep 1000", &more);
    let mut command = home.command(&program("nexusctl"));
    command.arg("start").env("WANTED", "zq-caller").env("UNWANTED", "zq-nothing");
    let said = run(&mut command, PROMPT).ok();
    let seen = read(&home, "inner/seen");
    let has = |line: &str| seen.lines().any(|seen| seen == line);
    for line in [
        "PLAIN=zq-dotenv",
        "FROM_FILE=zq-secret",
        "MODE=zq-mode",
        "WANTED=zq-caller",
        "NEXUS_APP=it",
        "NEXUS_GENERATION=1",
    ] {
        assert!(has(line), "{line} is not in\n{seen}");
    }
    for name in ["UNWANTED=", "NOTIFY_SOCKET=", "LISTEN_FDS=", "NODE_APP_INSTANCE="] {
        assert!(!seen.lines().any(|line| line.starts_with(name)), "{name} is in\n{seen}");
    }
    let here = std::fs::canonicalize(home.project().join("inner")).unwrap();
    assert_eq!(read(&home, "inner/here").trim(), here.display().to_string());
    assert_eq!(read(&home, "inner/mask").trim(), "0027");
    assert!(!said.stderr.contains("zq-secret") && !said.stdout.contains("zq-secret"), "{said:?}");
}

#[test]
fn what_it_makes_is_its_user_s() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root has other users");
        return;
    }
    let home = Home::new();
    let site = home.project().join("site");
    std::fs::create_dir(&site).unwrap();
    for dir in [home.project().parent().unwrap(), &home.project(), &site] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let more = format!("{}\nuser = \"nobody\"\ncwd = \"site\"", building("id -un > who"));
    project(&home, "exec sleep 1000", &more);
    home.ctl(&["start"]).ok();
    assert_eq!(read(&home, "site/who").trim(), "nobody");
    assert_eq!(site.join("who").metadata().unwrap().uid(), 65_534);
}

#[test]
fn what_it_says_is_shown_as_it_comes() {
    let home = Home::new();
    project(&home, "exec sleep 1000", &building(WAITS));
    let mut command = home.foreground(&["start"], "said");
    wait_for(PROMPT, "its first line", || said(&home, "compiling").then_some(()));
    assert!(!said(&home, "compiled"));
    assert_eq!(home.known("it").status(), "building");
    home.write("go", "");
    wait_for(PROMPT, "the end", || said(&home, "compiled").then_some(()));
    home.until("it", "its worker", |app| app.status() == "online");
    let _ = command.end_by(Signal::SIGINT);
}

#[test]
fn a_reload_that_does_not_build_changes_nothing_and_ends_with_9() {
    let home = Home::new();
    project(&home, "exec sleep 1000", &building("echo built as $MODE"));
    home.ctl(&["start"]).ok();
    let before = home.known("it").identity();
    let broken = building("echo no such crate as $MODE >&2; exit 3") + "\nenv = { MODE = \"two\" }";
    project(&home, "exec sleep 1001", &broken);
    for verb in ["reload", "apply"] {
        let said = home.ctl(&[verb, "ecosystem.toml"]).expect_code(9);
        for word in ["no such crate as two", "exited with code 3", "what was before serves"] {
            assert!(said.stderr.contains(word), "{word}: {said:?}");
        }
        let said = home.ctl(&[verb, "ecosystem.toml", "-o", "json", "-q"]).expect_code(9).json();
        let result = &said["results"][0];
        assert_eq!(
            (&result["verdict"], &result["old_serves"]),
            (&"build_failed".into(), &true.into())
        );
        let it = home.known("it");
        assert_eq!((it.identity(), it.0["generation"].as_u64()), (before.clone(), Some(1)));
    }
    // With the same configuration, too.
    home.ctl(&["delete", "it", "-q"]).ok();
    project(&home, "exec sleep 1000", &building("test ! -e broken"));
    home.ctl(&["start"]).ok();
    let before = home.known("it").identity();
    home.write("broken", "");
    home.ctl(&["reload", "it"]).expect_code(9);
    assert_eq!(home.known("it").identity(), before);
    std::fs::remove_file(home.project().join("broken")).unwrap();
    home.ctl(&["reload", "it"]).ok();
    assert_ne!(home.known("it").identity(), before);
    // Nothing serves of what has never been built.
    project(&home, "exec sleep 1000", &building("exit 4"));
    home.ctl(&["delete", "it", "-q"]).ok();
    let said = home.ctl(&["reload", "ecosystem.toml"]).expect_code(1);
    assert!(said.stderr.contains("nothing was changed"), "{said:?}");
    assert!(home.app("it").is_none());
}

#[test]
fn ctrl_c_leaves_it_running_and_a_stop_ends_all_of_it() {
    let home = Home::new();
    project(&home, "exec sleep 1000", &building(WAITS));
    let mut command = home.foreground(&["start"], "said");
    let build = builder(&home);
    wait_for(PROMPT, "its first line", || said(&home, "compiling").then_some(()));
    assert_eq!(command.end_by(Signal::SIGINT), Some(130));
    assert!(build.alive());
    home.write("go", "");
    home.until("it", "its worker", |app| app.status() == "online");
    home.ctl(&["delete", "it", "-q"]).ok();
    for file in ["go", "began"] {
        std::fs::remove_file(home.project().join(file)).unwrap();
    }
    // Also what it has put into a session of its own.
    project(&home, "exec sleep 1000", &building(&format!("setsid sleep 1000 & {WAITS}")));
    home.ctl(&["start", "--no-wait"]).ok();
    let build = builder(&home);
    home.ctl(&["delete", "it"]).ok();
    let home_id = home.path().display().to_string();
    wait_for(PROMPT, "the end of all of it", || {
        let left = with_env("NEXUS_HOME", &home_id);
        let left = left.into_iter().filter(|one| one.comm().as_deref() == Some("sleep"));
        (!build.alive() && left.count() == 0).then_some(())
    });
}

#[test]
fn one_that_takes_too_long_is_ended_and_has_failed() {
    let home = Home::new();
    let more = format!("{}\nbuild_timeout = \"2s\"", building("echo slow; sleep 1000"));
    project(&home, "exec sleep 1000", &more);
    let said = home.ctl(&["start"]).expect_code(1);
    assert!(said.stderr.contains("`build_timeout`") && said.stderr.contains("slow"), "{said:?}");
    assert!(home.app("it").is_none());
}

#[test]
fn it_outlives_either_of_the_pair_and_is_begun_anew_after_both() {
    let home = Home::new();
    project(&home, "exec sleep 1000", &building(WAITS));
    let start = home.begin(&["start"]);
    let build = builder(&home);
    for who in [Home::daemon, Home::keeper, Home::daemon] {
        let killed = wait_for(PROMPT, "one of the pair", || who(&home));
        killed.signal(Signal::SIGKILL);
        wait_for(PROMPT, "its end", || (!killed.alive()).then_some(()));
        home.until("it", "its build", |app| app.status() == "building");
    }
    assert!(build.alive());
    home.write("go", "");
    start.end().ok();
    assert_eq!((home.known("it").status(), read(&home, "builds").as_str()), ("online", "once\n"));
    // After the death of both the one that runs is ended: nobody would hear how it ended.
    for file in ["go", "began"] {
        std::fs::remove_file(home.project().join(file)).unwrap();
    }
    home.ctl(&["reload", "it", "--no-wait"]).ok();
    let build = builder(&home);
    std::fs::remove_file(home.project().join("began")).unwrap();
    let before = home.known("it").identity();
    kill_both(&home);
    home.ctl(&["list"]).ok();
    wait_for(PROMPT, "its end", || (!build.alive()).then_some(()));
    let again = builder(&home);
    assert!(again.alive() && again.0 != build.0);
    home.write("go", "");
    home.until("it", "its new worker", |app| app.identity() != before && app.status() == "online");
    assert_eq!(read(&home, "builds"), "once\nonce\nonce\n");
}

#[test]
fn apps_of_one_directory_build_one_after_another_and_others_at_the_same_time() {
    let home = Home::new();
    let one = |name: &str, cwd: &str| {
        let path = home.project().join(cwd).display().to_string();
        std::fs::create_dir_all(&path).unwrap();
        // Whoever finds the directory taken has met the other one there.
        let build = format!(
            "echo {name}; mkdir taken && touch ../{name}-began; until test -e ../go; do sleep 0.02; \
             done; rmdir taken"
        );
        let more = format!("{AT_ONCE}\ncwd = \"{path}\"\n{}", building(&build));
        shell(name, "exec sleep 1000", &more)
    };
    let apps = [("a", "x"), ("b", "x"), ("c", "y")];
    home.write("ecosystem.toml", &apps.map(|(name, cwd)| one(name, cwd)).concat());
    let start = home.begin(&["start"]);
    let began = |name: &str| home.project().join(format!("{name}-began")).exists();
    wait_for(PROMPT, "both directories", || (began("a") && began("c")).then_some(()));
    home.until("b", "its turn", |app| app.status() == "waiting");
    assert!(!began("b"));
    let waits = "waits for the build of `a` in the same directory";
    for command in [["why", "b"], ["describe", "b"]] {
        let said = home.ctl(&command).stdout;
        assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(waits), "{said}");
    }
    home.write("go", "");
    let said = start.end().ok().stderr;
    assert!(!said.contains("File exists"), "{said}");
    assert!(said.contains(&format!("b {waits}")), "{said}");
    for (name, _) in apps {
        assert_eq!(home.known(name).status(), "online");
        let log = home.api(&format!("/v1/apps/{name}"))["build_log"].as_str().unwrap().to_owned();
        assert_eq!(std::fs::read_to_string(Path::new(&log)).unwrap(), format!("{name}\n"));
    }
}

#[test]
fn a_build_that_is_stopped_has_its_directory_until_it_is_gone() {
    let home = Home::new();
    let one = |name: &str, build: &str| {
        let more = format!("{AT_ONCE}\nkill_timeout = \"500ms\"\n{}", building(build));
        shell(name, "exec sleep 1000", &more)
    };
    // It hears nothing but SIGKILL.
    let deaf = "trap '' TERM; echo $$ > began; until test -e go; do sleep 0.02; done";
    home.write("ecosystem.toml", &one("a", deaf));
    home.ctl(&["start", "--no-wait"]).ok();
    let build = builder(&home);
    home.write("b.toml", &one("b", "if kill -0 $(cat began); then touch met; fi"));
    let start = home.begin(&["start", "b.toml"]);
    home.until("b", "its turn", |app| app.status() == "waiting");
    home.ctl(&["stop", "a"]).ok();
    start.end().ok();
    assert!(!build.alive() && !home.project().join("met").exists());
}

#[test]
fn words_are_taken_as_they_stand_and_of_several_lines_the_first_that_fails_is_the_last() {
    let home = Home::new();
    project(
        &home,
        "exec sleep 1000",
        "build = [\"touch\", \"a b\", \"$HOME; 'x'\", \"--\", \"\\\"\"]",
    );
    home.ctl(&["start"]).ok();
    for file in ["a b", "$HOME; 'x'", "\""] {
        assert!(home.project().join(file).exists(), "{file}");
    }
    home.ctl(&["delete", "it", "-q"]).ok();
    let lines = "build = '''\ntouch one\nfalse\ntouch two\n'''";
    project(&home, "exec sleep 1000", lines);
    let said = home.ctl(&["start"]).expect_code(1);
    assert!(said.stderr.contains("exited with code 1"), "{said:?}");
    assert!(home.project().join("one").exists() && !home.project().join("two").exists());
}
