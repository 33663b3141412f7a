//! A worker leaves nothing behind: by cgroup and by sweep, at a crash, a stop and a kill.

use std::io::BufRead;

use nexus_keeper::{Ended, Order, Trees};

use crate::puppet::{Puppet, eventually, kill, marked};
use crate::{Case, case, swept};

pub(crate) const CASES: &[Case] = &[
    case("crash_ends_tree_by_cgroup", crash_ends_tree),
    swept("crash_ends_tree_by_sweep", crash_ends_tree),
    case("stop_passes_signal_by_cgroup", stop_passes_signal),
    swept("stop_passes_signal_by_sweep", stop_passes_signal),
    case("kill_ends_tree_by_cgroup", kill_ends_tree),
    swept("kill_ends_tree_by_sweep", kill_ends_tree),
    case("nothing_escapes_a_cgroup", nothing_escapes_a_cgroup),
    case("a_stubborn_rest_is_killed_by_cgroup", stubborn_rest),
    swept("a_stubborn_rest_is_killed_by_sweep", stubborn_rest),
];

/// A child, a grandchild, a session of its own, and a double fork that nobody is parent of.
const FAMILY: &str = "sleep 1001 & sh -c 'sleep 1002 & sleep 1003' & setsid sleep 1004 & \
    (setsid sh -c 'setsid sleep 1005 & exec sleep 1006' &) ; echo ready; wait; sleep 1007";
const FAMILY_SIZE: usize = 8;

fn family(puppet: &mut Puppet, script: &str, size: usize) -> i32 {
    let template = puppet.program("/bin/sh", &["sh", "-c", script]);
    let pid = puppet.start(1, &template);
    let mut line = String::new();
    std::io::BufReader::new(puppet.reader(2)).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    eventually("the family is complete", || members().len() >= size);
    let trees =
        if std::env::var_os("NEXUS_NO_CGROUP").is_some() || !nix::unistd::geteuid().is_root() {
            Trees::Sweep
        } else {
            Trees::Cgroup
        };
    assert_eq!(puppet.link().trees(), trees);
    pid
}

fn members() -> Vec<i32> {
    marked(b"NEXUS_WORKER=home/app/0:1")
}

fn crash_ends_tree(puppet: &mut Puppet) {
    let pid = family(puppet, FAMILY, FAMILY_SIZE);
    kill(pid);
    assert_eq!(puppet.ended(1), Ended::Signal(9));
    puppet.gone(1);
    assert_eq!(members(), [] as [i32; 0]);
    acknowledged(puppet);
}

fn stop_passes_signal(puppet: &mut Puppet) {
    // The main process ends first and alone: it sees its family still there.
    let script = format!("trap 'exit 9' TERM; {}", FAMILY.replace("sleep 1007", "exit 1"));
    family(puppet, &script, FAMILY_SIZE);
    puppet.send(Order::Terminate { child: 1, signal: libc::SIGTERM, whole: false });
    assert_eq!(puppet.ended(1), Ended::Code(9));
    puppet.gone(1);
    assert_eq!(members(), [] as [i32; 0]);
    acknowledged(puppet);
}

fn kill_ends_tree(puppet: &mut Puppet) {
    family(puppet, FAMILY, FAMILY_SIZE);
    puppet.send(Order::Kill { child: 1 });
    assert_eq!(puppet.ended(1), Ended::Signal(9));
    puppet.gone(1);
    assert_eq!(members(), [] as [i32; 0]);
}

fn nothing_escapes_a_cgroup(puppet: &mut Puppet) {
    if puppet.link().trees() == Trees::Sweep {
        puppet.said = " (no cgroup to be had here)".into();
        return;
    }
    // No session, no parent, no mark in the environment: only the cgroup knows it.
    let script =
        "(env -i setsid sh -c 'echo $$ > $0; exec sleep 1000' \"$OUT\" &) ; echo ready; sleep 1000";
    let out = puppet.home.join("escaped");
    let script = script.replace("$OUT", out.to_str().unwrap());
    let pid = family(puppet, &script, 2);
    eventually("it has escaped", || std::fs::read_to_string(&out).is_ok_and(|t| t.ends_with('\n')));
    let escaped: i32 = std::fs::read_to_string(&out).unwrap().trim().parse().unwrap();
    kill(pid);
    puppet.gone(1);
    assert!(!crate::puppet::is_alive(escaped));
}

fn stubborn_rest(puppet: &mut Puppet) {
    let script = "trap 'exit 0' TERM; (trap '' TERM; setsid sleep 1001 & exec sleep 1002) & \
        echo ready; wait; exit 1";
    family(puppet, script, 3);
    puppet.send(Order::Terminate { child: 1, signal: libc::SIGTERM, whole: false });
    assert_eq!(puppet.ended(1), Ended::Code(0));
    puppet.sync();
    assert!(!members().is_empty(), "the rest ignores the signal");
    puppet.send(Order::Acknowledge { child: 1 });
    puppet.send(Order::Kill { child: 1 });
    puppet.gone(1);
    assert_eq!(members(), [] as [i32; 0]);
    let refused = |r: &nexus_keeper::Report| matches!(r, nexus_keeper::Report::Refused { .. });
    assert!(puppet.reports.iter().any(refused), "no acknowledgement before the tree has gone");
}

/// The child is forgotten and its cgroup removed.
fn acknowledged(puppet: &mut Puppet) {
    puppet.send(Order::Acknowledge { child: 1 });
    puppet.sync();
    let refused = |r: &nexus_keeper::Report| matches!(r, nexus_keeper::Report::Refused { .. });
    assert!(!puppet.reports.iter().any(refused), "{:?}", puppet.reports);
}
