//! Another program in the place of both: a good one, and broken ones.
//!
//! The other program is a copy of this one; what is wrong with it is its name.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nexus_keeper::{Ended, HoldId, KeptState, OnExit, Order, Report, Step, Undone};
use nix::sys::signal::Signal;

use crate::puppet::{PATIENCE, Puppet, is_alive, kill, signal, stop, wait_for};
use crate::{Case, case, kernel, swept};

pub(crate) const CASES: &[Case] = &[
    case("upgrade_keeps_all", keeps_all),
    swept("upgrade_keeps_all_by_sweep", keeps_all),
    case("upgrade_20_times_with_spawns_in_every_state", many),
    case("upgrade_to_what_is_no_program", no_program),
    case("upgrade_to_a_keeper_that_ends", keeper_ends),
    case("upgrade_to_a_keeper_that_hangs", keeper_hangs),
    case("upgrade_to_a_nexusd_that_ends", nexusd_ends),
    case("upgrade_to_a_nexusd_that_hangs", nexusd_hangs),
    case("upgrade_and_the_new_keeper_is_killed", new_keeper_is_killed),
    case("upgrade_and_the_old_nexusd_takes_the_place_of_the_new_keeper", old_takes_over),
    case("upgrade_and_nexusd_is_killed_with_the_order", nexusd_is_killed),
];

/// How long one that hangs is waited for, and how long any other, on a loaded machine.
const DEADLINE: Duration = Duration::from_millis(1_500);
const PLENTY: Duration = PATIENCE;

/// What the name of this program says is wrong with it.
pub(crate) fn be_broken(role: &str) {
    let exe = std::fs::read_link("/proc/self/exe").unwrap();
    let name = exe.file_name().unwrap().to_str().unwrap().to_owned();
    match (role, name.as_str()) {
        (nexus_keeper::ARG_KEEPER, "keeper-ends") => std::process::exit(44),
        (nexus_keeper::ARG_NEXUSD, "nexusd-ends") => std::process::exit(45),
        (nexus_keeper::ARG_KEEPER, "keeper-hangs") | (nexus_keeper::ARG_NEXUSD, "nexusd-hangs") => {
            loop {
                std::thread::park();
            }
        }
        _ => {}
    }
}

/// A copy of this program.
fn copy(puppet: &Puppet, name: &str) -> PathBuf {
    let path = puppet.home.join(name);
    std::fs::copy("/proc/self/exe", &path).unwrap();
    path
}

fn open(path: &std::path::Path) -> OwnedFd {
    std::fs::File::open(path).unwrap().into()
}

fn now_ms() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).unwrap();
    now.tv_sec() as u64 * 1_000 + now.tv_nsec() as u64 / 1_000_000
}

impl Puppet {
    fn upgrade(&mut self, path: &std::path::Path) {
        let hangs = path.to_str().is_some_and(|path| path.ends_with("-hangs"));
        let deadline = if hangs { DEADLINE } else { PLENTY };
        let until = now_ms() + deadline.as_millis() as u64;
        self.link().order_upgrade(7, until, open(path)).unwrap();
    }

    fn step(&mut self) -> Option<Step> {
        self.link().upgrade().filter(|upgrade| upgrade.number == 7).map(|upgrade| upgrade.step)
    }

    /// Wait until the keeper is the new program, and give way to a nexusd of it.
    fn give_way(&mut self) -> ! {
        self.until(|report| matches!(report, Report::Upgrade));
        assert_eq!(self.step(), Some(Step::Nexusd));
        assert!(!self.link().is_on_trial());
        self.send(Order::GiveWay);
        // The next one ends us.
        loop {
            std::thread::park();
        }
    }

    fn of_the_old_program(&mut self) -> bool {
        exe_of(std::process::id().cast_signed()) == self.recall("exe")
            && exe_of(self.link().keeper_pid()) == self.recall("exe")
    }

    /// A worker, and who is who.
    fn begin(&mut self) -> i32 {
        let template = self.program("/bin/sleep", &["sleep", "1000"]);
        let pid = self.start(1, &template);
        self.send(Order::Resumed);
        self.sync();
        self.remember("worker", pid);
        self.remember("exe", exe_of(std::process::id().cast_signed()));
        self.remember("keeper", self.link.as_ref().unwrap().keeper_pid());
        pid
    }

    /// The worker has noticed nothing, and what comes after it works.
    fn goes_on(&mut self) {
        let pid: i32 = self.recall("worker").parse().unwrap();
        assert!(is_alive(pid));
        let kept = &self.handoff.children;
        assert_eq!(kept.iter().map(|kept| (kept.child, kept.pid)).collect::<Vec<_>>(), [(1, pid)]);
        assert!(self.link().held(HoldId(2)).is_some());
        self.send(Order::Resumed);
        self.spawn(900);
        self.running(900);
        kill(pid);
        kernel::assert_foreign(self.ended(1), Ended::Signal(9));
    }
}

fn exe_of(pid: i32) -> String {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap().display().to_string()
}

fn keeps_all(puppet: &mut Puppet) {
    if puppet.life == 0 {
        let pid = puppet.begin();
        let template = puppet.program("/bin/sh", &["sh", "-c", "sleep 0.3; exit 9"]);
        puppet.template(4, &template);
        // One has ended and is not acknowledged, one ends meanwhile, one is told to end.
        for child in [2, 3] {
            puppet.spawn_with(child, if child == 2 { 4 } else { 3 }, OnExit::default());
            puppet.running(child);
        }
        assert_eq!(puppet.ended(2), Ended::Code(9));
        puppet.spawn_with(4, 4, OnExit::default());
        puppet.send(Order::Note { child: 3, note: b"told".to_vec() });
        puppet.remember("pidfds", pid);
        let next = copy(puppet, "next");
        puppet.upgrade(&next);
        puppet.give_way();
    }
    let next = puppet.home.join("next").display().to_string();
    assert!(puppet.link().is_on_trial());
    assert_eq!(exe_of(std::process::id().cast_signed()), next);
    assert_eq!(exe_of(puppet.link().keeper_pid()), next);
    assert_eq!(puppet.link().keeper_pid().to_string(), puppet.recall("keeper"));
    let counters = puppet.handoff.counters;
    assert_eq!((counters.nexusd_restarts, counters.keeper_restarts), (1, 0));
    let held: Vec<u64> = puppet.handoff.held.iter().map(|(id, _)| id.0).collect();
    assert_eq!(held, [0, 1, 2, 3, 4]);
    let roll: Vec<(u64, i32)> =
        puppet.handoff.children.iter().map(|kept| (kept.child, kept.pid)).collect();
    assert_eq!(roll.iter().map(|(child, _)| *child).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(roll[0].1.to_string(), puppet.recall("worker"));
    let two = puppet.handoff.children[1].state;
    assert!(matches!(two, KeptState::Exited { ended: Ended::Code(9), .. }), "{two:?}");
    assert_eq!(puppet.handoff.children[2].note, b"told");
    puppet.send(Order::Resumed);
    puppet.until(|report| matches!(report, Report::Upgrade));
    assert_eq!(puppet.step(), Some(Step::Done));
    // They are still the keeper's children: the kernel tells it how they ended.
    if !matches!(puppet.handoff.children[3].state, KeptState::Exited { .. }) {
        assert_eq!(puppet.ended(4), Ended::Code(9));
    }
    kill(roll[2].1);
    assert_eq!(puppet.ended(3), Ended::Signal(9));
    puppet.send(Order::Acknowledge { child: 2 });
    puppet.spawn(5);
    puppet.running(5);
}

/// Orders are on their way at every upgrade: each child is there once in the end.
fn many(puppet: &mut Puppet) {
    const TIMES: u64 = 20;
    let life = puppet.life;
    if life == 0 {
        puppet.begin();
        copy(puppet, "next-0");
        copy(puppet, "next-1");
    } else {
        let exe = exe_of(puppet.link().keeper_pid());
        assert!(exe.ends_with(&format!("next-{}", life % 2)), "{exe} in life {life}");
        puppet.send(Order::Resumed);
        puppet.until(|report| matches!(report, Report::Upgrade));
        assert_eq!(puppet.step(), Some(Step::Done));
    }
    let first = life * 100 + 10;
    let roll: Vec<u64> = puppet.handoff.children.iter().map(|kept| kept.child).collect();
    for child in first.saturating_sub(100)..first.saturating_sub(100) + 10 {
        assert!(life == 0 || roll.contains(&child), "{child} is lost: {roll:?}");
        if life > 0 {
            puppet.send(Order::Kill { child });
            puppet.gone(child);
            puppet.send(Order::Acknowledge { child });
        }
    }
    puppet.sync();
    puppet.reports.clear();
    if life == TIMES {
        let worker: i32 = puppet.recall("worker").parse().unwrap();
        assert!(is_alive(worker));
        assert_eq!(puppet.link().keeper_pid().to_string(), puppet.recall("keeper"));
        return;
    }
    for child in first..first + 5 {
        puppet.spawn(child);
    }
    let next = puppet.home.join(format!("next-{}", (life + 1) % 2));
    puppet.link().order_upgrade(7, now_ms() + 20_000, open(&next)).unwrap();
    for child in first + 5..first + 10 {
        puppet.spawn(child);
    }
    puppet.give_way();
}

fn no_program(puppet: &mut Puppet) {
    puppet.begin();
    let text = puppet.home.join("text");
    std::fs::write(&text, "no program").unwrap();
    puppet.upgrade(&text);
    puppet.until(|report| matches!(report, Report::Upgrade));
    assert_eq!(puppet.step(), Some(Step::Undone(Undone::NotExecuted(libc::EACCES))));
    std::fs::set_permissions(&text, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    puppet.reports.clear();
    puppet.upgrade(&text);
    puppet.until(|report| matches!(report, Report::Upgrade));
    assert_eq!(puppet.step(), Some(Step::Undone(Undone::NotExecuted(libc::ENOEXEC))));
    assert!(puppet.of_the_old_program() && puppet.life == 0);
    let worker = puppet.link().child(1).unwrap().0;
    kill(worker);
    assert_eq!(puppet.ended(1), Ended::Signal(9));
}

fn keeper_ends(puppet: &mut Puppet) {
    if puppet.life == 0 {
        puppet.begin();
        let next = copy(puppet, "keeper-ends");
        puppet.upgrade(&next);
        assert!(wait_for(puppet.link().keeper_pidfd(), PATIENCE));
        puppet.promote();
    }
    let step = puppet.step();
    let Some(Step::Undone(Undone::KeeperEnded(how))) = step else { panic!("{step:?}") };
    assert!(matches!(how, Ended::Code(44) | Ended::Unknown), "{how:?}");
    assert!(puppet.of_the_old_program());
    puppet.goes_on();
}

fn keeper_hangs(puppet: &mut Puppet) {
    if puppet.life == 0 {
        puppet.begin();
        let next = copy(puppet, "keeper-hangs");
        puppet.upgrade(&next);
        assert!(!wait_for(puppet.link().keeper_pidfd(), DEADLINE));
        puppet.link().end_keeper();
        assert!(wait_for(puppet.link().keeper_pidfd(), PATIENCE));
        puppet.promote();
    }
    assert_eq!(puppet.step(), Some(Step::Undone(Undone::KeeperLate)));
    assert!(puppet.of_the_old_program());
    puppet.goes_on();
}

fn nexusd_ends(puppet: &mut Puppet) {
    if puppet.life == 0 {
        puppet.begin();
        let next = copy(puppet, "nexusd-ends");
        puppet.upgrade(&next);
        puppet.give_way();
    }
    assert_eq!(puppet.step(), Some(Step::Undone(Undone::NexusdEnded(Ended::Code(45)))));
    assert!(puppet.of_the_old_program());
    assert_eq!(puppet.link().keeper_pid().to_string(), puppet.recall("keeper"));
    puppet.goes_on();
}

fn nexusd_hangs(puppet: &mut Puppet) {
    if puppet.life == 0 {
        puppet.begin();
        let next = copy(puppet, "nexusd-hangs");
        puppet.upgrade(&next);
        puppet.give_way();
    }
    assert_eq!(puppet.step(), Some(Step::Undone(Undone::NexusdLate)));
    assert!(puppet.of_the_old_program());
    puppet.goes_on();
}

/// The new nexusd takes its place, and proves itself.
fn new_keeper_is_killed(puppet: &mut Puppet) {
    match puppet.life {
        0 => {
            puppet.begin();
            let next = copy(puppet, "next");
            puppet.upgrade(&next);
            puppet.give_way();
        }
        1 => {
            assert!(puppet.link().is_on_trial());
            puppet.kill_keeper_and_promote();
        }
        _ => {}
    }
    let next = puppet.home.join("next");
    assert_eq!(exe_of(puppet.link().keeper_pid()), next.display().to_string());
    assert!(puppet.link().is_on_trial());
    puppet.goes_on();
    puppet.until(|report| matches!(report, Report::Upgrade));
    assert_eq!(puppet.step(), Some(Step::Done));
}

/// It watches over the keeper until there is another nexusd, also after it has given way.
fn old_takes_over(puppet: &mut Puppet) {
    if puppet.life == 0 {
        puppet.begin();
        let next = copy(puppet, "next");
        puppet.upgrade(&next);
        puppet.until(|report| matches!(report, Report::Upgrade));
        puppet.kill_keeper_and_promote();
    }
    let step = puppet.step();
    assert!(matches!(step, Some(Step::Undone(Undone::KeeperEnded(_)))), "{step:?}");
    assert!(puppet.of_the_old_program());
    puppet.goes_on();
}

/// Nobody would bring the old program back: it stays.
#[expect(clippy::zombie_processes, reason = "the child waits for our own end")]
fn nexusd_is_killed(puppet: &mut Puppet) {
    if puppet.life == 0 {
        puppet.begin();
        let next = copy(puppet, "next");
        // Both are there when the keeper looks again.
        let keeper = puppet.link().keeper_pid();
        stop(keeper);
        puppet.upgrade(&next);
        let own = std::process::id().to_string();
        let mut continuer = std::process::Command::new("/proc/self/exe");
        let _orphan = continuer.args(["__continuer", &own, &keeper.to_string()]).spawn().unwrap();
        puppet.die();
    }
    assert_eq!(puppet.step(), Some(Step::Undone(Undone::NexusdEnded(Ended::Signal(9)))));
    assert!(puppet.of_the_old_program());
    puppet.goes_on();
}

/// A role of this program: a stopped keeper goes on once the end of a nexusd can be seen.
pub(crate) fn be_continuer(nexusd: i32, keeper: i32) -> ExitCode {
    assert!(wait_for(kernel::pidfd(nexusd).as_fd(), PLENTY));
    signal(keeper, Signal::SIGCONT);
    ExitCode::SUCCESS
}
