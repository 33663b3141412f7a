//! Thirty kills of each at random instants, with workers that count their lines: nothing is lost,
//! doubled or wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nexus_keeper::{Ended, HoldId, KeptState, OnExit, Order, Report};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::puppet::{Puppet, kill};
use crate::{Case, case, kernel, swept};

pub(crate) const CASES: &[Case] =
    &[case("thirty_kills_of_each", soak), swept("thirty_kills_of_each_by_sweep", soak)];

const KILLS: u64 = 60;
const SLOTS: u64 = 4;

fn soak(puppet: &mut Puppet) {
    if puppet.life == 0 {
        for slot in 0..SLOTS {
            let at = base(slot);
            puppet.pipe(at);
            let log = File::create(puppet.home.join(format!("log.{slot}"))).unwrap();
            puppet.link().hold(HoldId(at + 2), b"log", log.into()).unwrap();
            let dir = puppet.home.to_str().unwrap().to_string();
            let template = puppet.role(&["lines", &dir, &slot.to_string()]);
            puppet.template(at + 3, &template);
        }
    }
    let mut brain = Brain::begin(puppet);
    if puppet.life < KILLS {
        // Killed from a thread, so that it comes at any instant; by turns, so that there are as
        // many of each.
        let victim = if puppet.life.is_multiple_of(2) {
            puppet.link().keeper_pid()
        } else {
            std::process::id() as i32
        };
        let after = Duration::from_micros(u64::from(std::process::id()) * 7_919 % 40_000);
        std::thread::spawn(move || {
            std::thread::sleep(after);
            kill(victim);
        });
    }
    let finishing = puppet.life >= KILLS;
    loop {
        brain.turn(puppet, finishing);
        if finishing && brain.current.is_empty() {
            break;
        }
    }
    brain.drain(puppet);
    puppet.said = brain.judge(puppet);
}

fn base(slot: u64) -> u64 {
    100 + slot * 10
}

struct Brain {
    /// Slot to its child.
    current: BTreeMap<u64, u64>,
    next_child: u64,
    exits: File,
    seen: BTreeSet<u64>,
    taken_in: usize,
}

impl Brain {
    fn begin(puppet: &mut Puppet) -> Brain {
        let path = puppet.home.join("exits");
        let exits = File::options().create(true).append(true).read(true).open(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let seen = text.lines().map(|l| l.split(' ').next().unwrap().parse().unwrap()).collect();
        let mut brain = Brain {
            current: BTreeMap::new(),
            next_child: puppet.handoff.last_child + 1,
            exits,
            seen,
            taken_in: 0,
        };
        // From the Pong on nobody but us decides; until then the keeper may have respawned.
        if puppet.try_send(&Order::Resumed).is_err() {
            return brain;
        }
        let _ = puppet.try_send(&Order::Ping { number: 1 });
        while !puppet.reports.iter().any(|r| matches!(r, Report::Pong { number: 1 })) {
            brain.wait(puppet);
        }
        brain.join(puppet);
        brain
    }

    /// The roll, then what was reported since.
    fn join(&mut self, puppet: &mut Puppet) {
        let roll: Vec<(u64, u64, KeptState)> = puppet
            .handoff
            .children
            .iter()
            .map(|kept| (kept.child, slot_of(&kept.note), kept.state))
            .collect();
        for (child, slot, _) in &roll {
            // A later one of the same slot is the successor.
            let now = self.current.entry(*slot).or_insert(*child);
            *now = (*now).max(*child);
        }
        // Successors that came while the roll was read: before their predecessors are forgotten.
        for report in &puppet.reports {
            if let Report::Respawned { old, new } = report {
                self.respawned(*old, *new);
            }
        }
        for (child, _, state) in &roll {
            if let KeptState::Exited { ended, tree_gone, .. } = state {
                self.exited(puppet, *child, *ended, *tree_gone);
            }
        }
    }

    fn turn(&mut self, puppet: &mut Puppet, finishing: bool) {
        while self.taken_in < puppet.reports.len() {
            let place = self.taken_in;
            self.taken_in += 1;
            match &puppet.reports[place] {
                Report::Exited { child, ended, tree_gone, .. } => {
                    let (child, ended, tree_gone) = (*child, *ended, *tree_gone);
                    self.exited(puppet, child, ended, tree_gone);
                }
                Report::TreeGone { child } => self.over(puppet, *child),
                Report::Respawned { old, new } => self.respawned(*old, *new),
                Report::SpawnFailed { .. } | Report::Refused { child: Some(_), .. } => {
                    panic!("{:?}", puppet.reports[place])
                }
                Report::Main { .. }
                | Report::Pong { .. }
                | Report::Refused { .. }
                | Report::Running { .. }
                | Report::Spawned { .. }
                | Report::Stop
                | Report::Upgrade => {}
            }
        }
        if !finishing {
            for slot in 0..SLOTS {
                if !self.current.contains_key(&slot) {
                    self.spawn(puppet, slot);
                }
            }
        }
        self.wait(puppet);
    }

    fn respawned(&mut self, old: u64, new: u64) {
        self.next_child = self.next_child.max(new + 1);
        for child in self.current.values_mut().filter(|child| **child == old) {
            *child = new;
        }
    }

    fn spawn(&mut self, puppet: &mut Puppet, slot: u64) {
        let (child, at) = (self.next_child, base(slot));
        self.next_child += 2;
        self.current.insert(slot, child);
        let order = Order::Spawn {
            child,
            template: HoldId(at + 3),
            env: Vec::new(),
            tag: b"home/soak/0".to_vec(),
            stdin: None,
            stdout: HoldId(at),
            stderr: HoldId(at),
            note: slot.to_string().into_bytes(),
            on_exit: OnExit { next: Some(child + 1), delay_ms: 2, stay_codes: vec![] },
        };
        // A keeper that is gone reads it no more: the roll will not have it.
        let _ = puppet.try_send(&order);
    }

    fn exited(&mut self, puppet: &mut Puppet, child: u64, ended: Ended, tree_gone: bool) {
        if self.seen.insert(child) {
            self.exits.write_all(format!("{child} {ended:?}\n").as_bytes()).unwrap();
        }
        if tree_gone {
            self.over(puppet, child);
        }
    }

    fn over(&mut self, puppet: &mut Puppet, child: u64) {
        let _ = puppet.try_send(&Order::Acknowledge { child });
        self.current.retain(|_, now| *now != child);
    }

    /// Move what the pipes hold, read what the keeper says; promote if it is dead.
    fn wait(&mut self, puppet: &mut Puppet) {
        let link = puppet.link.as_ref().unwrap();
        let pipes: Vec<_> = (0..SLOTS).filter_map(|s| link.held(HoldId(base(s) + 1))).collect();
        let mut asked: Vec<PollFd<'_>> = [link.socket(), link.keeper_pidfd()]
            .into_iter()
            .chain(pipes)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        poll(&mut asked, PollTimeout::from(5_000u16)).unwrap();
        let dead = asked[1].any().unwrap_or(false);
        self.splice(puppet);
        loop {
            let _ = puppet.link().flush();
            match puppet.read() {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    // Proof of death is its pidfd, never the closed socket alone.
                    puppet.promote();
                }
            }
        }
        if dead {
            puppet.promote();
        }
    }

    fn splice(&self, puppet: &mut Puppet) -> usize {
        let link = puppet.link();
        let ends = |slot: u64| {
            Some((link.held(HoldId(base(slot) + 1))?, link.held(HoldId(base(slot) + 2))?))
        };
        (0..SLOTS).filter_map(ends).map(|(pipe, log)| kernel::splice(pipe.as_fd(), log)).sum()
    }

    fn drain(&self, puppet: &mut Puppet) {
        let end = Instant::now() + Duration::from_secs(5);
        while self.splice(puppet) > 0 && Instant::now() < end {}
    }

    fn judge(&self, puppet: &Puppet) -> String {
        let exits: BTreeMap<u64, String> = puppet
            .recall("exits")
            .lines()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(child, ended)| (child.parse().unwrap(), ended.to_string()))
            .collect();
        let mut written: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for slot in 0..SLOTS {
            let log = File::open(puppet.home.join(format!("log.{slot}"))).unwrap();
            for line in BufReader::new(log).lines() {
                let line = line.unwrap();
                let mut parts = line.split(' ');
                let mut number = |prefix: char| -> u64 {
                    let part = parts.next().unwrap_or_default();
                    part.strip_prefix(prefix)
                        .and_then(|n| n.parse().ok())
                        .unwrap_or_else(|| panic!("torn: {line:?}"))
                };
                assert_eq!(number('S'), slot);
                let child = number('C');
                written.entry(child).or_default().push(number('N'));
            }
        }
        let (mut lines, mut workers) = (0, 0);
        for entry in std::fs::read_dir(&puppet.home).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let Some(rest) = name.strip_prefix("truth.") else { continue };
            let child: u64 = rest.split_once('.').unwrap().1.parse().unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            let word = |i: usize| u64::from_le_bytes(bytes[i * 8..i * 8 + 8].try_into().unwrap());
            let (count, planned) = (word(0), word(1));
            let expected: Vec<u64> = (0..count).collect();
            let got = written.get(&child).cloned().unwrap_or_default();
            assert_eq!(got, expected, "lines of {child}");
            let ended =
                if planned == 1_009 { "Signal(9)".into() } else { format!("Code({planned})") };
            let told = exits.get(&child);
            let hidden = !kernel::tells_ends() && told.is_some_and(|told| told == "Unknown");
            assert!(hidden || told == Some(&ended), "exit of {child}: {told:?}, not {ended}");
            lines += count;
            workers += 1;
        }
        assert_eq!(workers, exits.len(), "every exit is of a worker that ran");
        format!(" ({lines} lines, {workers} exits)")
    }
}

fn slot_of(note: &[u8]) -> u64 {
    std::str::from_utf8(note).unwrap().parse().unwrap()
}
