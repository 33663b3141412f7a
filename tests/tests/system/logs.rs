//! `logs`: what it shows, with a daemon and without one.

use nexus_tests::{Home, PROMPT, wait_for};
use serde_json::Value;

use crate::{AT_ONCE, shell};

/// An app that writes ten lines to each output and stays.
fn ten() -> Home {
    let home = Home::new();
    let line =
        "for n in 0 1 2 3 4 5 6 7 8 9; do echo out-$n; echo err-$n >&2; done; exec sleep 1000";
    home.write("ecosystem.toml", &shell("ten", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    for (file, last) in [("out", "out-9"), ("error", "err-9")] {
        let path = home.path().join(format!("logs/ten-{file}.log"));
        wait_for(PROMPT, last, || {
            std::fs::read_to_string(&path).ok().filter(|text| text.contains(last)).map(drop)
        });
    }
    home
}

fn count(text: &str, word: &str) -> usize {
    text.lines().filter(|line| line.contains(word)).count()
}

#[test]
fn the_last_lines_of_both_outputs_or_of_one() {
    let home = ten();
    let all = home.ctl(&["logs", "ten"]).ok().stdout;
    assert_eq!((count(&all, "out-"), count(&all, "err-")), (10, 10), "{all}");
    let last = home.ctl(&["logs", "ten", "-n", "3", "--out"]).ok().stdout;
    assert_eq!(last.lines().count(), 3, "{last}");
    assert!(last.contains("out-7") && last.contains("out-9"), "{last}");
    let errors = home.ctl(&["logs", "ten", "--err"]).ok().stdout;
    assert_eq!((count(&errors, "out-"), count(&errors, "err-")), (0, 10), "{errors}");
    let nobody = home.ctl(&["logs", "ten", "-n", "0"]).ok().stdout;
    assert_eq!(nobody, "");
}

#[test]
fn json_lines_carry_app_stream_time_and_text() {
    let home = ten();
    let text = home.ctl(&["logs", "ten", "-o", "json", "--err"]).ok().stdout;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 10);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["msg"], format!("err-{number}"));
        assert_eq!((&line["app"], &line["stream"]), (&"ten".into(), &"err".into()));
        assert!(line["ts"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }
}

#[test]
fn since_a_time_in_the_past_and_in_the_future() {
    let home = ten();
    let lately = home.ctl(&["logs", "ten", "--since", "5m"]).ok().stdout;
    assert_eq!((count(&lately, "out-"), count(&lately, "err-")), (10, 10), "{lately}");
    let never = home.ctl(&["logs", "ten", "--since", "2199-01-01T00:00Z"]).ok().stdout;
    assert_eq!(never, "");
    home.ctl(&["logs", "ten", "--since", "the day before"]).expect_code(2);
}

#[test]
fn since_leaves_out_what_is_older() {
    let home = Home::new();
    let line = "echo old; while ! test -e go; do sleep 0.05; done; echo new; exec sleep 1000";
    home.write("ecosystem.toml", &shell("app", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/app-out.log");
    let wrote = |word: &'static str| {
        wait_for(PROMPT, word, || {
            std::fs::read_to_string(&log).ok().filter(|text| text.contains(word)).map(drop)
        });
    };
    wrote("old");
    let begin = std::time::Instant::now();
    wait_for(PROMPT, "three seconds between the lines", || {
        (begin.elapsed().as_millis() > 3_000).then_some(())
    });
    home.write("go", "");
    wrote("new");
    let text = home.ctl(&["logs", "app", "--since", "2s"]).ok().stdout;
    assert!(text.contains("new") && !text.contains("old"), "{text}");
}

#[test]
fn a_follower_sees_lines_as_they_come_and_survives_the_daemon() {
    let home = Home::new();
    let line = "n=0; while :; do test -e go-$n && { echo line-$n; n=$((n+1)); }; sleep 0.05; done";
    home.write("ecosystem.toml", &shell("app", line, AT_ONCE));
    home.write("go-0", "");
    home.ctl(&["start"]).ok();
    let _follower = home.foreground(&["logs", "app", "-f"], "followed.txt");
    let file = home.project().join("followed.txt");
    let see = |word: &str| {
        wait_for(PROMPT, word, || {
            std::fs::read_to_string(&file).ok().filter(|text| text.contains(word)).map(drop)
        });
    };
    see("line-0");
    home.write("go-1", "");
    see("line-1");
    home.daemon().unwrap().signal(nix::sys::signal::Signal::SIGKILL);
    home.write("go-2", "");
    see("line-2");
    home.keeper().unwrap().signal(nix::sys::signal::Signal::SIGKILL);
    home.write("go-3", "");
    see("line-3");
    let text = std::fs::read_to_string(&file).unwrap();
    for number in 0..4 {
        assert_eq!(count(&text, &format!("line-{number}")), 1, "{text}");
    }
}

#[test]
fn with_the_daemon_away_the_files_are_read() {
    let home = ten();
    home.ctl(&["kill"]).ok();
    let all = home.ctl(&["logs"]).ok().stdout;
    assert_eq!((count(&all, "out-"), count(&all, "err-")), (10, 10), "{all}");
    let errors = home.ctl(&["logs", "ten", "--err", "-n", "2"]).ok().stdout;
    assert_eq!((errors.lines().count(), count(&errors, "err-")), (2, 2), "{errors}");
    home.ctl(&["logs", "tne"]).expect_code(4);
    assert_eq!(home.processes(), []);
}

#[test]
fn lines_of_several_apps_come_merged_with_their_names() {
    let home = Home::new();
    let text = shell("a", "echo from a; exec sleep 1000", AT_ONCE)
        + &shell("b", "echo from b; exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).ok();
    let merged = wait_for(PROMPT, "both lines", || {
        let text = home.ctl(&["logs"]).ok().stdout;
        (count(&text, "from a") == 1 && count(&text, "from b") == 1).then_some(text)
    });
    let of = |name: &str| merged.lines().any(|line| line.contains(&format!(" {name} ")));
    assert!(of("a") && of("b"), "{merged}");
}

#[test]
fn escapes_of_an_app_do_nothing_to_a_terminal() {
    let home = Home::new();
    let line = r"printf '\033]0;stolen\007\033[2Jcleared\033[31mred\r over\n'; exec sleep 1000";
    home.write("ecosystem.toml", &shell("rude", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/rude-out.log");
    wait_for(PROMPT, "the line", || {
        std::fs::read(&log).ok().filter(|bytes| bytes.ends_with(b"\n")).map(drop)
    });
    assert!(std::fs::read(&log).unwrap().contains(&0x1b), "the file has the bytes as they came");
    let harmless = |text: &str| text.chars().all(|c| c == '\n' || !c.is_control());
    let text = home.ctl(&["logs", "rude"]).ok().stdout;
    assert!(text.contains("cleared") && harmless(&text), "{text:?}");
    let colour = home.ctl(&["logs", "rude", "--color", "always"]).ok().stdout;
    assert!(!colour.contains("\x1b[2J") && !colour.contains("\x1b]0") && !colour.contains('\x07'));
    let json = home.ctl(&["logs", "rude", "-o", "json"]).ok().stdout;
    assert!(harmless(&json), "{json:?}");
}
