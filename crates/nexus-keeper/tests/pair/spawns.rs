//! How a program is started, and how it fails to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use nexus_keeper::{Ended, HoldId, OnExit, Order, Report, Stage, Template};
use nix::sys::signal::Signal;

use crate::puppet::{Puppet, kill, signal, spawn_order, stop};
use crate::{Case, case};

pub(crate) const CASES: &[Case] = &[
    case("spawn_sees_what_its_template_says", spawn_sees_what_its_template_says),
    case("spawn_as_another_user", spawn_as_another_user),
    case("spawn_without_sockets_has_three_descriptors", without_sockets),
    case("failed_spawn_has_stage_and_errno", failed_spawn_has_stage_and_errno),
    case("spawn_reports_in_order", spawn_reports_in_order),
    case("nonblock_of_the_dead_does_not_reach_the_successor", nonblock),
    case("bounds_and_bad_orders_are_refused", refusals),
    case("more_spawns_in_a_turn_than_low_descriptors", burst),
];

fn probe(puppet: &mut Puppet, change: impl FnOnce(&mut Template)) -> BTreeMap<String, String> {
    let out = puppet.home.join("probe");
    let mut template = puppet.role(&["probe", out.to_str().unwrap()]);
    change(&mut template);
    puppet.start(1, &template);
    assert_eq!(puppet.ended(1), Ended::Code(42));
    let text = std::fs::read_to_string(out).unwrap();
    text.lines().filter_map(|l| l.split_once('\t')).map(|(k, v)| (k.into(), v.into())).collect()
}

fn spawn_sees_what_its_template_says(puppet: &mut Puppet) {
    let sockets = ["127.0.0.1:0", "127.0.0.1:0"].map(|a| std::net::TcpListener::bind(a).unwrap());
    for (socket, id) in sockets.into_iter().zip([10, 11]) {
        puppet.link().hold(HoldId(id), b"listener", OwnedFd::from(socket)).unwrap();
    }
    let home = puppet.home.clone();
    let seen = probe(puppet, |template| {
        template.cwd = home.to_str().unwrap().into();
        template.umask = Some(0o27);
        template.env.push(b"CARRIED=overridden by the order".to_vec());
        template.env.push(b"LISTEN_PID=1".to_vec());
        template.listen = vec![(HoldId(11), b"web".to_vec()), (HoldId(10), b"admin".to_vec())];
    });
    assert!(seen["args"].starts_with("worker|__worker|probe|"), "{}", seen["args"]);
    assert_eq!(seen["cwd"], home.display().to_string());
    assert_eq!(seen["Umask"], "0027");
    assert_eq!(seen["SigBlk"], "0000000000000000");
    assert_eq!(seen["env CARRIED"], "1");
    assert_eq!(seen["env NEXUS_WORKER"], "home/app/0:1");
    assert_eq!(seen["env LISTEN_FDS"], "2");
    assert_eq!(seen["env LISTEN_FDNAMES"], "web:admin");
    assert_eq!(seen["env LISTEN_PID"], seen["pid"]);
    assert_eq!((&seen["session"], &seen["group"]), (&seen["pid"], &seen["pid"]));
    let limits = puppet.handoff.limits;
    assert_eq!(seen["nofile"], format!("{} {}", limits.nofile_soft, limits.nofile_hard));
    assert_eq!(seen["oom"], limits.oom_score_adj.to_string());
    let fds: Vec<&str> = seen["fds"].split(' ').collect();
    let numbers: Vec<&str> = fds.iter().map(|fd| fd.split_once('=').unwrap().0).collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4"], "{fds:?}");
    assert_eq!(fds[0], "0=/dev/null");
    assert!(fds[1].contains("pipe:") && fds[2].contains("pipe:"), "{fds:?}");
    assert!(fds[3].contains("socket:") && fds[4].contains("socket:"), "{fds:?}");
    let own = std::fs::read_dir("/proc/self/environ").is_err();
    assert!(own);
    let keeper = format!("/proc/{}/comm", puppet.link().keeper_pid());
    assert_eq!(std::fs::read_to_string(keeper).unwrap().trim(), "nexus-keeper");
}

fn spawn_as_another_user(puppet: &mut Puppet) {
    if !nix::unistd::geteuid().is_root() {
        puppet.said = " (not root: nothing to try)".into();
        return;
    }
    let home = puppet.home.clone();
    // Where another user may write.
    let open = std::fs::Permissions::from_mode(0o777);
    let place = home.parent().unwrap().join("open");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, open).unwrap();
    std::fs::set_permissions(home.parent().unwrap(), std::fs::Permissions::from_mode(0o755))
        .unwrap();
    let out = place.join("probe");
    let template =
        puppet.program("/bin/sh", &["sh", "-c", "id -u; id -g; id -G; echo again > /dev/stdout"]);
    let template = Template { ids: Some((65_534, 65_533, vec![65_533, 100])), ..template };
    let _ = out;
    puppet.pipe(1);
    // As nexusd does: the pipe belongs to the worker's user, so that it can open it again.
    let pipe = puppet.link().held(HoldId(1)).unwrap().try_clone_to_owned().unwrap();
    nix::unistd::fchown(&pipe, Some(65_534.into()), Some(65_533.into())).unwrap();
    puppet.start(1, &template);
    assert_eq!(puppet.ended(1), Ended::Code(0));
    let mut lines = BufReader::new(puppet.reader(2)).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!([next(), next(), next(), next()], ["65534", "65533", "65533 100", "again"]);
}

fn without_sockets(puppet: &mut Puppet) {
    let seen = probe(puppet, |_| {});
    let fds: Vec<&str> = seen["fds"].split(' ').collect();
    assert_eq!(fds.len(), 3, "{fds:?}");
    assert!(!seen.contains_key("env LISTEN_FDS"));
}

fn failed_spawn_has_stage_and_errno(puppet: &mut Puppet) {
    let file = |name: &str, text: &str, mode: u32| {
        let path = puppet.home.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_string()
    };
    let plain = file("plain", "#!/bin/sh\n", 0o600);
    let bad = file("bad", "#!/no/such/interpreter\n", 0o700);
    let none = file("none", "neither script nor program\n", 0o700);
    let good = || puppet.program("/bin/true", &["true"]);
    let tries = [
        (puppet.program("/no/such/program", &["x"]), Stage::Exec, libc::ENOENT),
        (puppet.program(&plain, &["x"]), Stage::Exec, libc::EACCES),
        (puppet.program(&bad, &["x"]), Stage::Exec, libc::ENOENT),
        (puppet.program(&none, &["x"]), Stage::Exec, libc::ENOEXEC),
        (Template { cwd: b"/no/such/directory".to_vec(), ..good() }, Stage::Cwd, libc::ENOENT),
        (
            Template { listen: vec![(HoldId(77), b"".to_vec())], ..good() },
            Stage::Descriptors,
            libc::EBADF,
        ),
    ];
    puppet.pipe(1);
    for (i, (template, stage, errno)) in tries.into_iter().enumerate() {
        let (child, id) = (i as u64 + 1, i as u64 + 100);
        puppet.template(id, &template);
        puppet.spawn_with(child, id, nexus_keeper::OnExit::default());
        let place =
            puppet.until(|r| matches!(r, Report::SpawnFailed { child: c, .. } if *c == child));
        let report = format!("{:?}", puppet.reports[place]);
        assert_eq!(report, format!("{:?}", Report::SpawnFailed { child, stage, errno }));
        puppet.send(Order::Acknowledge { child });
    }
    puppet.sync();
    let bad = |r: &Report| {
        matches!(r, Report::Exited { .. } | Report::Running { .. } | Report::Refused { .. })
    };
    assert!(!puppet.reports.iter().any(bad), "{:?}", puppet.reports);
}

fn spawn_reports_in_order(puppet: &mut Puppet) {
    let template = puppet.program("/bin/sh", &["sh", "-c", "exit 3"]);
    puppet.start(1, &template);
    puppet.gone(1);
    let names: Vec<String> = puppet
        .reports
        .iter()
        .map(|r| format!("{r:?}").split([' ', '{']).next().unwrap().to_string())
        .filter(|name| name != "TreeGone")
        .collect();
    assert_eq!(names, ["Spawned", "Running", "Exited"]);
    assert_eq!(puppet.ended(1), Ended::Code(3));
}

fn nonblock(puppet: &mut Puppet) {
    let template = puppet.role(&["nonblock"]);
    let pid = puppet.start(1, &template);
    let mut lines = BufReader::new(puppet.reader(2)).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "nonblocking");
    kill(pid);
    assert_eq!(puppet.ended(1), Ended::Signal(libc::SIGKILL));
    let template = puppet.role(&["flags"]);
    puppet.start(2, &template);
    assert_eq!(lines.next().unwrap().unwrap(), "0");
}

/// A keeper that was stopped finds a burst of orders: more gates are open at once than there are
/// low numbers for them.
fn burst(puppet: &mut Puppet) {
    const BURST: u64 = 500;
    puppet.pipe(1);
    let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
    puppet.template(3, &template);
    puppet.sync();
    let keeper = puppet.link().keeper_pid();
    stop(keeper);
    (1..=BURST).for_each(|child| puppet.spawn(child));
    signal(keeper, Signal::SIGCONT);
    for child in 1..=BURST {
        puppet.until(|r| match r {
            Report::SpawnFailed { .. } => panic!("{r:?}"),
            Report::Running { child: c } => *c == child,
            _ => false,
        });
    }
}

fn refusals(puppet: &mut Puppet) {
    let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
    puppet.start(1, &template);
    // Past the witness, who takes nexusd at its word that a number is new.
    puppet.link().send(&spawn_order(1, 3, OnExit::default())).unwrap();
    puppet.send(Order::Acknowledge { child: 1 });
    puppet.send(Order::Kill { child: 99 });
    puppet.send(Order::Release { id: HoldId(99) });
    puppet.sync();
    let refused: Vec<(Option<u64>, i32)> = puppet
        .reports
        .iter()
        .filter_map(|r| match r {
            Report::Refused { child, errno, .. } => Some((*child, *errno)),
            _ => None,
        })
        .collect();
    let expected =
        [(Some(1), libc::EEXIST), (None, libc::EBUSY), (None, libc::ESRCH), (None, libc::ENOENT)];
    assert_eq!(refused, expected);
    let long = Order::Note { child: 1, note: vec![0; nexus_keeper::NOTE_MAX + 1] };
    assert!(puppet.link().send(&long).unwrap_err().to_string().contains("NOTE_MAX"));
}
