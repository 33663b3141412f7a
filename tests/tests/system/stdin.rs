//! `stdin = true` and `send`: lines arrive once, whole, in order, whoever is killed.

use nexus_tests::{Home, PROMPT, wait_for};
use nix::sys::signal::Signal;

use crate::{AT_ONCE, shell};

/// Says what it reads; its end of file would be told.
const READS: &str = "echo set; while read -r line; do echo \"got $line\"; done; echo end";

fn reader(more: &str) -> Home {
    let home = Home::new();
    home.write("ecosystem.toml", &shell("api", READS, &format!("{AT_ONCE}\nstdin = true\n{more}")));
    home.ctl(&["start"]).ok();
    home
}

fn lines(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(home.path().join("logs/api-out.log")).unwrap_or_default();
    text.lines().filter_map(|line| Some(line.strip_prefix("got ")?.to_owned())).collect()
}

fn until(home: &Home, count: usize) -> Vec<String> {
    wait_for(PROMPT, "the lines", || Some(lines(home)).filter(|all| all.len() >= count))
}

#[test]
fn what_is_sent_is_read_through_the_death_of_either_and_of_both() {
    let home = reader("");
    let worker = home.known("api").main();
    let output = home.ctl(&["send", "api", "one", "word"]).ok();
    assert!(output.stdout.contains("9 bytes to api/0"), "{output:?}");
    until(&home, 1);
    home.daemon().unwrap().signal(Signal::SIGKILL);
    home.ctl(&["send", "api", "two"]).ok();
    until(&home, 2);
    home.keeper().unwrap().signal(Signal::SIGKILL);
    wait_for(PROMPT, "another keeper", || {
        home.ctl(&["send", "api/0", "three"]).code.eq(&0).then_some(())
    });
    until(&home, 3);
    let (daemon, keeper) = (home.daemon().unwrap(), home.keeper().unwrap());
    [daemon, keeper].iter().for_each(|process| process.signal(Signal::SIGSTOP));
    [daemon, keeper].iter().for_each(|process| process.signal(Signal::SIGKILL));
    home.ctl(&["send", "api", "four"]).ok();
    assert_eq!(until(&home, 4), ["one word", "two", "three", "four"]);
    assert_eq!(home.known("api").main(), worker, "it has seen an end of file");
}

#[test]
fn what_a_worker_did_not_read_is_read_by_its_successor() {
    let home = reader("");
    let worker = home.known("api").main();
    worker.signal(Signal::SIGSTOP);
    wait_for(PROMPT, "its stop", || (worker.state() == Some('T')).then_some(()));
    home.ctl(&["send", "api", "kept"]).ok();
    home.ctl(&["signal", "KILL", "api"]).ok();
    assert_eq!(until(&home, 1), ["kept"]);
    home.ctl(&["restart", "api"]).ok();
    home.ctl(&["send", "api", "after"]).ok();
    assert_eq!(until(&home, 2), ["kept", "after"]);
}

#[test]
fn a_full_pipe_is_told_and_nothing_is_torn_or_waited_for() {
    let home = reader("");
    let worker = home.known("api").main();
    worker.signal(Signal::SIGSTOP);
    wait_for(PROMPT, "its stop", || (worker.state() == Some('T')).then_some(()));
    let long = "x".repeat(4000);
    let mut sent = 0;
    let refused = loop {
        let output = home.ctl(&["send", "api", &long]);
        if output.code != 0 {
            break output;
        }
        sent += 1;
        assert!(sent < 100, "the pipe has no end");
    };
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("does not read"), "{refused:?}");
    worker.signal(Signal::SIGCONT);
    assert!(until(&home, sent).iter().all(|line| *line == long));
    home.ctl(&["send", "api", &"x".repeat(4096)]).expect_code(1);
}

#[test]
fn without_stdin_it_is_refused_and_a_worker_sees_dev_null() {
    let home = Home::new();
    let text = shell("api", READS, AT_ONCE) + &shell("calm", "exec sleep 1000", AT_ONCE);
    home.write("ecosystem.toml", &text);
    home.ctl(&["start", "--only", "calm"]).ok();
    let output = home.ctl(&["send", "calm", "x"]).expect_code(5);
    assert!(output.stderr.contains("stdin = true"), "{output:?}");
    home.ctl(&["stop", "calm"]).ok();
    home.ctl(&["send", "calm", "x"]).expect_code(5);
    home.ctl(&["send", "nobody", "x"]).expect_code(4);
    home.ctl(&["send", "calm"]).expect_code(2);
}
