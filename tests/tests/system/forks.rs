//! No process more: the limit of a user (RLIMIT_NPROC), and a worker that uses it up.

use nexus_tests::{Home, PROMPT, Process, run, wait_for};
use nix::sys::signal::Signal;

use crate::refused::Plain;
use crate::tree::{Means, ctl};
use crate::{AT_ONCE, app, shell};

/// So many processes and threads may its user have before it can begin no more.
fn limit(plain: &Plain, process: Process, count: &str) {
    let words = plain.become_user();
    let (pid, nproc) = (process.0.to_string(), format!("--nproc={count}:"));
    let mut command = plain.command(&words[0]);
    run(command.args(&words[1..]).args(["prlimit", "--pid", &pid, &nproc]), PROMPT).ok();
}

#[test]
fn beyond_its_users_limit_of_processes_a_spawn_is_tried_again_until_it_is_lifted() {
    let Some(plain) = Plain::new(20_057) else { return };
    let home = &plain.home;
    let eager = format!("{AT_ONCE}\nmin_uptime = 0\nmax_restarts = 100000");
    let sleeps = |name: &str, more: &str| app(name, "/bin/sleep", &["1000"], more);
    home.write("ecosystem.toml", &(sleeps("calm", AT_ONCE) + &sleeps("eager", &eager)));
    plain.ctl(&["start"]).ok();
    let (calm, first) = (home.known("calm").main(), home.known("eager").main());
    let pair = [home.keeper().unwrap(), home.daemon().unwrap()];
    limit(&plain, pair[0], "1");
    first.signal(Signal::SIGKILL);
    let failed = |name: &str| {
        wait_for(PROMPT, "a spawn that fails", || {
            let exits = home.events_of(name, "exit").into_iter();
            exits.rev().find(|event| event["exit"].as_str().unwrap().starts_with("not started"))
        })
    };
    let refused = failed("eager");
    assert!(
        refused.to_string().contains("Resource temporarily unavailable")
            || refused.to_string().contains("Try again"),
        "{refused}"
    );
    // Again and again, with pauses, and others are answered meanwhile.
    let tries = || home.events_of("eager", "exit").len();
    wait_for(PROMPT, "another try", || (tries() > 3).then_some(()));
    plain.ctl(&["list"]).ok();
    let why = plain.ctl(&["why", "eager"]).stdout;
    assert!(why.contains("not started"), "{why}");
    limit(&plain, pair[0], "1000");
    home.until("eager", "its successor", |app| app.status() == "online" && app.main() != first);
    assert_eq!(
        (home.known("calm").main(), home.keeper(), home.daemon()),
        (calm, Some(pair[0]), Some(pair[1]))
    );
    plain.ctl(&["kill", "--yes"]).ok();
}

/// Doubles as long as its user may have more, then each tries again and again, for a minute; every second
/// one is in a session of its own, and none obeys SIGTERM.
const BOMB: &str = "use POSIX; POSIX::setuid(20058); $SIG{TERM} = 'IGNORE'; $SIG{CHLD} = 'IGNORE'; my $end = time + 60; \
    while (time < $end) { \
    my $child = fork; \
    if (!defined $child) { select(undef, undef, undef, 0.1) } \
    elsif (!$child && $$ % 2) { POSIX::setsid() } }";
/// Who it becomes, and how many that user may have.
const BOMBER: u32 = 20_058;
const MANY: usize = 300;

/// Processes of the bomber that live.
fn bombs() -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Process));
    let of_user = |process: &Process| {
        let path = format!("/proc/{}/status", process.0);
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        uid.and_then(|ids| ids.split_whitespace().next()?.parse().ok()) == Some(BOMBER)
    };
    pids.filter(|process| process.alive() && of_user(process)).count()
}

#[test]
fn a_fork_bomb_that_doubles_ends_with_its_worker_without_a_cgroup() {
    if !nix::unistd::geteuid().is_root() {
        println!("LEFT OUT: only root can become another user");
        return;
    }
    let home = Home::new();
    let more = format!(
        "{AT_ONCE}\nrlimits = {{ nproc = {MANY} }}\ncwd = \"/\"\n\
         kill_timeout = \"500ms\"\nautorestart = false"
    );
    let bomb = app("bomb", "/usr/bin/perl", &["-e", BOMB], &more);
    home.write("ecosystem.toml", &(shell("calm", "exec sleep 1000", AT_ONCE) + &bomb));
    for how in ["stop", "crash"] {
        ctl(&home, Means::Sweep, &["start", "-q"]).ok();
        assert_eq!(home.known("bomb").0["instances"][0]["tree"], "sweep");
        wait_for(PROMPT, "the bomb", || (bombs() >= MANY * 9 / 10).then_some(()));
        let before = (home.known("calm").identity(), home.daemon(), home.keeper());
        home.ctl(&["list"]).ok();
        if how == "stop" {
            home.ctl(&["stop", "bomb", "-q"]).ok();
            assert_eq!(bombs(), 0, "some of it is left");
        } else {
            home.known("bomb").main().signal(Signal::SIGKILL);
            wait_for(PROMPT, "its end", || (bombs() == 0).then_some(()));
        }
        home.until("bomb", "word of it", |app| app.status() == "stopped");
        assert_eq!((home.known("calm").identity(), home.daemon(), home.keeper()), before);
    }
}
