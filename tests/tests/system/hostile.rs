//! Settings that are meant to do harm: what an app is given is its worker's alone, and no shell, loader
//! or terminal of ours obeys it.

use nexus_tests::{Home, PROMPT, Process, wait_for};
use nix::sys::signal::Signal;

use crate::worker;

const LIBRARY: &str = "/no/such/library.so";

/// None of our own has it: the pair, and whoever is asking.
#[track_caller]
fn clean(ours: &[Process]) {
    for process in ours {
        assert_eq!(process.env("LD_PRELOAD"), None, "{:?}", process.comm());
        assert_eq!(process.env("MALLOC_CHECK_"), None, "{:?}", process.comm());
    }
}

#[test]
fn a_hostile_environment_reaches_the_worker_and_nobody_of_ours() {
    let home = Home::new();
    let env =
        format!("env = {{ LD_PRELOAD = \"{LIBRARY}\", MALLOC_CHECK_ = \"3\", NEXUS_APP = \"x\" }}");
    let more = format!("ready = \"notify\"\nready_timeout = \"60s\"\n{env}");
    home.write("ecosystem.toml", &worker("app", &["--await", "go", "--ready-after", "0"], &more));
    let starting = home.begin(&["start"]);
    let main = home.until("app", "its process", |app| app.pids()[0] > 0).main();
    assert_eq!(main.env("LD_PRELOAD").as_deref(), Some(LIBRARY));
    // Whoever waits for the start is there to be looked at until the worker is ready.
    let asking = home.processes();
    let asking = asking.into_iter().find(|one| one.comm().as_deref() == Some("nexusctl"));
    clean(&[home.keeper().unwrap(), home.daemon().unwrap(), asking.unwrap()]);
    home.write("go-0", "");
    starting.end().ok();
    // The loader of the worker has obeyed, of ours none.
    let log = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap_or_default();
    wait_for(PROMPT, "the loader's word", || {
        log("logs/app-error.log").contains(LIBRARY).then_some(())
    });
    // Nor do those who come after: each is started by the other.
    for process in [home.daemon().unwrap(), home.keeper().unwrap()] {
        process.signal(Signal::SIGKILL);
        wait_for(PROMPT, "the next one", || {
            let pair = [home.keeper()?, home.daemon()?];
            (!pair.contains(&process)).then(|| clean(&pair))
        });
    }
    home.ctl(&["restart", "app", "-q"]).ok();
    clean(&[home.keeper().unwrap(), home.daemon().unwrap()]);
    assert!(!log("nexusd.log").contains("preloaded"), "{}", log("nexusd.log"));
    // What tells the worker who it is cannot be given another value.
    assert_eq!(home.known("app").main().env("NEXUS_APP").as_deref(), Some("app"));
}

#[test]
fn arguments_reach_the_worker_byte_for_byte_and_no_shell_reads_them() {
    let home = Home::new();
    let odd = [
        "--ready-after",
        "0",
        "",
        "two\nlines\n",
        "a 'quote' and a \"double\" one",
        "$(touch planted) `touch planted`; touch planted && touch planted | touch planted",
        "${HOME} ~ * ? [a-z] {a,b} !! # %n \\ \\n",
        "\u{1}\u{7}\u{1b}[2J\u{1b}]0;owned\u{7}\r\t",
        "\u{9b}2J \u{202e}txt.exe \u{feff} \u{1f600} \u{10ffff}",
        "-",
        "--",
        "&1 >planted 2>&1 <planted",
    ];
    home.write("ecosystem.toml", &worker("app", &odd, "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    let line = |process: Process| std::fs::read(format!("/proc/{}/cmdline", process.0)).unwrap();
    let exact = |process: Process| {
        let line = line(process);
        let mut words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
        assert_eq!(words.pop(), Some(&b""[..]), "the end of the last");
        assert_eq!(words[1..], odd.map(str::as_bytes), "{}", String::from_utf8_lossy(&line));
    };
    exact(home.known("app").main());
    // Also from what is kept: by who comes after both, and by a reload.
    home.ctl(&["reload", "app", "-q"]).ok();
    exact(home.known("app").main());
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.ctl(&["restart", "app", "-q"]).ok();
    exact(home.known("app").main());
    assert!(!home.project().join("planted").exists());
    // What shows them obeys them no more than a shell does.
    for args in [&["describe", "app"][..], &["describe", "app", "-o", "json"], &["list"]] {
        let said = home.ctl(args).ok().stdout;
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{args:?}: {said:?}");
    }
}

#[test]
fn a_name_that_could_do_harm_is_refused_with_its_place() {
    let home = Home::new();
    for name in [
        r"a\nb",
        r"a\u001b[2Jb",
        r"\u009b2J",
        r"../../etc/passwd",
        r"a/0",
        r"$(touch planted)",
        r"a\u0000b",
        r"\u202etxt",
        "a b",
        "",
    ] {
        let text = worker("fine", &[], "") + &worker(name, &[], "");
        let place = text.lines().position(|line| line == format!("name = \"{name}\"")).unwrap() + 1;
        home.write("ecosystem.toml", &text);
        for verb in ["check", "start"] {
            let said = home.ctl(&[verb, "ecosystem.toml"]).expect_code(6);
            assert!(said.stderr.contains(&format!("ecosystem.toml:{place}")), "{name}: {said:?}");
            let harmless = |c: char| c == '\n' || !c.is_control();
            assert!(said.stderr.chars().all(harmless), "{name}: {:?}", said.stderr);
        }
    }
    // Names of variables are no place for a second one, either.
    for key in [r"A=B", r"A\nB", r"\u001b[2J", r"\u009b2J", r"A\u0000", ""] {
        let env = format!("env = {{ \"{key}\" = \"x\" }}");
        home.write("ecosystem.toml", &worker("fine", &[], &env));
        let said = home.ctl(&["start"]).expect_code(6);
        assert!(said.stderr.contains("ecosystem.toml:5"), "{key}: {said:?}");
        assert!(said.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{key}: {said:?}");
    }
    // No value ends in the middle, or becomes two.
    home.write("ecosystem.toml", &worker("fine", &[], r#"env = { A = "x\u0000LD_PRELOAD=y" }"#));
    home.ctl(&["start"]).expect_code(6);
    home.write("ecosystem.toml", &worker("fine", &["a\0b"], ""));
    home.ctl(&["start"]).expect_code(6);
    assert!(home.processes().is_empty() && !home.project().join("planted").exists());
}
