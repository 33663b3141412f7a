//! The death of one of the pair.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nexus_keeper::{Ended, FoundError, HoldId, KeptState, Order, Report, UNASKED};

use crate::puppet::{PATIENCE, Puppet, eventually, is_alive, kill, marked, wait_for};
use crate::{Case, case, kernel, swept};

pub(crate) const CASES: &[Case] = &[
    case("promotion_keeps_workers", promotion_keeps_workers),
    swept("promotion_keeps_workers_by_sweep", promotion_keeps_workers),
    case("order_survives_or_never_ran", order_survives_or_never_ran),
    case("trees_end_after_promotion_by_cgroup", trees_after_promotion),
    swept("trees_end_after_promotion_by_sweep", trees_after_promotion),
    case("a_fresh_keeper_keeps_the_nexusd", fresh_keeper),
    case("a_stuck_nexusd_is_replaced", stuck_nexusd),
    case("a_nexusd_that_hangs_is_replaced_though_nobody_waits_for_it", hung_nexusd),
    case("a_keeper_that_hangs_is_replaced_though_nobody_waits_for_it", hung_keeper),
    case("a_nexusd_that_dies_early_is_not_replaced_in_a_hurry", early_deaths),
    case("leave_leaves_workers", leave_leaves_workers),
    case("a_worker_that_runs_already_is_taken", take),
    case("stop_told_again", stop_told_again),
    case("an_idle_keeper_is_woken_for_its_signs_of_life_only", idle),
];

fn promotion_keeps_workers(puppet: &mut Puppet) {
    if puppet.life == 0 {
        puppet.pipe(1);
        let script = "trap 'exit 5' TERM; echo on; while :; do sleep 0.05; done";
        let template = puppet.program("/bin/sh", &["sh", "-c", script]);
        puppet.template(3, &template);
        let pids: Vec<String> = (1..=4)
            .map(|child| {
                puppet.spawn(child);
                puppet.running(child).to_string()
            })
            .collect();
        let mut on = std::io::BufReader::new(puppet.reader(2));
        for _ in 0..4 {
            std::io::BufRead::read_line(&mut on, &mut String::new()).unwrap();
        }
        puppet.remember("pids", pids.join(" "));
        puppet.remember("nexusd", std::process::id());
        // This one ends while there is no keeper at all: nobody but the kernel sees it.
        let fourth: i32 = pids[3].parse().unwrap();
        kill(puppet.link().keeper_pid());
        assert!(wait_for(puppet.link().keeper_pidfd(), PATIENCE));
        kill(fourth);
        puppet.promote();
    }
    let counters = puppet.handoff.counters;
    assert_eq!((counters.keeper_restarts, counters.nexusd_restarts), (1, 0));
    assert_eq!(puppet.link().keeper_pid().to_string(), puppet.recall("nexusd"));
    let pids: Vec<i32> = puppet.recall("pids").split(' ').map(|pid| pid.parse().unwrap()).collect();
    for (kept, pid) in puppet.handoff.children.iter().zip(&pids).take(3) {
        assert_eq!((kept.pid, kept.state), (*pid, KeptState::Alive));
        assert!(kept.pidfd.is_some());
    }
    let held: Vec<(u64, &[u8])> =
        puppet.handoff.held.iter().map(|(id, note)| (id.0, note.as_slice())).collect();
    let expected: [(u64, &[u8]); 4] =
        [(0, b"control"), (1, b"write"), (2, b"read"), (3, b"template")];
    assert_eq!(held, expected);
    let fourth = puppet.handoff.children.iter().find(|kept| kept.child == 4).unwrap().state;
    match fourth {
        KeptState::Exited { ended, .. } => kernel::assert_foreign(ended, Ended::Signal(9)),
        KeptState::Alive => kernel::assert_foreign(puppet.ended(4), Ended::Signal(9)),
        KeptState::Failed { .. } => panic!("{fourth:?}"),
    }
    kill(pids[0]);
    kernel::assert_foreign(puppet.ended(1), Ended::Signal(9));
    puppet.send(Order::Terminate { child: 2, signal: libc::SIGTERM, whole: false });
    kernel::assert_foreign(puppet.ended(2), Ended::Code(5));
    assert!(is_alive(pids[2]));
    puppet.spawn(5);
    puppet.running(5);
    let home = puppet.home.clone();
    match nexus_keeper::found(&home) {
        Err(FoundError::AlreadyRunning { pid }) => assert_eq!(pid, puppet.link().keeper_pid()),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two keepers"),
    }
}

/// Kill the keeper with many spawns in every state of being carried out.
fn order_survives_or_never_ran(puppet: &mut Puppet) {
    const ROUNDS: u64 = 12;
    if puppet.life == 0 {
        puppet.pipe(1);
        let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
        puppet.template(3, &template);
    }
    let first = puppet.life * 1_000 + 1;
    let mut roll: Vec<u64> = puppet.handoff.children.iter().map(|kept| kept.child).collect();
    for child in &roll {
        let mark = format!("NEXUS_WORKER=home/app/0:{child}");
        eventually("each ordered child runs once", || marked(mark.as_bytes()).len() == 1);
    }
    roll.sort_unstable();
    for child in first.saturating_sub(1_000)..first {
        if !roll.contains(&child) && puppet.life > 0 && child > first.saturating_sub(1_000) + 30 {
            break;
        }
        if !roll.contains(&child) {
            let mark = format!("NEXUS_WORKER=home/app/0:{child}");
            assert!(marked(mark.as_bytes()).is_empty(), "{child} is not in the roll and runs");
        }
    }
    for child in roll {
        puppet.send(Order::Kill { child });
        puppet.gone(child);
        puppet.send(Order::Acknowledge { child });
    }
    puppet.sync();
    if puppet.life == ROUNDS {
        return;
    }
    for child in first..first + 20 {
        puppet.spawn(child);
    }
    // A little later each round: from before the first fork to after the last exec.
    let until = Instant::now() + Duration::from_micros(150 * puppet.life * puppet.life);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    puppet.kill_keeper_and_promote()
}

fn trees_after_promotion(puppet: &mut Puppet) {
    let script = "sleep 1001 & setsid sleep 1002 & (setsid sleep 1003 &); echo ready; wait";
    if puppet.life == 0 {
        let template = puppet.program("/bin/sh", &["sh", "-c", script]);
        puppet.start(1, &template);
        let mut on = std::io::BufReader::new(puppet.reader(2));
        std::io::BufRead::read_line(&mut on, &mut String::new()).unwrap();
        let mark = b"NEXUS_WORKER=home/app/0:1";
        eventually("the family is complete", || marked(mark).len() == 4);
        puppet.kill_keeper_and_promote();
    }
    kill(puppet.handoff.children[0].pid);
    kernel::assert_foreign(puppet.ended(1), Ended::Signal(9));
    puppet.gone(1);
    assert!(marked(b"NEXUS_WORKER=home/app/0:1").is_empty());
}

fn fresh_keeper(puppet: &mut Puppet) {
    let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
    let pid = puppet.start(1, &template);
    let old = puppet.link().keeper_pid();
    kill(old);
    assert!(wait_for(puppet.link().keeper_pidfd(), PATIENCE));
    puppet.found_fresh_keeper();
    puppet.reports.clear();
    puppet.sync();
    assert_ne!(puppet.link().keeper_pid(), old);
    assert!(is_alive(pid));
    kill(pid);
    kernel::assert_foreign(puppet.ended(1), Ended::Signal(9));
    puppet.spawn(2);
    puppet.running(2);
    assert_eq!(puppet.life, 0, "nexusd is the same");
}

fn stuck_nexusd(puppet: &mut Puppet) {
    if puppet.life > 0 {
        return;
    }
    // It goes on ordering and never reads the answers.
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < Duration::from_secs(15) {
        match puppet.link().send(&Order::Ping { number }) {
            Ok(()) => number += 1,
            Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
        }
        if number % 1_000 == 0 {
            puppet.link().flush().unwrap();
        }
    }
    panic!("still here after {number} orders");
}

/// It decides already, and dies of what it finds: a machine must not be kept busy by that.
fn early_deaths(puppet: &mut Puppet) {
    const DEATHS: u64 = 8;
    let now = now_ms();
    if puppet.life == 0 {
        puppet.remember("began", now);
    }
    if puppet.life < DEATHS {
        puppet.send(Order::Resumed);
        puppet.sync();
        puppet.die();
    }
    let took = now - puppet.recall("began").parse::<i64>().unwrap();
    // 10 + 20 + 40 + 80 + 160 + 250 + 250 ms.
    assert!(took >= 810, "{DEATHS} deaths within {took} ms");
}

fn leave_leaves_workers(puppet: &mut Puppet) {
    let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
    let pid = puppet.start(1, &template);
    puppet.send(Order::Leave);
    // It lets us go first, and then waits for our end, but not for ever.
    loop {
        assert!(wait_for(puppet.link().socket(), PATIENCE));
        if puppet.link().recv().is_err() {
            break;
        }
    }
    assert!(!wait_for(puppet.link().keeper_pidfd(), Duration::ZERO));
    assert!(wait_for(puppet.link().keeper_pidfd(), PATIENCE));
    assert!(is_alive(pid));
    assert!(!puppet.home.join("nexus.sock").exists());
}

fn take(puppet: &mut Puppet) {
    let mut worker = std::process::Command::new("/bin/sleep")
        .arg("1000")
        .env("NEXUS_HOME", &puppet.home)
        .spawn()
        .unwrap();
    let pid = worker.id().cast_signed();
    puppet.take(9, pid, kernel::pidfd(pid));
    puppet.sync();
    assert_eq!(puppet.link().child(9).unwrap().0, pid);
    assert!(puppet.link().held(HoldId(9)).is_none());
    puppet.send(Order::Terminate { child: 9, signal: libc::SIGTERM, whole: false });
    worker.wait().unwrap();
    kernel::assert_foreign(puppet.ended(9), Ended::Signal(libc::SIGTERM));
    puppet.gone(9);
    puppet.send(Order::Acknowledge { child: 9 });
    puppet.sync();
    assert!(!puppet.reports.iter().any(|r| matches!(r, Report::Refused { .. })));
}

fn stop_told_again(puppet: &mut Puppet) {
    if puppet.life == 0 {
        crate::puppet::signal(puppet.link().keeper_pid(), nix::sys::signal::Signal::SIGTERM);
        puppet.until(|r| matches!(r, Report::Stop));
        puppet.die();
    }
    puppet.until(|r| matches!(r, Report::Stop));
}

fn idle(puppet: &mut Puppet) {
    let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
    puppet.start(1, &template);
    puppet.sync();
    let switches = |pid: i32| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let keeper = puppet.link().keeper_pid();
    // Its turn for our last order ends first.
    eventually("asleep", || {
        std::fs::read_to_string(format!("/proc/{keeper}/stat")).unwrap().contains(") S ")
    });
    let mut next = || {
        assert!(
            wait_for(puppet.link().socket().as_fd(), Duration::from_secs(10)),
            "a sign of life"
        );
        let report = puppet.link().recv().unwrap();
        assert!(matches!(report, Some(Report::Pong { number: UNASKED })), "{report:?}");
    };
    next();
    let before = switches(keeper);
    (0..4).for_each(|_| next());
    // What it does after the last one may be the fifth.
    assert!(switches(keeper) - before <= 5);
}

/// The longest that one that was stopped is not noticed, and replaced, on a busy machine.
const HUNG_MAX: Duration = Duration::from_secs(10);

fn hung_nexusd(puppet: &mut Puppet) {
    if puppet.life > 0 {
        let since = now_ms() - puppet.recall("stopped").parse::<i64>().unwrap();
        assert!(since < HUNG_MAX.as_millis() as i64, "replaced after {since} ms");
        return;
    }
    puppet.send(Order::Resumed);
    puppet.sync();
    puppet.remember("stopped", now_ms());
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP).unwrap();
    panic!("went on");
}

fn hung_keeper(puppet: &mut Puppet) {
    puppet.send(Order::Resumed);
    puppet.sync();
    let keeper = nix::unistd::Pid::from_raw(puppet.link().keeper_pid());
    nix::sys::signal::kill(keeper, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let begin = Instant::now();
    loop {
        let again = puppet.link().end_keeper_if_hung();
        if wait_for(puppet.link().keeper_pidfd(), again) {
            return;
        }
        assert!(begin.elapsed() < HUNG_MAX, "it is still there");
    }
}

fn now_ms() -> i64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).unwrap();
    now.tv_sec() * 1_000 + now.tv_nsec() / 1_000_000
}
