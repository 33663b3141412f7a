//! How children end, and that it is told until somebody has heard it.

use crate::puppet::{Puppet, is_alive, stop};
use crate::{Case, case};
use nexus_keeper::{Ended, KeptState, Order, Report};

pub(crate) const CASES: &[Case] = &[
    case("exit_codes_and_signals_are_true", exit_codes_and_signals_are_true),
    case("exit_told_until_acknowledged", exit_told_until_acknowledged),
    case("terminate_wakes_a_stopped_worker", terminate_wakes_a_stopped_worker),
    case("strays_are_reaped", strays_are_reaped),
];

fn exit_codes_and_signals_are_true(puppet: &mut Puppet) {
    puppet.pipe(1);
    let ends = [
        ("exit 0", Ended::Code(0)),
        ("exit 255", Ended::Code(255)),
        ("kill -9 $$", Ended::Signal(9)),
        ("kill -15 $$", Ended::Signal(15)),
        ("ulimit -c 0; kill -6 $$", Ended::Signal(6)),
        ("ulimit -c unlimited && cd \"$0\" && kill -6 $$", Ended::Core(6)),
        ("kill -40 $$", Ended::Signal(40)),
    ];
    // A program that takes cores does not ask for the limit, and may not be there.
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let elsewhere = pattern.starts_with(['|', '/', '@']);
    let home = puppet.handoff.home.display().to_string();
    for (i, (script, ended)) in ends.into_iter().enumerate() {
        let template = puppet.program("/bin/sh", &["sh", "-c", script, &home]);
        puppet.start(i as u64 + 1, &template);
        let told = puppet.ended(i as u64 + 1);
        let alike = [told, ended].iter().all(|e| [Ended::Core(6), Ended::Signal(6)].contains(e));
        assert!(told == ended || elsewhere && alike, "{script}: {told:?}");
    }
}

fn exit_told_until_acknowledged(puppet: &mut Puppet) {
    match puppet.life {
        0 => {
            let template = puppet.program("/bin/sh", &["sh", "-c", "exit 7"]);
            puppet.start(5, &template);
            puppet.gone(5);
            puppet.die()
        }
        1 => {
            let kept = &puppet.handoff.children[0];
            let seen = (kept.child, kept.note.as_slice(), kept.state);
            let KeptState::Exited { ended, tree_gone, .. } = seen.2 else { panic!("{seen:?}") };
            assert_eq!((seen.0, seen.1), (5, b"note of 5".as_slice()));
            assert_eq!((ended, tree_gone), (Ended::Code(7), true));
            assert_eq!(puppet.handoff.last_child, 5);
            puppet.send(Order::Acknowledge { child: 5 });
            puppet.sync();
            puppet.die()
        }
        _ => {
            assert!(puppet.handoff.children.is_empty());
            assert_eq!(puppet.handoff.counters.nexusd_restarts, 2);
        }
    }
}

fn terminate_wakes_a_stopped_worker(puppet: &mut Puppet) {
    let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
    let pid = puppet.start(1, &template);
    stop(pid);
    puppet.send(Order::Terminate { child: 1, signal: libc::SIGTERM, whole: false });
    assert_eq!(puppet.ended(1), Ended::Signal(libc::SIGTERM));
}

fn strays_are_reaped(puppet: &mut Puppet) {
    // The grandchild outlives its parent, becomes the keeper's, ends, and must not stay a zombie.
    let script = "sh -c 'sleep 0.05 & echo $!' ; exec sleep 1000";
    let template = puppet.program("/bin/sh", &["sh", "-c", script]);
    puppet.start(1, &template);
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(puppet.reader(2));
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    let stray = line.trim().to_string();
    crate::puppet::eventually("reaped", || {
        !std::path::Path::new(&format!("/proc/{stray}")).exists()
    });
    puppet.sync();
    assert!(!puppet.reports.iter().any(|r| matches!(r, Report::Exited { .. })));
    assert!(is_alive(puppet.link().child(1).unwrap().0));
}
