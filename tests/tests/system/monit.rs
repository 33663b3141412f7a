//! The live screen on a real terminal: what a person sees, and what is left when it ends.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nexus_tests::{Home, Left, PROMPT, Terminal, program, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell};

/// Nothing is left of the program on its terminal.
const AS_BEFORE: Left = Left::NOTHING;

fn monit(home: &Home) -> Command {
    let mut command = home.command(&program("nexusctl"));
    command.arg("monit");
    command
}

/// An app that says something five times a second, and one that fails.
fn begin(home: &Home) {
    let talker = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.2; done";
    let failing = "echo no database >&2; exit 3";
    let file = shell("talker", talker, AT_ONCE) + &shell("failing", failing, AT_ONCE);
    home.write("ecosystem.toml", &file);
    home.ctl(&["start"]);
}

#[test]
fn it_lives_through_the_death_of_the_daemon_and_leaves_the_terminal_as_it_was() {
    let home = Home::new();
    begin(&home);
    let mut terminal = Terminal::run(&monit(&home), 80, 24);
    terminal.until("the app, its log and the problem", |text| {
        text.contains("talker")
            && text.contains("● live")
            && text.contains(" line ")
            && text.contains("stderr: no database")
    });
    assert!(!terminal.colored(), "NO_COLOR is set");
    let (daemon, talker) = (home.daemon().unwrap(), home.known("talker").main());
    daemon.signal(Signal::SIGKILL);
    let text = terminal.until("the daemon's return", |text| text.contains("nexusd is back"));
    assert!(text.contains(&format!("pid {} to ", daemon.0)), "{text}");
    assert!(text.contains("● live") && !text.contains(" 0 run on"), "{text}");
    assert_eq!(home.known("talker").main(), talker);
    // And figures go on.
    terminal.until("an uptime that goes on", |text| text.contains("● online"));
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    assert_eq!(terminal.left(), AS_BEFORE);
}

/// The seconds for which there is no daemon, as the screen says: on a loaded machine it may show a
/// later one than the second.
fn lost_for(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("✗ LOST ")?;
    rest.split_once('s')?.0.parse().ok()
}

#[test]
fn without_a_daemon_it_says_so_reads_the_files_and_connects_when_one_comes() {
    let home = Home::new();
    let mut terminal = Terminal::run(&monit(&home), 80, 24);
    terminal.until("the empty state", |text| {
        text.contains("No daemon runs for") && text.contains("✗ no daemon")
    });
    begin(&home);
    terminal.press("\r");
    terminal.until("the app", |text| text.contains("● live") && text.contains("talker"));
    // If it had come to the screen before Enter did, that shows the first app alone: all again.
    terminal.press("\x1b");
    let talker = home.known("talker").main();
    let pair = [home.keeper().unwrap(), home.daemon().unwrap()];
    pair.iter().for_each(|one| one.signal(Signal::SIGSTOP));
    pair.iter().for_each(|one| one.signal(Signal::SIGKILL));
    let text = terminal.until("the loss", |text| {
        lost_for(text).is_some_and(|s| s >= 2)
            && text.contains("? unknown")
            && text.contains("talker")
    });
    assert!(
        text.contains(" processes live. ") && text.contains("Enter brings nexusd back"),
        "{text}"
    );
    assert!(!text.contains("● live"), "{text}");
    assert!(talker.alive());
    terminal.press("a");
    terminal.press("?");
    terminal.until("the help, and no menu", |text| text.contains("DO AND LEAVE"));
    terminal.press("\x1b");
    assert!(home.daemon().is_none(), "who only looks on brings nobody back");
    terminal.press("\r");
    terminal.until("another daemon", |text| text.contains("● live") && text.contains("● online"));
    terminal.press("\x03");
    assert_eq!(terminal.end().code(), Some(130));
    assert_eq!(terminal.left(), AS_BEFORE);
}

#[test]
fn an_action_is_asked_for_done_and_told() {
    let home = Home::new();
    begin(&home);
    let mut terminal = Terminal::run(&monit(&home), 80, 24);
    terminal.until("the table", |text| text.contains("▸ failing"));
    let talker = home.known("talker").main();
    terminal.press("/talk\r");
    terminal.until("the filter", |text| text.contains("▸ talker") && !text.contains("failing  "));
    terminal.press("ar");
    terminal.until("the question", |text| text.contains("Restart talker?"));
    terminal.press("\r");
    terminal.until("no question", |text| !text.contains("Restart talker?"));
    assert!(talker.alive(), "Enter means cancel");
    terminal.press("ary");
    terminal.until("the deed", |text| text.contains("restarted talker"));
    assert!(!talker.alive());
    let talker = home.known("talker").main();
    terminal.press("aly");
    terminal.until("the other deed", |text| text.contains("reloaded talker"));
    assert!(!talker.alive());
    terminal.press("aty");
    terminal.until("the stop", |text| text.contains("stopped talker"));
    assert_eq!(home.known("talker").status(), "stopped");
    assert!(!home.events_of("talker", "stop").is_empty());
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn every_signal_that_ends_it_puts_the_terminal_back() {
    let home = Home::new();
    begin(&home);
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGINT] {
        let mut terminal = Terminal::run(&monit(&home), 80, 24);
        terminal.until("the screen", |text| text.contains("● live"));
        assert_ne!(terminal.left(), AS_BEFORE);
        terminal.process().signal(signal);
        let end = terminal.end();
        if signal == Signal::SIGINT {
            assert_eq!(end.code(), Some(130));
        } else {
            assert_eq!(end.signal(), Some(signal as i32), "{signal}");
        }
        assert_eq!(terminal.left(), AS_BEFORE, "after {signal}");
    }
    let mut terminal = Terminal::run(&monit(&home), 80, 24);
    terminal.until("the screen", |text| text.contains("● live"));
    let monit = terminal.process();
    terminal.hang_up();
    assert!(!monit.alive());
}

#[test]
fn ctrl_z_gives_the_shell_its_terminal_and_fg_takes_it_again() {
    let home = Home::new();
    begin(&home);
    let mut shell = home.command("bash".as_ref());
    shell.args(["--norc", "--noediting", "-i"]).env("PS1", "prompt> ");
    let mut terminal = Terminal::run(&shell, 80, 24);
    terminal.until("the shell", |text| text.contains("prompt>"));
    let before = terminal.left();
    terminal.press(&format!("{} monit\r", program("nexusctl").display()));
    terminal.until("the screen", |text| text.contains("● live"));
    for _ in 0..2 {
        terminal.press("\x1a");
        let text = terminal.until("the shell again", |text| text.contains("Stopped"));
        assert!(!text.contains("● live"), "{text}");
        wait_for(PROMPT, "the shell's terminal", || (terminal.left() == before).then_some(()));
        terminal.press("fg\r");
        terminal.until("the screen again", |text| text.contains("● live"));
    }
    terminal.press("q");
    terminal
        .until("the shell at last", |text| text.ends_with("prompt> ") || text.ends_with("prompt>"));
    wait_for(PROMPT, "the shell's terminal", || (terminal.left() == before).then_some(()));
    terminal.press("exit\r");
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn it_fits_whatever_size_the_terminal_gets() {
    let home = Home::new();
    begin(&home);
    let mut terminal = Terminal::run(&monit(&home), 80, 24);
    terminal.until("the screen", |text| text.contains("● live"));
    terminal.resize(160, 45);
    terminal.until("the wide screen", |text| text.contains("runs     /bin/sh"));
    terminal.resize(50, 12);
    terminal.until("the narrow screen", |text| {
        text.lines().next().is_some_and(|line| line.ends_with("● live") && line.len() < 60)
    });
    terminal.resize(30, 5);
    terminal.until("the smallest screen", |text| text.contains("30x5 is too small"));
    terminal.resize(80, 24);
    terminal.until("the screen again", |text| text.contains("▸ failing"));
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    assert_eq!(terminal.left(), AS_BEFORE);
}

#[test]
fn what_cannot_show_it_is_told_so() {
    let home = Home::new();
    let output = home.ctl(&["monit"]).expect_code(2);
    assert!(output.stdout.is_empty() && output.stderr.contains("monit needs a terminal"));
    let mut json = monit(&home);
    json.args(["-o", "json"]);
    let mut dumb = monit(&home);
    dumb.env("TERM", "dumb");
    for command in [json, dumb] {
        let mut terminal = Terminal::run(&command, 80, 24);
        assert_eq!(terminal.end().code(), Some(2));
        assert!(terminal.text().contains("monit needs a terminal"));
        assert_eq!(terminal.left(), AS_BEFORE);
    }
    assert!(home.daemon().is_none(), "nothing is started");
}

#[test]
fn a_locale_without_utf8_gets_ascii() {
    let home = Home::new();
    begin(&home);
    let mut command = monit(&home);
    command.env("LC_ALL", "C");
    let mut terminal = Terminal::run(&command, 80, 24);
    let text = terminal.until("the screen", |text| text.contains("* live"));
    assert!(text.is_ascii(), "{text}");
    terminal.press("q");
    terminal.end();
}
