//! Log lines with a time before them, as JSON, and limited in number: in the files, under kills.

use std::path::Path;
use std::time::Duration;

use nexus_tests::{Home, PROMPT, truth, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{AT_ONCE, shell, worker};

const LONG: Duration = Duration::from_secs(60);

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Flood, kill both of the pair by turns, stop; what the file holds, its dress taken off.
fn survive(settings: &str, undress: fn(&str) -> String) {
    let home = Home::new();
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let dir = truth.display().to_string();
    let args = ["--lines", "20", "--truth", &dir, "--ready-after", "0"];
    let more = format!("ready = \"notify\"\n{settings}");
    home.write("ecosystem.toml", &worker("api", &args, &more));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/api-out.log");
    for round in 0..20 {
        let before = text(&log).len();
        wait_for(PROMPT, "more lines", || (text(&log).len() > before + 4_096).then_some(()));
        let victim = if round % 2 == 0 { home.daemon() } else { home.keeper() };
        if let Some(victim) = victim {
            victim.signal(Signal::SIGKILL);
            // While it is still dying it would count as one of the pair, and the next round would
            // kill the other one as well.
            wait_for(PROMPT, "its end", || (!victim.alive()).then_some(()));
        }
        wait_for(PROMPT, "both of the pair", || home.daemon().zip(home.keeper()));
    }
    home.ctl(&["stop", "api"]).ok();
    let bare = home.project().join("bare.txt");
    wait_for(LONG, "all lines, once each, whole", || {
        let lines: String = text(&log).lines().map(|line| undress(line) + "\n").collect();
        std::fs::write(&bare, lines).unwrap();
        truth::compare(std::slice::from_ref(&bare), &truth).ok()
    });
}

#[test]
fn stamped_lines_survive_kills() {
    survive("time = true", |line| {
        let (stamp, text) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
        assert_eq!(stamp.len(), "2026-11-23T14:02:29".len(), "{line}");
        text.to_owned()
    });
}

#[test]
fn lines_as_json_survive_kills() {
    survive("log_type = \"json\"", |line| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!((&object["app_name"], &object["type"]), (&"api".into(), &"out".into()));
        assert_eq!(object["process_id"], 0);
        assert!(object["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        object["message"].as_str().unwrap().to_owned()
    });
}

#[test]
fn each_stream_and_instance_has_its_own_origin_in_one_file() {
    let home = Home::new();
    let line = "echo out; echo err >&2; exec sleep 1000";
    let more = format!("{AT_ONCE}\ninstances = 2\nmerge_logs = true\nlog_type = \"json\"");
    home.write("ecosystem.toml", &shell("two", line, &more));
    home.ctl(&["start"]).ok();
    let of = |file: &str| {
        let path = home.path().join("logs").join(file);
        let mut origins: Vec<String> = wait_for(PROMPT, file, || {
            let text = text(&path);
            (text.lines().count() == 2).then_some(text)
        })
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|one| format!("{} {} {}", one["message"], one["type"], one["process_id"]))
        .collect();
        origins.sort();
        origins
    };
    assert_eq!(of("two-out.log"), ["\"out\" \"out\" 0", "\"out\" \"out\" 1"]);
    assert_eq!(of("two-error.log"), ["\"err\" \"err\" 0", "\"err\" \"err\" 1"]);
}

#[test]
fn lines_beyond_the_rate_are_left_out_and_counted() {
    let home = Home::new();
    let line = "seq 1 5000; while ! test -e go; do sleep 0.02; done; echo later; exec sleep 1000";
    let more = format!("{AT_ONCE}\nlog = {{ rate = 100 }}");
    home.write("ecosystem.toml", &shell("fast", line, &more));
    home.ctl(&["start"]).ok();
    let log = home.path().join("logs/fast-out.log");
    // Also when nothing more comes.
    wait_for(PROMPT, "the mark", || text(&log).contains("left out").then_some(()));
    home.write("go", "");
    let text = wait_for(PROMPT, "the last line", || {
        Some(text(&log)).filter(|text| text.ends_with("later\n"))
    });
    let (mut kept, mut left_out) = (0, 0);
    for line in text.lines().filter(|line| *line != "later") {
        match line.strip_prefix("[nexus: ") {
            Some(mark) => {
                assert!(mark.ends_with(" lines left out: more than 100 in a second]"), "{line}");
                left_out += mark.split(' ').next().unwrap().parse::<u32>().unwrap();
            }
            None => kept += 1,
        }
    }
    assert_eq!(kept + left_out, 5_000);
    assert!(kept >= 100 && left_out > 4_000, "{kept} kept");
}

#[test]
fn a_line_without_its_end_is_stamped_after_a_while_and_at_the_end() {
    let home = Home::new();
    let more = format!("{AT_ONCE}\nlog_date_format = \"[at]\"\nautorestart = false");
    home.write(
        "ecosystem.toml",
        &(shell("asks", "printf 'name? '; exec sleep 1000", &more)
            + &shell("ends", "printf 'last words'", &more)),
    );
    home.ctl(&["start"]);
    for (app, wanted) in [("asks", "at: name? "), ("ends", "at: last words")] {
        let log = home.path().join(format!("logs/{app}-out.log"));
        wait_for(PROMPT, wanted, || (text(&log) == wanted).then_some(()));
    }
}

#[test]
fn a_restart_with_another_file_changes_the_form_of_lines() {
    let home = Home::new();
    let line = "echo word; exec sleep 1000";
    let log = home.path().join("logs/app-out.log");
    let mut wanted = String::new();
    for (settings, lines) in
        [("", "word\n"), ("log_date_format = \"[at]\"", "at: word\n"), ("", "word\n")]
    {
        home.write("ecosystem.toml", &shell("app", line, &format!("{AT_ONCE}\n{settings}")));
        home.ctl(&[if wanted.is_empty() { "start" } else { "restart" }, "ecosystem.toml"]).ok();
        wanted += lines;
        wait_for(PROMPT, "its line", || (text(&log) == wanted).then_some(()));
    }
}
