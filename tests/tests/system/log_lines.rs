//! What reaches the log files: every byte, whatever happens to the files.

use std::path::PathBuf;

use nexus_tests::{Home, PROMPT, truth, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell, worker};

/// A chatty worker; its truth's directory and its log.
fn chatty(home: &Home, micros: &str) -> (PathBuf, PathBuf) {
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let dir = truth.display().to_string();
    let args = ["--lines", micros, "--truth", &dir, "--ready-after", "0"];
    home.write("ecosystem.toml", &worker("chatty", &args, "ready = \"notify\""));
    home.ctl(&["start"]).ok();
    (truth, home.path().join("logs/chatty-out.log"))
}

fn lines(log: &PathBuf) -> usize {
    std::fs::read(log).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

fn some_more(log: &PathBuf) {
    let now = lines(log);
    wait_for(PROMPT, "a hundred lines more", || (lines(log) > now + 100).then_some(()));
}

#[test]
fn no_line_is_lost_at_a_stop_and_a_restart() {
    let home = Home::new();
    let (truth, log) = chatty(&home, "100");
    some_more(&log);
    home.ctl(&["restart", "chatty"]).ok();
    some_more(&log);
    home.known("chatty").main().signal(Signal::SIGKILL);
    some_more(&log);
    home.ctl(&["stop", "chatty"]).ok();
    let found =
        wait_for(PROMPT, "all lines", || truth::compare(std::slice::from_ref(&log), &truth).ok());
    assert!(found > 300);
}

#[test]
fn a_log_file_that_was_deleted_is_made_anew() {
    let home = Home::new();
    let (_, log) = chatty(&home, "1000");
    some_more(&log);
    std::fs::remove_file(&log).unwrap();
    some_more(&log);
    let text = std::fs::read_to_string(&log).unwrap();
    let whole = text.lines().all(|line| line.starts_with("L ") && line.ends_with(" E"));
    assert!(whole, "a line was torn");
}

#[test]
fn a_log_file_that_was_truncated_goes_on_without_a_hole() {
    let home = Home::new();
    let (_, log) = chatty(&home, "1000");
    some_more(&log);
    std::fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    wait_for(PROMPT, "lines after the truncation", || (lines(&log) > 20).then_some(()));
    let bytes = std::fs::read(&log).unwrap();
    assert!(!bytes.contains(&0), "a hole of {} bytes", bytes.iter().filter(|b| **b == 0).count());
}

#[test]
fn a_last_line_without_an_end_is_shown() {
    let home = Home::new();
    let line = "printf 'no end'; exec sleep 1000";
    home.write("ecosystem.toml", &shell("half", line, AT_ONCE));
    home.ctl(&["start"]).ok();
    wait_for(PROMPT, "the bytes", || {
        let text = home.ctl(&["logs", "half"]).ok().stdout;
        text.contains("no end").then_some(())
    });
}

#[test]
fn logs_go_where_the_file_says() {
    let home = Home::new();
    let more = format!(
        "{AT_ONCE}\ninstances = 2\nmerge_logs = true\nout_file = \"my/out.txt\"\nerror_file = \"/dev/null\""
    );
    std::fs::create_dir(home.project().join("my")).unwrap();
    home.write(
        "ecosystem.toml",
        &shell("placed", "echo here; echo gone >&2; exec sleep 1000", &more),
    );
    home.ctl(&["start"]).ok();
    let file = home.project().join("my/out.txt");
    wait_for(PROMPT, "both lines", || {
        (std::fs::read_to_string(&file).ok()? == "here\nhere\n").then_some(())
    });
}
