//! What the keeper does while nobody decides.

use std::time::{Duration, Instant};

use nexus_keeper::{Ended, KeptState, OnExit, Order, Report};

use crate::puppet::{Puppet, kill};
use crate::{Case, case, swept};

pub(crate) const CASES: &[Case] = &[
    case("on_exit_in_absence_once_and_on_time", on_exit_once_and_on_time),
    swept("on_exit_in_absence_once_and_on_time_by_sweep", on_exit_once_and_on_time),
    case("on_exit_respects_stay_codes_and_stops", stay_codes_and_stops),
    case("on_exit_of_an_unacknowledged_exit", unacknowledged),
    case("resumed_cancels_what_is_due", resumed_cancels),
];

fn then(next: u64, delay_ms: u64, stay_codes: &[u8]) -> OnExit {
    OnExit { next: Some(next), delay_ms, stay_codes: stay_codes.to_vec() }
}

fn prepare(puppet: &mut Puppet, script: &str) {
    puppet.pipe(1);
    let template = puppet.program("/bin/sh", &["sh", "-c", script]);
    puppet.template(3, &template);
}

fn respawned(report: &Report, wanted: u64) -> bool {
    matches!(report, Report::Respawned { old, .. } if *old == wanted)
}

fn on_exit_once_and_on_time(puppet: &mut Puppet) {
    if puppet.life == 0 {
        prepare(puppet, "exec sleep 1000");
        puppet.send(Order::Resumed);
        puppet.spawn_with(1, 3, then(2, 300, &[]));
        let pid = puppet.running(1);
        puppet.remember("pid", pid);
        puppet.die();
    }
    // A new nexusd that has not resumed.
    let killed = Instant::now();
    kill(puppet.recall("pid").parse().unwrap());
    assert_eq!(puppet.ended(1), Ended::Signal(9));
    let told = puppet.until(|r| respawned(r, 1));
    let pid = puppet.running(2);
    let after = killed.elapsed();
    assert!(after >= Duration::from_millis(300), "after {after:?}");
    // A nexusd that has just begun is left two seconds to decide itself.
    assert!(after < Duration::from_millis(3_500), "after {after:?}");
    let spawned = puppet.until(|r| matches!(r, Report::Spawned { child: 2, .. }));
    assert!(told < spawned);
    kill(pid);
    assert_eq!(puppet.ended(2), Ended::Signal(9));
    puppet.gone(2);
    puppet.sync();
    assert_eq!(puppet.reports.iter().filter(|r| matches!(r, Report::Respawned { .. })).count(), 1);
    assert!(!puppet.reports.iter().any(|r| respawned(r, 2)), "no successor of a successor");
    puppet.said = format!(" (300 ms asked, {} ms to Running)", after.as_millis());
}

fn stay_codes_and_stops(puppet: &mut Puppet) {
    prepare(puppet, "trap 'exit 3' TERM; echo on; while :; do sleep 0.1; done");
    for child in [10, 20, 30] {
        puppet.spawn_with(child, 3, then(child + 1, 0, &[3]));
        puppet.running(child);
    }
    let mut on = std::io::BufReader::new(puppet.reader(2));
    for _ in 0..3 {
        std::io::BufRead::read_line(&mut on, &mut String::new()).unwrap();
    }
    let pid = puppet.link().child(10).unwrap().0;
    crate::puppet::signal(pid, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(puppet.ended(10), Ended::Code(3));
    puppet.gone(10);
    puppet.send(Order::Terminate { child: 20, signal: libc::SIGTERM, whole: false });
    puppet.ended(20);
    puppet.gone(20);
    // Only the third is a crash; when its successor is here, the others would have been too.
    kill(puppet.link().child(30).unwrap().0);
    puppet.until(|r| respawned(r, 30));
    puppet.running(31);
    puppet.sync();
    assert!(!puppet.reports.iter().any(|r| respawned(r, 10) || respawned(r, 20)));
}

/// nexusd had heard of the exit and died before it acted.
fn unacknowledged(puppet: &mut Puppet) {
    if puppet.life == 0 {
        prepare(puppet, "exec sleep 1000");
        puppet.send(Order::Resumed);
        puppet.spawn_with(1, 3, then(2, 50, &[]));
        kill(puppet.running(1));
        puppet.gone(1);
        puppet.die();
    }
    if !puppet.handoff.children.iter().any(|kept| kept.child == 2) {
        puppet.until(|r| respawned(r, 1));
        puppet.running(2);
        puppet.die();
    }
    let kept = puppet.handoff.children.iter().find(|kept| kept.child == 2).unwrap();
    assert_eq!(kept.respawn_of, Some(1));
    assert_eq!(kept.note, b"note of 1");
    assert!(matches!(kept.state, KeptState::Alive));
    assert!(kept.pidfd.is_some() && kept.pid > 0);
}

fn resumed_cancels(puppet: &mut Puppet) {
    prepare(puppet, "exec sleep 1000");
    puppet.spawn_with(1, 3, then(2, 200, &[]));
    kill(puppet.running(1));
    puppet.gone(1);
    puppet.send(Order::Resumed);
    puppet.sync();
    // A later one that is not cancelled marks the time when the first would have come.
    puppet.send(Order::Acknowledge { child: 1 });
    puppet.spawn(7);
    puppet.running(7);
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        crate::puppet::wait_for(
            puppet.link().socket(),
            end.saturating_duration_since(Instant::now()),
        );
        puppet.sync();
    }
    assert!(!puppet.reports.iter().any(|r| matches!(r, Report::Respawned { .. })));
}
