//! Another process as a child's main one.

use std::os::fd::AsFd;

use nexus_keeper::{Ended, KeptState, Order, Report};
use nix::sys::signal::Signal;

use crate::puppet::{PATIENCE, Puppet, eventually, is_alive, kill, signal, stop, wait_for};
use crate::{Case, case, kernel, swept};

pub(crate) const CASES: &[Case] = &[
    case("main_is_who_is_named", named),
    swept("main_is_who_is_named_by_sweep", named),
    case("main_is_named_by_who_ends_at_once", ends_at_once),
    case("main_is_named_to_a_keeper_that_never_reads_it", never_read),
];

/// A child whose main process has a child: both pids.
fn two(puppet: &mut Puppet, child: u64) -> (i32, i32) {
    let script = "sleep 1000 & echo $!; exec sleep 999";
    let template = puppet.program("/bin/sh", &["sh", "-c", script]);
    let old = puppet.start(child, &template);
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(puppet.reader(2));
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    (old, line.trim().parse().unwrap())
}

fn set_main(puppet: &mut Puppet, child: u64, pid: i32) {
    puppet.link().set_main(child, pid, kernel::pidfd(pid)).unwrap();
}

fn has_not_ended(puppet: &mut Puppet) {
    puppet.sync();
    assert!(!puppet.reports.iter().any(|r| matches!(r, Report::Exited { .. })));
}

fn named(puppet: &mut Puppet) {
    let (old, new) = two(puppet, 1);
    set_main(puppet, 1, new);
    puppet.sync();
    kill(old);
    eventually("reaped", || !std::path::Path::new(&format!("/proc/{old}")).exists());
    has_not_ended(puppet);
    assert_eq!(puppet.link().child(1).unwrap().0, new);
    puppet.send(Order::Terminate { child: 1, signal: libc::SIGTERM, whole: false });
    assert_eq!(puppet.ended(1), Ended::Signal(libc::SIGTERM));
    puppet.gone(1);
    puppet.send(Order::Acknowledge { child: 1 });

    // Who was the main process is one of the tree: it does not outlive the one who is.
    let (old, new) = two(puppet, 2);
    set_main(puppet, 2, new);
    puppet.sync();
    kill(new);
    puppet.ended(2);
    puppet.gone(2);
    assert!(!is_alive(old));
    // Too late: refused, and nothing else.
    set_main(puppet, 2, std::process::id().cast_signed());
    puppet.until(|r| matches!(r, Report::Main { child: 2, errno: libc::ESRCH, .. }));
}

/// The keeper finds the order and the exit at once.
fn ends_at_once(puppet: &mut Puppet) {
    let (old, new) = two(puppet, 1);
    let keeper = puppet.link().keeper_pid();
    let ended = kernel::pidfd(old);
    stop(keeper);
    kill(old);
    assert!(wait_for(ended.as_fd(), PATIENCE));
    set_main(puppet, 1, new);
    signal(keeper, Signal::SIGCONT);
    has_not_ended(puppet);
    assert!(is_alive(new));
}

fn never_read(puppet: &mut Puppet) {
    if puppet.life == 0 {
        let (old, new) = two(puppet, 1);
        puppet.remember("old", old);
        puppet.remember("new", new);
        stop(puppet.link().keeper_pid());
        set_main(puppet, 1, new);
        puppet.kill_keeper_and_promote();
    }
    let [old, new] = ["old", "new"].map(|name| puppet.recall(name).parse::<i32>().unwrap());
    let kept = &puppet.handoff.children[0];
    assert_eq!((kept.pid, kept.state), (new, KeptState::Alive));
    if puppet.life == 1 {
        kill(old);
        has_not_ended(puppet);
        puppet.die();
    }
    has_not_ended(puppet);
    kill(new);
    kernel::assert_foreign(puppet.ended(1), Ended::Signal(9));
}
